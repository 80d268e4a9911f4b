"""What is shared, changed or sent again later: older versions, pictures, descriptions."""

from __future__ import annotations

import pytest

from tests.core.hub.words import learn, learn_history
from tests.hub_server import HubServer
from tiregistry.concepts import Parent
from tiregistry.hub.client import Hub
from tiregistry.hub.labels import Labels, merged
from tiregistry.hub.pull import PullOptions, pull_every_version, pull_repository
from tiregistry.hub.push import PushOptions, plan_push, push_version
from tiregistry.hub.trouble import HeadMoved
from tiregistry.hub.updates import check_updates
from tiregistry.registry.registry import Registry

REPO = "alice/gnome"
IMAGES = PushOptions(with_images=True)


# -- older versions --------------------------------------------------------------------------------------------------


def test_sending_all_versions_again_sends_none(server: HubServer, alice: Hub, here: Registry) -> None:
    versions = learn_history(here, 3)
    for options in (PushOptions(), PushOptions(), IMAGES, IMAGES, PushOptions(with_previews=True)):
        repo = server.repos.get(REPO)
        before = len(repo.commits) if repo else 0
        statuses = [push_version(here, version, REPO, alice, options).status for version in versions]
        again = [push_version(here, version, REPO, alice, options) for version in versions]
        assert [result.status for result in again] == ["unchanged"] * 3
        assert len(server.repos[REPO].commits) == before + statuses.count("pushed") + (0 if before else 1)
        assert server.repos[REPO].head.files["token_identifier.txt"]
        assert [result.covered_by for result in again] == [3, 3, 0]


def test_an_older_version_stays_where_it_is_unless_forced(server: HubServer, alice: Hub, here: Registry) -> None:
    first, second = learn_history(here, 2)
    for version in (first, second):
        push_version(here, version, REPO, alice)
    head = server.repos[REPO].head.sha
    plan = plan_push(here, first, REPO, alice)
    assert (plan.is_empty, plan.covered_by) == (True, 2)
    result = push_version(here, first, REPO, alice)
    assert (result.status, result.commit, result.number) == ("unchanged", server.repos[REPO].tags["v1"], 1)
    assert server.repos[REPO].head.sha == head
    forced = push_version(here, first, REPO, alice, PushOptions(force=True))
    assert (forced.status, forced.replaced) == ("pushed", 2)
    assert server.repos[REPO].head.sha == forced.commit


def test_an_older_version_that_is_not_there_goes_on_top_and_says_so(
    server: HubServer, alice: Hub, here: Registry
) -> None:
    first, second = learn_history(here, 2)
    push_version(here, second, REPO, alice)
    result = push_version(here, first, REPO, alice)
    assert (result.status, result.number, result.replaced) == ("pushed", 1, 2)


# -- pictures --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("secret", [True, False])
def test_pictures_that_are_shared_later_come_with_the_next_pull(
    secret: bool, alice: Hub, here: Registry, there: Registry
) -> None:
    version = learn(here, secret=secret)
    push_version(here, version, REPO, alice)
    pull_repository(there, REPO, alice)
    push_version(here, version, REPO, alice, PushOptions(with_images=True, with_previews=True))

    (without,) = pull_repository(there, REPO, alice, options=PullOptions(images=False))
    (completed,) = pull_repository(there, REPO, alice)
    (again,) = pull_repository(there, REPO, alice)
    (at_home,) = pull_repository(here, REPO, alice)

    assert [r.status for r in (without, completed, again, at_home)] == [
        "already here", "completed", "already here", "already here",
    ]  # fmt: skip
    assert "3 pictures" in completed.notes[0]
    other = there.version("gnome")
    assert ("concept_images/0.jpeg" in other.attachments()) == secret
    assert "previews/0.png" in other.attachments()
    assert there.verify().known_losses == (2 if secret else 0)
    assert there.verify().damages == []
    assert push_version(there, other, REPO, alice).status == "unchanged"


def test_a_listed_picture_that_is_not_there_is_said(
    server: HubServer, alice: Hub, here: Registry, there: Registry
) -> None:
    push_version(here, learn(here), REPO, alice, IMAGES)
    del server.repos[REPO].head.files["concept_images/1.jpeg"]
    said = f"1 of the 2 pictures that it lists is not in {REPO}: concept_images/1.jpeg"
    (pulled,) = pull_repository(there, REPO, alice)
    assert (pulled.status, pulled.notes) == ("pulled", (said,))
    (again,) = pull_repository(there, REPO, alice)
    assert (again.status, again.notes) == ("already here", (said,))
    assert pull_repository(there, REPO, alice, options=PullOptions(images=False))[0].notes == ()
    assert pull_repository(here, REPO, alice)[0].notes == ()  # its owner has it


def test_a_push_without_pictures_leaves_those_of_the_same_version(
    server: HubServer, alice: Hub, here: Registry, there: Registry
) -> None:
    push_version(here, learn(here), REPO, alice, PushOptions(with_images=True, with_previews=True))
    pull_repository(there, REPO, alice, options=PullOptions(images=False))
    there.describe("gnome", description="Changed.")
    result = push_version(there, there.version("gnome"), REPO, alice)
    assert (result.status, result.removed) == ("pushed", ())
    head = server.repos[REPO].head.files
    assert sum(path.startswith(("concept_images/", "previews/")) for path in head) == 3
    text = head["README.md"].data.decode()
    assert "Changed." in text
    assert "concept_images/1.jpeg" in text
    assert pull_repository(there, REPO, alice)[0].status == "completed"
    assert push_version(here, here.version("gnome"), REPO, alice, PushOptions(force=True)).removed == ()


def test_what_cannot_be_sent_is_said(alice: Hub, here: Registry, there: Registry) -> None:
    push_version(here, learn(here), REPO, alice)
    pull_repository(there, REPO, alice)
    result = push_version(there, there.version("gnome"), REPO, alice, PushOptions(with_images=True, with_previews=True))
    assert result.status == "unchanged"
    assert result.notes == ("none of its 2 source pictures are here to send", "it has no previews to send")
    everything = push_version(here, here.version("gnome"), REPO, alice, PushOptions(with_images=True))
    assert everything.notes == ()


# -- descriptions ----------------------------------------------------------------------------------------------------


def test_whoever_changed_a_description_last_has_it(
    server: HubServer, alice: Hub, here: Registry, there: Registry
) -> None:
    version = learn(here)
    push_version(here, version, REPO, alice)
    pull_repository(there, REPO, alice)
    here.describe("gnome", description="With a pointed hat.", licence="mit")
    here.tag("gnome", add=["red"])
    there.tag("gnome", add=["ours"])
    assert push_version(here, version, REPO, alice).status == "pushed"

    with pytest.raises(HeadMoved, match="another description, licence or tags") as caught:
        push_version(there, there.version("gnome"), REPO, alice)
    assert "version 1" in caught.value.theirs
    assert "gnome@1" in caught.value.ours
    (pulled,) = pull_repository(there, REPO, alice)

    assert pulled.notes == ("its description and licence and tags changed there, and here now too",)
    concept = there.concept("gnome")
    assert (concept.description, concept.licence) == ("With a pointed hat.", "mit")
    assert set(concept.tags) == {"ours", "red"}
    assert push_version(there, there.version("gnome"), REPO, alice).status == "pushed"
    files = server.repos[REPO].head.files
    assert "- ours" in files["README.md"].data.decode()
    assert "ours" in files["tireg.json"].data.decode()
    pull_repository(here, REPO, alice)
    assert set(here.concept("gnome").tags) == {"ours", "red"}
    assert push_version(here, version, REPO, alice).status == "unchanged"


def test_a_description_of_one_s_own_is_kept(alice: Hub, here: Registry, there: Registry) -> None:
    version = learn(here)
    push_version(here, version, REPO, alice)
    pull_repository(there, REPO, alice)
    there.describe("gnome", description="Mine.")
    here.describe("gnome", licence="mit")
    push_version(here, version, REPO, alice)
    pull_repository(there, REPO, alice)
    concept = there.concept("gnome")
    assert (concept.description, concept.licence) == ("Mine.", "mit")


def test_a_history_brings_the_newest_description(alice: Hub, here: Registry, there: Registry) -> None:
    for seed, text in enumerate(("One.", "Two.", "Three.")):
        version = learn(here, seed)
        here.describe("gnome", description=text)
        push_version(here, version, REPO, alice)
    list(pull_every_version(there, REPO, alice))
    assert there.concept("gnome").description == "Three."
    pull_repository(there, REPO, alice, "v1")
    assert there.concept("gnome").description == "Three."


def test_labels_are_merged_by_who_changed_them() -> None:
    base = Labels("a", "mit", frozenset({"x", "y"}))
    ours = Labels("a", "gpl", frozenset({"x", "y", "z"}))
    theirs = Labels("b", "bsd", frozenset({"y", "w"}))
    assert merged(base, ours, theirs) == Labels("b", "gpl", frozenset({"y", "z", "w"}))
    assert merged(None, Labels("", "gpl"), theirs) == Labels("b", "gpl", frozenset({"y", "w"}))


def test_a_check_names_the_version_that_is_there(server: HubServer, alice: Hub, here: Registry) -> None:
    _, second = learn_history(here, 2)
    push_version(here, second, REPO, alice)
    server.repos[REPO].put("README.md", b"edited on the web")
    (update,) = check_updates(here, alice)
    assert (update.state, update.here) == ("changed", "gnome@2")


def test_a_later_version_without_pictures_leaves_those_that_others_sent(
    server: HubServer, alice: Hub, here: Registry, there: Registry
) -> None:
    first = learn(here)
    push_version(here, first, REPO, alice, PushOptions(with_images=True))
    pull_repository(there, REPO, alice, options=PullOptions(images=False))
    later = learn(there, 1, parents=(Parent(first.digest, "continued"),))

    result = push_version(there, later, REPO, alice)
    assert not [path for path in result.removed if path.startswith("concept_images/")]
    assert any("2 source pictures of an earlier version" in said for said in result.public)
    assert sum(path.startswith("concept_images/") for path in server.repos[REPO].head.files) == 2

    push_version(there, later, REPO, alice, PushOptions(without_images=True))
    assert not any(path.startswith("concept_images/") for path in server.repos[REPO].head.files)


def test_tags_are_those_of_the_commit_and_tags_here_are_the_card_s(
    server: HubServer, alice: Hub, here: Registry
) -> None:
    version = learn(here)
    here.tag("gnome", add=["garden"])
    first = push_version(here, version, REPO, alice)
    here.tag("gnome", add=["red"], remove=["garden"])
    second = push_version(here, version, REPO, alice)
    assert (len(first.tags), first.earlier_tags) == (2, ())
    assert (second.status, second.tags, second.earlier_tags) == ("pushed", (), first.tags)
    tags = server.repos[REPO].card(server.repos[REPO].head)["tags"]
    assert "red" in tags
    assert "garden" not in tags
