"""What a push would do can be asked, what it does can be followed and stopped."""

from __future__ import annotations

import pytest

from tests.core.hub.conftest import ALICE
from tests.core.hub.words import learn, learn_history
from tests.hub_server import Fault, HubServer
from tests.hub_server.faults import Request
from tiregistry.errors import ExitCode, Interrupted
from tiregistry.hub.client import Hub
from tiregistry.hub.endpoints import Endpoint
from tiregistry.hub.pull import pull_repository
from tiregistry.hub.push import PushOptions, plan_push, push_version
from tiregistry.hub.search import search_hub
from tiregistry.hub.tags import digest_tag
from tiregistry.hub.trouble import HeadMoved, NotAllowed
from tiregistry.registry.registry import Registry

REPO = "alice/gnome"
EVERYTHING = PushOptions(with_images=True, with_previews=True)


def writes(server: HubServer) -> list[str]:
    return [request.line for request in server.log if request.method != "GET"]


def test_a_plan_says_what_the_push_then_does(server: HubServer, alice: Hub, here: Registry) -> None:
    first, second = learn_history(here, 2)
    for version, options in ((first, EVERYTHING), (second, PushOptions(message="thinner hat"))):
        before = len(writes(server))
        plan = plan_push(here, version, REPO, alice, options)
        assert len(writes(server)) == before
        assert here.remotes(version) == []

        result = push_version(here, version, REPO, alice, options)

        assert set(result.files) == {*plan.add, *plan.delete}
        assert (result.number, result.tags, result.private) == (plan.number, plan.tags, plan.private)
        assert result.public == plan.public
        head = server.repos[REPO].head
        assert {path: head.files[path].data for path in plan.add} == dict(plan.add)
        assert (head.files["README.md"].data.decode(), head.title) == (plan.card, plan.message)
        assert plan_push(here, version, REPO, alice, options).is_empty
    assert plan.exists
    assert plan.delete == ("previews/0.png",)
    assert plan.missing_tags == ("v2", digest_tag(second.digest))


def test_a_plan_for_a_new_repository_creates_none(server: HubServer, alice: Hub, here: Registry) -> None:
    plan = plan_push(here, learn(here), REPO, alice, PushOptions(private=False))
    assert (plan.exists, plan.private, plan.is_empty, plan.head) == (False, False, False, "")
    assert "learned_embeds.safetensors" in plan.add
    assert server.repos == {}
    with pytest.raises(NotAllowed, match="not signed in"):
        plan_push(here, here.version("gnome"), REPO, Hub(Endpoint(server.url)))


def test_a_plan_meets_the_conflict_that_the_push_would(server: HubServer, alice: Hub, here: Registry) -> None:
    server.add_repo(REPO, {"learned_embeds.bin": b"x"})
    with pytest.raises(HeadMoved):
        plan_push(here, learn(here), REPO, alice)
    plan = plan_push(here, here.version("gnome"), REPO, alice, PushOptions(force=True))
    assert plan.delete == ("learned_embeds.bin",)


def test_progress_never_runs_backwards_and_names_the_files(server: HubServer, alice: Hub, here: Registry) -> None:
    seen: list[tuple[int, int, str]] = []
    announced: list[tuple[tuple[str, ...], bool]] = []
    version = learn(here, pictures=20)
    push_version(
        here,
        version,
        REPO,
        alice,
        EVERYTHING,
        lambda *step: seen.append(step),
        lambda *what: announced.append(what),
    )
    done = [step[0] for step in seen]
    assert done == sorted(done)
    assert (done[0], done[-1], {step[1] for step in seen}) == (0, 100, {100})
    assert sum(step[2].startswith("concept_images/") for step in seen) >= 2
    ((readable, is_private),) = announced
    assert is_private
    assert any("20 source pictures" in line for line in readable)


@pytest.mark.parametrize("at", [0, 1, 4, 9, 18])
def test_a_push_stops_when_asked_and_the_next_completes_it(
    at: int, server: HubServer, alice: Hub, here: Registry
) -> None:
    version = learn(here)
    stopping = Hub(Endpoint(server.url, ALICE), stopped=lambda: len(server.log) >= at)
    with pytest.raises(Interrupted) as caught:
        push_version(here, version, REPO, stopping, EVERYTHING)
    assert caught.value.exit_code == ExitCode.INTERRUPTED
    assert len(server.log) <= at + 8  # the files that are under way are not called back
    assert push_version(here, version, REPO, alice, EVERYTHING).status in ("pushed", "unchanged")
    assert len(server.repos[REPO].commits) == 2


@pytest.mark.parametrize("at", [0, 2, 5])
def test_a_pull_stops_when_asked_and_keeps_nothing_half(
    at: int, server: HubServer, alice: Hub, here: Registry, there: Registry
) -> None:
    push_version(here, learn(here), REPO, alice, EVERYTHING)
    start = len(server.log)
    stopping = Hub(Endpoint(server.url, ALICE), stopped=lambda: len(server.log) >= start + at)
    with pytest.raises(Interrupted):
        pull_repository(there, REPO, stopping)
    assert there.concepts() == []
    assert not list((there.home / "staging").glob("*"))
    assert pull_repository(there, REPO, alice)[0].status == "pulled"


def test_waiting_for_a_rate_limit_can_be_stopped(server: HubServer, here: Registry) -> None:
    left: list[float] = []
    hub = Hub(Endpoint(server.url, ALICE), left.append, lambda: bool(left))
    server.faults = [Fault.status("/api/models$", 429, Retry_After="60")]
    with pytest.raises(Interrupted):
        search_hub(here, hub, "gnome")
    assert left
    assert left[0] > 55


def test_a_limit_on_uploads_is_waited_out_where_it_is_seen(server: HubServer, here: Registry) -> None:
    """huggingface_hub uploads in threads of its own, which nobody watches."""
    left: list[float] = []
    hub = Hub(Endpoint(server.url, ALICE), left.append)
    limited: set[str] = set()

    def once_each(request: Request) -> object:
        if request.path in limited:
            return None
        limited.add(request.path)
        return Fault.status("", 429, Retry_After="0").before(request)  # type: ignore[misc]

    server.faults = [Fault("PUT /lfs/", before=once_each, times=None)]  # type: ignore[arg-type]
    assert push_version(here, learn(here), REPO, hub, EVERYTHING).status == "pushed"
    assert len(limited) == 4
    assert left
    assert max(left) <= 0.1
