"""Uploads, commits and tags."""

from __future__ import annotations

import base64
import json
from typing import Any

from tests.hub_server.answers import Denied
from tests.hub_server.faults import Request, Response
from tests.hub_server.repos import File, PullRequest
from tests.hub_server.state import ID, State, route

_LFS_SUFFIXES = (".safetensors", ".bin", ".pt", ".png", ".jpg", ".jpeg", ".webp")


def preupload(state: State, request: Request, repo_id: str, revision: str) -> Response:
    repo = state.repo(request, repo_id, write="create_pr" not in request.query, revision=revision)
    files = state.at(repo, revision).files
    answer = []
    for asked in request.json["files"]:
        old = files.get(asked["path"])
        mode = "lfs" if asked["path"].endswith(_LFS_SUFFIXES) and asked["size"] else "regular"
        answer.append(
            {
                "path": asked["path"],
                "uploadMode": mode,
                "shouldIgnore": False,
                **({"oid": old.etag} if old else {}),
            }
        )
    return Response.of({"files": answer})


def batch(state: State, request: Request, repo_id: str) -> Response:
    state.repo(request, repo_id)  # who may propose a change may upload for it
    if state.user(request) is None:
        raise Denied(401, "", "Invalid username or password.")
    objects = []
    for asked in request.json["objects"]:
        item: dict[str, Any] = {"oid": asked["oid"], "size": asked["size"]}
        if asked["oid"] not in state.objects:
            href = f"{state.url}/lfs/{asked['oid']}"
            item["actions"] = {"upload": {"href": href, "header": {}}, "verify": {"href": f"{href}/verify"}}
        objects.append(item)
    return Response.of({"transfer": "basic", "objects": objects})


def put(state: State, request: Request, oid: str) -> Response:
    state.objects[oid] = request.body
    return Response()


def verify(state: State, request: Request, oid: str) -> Response:
    if File(state.objects.get(oid, b"")).sha256 != oid:
        state.objects.pop(oid, None)
        raise Denied(400, "", "the uploaded bytes do not have this sha256")
    return Response.of({})


def commit(state: State, request: Request, repo_id: str, revision: str) -> Response:
    is_pull_request = "create_pr" in request.query
    repo = state.repo(request, repo_id, write=not is_pull_request, revision=revision)
    user = state.user(request)
    if user is None:
        raise Denied(401, "", "Invalid username or password.")
    lines = [json.loads(line) for line in request.body.splitlines() if line.strip()]
    header = next(line["value"] for line in lines if line["key"] == "header")
    head = state.at(repo, revision)
    parent = header.get("parentCommit")
    if parent and is_pull_request:
        head = state.at(repo, parent)  # a pull request may begin at any commit
    if parent and parent != head.sha:
        raise Denied(412, "", "A commit has happened since. Please refresh and try again.")
    files = dict(head.files)
    for line in lines:
        value = line["value"]
        if line["key"] == "file":
            data = base64.b64decode(value["content"]) if value.get("encoding") == "base64" else value["content"]
            files[value["path"]] = File(data if isinstance(data, bytes) else data.encode())
        elif line["key"] == "lfsFile":
            files[value["path"]] = _uploaded(state, value["oid"])
        elif line["key"] == "deletedFile":
            if files.pop(value["path"], None) is None:
                raise Denied(404, "EntryNotFound", "A file with this name doesn't exist")
        elif line["key"] == "deletedFolder":
            folder = value["path"].rstrip("/") + "/"
            files = {path: file for path, file in files.items() if not path.startswith(folder)}
    title, message = header.get("summary", ""), header.get("description", "")
    extra, continued = {}, repo.pull_request(revision)
    if is_pull_request:
        number = len(repo.pull_requests) + 1
        made = repo.detached(files, title, message, head.sha)
        repo.pull_requests[number] = PullRequest(user, made.sha)
        extra = {"pullRequestUrl": f"{state.url}/{repo_id}/discussions/{number}"}
    elif continued is not None:
        made = repo.detached(files, title, message, head.sha)
        continued.sha = made.sha
    else:
        made = repo.commit(revision.removeprefix("refs/heads/"), files, title, message)
    return Response.of(
        {
            "success": True,
            "commitOid": made.sha,
            "commitUrl": f"{state.url}/{repo_id}/commit/{made.sha}",
            **extra,
        }
    )


def _uploaded(state: State, oid: str) -> File:
    if oid in state.objects:
        return File(state.objects[oid], lfs=True)
    found = state.xet.find(oid) if state.xet else None
    if found is None:
        raise Denied(400, "", f"LFS pointer pointed to a file that does not exist: {oid}")
    state.objects[oid] = found.data
    return File(found.data, lfs=True, xet_hash=found.hash)


def tag(state: State, request: Request, repo_id: str, revision: str) -> Response:
    repo, name = state.repo(request, repo_id, write=True), request.json["tag"]
    if name in repo.tags:
        raise Denied(409, "", f"Tag reference exists already: {name}")
    repo.tags[name] = state.at(repo, revision).sha
    return Response.of({})


def untag(state: State, request: Request, repo_id: str, revision: str) -> Response:
    if state.repo(request, repo_id, write=True).tags.pop(revision, None) is None:
        raise Denied(404, "RevisionNotFound", f"no tag {revision}")
    return Response.of({})


def xet_token(state: State, request: Request, repo_id: str, kind: str, revision: str) -> Response:
    is_write = kind == "write" and "create_pr" not in request.query
    state.repo(request, repo_id, write=is_write, revision=revision)
    if state.xet is None:
        raise Denied(404, "", "no xet here")
    answer = {"casUrl": state.xet.url, "accessToken": "xet", "exp": 4_000_000_000}
    headers = {"X-Xet-Cas-Url": state.xet.url, "X-Xet-Access-Token": "xet", "X-Xet-Token-Expiration": "4000000000"}
    return Response.of(answer, 200, **headers)


ROUTES = (
    route("POST", rf"/api/models/{ID}/preupload/(?P<revision>[^/]+)", preupload),
    route("POST", rf"/api/models/{ID}/commit/(?P<revision>[^/]+)", commit),
    route("POST", rf"/api/models/{ID}/tag/(?P<revision>[^/]+)", tag),
    route("DELETE", rf"/api/models/{ID}/tag/(?P<revision>[^/]+)", untag),
    route("GET", rf"/api/models/{ID}/xet-(?P<kind>write|read)-token/(?P<revision>[^/]+)", xet_token),
    route("POST", rf"/{ID}\.git/info/lfs/objects/batch", batch),
    route("PUT", r"/lfs/(?P<oid>[0-9a-f]{64})", put),
    route("POST", r"/lfs/(?P<oid>[0-9a-f]{64})/verify", verify),
)
