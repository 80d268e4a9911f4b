"""A Hub that puts terminal escapes into everything it says: every command shows them harmless."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_hostile_text import EVIL, check
from tests.core.hub.words import learn
from tests.hub_server import Fault, HubServer
from tests.hub_server.faults import Request, Response
from tests.hub_server.repos import PullRequest
from tireg_cli.main import run
from tiregistry.hub.client import Hub
from tiregistry.hub.endpoints import Endpoint
from tiregistry.hub.push import push_version
from tiregistry.registry.registry import Registry

RAW = "\x1b]0;owned\x07\x1b[2J\x9b31mevil\x08"
"""What fits into a header."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A Hub with a word of Alice's that is known here."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr("tiregistry.hub.transport._PAUSES", (0.01, 0.02))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setenv("TIREG_HUB_TOKEN", "alices-word")
    monkeypatch.setenv("TIREG_HUB_TIMEOUT", "20")
    with HubServer() as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        with Registry.open() as registry:
            push_version(registry, learn(registry), "alice/gnome", Hub(Endpoint(running.url, "alices-word")))
            learn(registry, 1)
        yield running


COMMANDS = (
    ["push", "gnome"], ["push", "gnome", "--pr"], ["push", "gnome", "--dry-run"], ["push", "gnome", "new"],
    ["pull", "alice/gnome"], ["pull", "alice/gnome@v1"], ["pull", "alice/gnome", "--all"], ["pull", "--check"],
    ["hub", "search", "gnome"],
)  # fmt: skip


def answers(status: int, body: bytes, header: str = "") -> Callable[[str], Fault]:
    """A fault that answers like this for ever."""
    headers = {"Content-Type": "application/json", **({"X-Error-Message": header} if header else {})}
    return lambda pattern: Fault(pattern, before=lambda _: Response(status, body, headers), times=None)


SAYINGS = {
    **{
        str(status): answers(status, json.dumps({"error": EVIL, "errors": [{"message": EVIL}]}).encode())
        for status in (400, 403, 409, 412, 500)
    },
    "header": answers(403, b"{}", RAW),
    "page": answers(200, f"<html>{EVIL}".encode("utf-8", "replace")),
    "list": answers(200, json.dumps([EVIL, {"id": EVIL, "path": EVIL, "type": "file", "oid": EVIL}]).encode()),
    "mapping": answers(
        200,
        json.dumps(dict.fromkeys(("name", "sha", "id", "url", "commitOid", "pullRequestUrl", "tags"), EVIL)).encode(),
    ),
}
PLACES = ("GET /api/models", "/api/whoami", "/refs", "/tree/", "/resolve/", "/preupload/", "/commit/", "/discussions")


@pytest.mark.slow
@pytest.mark.parametrize("saying", SAYINGS)
def test_whatever_it_says_is_shown_harmless(saying: str, server: HubServer, capsys: pytest.CaptureFixture[str]) -> None:
    for number, place in enumerate(PLACES):
        server.faults = [SAYINGS[saying](place)]
        for arguments in COMMANDS[number % 2 :: 2]:
            _look(arguments, capsys)


def _evil_record(record: dict[str, Any]) -> dict[str, Any]:
    card = {"base_model": EVIL, "license": EVIL, "tags": [EVIL], "tireg": {"token": EVIL}}
    return {**record, "cardData": card, "tags": [EVIL, f"base_model:{EVIL}"], "author": EVIL}


def test_what_its_repositories_hold_is_shown_harmless(
    server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    head = server.repos["alice/gnome"].head.files
    document = json.loads(head["tireg.json"].data)
    document |= {"name": EVIL[:90], "description": EVIL, "licence": EVIL[:90], "base_name": EVIL[:90]}
    document |= {
        "tags": [EVIL[:60]],
        "scores": {EVIL[:60]: 1.0},
        "record": {"precision": EVIL, "software": {EVIL: EVIL}},
    }
    evil = server.add_repo("bob/evil", {path: file.data for path, file in head.items() if path != "README.md"})
    evil.put("tireg.json", json.dumps(document).encode())
    evil.put(f"{EVIL}.bin", b"x")
    evil.tags[EVIL] = evil.head.sha
    named = server.add_repo("bob/named", {f"{EVIL.replace('/', '')}.pt": b"not a pickle", "README.md": EVIL.encode()})
    named.pull_requests[1] = PullRequest(EVIL, named.head.sha)
    server.faults = [
        Fault("GET /api/models$", after=_each(_evil_record), times=None),
        Fault("GET /api/models/bob/named$", after=_one(_evil_record), times=None),
    ]
    monkeypatch.setenv("TIREG_HOME", str(tmp_path / "nobody's"))
    for arguments in (
        ["pull", "bob/evil"], ["pull", "bob/evil", "--all"], ["pull", "bob/named"], ["pull", "--check"], ["list"],
        ["hub", "search", "bob"], ["hub", "search", "--json"],
    ):  # fmt: skip
        _look(arguments, capsys)
    with Registry.open() as registry:
        (concept,) = registry.concepts()
        assert concept.description == EVIL  # kept as it is, and never shown so
    for arguments in (["show", concept.name], ["history", concept.name], ["push", concept.name, "alice/new"]):
        _look(arguments, capsys)


def _look(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Run a command, and fail when it shows anything raw or does not know what to say."""
    capsys.readouterr()
    code = run(list(arguments))
    caught = capsys.readouterr()
    check(caught.out, caught.err)
    assert code in (0, 2, 3, 4, 5, 6), (arguments, code, caught.err)
    assert "unexpected" not in caught.err, (arguments, caught.err)
    assert len(caught.err.splitlines()) < 8, caught.err


def _one(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[Request, Response], Response]:
    def changed(_: Request, response: Response) -> Response:
        response.body = json.dumps(change(response.json)).encode()
        return response

    return changed


def _each(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[Request, Response], Response]:
    def changed(_: Request, response: Response) -> Response:
        response.body = json.dumps([change(record) for record in response.json]).encode()
        return response

    return changed
