"""Accounts and repositories: who asks, creating and deleting, what a repository says about itself, searching."""

from __future__ import annotations

from typing import Any

from tests.hub_server.answers import Denied
from tests.hub_server.faults import Request, Response
from tests.hub_server.repos import Commit, Repo
from tests.hub_server.state import ID, State, route


def harnesses(state: State, request: Request) -> Response:
    return Response.of({"standardEnvVars": [], "harnesses": {}})


def whoami(state: State, request: Request) -> Response:
    user = state.user(request)
    if user is None:
        raise Denied(401, "", "Invalid username or password.")
    return Response.of({"name": user, "type": "user", "orgs": [], "auth": {"accessToken": {"role": "write"}}})


def create(state: State, request: Request) -> Response:
    user, asked = state.user(request), request.json
    if user is None:
        raise Denied(401, "", "Invalid username or password.")
    owner = asked.get("organization") or user
    if owner != user:
        raise Denied(403, "", f"You don't have the rights to create a model under the namespace {owner}")
    repo_id = f"{owner}/{asked['name']}"
    url = f"{state.url}/{repo_id}"
    if repo_id in state.repos:
        return Response.of({"error": "You already created this model repo", "url": url}, 409)
    made = state.repos[repo_id] = Repo(repo_id, asked.get("visibility") == "private" or bool(asked.get("private")))
    made.members |= state.invited.get(repo_id, set())
    return Response.of({"url": url, "name": repo_id, "id": repo_id})


def delete(state: State, request: Request) -> Response:
    asked = request.json
    repo = state.repo(request, f"{asked.get('organization') or state.user(request)}/{asked['name']}", write=True)
    del state.repos[repo.id]
    return Response.of({})


def validate(state: State, request: Request) -> Response:
    import yaml

    parts = request.json["content"].split("---", 2)
    try:
        yaml.safe_load(parts[1] if len(parts) == 3 else "")
    except yaml.YAMLError as error:
        return Response.of({"errors": [{"message": str(error)}], "warnings": []}, 400)
    return Response.of({"errors": [], "warnings": []})


def _record(repo: Repo, commit: Commit, blobs: bool = False) -> dict[str, Any]:
    siblings: list[dict[str, Any]] = []
    for path, file in sorted(commit.files.items()):
        item: dict[str, Any] = {"rfilename": path}
        if blobs:
            item |= {"size": len(file.data), "blobId": file.blob_id}
            if file.lfs:
                item["lfs"] = {"sha256": file.sha256, "size": len(file.data), "pointerSize": len(file.pointer)}
        siblings.append(item)
    return {
        "_id": commit.sha[:24],
        "id": repo.id,
        "modelId": repo.id,
        "author": repo.id.split("/")[0],
        "sha": commit.sha,
        "private": repo.private,
        "gated": "manual" if repo.gated else False,
        "disabled": False,
        "tags": repo.computed_tags(commit),
        "cardData": repo.card(commit),
        "siblings": siblings,
        "downloads": repo.downloads,
        "likes": repo.likes,
        "lastModified": "2026-01-02T03:04:05.000Z",
        "createdAt": "2026-01-01T00:00:00.000Z",
    }


def info(state: State, request: Request, repo_id: str, revision: str = "main") -> Response:
    repo = state.repo(request, repo_id)
    return Response.of(_record(repo, state.at(repo, revision), "blobs" in request.query))


def search(state: State, request: Request) -> Response:
    user, query = state.user(request), request.query
    found = []
    for repo in state.repos.values():
        owner = repo.id.split("/")[0]
        tags = repo.computed_tags(repo.head)
        if (
            (repo.private and user not in repo.members)
            or (query.get("author") and owner != query["author"][0])
            or (query.get("search") and query["search"][0].lower() not in repo.id.lower())
            or any(wanted not in tags for wanted in query.get("filter", []))
        ):
            continue
        found.append(_record(repo, repo.head))
    key = "likes" if query.get("sort") == ["likes"] else "downloads"
    found.sort(key=lambda record: -record[key])
    limit = int(query.get("limit", ["1000"])[0])
    return Response.of(found[:limit])


ROUTES = (
    route("GET", r"/api/agent-harnesses", harnesses),
    route("GET", r"/api/whoami-v2", whoami),
    route("POST", r"/api/repos/create", create),
    route("DELETE", r"/api/repos/delete", delete),
    route("POST", r"/api/validate-yaml", validate),
    route("GET", r"/api/models", search),
    route("GET", rf"/api/models/{ID}", info),
    route("GET", rf"/api/models/{ID}/revision/(?P<revision>[^/]+)", info),
)
