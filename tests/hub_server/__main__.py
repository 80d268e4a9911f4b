"""Runs the loopback Hub by hand: `python -m tests.hub_server --user alice=alices-word`; Ctrl-C ends it.

Then, in another terminal: `HF_ENDPOINT=http://127.0.0.1:PORT TIREG_HUB_TOKEN=alices-word tireg push gnome`.
"""

from __future__ import annotations

import argparse
import threading
import time
from pathlib import Path

from tests.hub_server.faults import Fault, Request, Response
from tests.hub_server.server import HubServer

_FAULTS = {
    "drop": lambda pattern, _: Fault.drop(pattern),
    "lose": lambda pattern, _: Fault.lose_answer(pattern),
    "cut": lambda pattern, _: Fault.cut(pattern),
    "flip": lambda pattern, _: Fault.flip(pattern),
    "stall": lambda pattern, value: Fault.stall(pattern, float(value or 60)),
    "limit": lambda pattern, value: Fault.status(pattern, 429, Retry_After=value or "5"),
    "status": lambda pattern, value: Fault.status(pattern, int(value or 500)),
    "fail-after": lambda pattern, value: Fault.fail_after(pattern, int(value or 500)),
}


class _Talkative(HubServer):
    """Shows each request as it comes, and takes its time."""

    delay = 0.0

    def respond(self, request: Request) -> Response:
        time.sleep(self.delay)
        response = super().respond(request)
        print(f"{response.status} {request.line}", flush=True)
        return response


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m tests.hub_server", description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--user", action="append", metavar="NAME=TOKEN", help="somebody with an account; repeatable")
    parser.add_argument("--member", action="append", default=[], metavar="REPO=NAME", help="who else may change a repo")
    parser.add_argument("--xet", type=Path, metavar="FOLDER", help="have xet, with this folder as its storage")
    parser.add_argument("--repo", action="append", default=[], metavar="ID=FOLDER", help="a public repository")
    parser.add_argument("--delay", type=float, default=0.0, metavar="SECONDS", help="before every answer")
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="KIND[=VALUE]:PATTERN",
        help=f"what happens once to a request whose `METHOD /path` matches: {', '.join(_FAULTS)}",
    )
    options = parser.parse_args()
    users = dict(reversed(user.split("=", 1)) for user in options.user or ["alice=alices-word", "bob=bobs-word"])
    with _Talkative(users, options.xet, options.port) as server:
        server.delay = options.delay
        for item in options.repo:
            repo_id, _, folder = item.partition("=")
            files = {str(p.relative_to(folder)): p.read_bytes() for p in Path(folder).rglob("*") if p.is_file()}
            server.add_repo(repo_id, files)
        for item in options.fault:
            kind, _, pattern = item.partition(":")
            name, _, value = kind.partition("=")
            server.faults.append(_FAULTS[name](pattern, value))
        for item in options.member:
            repo_id, _, name = item.partition("=")
            server.protocol.invited.setdefault(repo_id, set()).add(name)
        print(server.url, flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print("bye")


if __name__ == "__main__":
    main()
