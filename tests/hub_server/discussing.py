"""Pull requests: listing them, merging, closing."""

from __future__ import annotations

from tests.hub_server.answers import Denied
from tests.hub_server.faults import Request, Response
from tests.hub_server.repos import PullRequest
from tests.hub_server.state import ID, State, route


def discussions(state: State, request: Request, repo_id: str) -> Response:
    """A page of the pull requests; there are no other discussions here."""
    repo, query = state.repo(request, repo_id), request.query
    if not state.has_discussions:
        raise Denied(404, "", "no such page")
    wanted = {key: query[key][0] for key in ("author", "status") if key in query}
    found = [
        {
            "num": number,
            "title": repo.commits[each.sha].title,
            "author": {"name": each.author, "type": "user"},
            "repo": {"name": repo_id, "type": "model"},
            "status": each.status,
            "isPullRequest": True,
            "createdAt": "2026-01-02T03:04:05.000Z",
            "numComments": 1,
        }
        for number, each in sorted(repo.pull_requests.items(), reverse=True)
        if wanted.get("author", each.author) == each.author and wanted.get("status", each.status) == each.status
    ]
    start = 50 * int(query.get("p", ["0"])[0])
    return Response.of({"discussions": found[start : start + 50], "count": len(found), "start": start})


def _open_one(state: State, request: Request, repo_id: str, number: str) -> PullRequest:
    found = state.repo(request, repo_id, write=True).pull_requests.get(int(number))
    if found is None or found.status != "open":
        raise Denied(404, "", "no open pull request of this number")
    return found


def merge(state: State, request: Request, repo_id: str, number: str) -> Response:
    """Put a pull request's files on main."""
    proposed, repo = _open_one(state, request, repo_id, number), state.repo(request, repo_id)
    commit = repo.commits[proposed.sha]
    repo.commit("main", commit.files, f"{commit.title} (#{number})")
    proposed.status = "merged"
    return Response.of({})


def status(state: State, request: Request, repo_id: str, number: str) -> Response:
    """Close a pull request."""
    proposed = _open_one(state, request, repo_id, number)
    proposed.status = request.json["status"]
    return Response.of({"newStatus": proposed.status})


ROUTES = (
    route("GET", rf"/api/models/{ID}/discussions", discussions),
    route("POST", rf"/api/models/{ID}/discussions/(?P<number>[0-9]+)/merge", merge),
    route("POST", rf"/api/models/{ID}/discussions/(?P<number>[0-9]+)/status", status),
)
