"""The Hub's HTTP protocol: what each request asks, and the answer, over plain data without sockets.

The shapes are those that huggingface_hub 1.32 to 2.4 and @huggingface/hub 2.17 send and expect.
"""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, quote, unquote

from tests.hub_server.answers import Denied, ranged
from tests.hub_server.faults import Request, Response
from tests.hub_server.repos import Commit, File, Repo
from tests.hub_server.xet import XetStore

_ID = r"(?P<repo_id>[^/]+/[^/]+)"
_LFS_SUFFIXES = (".safetensors", ".bin", ".pt", ".png", ".jpg", ".jpeg", ".webp")


class Protocol:
    """Answers requests from the state it holds.

    Attributes:
        users: token to user name; requests without a token see public repositories only.
        repos: repositories by id.
        xet: the store behind `local://`, or None: then there is no xet, as on most other Hubs.
    """

    def __init__(self, users: dict[str, str], xet: XetStore | None = None) -> None:
        self.users = users
        self.repos: dict[str, Repo] = {}
        self.objects: dict[str, bytes] = {}
        self.xet = xet
        self.url = self.cdn = ""
        self.page = 1000
        self._lock = threading.RLock()
        self._routes: list[tuple[str, re.Pattern[str], Callable[..., Response]]] = [
            (method, re.compile(pattern), handler)
            for method, pattern, handler in (
                ("GET", r"/api/agent-harnesses", self._harnesses),
                ("GET", r"/api/whoami-v2", self._whoami),
                ("POST", r"/api/repos/create", self._create),
                ("DELETE", r"/api/repos/delete", self._delete),
                ("POST", r"/api/validate-yaml", self._validate),
                ("GET", r"/api/models", self._search),
                ("GET", rf"/api/models/{_ID}", self._info),
                ("GET", rf"/api/models/{_ID}/revision/(?P<revision>[^/]+)", self._info),
                ("POST", rf"/api/models/{_ID}/preupload/(?P<revision>[^/]+)", self._preupload),
                ("POST", rf"/api/models/{_ID}/commit/(?P<revision>[^/]+)", self._commit),
                ("GET", rf"/api/models/{_ID}/tree/(?P<revision>[^/]+)(?:/(?P<folder>.*))?", self._tree),
                ("POST", rf"/api/models/{_ID}/paths-info/(?P<revision>[^/]+)", self._paths),
                ("GET", rf"/api/models/{_ID}/refs", self._refs),
                ("GET", rf"/api/models/{_ID}/commits/(?P<revision>[^/]+)", self._commits),
                ("POST", rf"/api/models/{_ID}/tag/(?P<revision>[^/]+)", self._tag),
                ("DELETE", rf"/api/models/{_ID}/tag/(?P<revision>[^/]+)", self._untag),
                ("GET", rf"/api/models/{_ID}/xet-(?P<kind>write|read)-token/(?P<revision>[^/]+)", self._xet_token),
                ("POST", rf"/{_ID}\.git/info/lfs/objects/batch", self._batch),
                ("PUT", r"/lfs/(?P<oid>[0-9a-f]{64})", self._put),
                ("POST", r"/lfs/(?P<oid>[0-9a-f]{64})/verify", self._verify),
                ("GET", r"/lfs/(?P<oid>[0-9a-f]{64})", self._object),
                ("HEAD", rf"/{_ID}/resolve/(?P<revision>[^/]+)/(?P<path>.+)", self._resolve),
                ("GET", rf"/{_ID}/resolve/(?P<revision>[^/]+)/(?P<path>.+)", self._resolve),
            )
        ]

    def answer(self, request: Request) -> Response:
        """The answer to a request."""
        with self._lock:
            try:
                for method, pattern, handler in self._routes:
                    match = pattern.fullmatch(request.path) if method == request.method else None
                    if match:
                        return handler(request, **{k: unquote(v or "") for k, v in match.groupdict().items()})
                raise Denied(404, "", "no such page")
            except Denied as denied:
                return denied.response

    # -- who -----------------------------------------------------------------------------------------------------

    def _user(self, request: Request) -> str | None:
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if not kind:
            return None
        if token not in self.users:
            raise Denied(401, "", "Invalid credentials in Authorization header")
        return self.users[token]

    def _repo(self, request: Request, repo_id: str, *, write: bool = False) -> Repo:
        user = self._user(request)
        repo = self.repos.get(repo_id)
        owner = repo_id.split("/")[0]
        if repo is None or (repo.private and user != owner):
            raise Denied(404 if user else 401, "RepoNotFound", "Repository not found")
        if repo.gated and user != owner:
            raise Denied(403, "GatedRepo", "Access to this model is restricted")
        if write and user != owner:
            raise Denied(403 if user else 401, "", f"You don't have the rights to write to {repo_id}")
        return repo

    @staticmethod
    def _at(repo: Repo, revision: str) -> Commit:
        commit = repo.resolve(revision)
        if commit is None:
            raise Denied(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return commit

    def _harnesses(self, request: Request) -> Response:
        return Response.of({"standardEnvVars": [], "harnesses": {}})

    def _whoami(self, request: Request) -> Response:
        user = self._user(request)
        if user is None:
            raise Denied(401, "", "Invalid username or password.")
        return Response.of({"name": user, "type": "user", "orgs": [], "auth": {"accessToken": {"role": "write"}}})

    # -- repositories --------------------------------------------------------------------------------------------

    def _create(self, request: Request) -> Response:
        user, asked = self._user(request), request.json
        if user is None:
            raise Denied(401, "", "Invalid username or password.")
        owner = asked.get("organization") or user
        if owner != user:
            raise Denied(403, "", f"You don't have the rights to create a model under the namespace {owner}")
        repo_id = f"{owner}/{asked['name']}"
        url = f"{self.url}/{repo_id}"
        if repo_id in self.repos:
            return Response.of({"error": "You already created this model repo", "url": url}, 409)
        self.repos[repo_id] = Repo(repo_id, asked.get("visibility") == "private" or bool(asked.get("private")))
        return Response.of({"url": url, "name": repo_id, "id": repo_id})

    def _delete(self, request: Request) -> Response:
        asked = request.json
        repo = self._repo(request, f"{asked.get('organization') or self._user(request)}/{asked['name']}", write=True)
        del self.repos[repo.id]
        return Response.of({})

    def _validate(self, request: Request) -> Response:
        import yaml

        parts = request.json["content"].split("---", 2)
        try:
            yaml.safe_load(parts[1] if len(parts) == 3 else "")
        except yaml.YAMLError as error:
            return Response.of({"errors": [{"message": str(error)}], "warnings": []}, 400)
        return Response.of({"errors": [], "warnings": []})

    def _record(self, repo: Repo, commit: Commit, blobs: bool = False) -> dict[str, Any]:
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

    def _info(self, request: Request, repo_id: str, revision: str = "main") -> Response:
        repo = self._repo(request, repo_id)
        return Response.of(self._record(repo, self._at(repo, revision), "blobs" in request.query))

    def _search(self, request: Request) -> Response:
        user, query = self._user(request), request.query
        found = []
        for repo in self.repos.values():
            owner = repo.id.split("/")[0]
            tags = repo.computed_tags(repo.head)
            if (
                (repo.private and owner != user)
                or (query.get("author") and owner != query["author"][0])
                or (query.get("search") and query["search"][0].lower() not in repo.id.lower())
                or any(wanted not in tags for wanted in query.get("filter", []))
            ):
                continue
            found.append(self._record(repo, repo.head))
        found.sort(key=lambda record: -record["downloads"])
        limit = int(query.get("limit", ["1000"])[0])
        return Response.of(found[:limit])

    # -- writing -------------------------------------------------------------------------------------------------

    def _preupload(self, request: Request, repo_id: str, revision: str) -> Response:
        repo = self._repo(request, repo_id, write="create_pr" not in request.query)
        files = self._at(repo, revision).files
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

    def _batch(self, request: Request, repo_id: str) -> Response:
        self._repo(request, repo_id)  # who may propose a change may upload for it
        if self._user(request) is None:
            raise Denied(401, "", "Invalid username or password.")
        objects = []
        for asked in request.json["objects"]:
            item: dict[str, Any] = {"oid": asked["oid"], "size": asked["size"]}
            if asked["oid"] not in self.objects:
                href = f"{self.url}/lfs/{asked['oid']}"
                item["actions"] = {"upload": {"href": href, "header": {}}, "verify": {"href": f"{href}/verify"}}
            objects.append(item)
        return Response.of({"transfer": "basic", "objects": objects})

    def _put(self, request: Request, oid: str) -> Response:
        self.objects[oid] = request.body
        return Response()

    def _verify(self, request: Request, oid: str) -> Response:
        if File(self.objects.get(oid, b"")).sha256 != oid:
            self.objects.pop(oid, None)
            raise Denied(400, "", "the uploaded bytes do not have this sha256")
        return Response.of({})

    def _commit(self, request: Request, repo_id: str, revision: str) -> Response:
        is_pull_request = "create_pr" in request.query
        repo = self._repo(request, repo_id, write=not is_pull_request)
        lines = [json.loads(line) for line in request.body.splitlines() if line.strip()]
        header = next(line["value"] for line in lines if line["key"] == "header")
        head = self._at(repo, revision)
        parent = header.get("parentCommit")
        if parent and parent != head.sha and not is_pull_request:
            raise Denied(412, "", "A commit has happened since. Please refresh and try again.")
        files = dict(head.files)
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                data = base64.b64decode(value["content"]) if value.get("encoding") == "base64" else value["content"]
                files[value["path"]] = File(data if isinstance(data, bytes) else data.encode())
            elif line["key"] == "lfsFile":
                files[value["path"]] = self._uploaded(value["oid"])
            elif line["key"] == "deletedFile":
                if files.pop(value["path"], None) is None:
                    raise Denied(404, "EntryNotFound", "A file with this name doesn't exist")
            elif line["key"] == "deletedFolder":
                folder = value["path"].rstrip("/") + "/"
                files = {path: file for path, file in files.items() if not path.startswith(folder)}
        title, message = header.get("summary", ""), header.get("description", "")
        if is_pull_request:
            number = len(repo.pull_requests) + 1
            commit = repo.detached(files, title, message, head.sha)
            repo.pull_requests[number] = commit.sha
            extra = {"pullRequestUrl": f"{self.url}/{repo_id}/discussions/{number}"}
        else:
            branch = revision.removeprefix("refs/heads/")
            commit, extra = repo.commit(branch, files, title, message), {}
        return Response.of(
            {
                "success": True,
                "commitOid": commit.sha,
                "commitUrl": f"{self.url}/{repo_id}/commit/{commit.sha}",
                **extra,
            }
        )

    def _uploaded(self, oid: str) -> File:
        if oid in self.objects:
            return File(self.objects[oid], lfs=True)
        found = self.xet.find(oid) if self.xet else None
        if found is None:
            raise Denied(400, "", f"LFS pointer pointed to a file that does not exist: {oid}")
        self.objects[oid] = found.data
        return File(found.data, lfs=True, xet_hash=found.hash)

    def _tag(self, request: Request, repo_id: str, revision: str) -> Response:
        repo = self._repo(request, repo_id, write=True)
        tag = request.json["tag"]
        if tag in repo.tags:
            raise Denied(409, "", f"Tag reference exists already: {tag}")
        repo.tags[tag] = self._at(repo, revision).sha
        return Response.of({})

    def _untag(self, request: Request, repo_id: str, revision: str) -> Response:
        if self._repo(request, repo_id, write=True).tags.pop(revision, None) is None:
            raise Denied(404, "RevisionNotFound", f"no tag {revision}")
        return Response.of({})

    # -- reading -------------------------------------------------------------------------------------------------

    @staticmethod
    def _file(path: str, file: File) -> dict[str, Any]:
        record: dict[str, Any] = {"type": "file", "path": path, "size": len(file.data), "oid": file.blob_id}
        if file.lfs:
            record["lfs"] = {"oid": file.sha256, "size": len(file.data), "pointerSize": len(file.pointer)}
        if file.xet_hash:
            record["xetHash"] = file.xet_hash
        return record

    def _tree(self, request: Request, repo_id: str, revision: str, folder: str) -> Response:
        files = self._at(self._repo(request, repo_id), revision).files
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
                records[path] = self._file(path, file)
        everything = list(records.values())
        start = int(request.query.get("cursor", ["0"])[0])
        response = Response.of(everything[start : start + self.page])
        if start + self.page < len(everything):
            below = f"/{quote(folder)}" if folder else ""
            at = f"{self.url}/api/models/{repo_id}/tree/{quote(revision, safe='')}{below}"
            response.headers["Link"] = (
                f'<{at}?recursive={str(recursive).lower()}&cursor={start + self.page}>; rel="next"'
            )
        return response

    def _paths(self, request: Request, repo_id: str, revision: str) -> Response:
        files = self._at(self._repo(request, repo_id), revision).files
        asked = parse_qs(request.body.decode()).get("paths") or request.json.get("paths", [])
        return Response.of([self._file(path, files[path]) for path in asked if path in files])

    def _refs(self, request: Request, repo_id: str) -> Response:
        repo = self._repo(request, repo_id)

        def ref(kind: str, name: str, sha: str) -> dict[str, str]:
            return {"name": name, "ref": f"refs/{kind}/{name}", "targetCommit": sha}

        answer: dict[str, Any] = {
            "branches": [ref("heads", name, sha) for name, sha in repo.branches.items()],
            "tags": [ref("tags", name, sha) for name, sha in repo.tags.items()],
            "converts": [],
        }
        if "include_prs" in request.query:
            answer["pullRequests"] = [ref("pr", str(number), sha) for number, sha in repo.pull_requests.items()]
        return Response.of(answer)

    def _commits(self, request: Request, repo_id: str, revision: str) -> Response:
        repo = self._repo(request, repo_id)
        return Response.of(
            [
                {
                    "id": commit.sha,
                    "title": commit.title,
                    "message": commit.message,
                    "authors": [{"user": repo.id.split("/")[0]}],
                    "date": "2026-01-02T03:04:05.000Z",
                }
                for commit in repo.history(self._at(repo, revision))
            ]
        )

    def _xet_token(self, request: Request, repo_id: str, kind: str, revision: str) -> Response:
        self._repo(request, repo_id, write=kind == "write" and "create_pr" not in request.query)
        if self.xet is None:
            raise Denied(404, "", "no xet here")
        answer = {"casUrl": self.xet.url, "accessToken": "xet", "exp": 4_000_000_000}
        headers = {"X-Xet-Cas-Url": self.xet.url, "X-Xet-Access-Token": "xet", "X-Xet-Token-Expiration": "4000000000"}
        return Response.of(answer, 200, **headers)

    def _resolve(self, request: Request, repo_id: str, revision: str, path: str) -> Response:
        commit = self._at(self._repo(request, repo_id), revision)
        file = commit.files.get(path)
        common = {"X-Repo-Commit": commit.sha}
        if file is None:
            denied = Denied(404, "EntryNotFound", "Entry not found").response
            denied.headers |= common
            return denied
        if file.lfs:
            self.objects[file.sha256] = file.data
            common |= {
                "X-Linked-Etag": f'"{file.sha256}"',
                "X-Linked-Size": str(len(file.data)),
                "Location": f"{self.cdn}/lfs/{file.sha256}",
            }
            if file.xet_hash:
                common["X-Xet-Hash"] = file.xet_hash
                common["Link"] = f'<{self.url}/api/models/{repo_id}/xet-read-token/{commit.sha}>; rel="xet-auth"'
            return Response(302, b"", common)
        return ranged(request, file.data, common | {"ETag": f'"{file.etag}"'})

    def _object(self, request: Request, oid: str) -> Response:
        if oid not in self.objects:
            raise Denied(404, "", "no such object")
        return ranged(request, self.objects[oid], {"ETag": f'"{oid}"'})
