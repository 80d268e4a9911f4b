"""Listings, references, and the files themselves."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, quote

from tests.hub_server.answers import Denied, ranged
from tests.hub_server.faults import Request, Response
from tests.hub_server.repos import File
from tests.hub_server.state import ID, State, route


def _file(path: str, file: File) -> dict[str, Any]:
    record: dict[str, Any] = {"type": "file", "path": path, "size": len(file.data), "oid": file.blob_id}
    if file.lfs:
        record["lfs"] = {"oid": file.sha256, "size": len(file.data), "pointerSize": len(file.pointer)}
    if file.xet_hash:
        record["xetHash"] = file.xet_hash
    return record


def tree(state: State, request: Request, repo_id: str, revision: str, folder: str) -> Response:
    files = state.at(state.repo(request, repo_id), revision).files
    recursive = request.query.get("recursive", ["false"])[0].lower() == "true"
    prefix = folder.rstrip("/") + "/" if folder else ""
    records: dict[str, dict[str, Any]] = {}
    for path, file in sorted(files.items()):
        if not path.startswith(prefix):
            continue
        parts = path[len(prefix) :].split("/")
        for depth in range(1, len(parts) if recursive else min(len(parts), 2)):
            name = prefix + "/".join(parts[:depth])
            records.setdefault(name, {"type": "directory", "path": name, "oid": "0" * 40, "size": 0})
        if recursive or len(parts) == 1:
            records[path] = _file(path, file)
    everything = list(records.values())
    start = int(request.query.get("cursor", ["0"])[0])
    response = Response.of(everything[start : start + state.page])
    if start + state.page < len(everything):
        below = f"/{quote(folder)}" if folder else ""
        at = f"{state.url}/api/models/{repo_id}/tree/{quote(revision, safe='')}{below}"
        response.headers["Link"] = f'<{at}?recursive={str(recursive).lower()}&cursor={start + state.page}>; rel="next"'
    return response


def paths(state: State, request: Request, repo_id: str, revision: str) -> Response:
    files = state.at(state.repo(request, repo_id), revision).files
    asked = parse_qs(request.body.decode()).get("paths") or request.json.get("paths", [])
    return Response.of([_file(path, files[path]) for path in asked if path in files])


def refs(state: State, request: Request, repo_id: str) -> Response:
    repo = state.repo(request, repo_id)

    def ref(kind: str, name: str, sha: str) -> dict[str, str]:
        return {"name": name, "ref": f"refs/{kind}/{name}", "targetCommit": sha}

    answer: dict[str, Any] = {
        "branches": [ref("heads", name, sha) for name, sha in repo.branches.items()],
        "tags": [ref("tags", name, sha) for name, sha in repo.tags.items()],
        "converts": [],
    }
    if "include_prs" in request.query:
        answer["pullRequests"] = [ref("pr", str(number), each.sha) for number, each in repo.pull_requests.items()]
    return Response.of(answer)


def commits(state: State, request: Request, repo_id: str, revision: str) -> Response:
    repo = state.repo(request, repo_id)
    return Response.of(
        [
            {
                "id": commit.sha,
                "title": commit.title,
                "message": commit.message,
                "authors": [{"user": repo.id.split("/")[0]}],
                "date": "2026-01-02T03:04:05.000Z",
            }
            for commit in repo.history(state.at(repo, revision))
        ]
    )


def resolve(state: State, request: Request, repo_id: str, revision: str, path: str) -> Response:
    commit = state.at(state.repo(request, repo_id), revision)
    file = commit.files.get(path)
    common = {"X-Repo-Commit": commit.sha}
    if file is None:
        denied = Denied(404, "EntryNotFound", "Entry not found").response
        denied.headers |= common
        return denied
    if file.lfs:
        state.objects[file.sha256] = file.data
        common |= {
            "X-Linked-Etag": f'"{file.sha256}"',
            "X-Linked-Size": str(len(file.data)),
            "Location": f"{state.cdn}/lfs/{file.sha256}",
        }
        if file.xet_hash:
            common["X-Xet-Hash"] = file.xet_hash
            common["Link"] = f'<{state.url}/api/models/{repo_id}/xet-read-token/{commit.sha}>; rel="xet-auth"'
        return Response(302, b"", common)
    return ranged(request, file.data, common | {"ETag": f'"{file.etag}"'})


def object_(state: State, request: Request, oid: str) -> Response:
    if oid not in state.objects:
        raise Denied(404, "", "no such object")
    return ranged(request, state.objects[oid], {"ETag": f'"{oid}"'})


ROUTES = (
    route("GET", rf"/api/models/{ID}/tree/(?P<revision>[^/]+)(?:/(?P<folder>.*))?", tree),
    route("POST", rf"/api/models/{ID}/paths-info/(?P<revision>[^/]+)", paths),
    route("GET", rf"/api/models/{ID}/refs", refs),
    route("GET", rf"/api/models/{ID}/commits/(?P<revision>[^/]+)", commits),
    route("HEAD", rf"/{ID}/resolve/(?P<revision>[^/]+)/(?P<path>.+)", resolve),
    route("GET", rf"/{ID}/resolve/(?P<revision>[^/]+)/(?P<path>.+)", resolve),
    route("GET", r"/lfs/(?P<oid>[0-9a-f]{64})", object_),
)
