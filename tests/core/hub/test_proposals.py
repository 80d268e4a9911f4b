"""Pull requests: proposing twice does not open two, whatever becomes of the answers."""

from __future__ import annotations

import pytest

from tests.core.hub.words import learn
from tests.hub_server import Fault, HubServer
from tests.hub_server.repos import File, Repo
from tiregistry.errors import HubError
from tiregistry.hub.client import Hub
from tiregistry.hub.pull import pull_repository
from tiregistry.hub.push import PushOptions, plan_push, push_version
from tiregistry.hub.trouble import NotAllowed, RepositoryNotFound
from tiregistry.registry.registry import Registry

REPO = "alice/gnome"
PROPOSE = PushOptions(create_pr=True)


@pytest.fixture
def repo(server: HubServer, alice: Hub, here: Registry) -> Repo:
    """Alice's public repository with version 1; version 2 is here too."""
    push_version(here, learn(here), REPO, alice, PushOptions(private=False))
    learn(here, 1)
    return server.repos[REPO]


def test_a_pull_request_changes_nothing_but_itself(server: HubServer, repo: Repo, bob: Hub, here: Registry) -> None:
    head = repo.head.sha
    plan = plan_push(here, here.version("gnome"), REPO, bob, PROPOSE)
    assert (plan.pull_request, plan.tags, plan.revision) == ("new", (), "main")
    result = push_version(here, here.version("gnome"), REPO, bob, PROPOSE)
    assert (result.status, result.pull_request) == ("proposed", "refs/pr/1")
    assert result.url == f"{server.url}/alice/gnome/discussions/1"
    assert result.tags == ()
    assert repo.head.sha == head
    with Registry.open(here.home.parent / "reader") as reader:
        (pulled,) = pull_repository(reader, REPO, bob, "refs/pr/1")
        assert pulled.version.digest == here.version("gnome@2").digest


def test_proposing_again_finds_the_open_one(repo: Repo, bob: Hub, here: Registry) -> None:
    first = push_version(here, here.version("gnome"), REPO, bob, PROPOSE)
    again = push_version(here, here.version("gnome"), REPO, bob, PROPOSE)
    assert (again.status, again.pull_request, again.url) == ("unchanged", "refs/pr/1", first.url)
    assert list(repo.pull_requests) == [1]


def test_more_for_the_open_one_goes_into_it(repo: Repo, bob: Hub, here: Registry) -> None:
    push_version(here, here.version("gnome"), REPO, bob, PROPOSE)
    with_images = PushOptions(create_pr=True, with_images=True)
    assert plan_push(here, here.version("gnome"), REPO, bob, with_images).pull_request == "refs/pr/1"
    more = push_version(here, here.version("gnome"), REPO, bob, with_images)
    assert (more.status, more.pull_request) == ("proposed", "refs/pr/1")
    third = learn(here, 2)
    newer = push_version(here, third, REPO, bob, PROPOSE)
    assert (newer.status, newer.pull_request) == ("proposed", "refs/pr/1")
    assert list(repo.pull_requests) == [1]
    assert len(repo.history(repo.commits[repo.pull_requests[1].sha])) == 2 + 3


def test_one_of_somebody_else_or_closed_or_of_another_word_is_left_alone(
    repo: Repo, alice: Hub, bob: Hub, here: Registry
) -> None:
    push_version(here, here.version("gnome"), REPO, bob, PROPOSE)
    repo.pull_requests[1].author = "carol"
    assert push_version(here, here.version("gnome"), REPO, bob, PROPOSE).pull_request == "refs/pr/2"
    repo.pull_requests[2].status = "closed"
    assert push_version(here, here.version("gnome"), REPO, bob, PROPOSE).pull_request == "refs/pr/3"
    edited = repo.commits[repo.pull_requests[3].sha].files
    repo.pull_requests[3].sha = repo.detached({**edited, "tireg.json": File(b"{}")}, "web edit").sha
    assert push_version(here, here.version("gnome"), REPO, bob, PROPOSE).pull_request == "refs/pr/4"


def test_once_merged_there_is_nothing_to_propose(repo: Repo, alice: Hub, bob: Hub, here: Registry) -> None:
    push_version(here, here.version("gnome"), REPO, bob, PROPOSE)
    repo.commit("main", repo.commits[repo.pull_requests[1].sha].files, "merged")
    repo.pull_requests[1].status = "merged"
    for options in (PROPOSE, PushOptions()):  # Bob may not set tags, and needs not
        assert push_version(here, here.version("gnome"), REPO, bob, options).status == "unchanged"
    assert list(repo.pull_requests) == [1]
    assert "v2" not in repo.tags
    assert push_version(here, here.version("gnome"), REPO, alice).status == "unchanged"
    assert repo.tags["v2"] == repo.head.sha


@pytest.mark.parametrize("fault", [Fault.lose_answer, Fault.fail_after])
def test_a_lost_answer_is_looked_for_among_the_open_ones(
    fault: type[Fault], server: HubServer, repo: Repo, bob: Hub, here: Registry
) -> None:
    server.faults = [fault("/commit/")]
    result = push_version(here, here.version("gnome"), REPO, bob, PROPOSE)
    assert (result.status, result.pull_request) == ("proposed", "refs/pr/1")
    assert list(repo.pull_requests) == [1]


def test_a_request_that_was_not_made_is_said(server: HubServer, repo: Repo, bob: Hub, here: Registry) -> None:
    server.faults = [Fault.drop("/commit/")]
    with pytest.raises(HubError, match="broke"):
        push_version(here, here.version("gnome"), REPO, bob, PROPOSE)
    assert repo.pull_requests == {}
    assert push_version(here, here.version("gnome"), REPO, bob, PROPOSE).pull_request == "refs/pr/1"


def test_where_it_cannot_be_looked_it_is_opened(server: HubServer, repo: Repo, bob: Hub, here: Registry) -> None:
    server.protocol.has_discussions = False
    assert push_version(here, here.version("gnome"), REPO, bob, PROPOSE).pull_request == "refs/pr/1"


def test_nothing_to_propose_to(repo: Repo, alice: Hub, bob: Hub, here: Registry) -> None:
    with pytest.raises(RepositoryNotFound, match="nothing to propose"):
        push_version(here, here.version("gnome"), "alice/nothing", bob, PROPOSE)
    with pytest.raises(NotAllowed, match="rights"):
        push_version(here, here.version("gnome"), REPO, bob)
