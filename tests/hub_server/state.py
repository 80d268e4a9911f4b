"""What the loopback Hub knows, and who may see and change what of it."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable

from tests.hub_server.answers import Denied
from tests.hub_server.faults import Request, Response
from tests.hub_server.repos import Commit, Repo
from tests.hub_server.xet import XetStore

ID = r"(?P<repo_id>[^/]+/[^/]+)"
"""Part of a route: a repository."""
Handler = Callable[..., Response]
"""Called with the state, the request, and the named groups of its route."""
Route = tuple[str, re.Pattern[str], Handler]


def route(method: str, pattern: str, handler: Handler) -> Route:
    """One kind of request and who answers it."""
    return method, re.compile(pattern), handler


class State:
    """The Hub's users and repositories.

    Attributes:
        users: token to user name; requests without a token see public repositories only.
        repos: repositories by id.
        invited: who else will be a member of a repository that does not exist yet.
        objects: uploaded LFS files by sha256.
        xet: the store behind `local://`, or None: then there is no xet, as on most other Hubs.
        url: where the Hub is reached.
        cdn: where its storage is reached: another origin, so that tokens must not go there.
        page: entries of a listing that one answer holds.
        has_discussions: whether pull requests can be listed; some other Hubs have none.
    """

    def __init__(self, users: dict[str, str], xet: XetStore | None = None) -> None:
        self.users = users
        self.repos: dict[str, Repo] = {}
        self.objects: dict[str, bytes] = {}
        self.invited: dict[str, set[str]] = {}
        self.xet = xet
        self.url = self.cdn = ""
        self.page = 1000
        self.has_discussions = True
        self.lock = threading.RLock()

    def user(self, request: Request) -> str | None:
        """Who asks; None is nobody in particular."""
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if not kind:
            return None
        if token not in self.users:
            raise Denied(401, "", "Invalid credentials in Authorization header")
        return self.users[token]

    def repo(self, request: Request, repo_id: str, *, write: bool = False, revision: str = "") -> Repo:
        """The repository, when whoever asks may see it (and change this revision of it)."""
        user = self.user(request)
        repo = self.repos.get(repo_id)
        if repo is None or (repo.private and user not in repo.members):
            raise Denied(404 if user else 401, "RepoNotFound", "Repository not found")
        if repo.gated and user not in repo.members:
            raise Denied(403, "GatedRepo", "Access to this model is restricted")
        request_of = repo.pull_request(revision)
        may_write = user in repo.members or (request_of is not None and request_of.author == user)
        if write and not may_write:
            raise Denied(403 if user else 401, "", f"You don't have the rights to write to {repo_id}")
        return repo

    @staticmethod
    def at(repo: Repo, revision: str) -> Commit:
        """The commit that a revision names."""
        commit = repo.resolve(revision)
        if commit is None:
            raise Denied(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return commit
