"""Whatever happens to one request of a push or pull: nothing is lost or half there, and the next try ends it."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.core.hub.conftest import impatient
from tests.core.hub.words import learn
from tests.hub_server import Fault, HubServer
from tests.hub_server.faults import Request, Response
from tiregistry.errors import ExitCode, HubError, TiregError
from tiregistry.hub import transport
from tiregistry.hub.client import Hub
from tiregistry.hub.endpoints import Endpoint
from tiregistry.hub.pull import PullOptions, pull_repository
from tiregistry.hub.push import PushOptions, push_version
from tiregistry.hub.tags import digest_tag
from tiregistry.hub.trouble import CommitInProgress, HeadMoved
from tiregistry.registry.registry import Registry

EVERYTHING = PushOptions(with_images=True)
_FAULTS: dict[str, Callable[[str], Fault]] = {
    "dropped": Fault.drop,
    "answer lost": Fault.lose_answer,
    "failed": lambda pattern: Fault.status(pattern, 500),
    "failed after doing it": Fault.fail_after,
    "unavailable": lambda pattern: Fault.status(pattern, 503, times=None),
    "body cut": Fault.cut,
    "not JSON": lambda pattern: Fault(pattern, after=lambda *_: Response(200, b"<html>proxy</html>")),
}


EXPECTED = (ExitCode.NETWORK, ExitCode.NOT_FOUND, ExitCode.DAMAGED)


def failure(action: Callable[[], object]) -> TiregError | None:
    """What an action ends in."""
    try:
        action()
    except TiregError as error:
        return error
    return None


def _nth(pattern: str, count: int) -> Callable[[Fault], Fault]:
    def delayed(fault: Fault) -> Fault:
        fault.skip = count
        return fault

    return delayed


@pytest.mark.parametrize("kind", _FAULTS)
def test_push_with_a_fault_at_every_request(kind: str, server: HubServer, alice: Hub, here: Registry) -> None:
    version = learn(here)
    push_version(here, version, "alice/clean", alice, EVERYTHING)
    requests = [line.replace("alice/clean", "alice/[^/]+") for line in server.lines()]
    expected = server.repos["alice/clean"].head.files

    for number, line in enumerate(requests):
        repo_id = f"alice/try-{number}"
        pattern = re.sub(r"[0-9a-f]{40,64}", "[0-9a-f]{40,64}", line) + "$"
        fault = _nth(pattern, sum(re.search(pattern, earlier) is not None for earlier in requests[:number]))(
            _FAULTS[kind](pattern)
        )
        server.protocol.objects.clear()  # so that every file is uploaded again
        server.faults = [fault]
        error = failure(partial(push_version, here, version, repo_id, alice, EVERYTHING))
        assert error is None or (error.exit_code in EXPECTED and "\n" not in str(error)), (line, error)
        server.faults = []
        assert fault.hits, line

        again = push_version(here, version, repo_id, alice, EVERYTHING)

        repo = server.repos[repo_id]
        assert repo.private
        texts = ("README.md",)  # it names the repository
        assert {p: f.sha256 for p, f in repo.head.files.items() if p not in texts} == {
            p: f.sha256 for p, f in expected.items() if p not in texts
        }, line
        assert len(repo.commits) == 2, line
        assert repo.tags == {"v1": repo.head.sha, digest_tag(version.digest): repo.head.sha}, line
        assert again.commit == repo.head.sha
        assert [r.commit_sha for r in here.remotes(version, repo_id=repo_id)] == [repo.head.sha], line


@pytest.mark.parametrize("kind", ["dropped", "failed", "unavailable", "body cut", "not JSON", "flipped"])
def test_pull_with_a_fault_at_every_request(
    kind: str, server: HubServer, alice: Hub, here: Registry, tmp_path: Path
) -> None:
    version = learn(here)
    push_version(here, version, "alice/gnome", alice, EVERYTHING)
    start = len(server.log)
    with Registry.open(tmp_path / "clean") as clean:
        pull_repository(clean, "alice/gnome", alice)
    requests = server.lines()[start:]
    faults = {**_FAULTS, "flipped": Fault.flip}

    for number, line in enumerate(requests):
        fault = faults[kind](re.escape(line) + "$")
        server.faults = [fault]
        with Registry.open(tmp_path / f"registry-{number}") as there:
            error = failure(lambda: pull_repository(there, "alice/gnome", alice))
            assert error is None or (error.exit_code in EXPECTED and "\n" not in str(error)), (line, error)
            assert error is None or there.concepts() == [], line
            assert fault.hits, line
            server.faults = []
            assert not list((there.home / "staging").glob("*")), line

            (pulled,) = pull_repository(there, "alice/gnome", alice)

            assert pulled.version.digest == version.digest
            assert len(there.remotes(pulled.version)) == 1
            assert there.verify(quick=True).damages == []


def test_a_commit_whose_answer_is_lost_is_found_and_not_repeated(server: HubServer, alice: Hub, here: Registry) -> None:
    version = learn(here)
    for number, fault in enumerate([Fault.lose_answer("/commit/"), Fault.fail_after("/commit/", 500)]):
        server.faults = [fault]
        result = push_version(here, version, f"alice/lost-{number}", alice)
        repo = server.repos[f"alice/lost-{number}"]
        assert result.status == "pushed"
        assert result.commit == repo.head.sha
        assert len(repo.commits) == 2


def test_another_commit_in_progress_is_waited_for(server: HubServer, alice: Hub, here: Registry) -> None:
    version = learn(here)
    server.faults = [Fault.status("/commit/", 409)]
    assert push_version(here, version, "alice/gnome", alice).status == "pushed"
    server.faults = [Fault.status("/commit/", 409, times=None)]
    with pytest.raises(CommitInProgress):
        push_version(here, learn(here, 1), "alice/gnome", alice)


def test_a_commit_between_looking_and_committing_is_a_conflict(server: HubServer, alice: Hub, here: Registry) -> None:
    first = learn(here)
    push_version(here, first, "alice/gnome", alice)
    second = learn(here, 1)

    def somebody_else(_: Request) -> None:
        server.repos["alice/gnome"].put("notes.txt", b"mine")

    server.faults = [Fault("POST .*/commit/", before=somebody_else)]  # type: ignore[arg-type]
    with pytest.raises(HeadMoved, match="somebody made during this push") as caught:
        push_version(here, second, "alice/gnome", alice)
    assert caught.value.exit_code == ExitCode.CONFLICT
    assert push_version(here, second, "alice/gnome", alice).status == "pushed"
    assert "notes.txt" in server.repos["alice/gnome"].head.files


def test_a_server_that_says_nothing_is_given_up(server: HubServer, alice: Hub, here: Registry) -> None:
    version = learn(here)
    push_version(here, version, "alice/gnome", alice)
    second = learn(here, 1)
    for pattern in ("GET /api/models/alice/gnome$", "/preupload/", "/commit/"):
        server.faults = [Fault.stall(pattern, 4.0)]
        with impatient(), pytest.raises(HubError, match=r"did not answer within 1\.5 seconds"):
            push_version(here, second, "alice/gnome", alice)
    server.faults = []
    assert push_version(here, second, "alice/gnome", alice).status == "pushed"


def test_nobody_there_is_said_at_once(here: Registry) -> None:
    began = time.monotonic()
    with pytest.raises(HubError, match=r"127\.0\.0\.1:9 cannot be reached: nothing answers there") as caught:
        pull_repository(here, "alice/gnome", Hub(Endpoint("http://127.0.0.1:9")))
    assert caught.value.exit_code == ExitCode.NETWORK
    assert time.monotonic() - began < 30


def test_rate_limits_are_waited_out_within_bounds_and_visibly(
    server: HubServer, here: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(transport.time, "sleep", slept.append)
    clock = iter(range(10**9))
    monkeypatch.setattr(transport.time, "monotonic", lambda: float(next(clock)))
    seen: list[float] = []
    hub = Hub(Endpoint(server.url, "alices-word"), seen.append)
    version = learn(here)
    server.faults = [
        Fault.status("/commit/", 429, RateLimit='"api";r=0;t=55'),
        Fault.status("PUT /lfs/", 429, Retry_After="7"),
        Fault.status("GET .*/refs", 429),
    ]
    assert push_version(here, version, "alice/gnome", hub).status == "pushed"
    assert len(slept) > 50
    assert max(seen) > 50

    server.faults = [Fault.status("GET .*/refs", 429, Retry_After="86400", times=None)]
    with pytest.raises(HubError, match="rate limit asks to wait 86400 seconds"):
        push_version(here, version, "alice/gnome", Hub(Endpoint(server.url, "alices-word")))


def test_a_killed_pull_leaves_nothing_that_stays(
    server: HubServer, alice: Hub, here: Registry, there: Registry
) -> None:
    import os

    push_version(here, learn(here), "alice/gnome", alice)
    stale = there.home / "staging" / "pull-killed"
    stale.mkdir(parents=True)
    (stale / "half").write_bytes(b"x")
    os.utime(stale, (0, 0))
    pull_repository(there, "alice/gnome", alice, options=PullOptions(images=False))
    assert not list((there.home / "staging").iterdir())


def test_gc_removes_what_a_killed_pull_left_when_it_is_a_day_old(there: Registry) -> None:
    old, new = (there.home / "staging" / name for name in ("pull-old", "pull-new"))
    for folder in (old, new):
        folder.mkdir(parents=True)
        (folder / "half").write_bytes(b"xyz")
    os.utime(old, (0, 0))
    assert there.gc(apply=False, grace=0).temporary == (("pull-old", 3),)
    assert old.exists()
    there.gc(apply=True, grace=0)
    assert (old.exists(), new.exists()) == (False, True)
