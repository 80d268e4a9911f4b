"""A push into a repository that holds another word: refused, or with force a clean change of hands."""

from __future__ import annotations

import pytest

from tests.core.hub.words import learn, photo
from tests.hub_server import HubServer
from tiregistry.errors import Conflict, ExitCode
from tiregistry.hub.card_text import split
from tiregistry.hub.client import Hub
from tiregistry.hub.pull import PullOptions, pull_repository
from tiregistry.hub.push import PushOptions, plan_push, push_version
from tiregistry.hub.trouble import HeadMoved
from tiregistry.registry.registry import Registry

REPO = "alice/gnome"
EVERYTHING = PushOptions(with_images=True, with_previews=True)


def test_another_word_of_this_registry_is_refused_with_both_named(
    server: HubServer, alice: Hub, here: Registry
) -> None:
    push_version(here, learn(here), REPO, alice, EVERYTHING)
    head = server.repos[REPO].head.sha
    big = learn(here, 1, "bigword")
    for attempt in (plan_push, push_version):
        with pytest.raises(Conflict, match=r"another word, gnome \(<gnome>\), not bigword \(<bigword>\)") as caught:
            attempt(here, big, REPO, alice)
        assert caught.value.exit_code == ExitCode.CONFLICT
        assert "--force" in caught.value.hint
    assert server.repos[REPO].head.sha == head


def test_forced_nothing_of_the_other_word_is_left_at_the_head(server: HubServer, alice: Hub, here: Registry) -> None:
    gnome = learn(here)
    here.tag("gnome", add=["garden"])
    held = push_version(here, gnome, REPO, alice, EVERYTHING)
    repo = server.repos[REPO]
    repo.put("concept_images/by_hand.png", photo(7, "PNG"))
    card = repo.head.files["README.md"].data.decode()
    repo.put("README.md", card.replace("---\n", "---\nlanguage: en\n", 1).encode() + b"\nAlice wrote this.\n")
    before = repo.head.sha
    big = learn(here, 1, "bigword", pictures=0)
    here.describe("bigword", licence="")

    pushed = push_version(here, big, REPO, alice, PushOptions(force=True))

    assert (pushed.other_word, pushed.before) == ("gnome (<gnome>)", before)
    assert "concept_images/0.jpeg" in pushed.removed
    assert not [path for path in repo.head.files if path.startswith(("concept_images/", "previews/"))]
    fields, text = split(repo.head.files["README.md"].data.decode())
    assert "license" not in fields
    assert "widget" not in fields
    assert "garden" not in fields["tags"]
    assert fields["language"] == "en"
    assert "Alice wrote this." in text
    assert "<gnome>" not in text
    old = next(commit for commit in repo.commits.values() if commit.sha == held.commit)
    assert "concept_images/0.jpeg" in old.files
    again = push_version(here, big, REPO, alice)
    assert (again.status, again.other_word) == ("unchanged", "")


def test_the_first_word_does_not_come_back_unasked_either(alice: Hub, here: Registry) -> None:
    gnome = learn(here)
    push_version(here, gnome, REPO, alice)
    push_version(here, learn(here, 1, "bigword"), REPO, alice, PushOptions(force=True))
    with pytest.raises(Conflict, match="another word, bigword"):
        push_version(here, gnome, REPO, alice)


def test_a_word_that_is_not_here_is_another_word_too(
    server: HubServer, alice: Hub, here: Registry, there: Registry
) -> None:
    push_version(there, learn(there), REPO, alice)
    with pytest.raises(Conflict, match="another word, gnome") as caught:
        push_version(here, learn(here, 1, "bigword"), REPO, alice)
    assert not isinstance(caught.value, HeadMoved)  # pulling it would not help


def test_a_word_under_another_name_here_is_the_same_word(alice: Hub, here: Registry, there: Registry) -> None:
    push_version(here, learn(here), REPO, alice)
    pull_repository(there, REPO, alice, options=PullOptions(name="garden-gnome"))
    newer = learn(there, 1, "garden-gnome", token="<gnome>")
    assert push_version(there, newer, REPO, alice).status == "pushed"


def test_a_concept_library_word_that_was_pulled_is_not_replaced(
    server: HubServer, alice: Hub, here: Registry, there: Registry
) -> None:
    push_version(there, learn(there), REPO, alice, EVERYTHING)
    files = {path: file.data for path, file in server.repos[REPO].head.files.items() if path != "tireg.json"}
    server.add_repo("alice/elf", files)
    (pulled,) = pull_repository(here, "alice/elf", alice)
    big = learn(here, 1, "bigword")
    with pytest.raises(Conflict, match=f"another word, {pulled.version.concept}"):
        push_version(here, big, "alice/elf", alice)
    push_version(here, big, "alice/elf", alice, PushOptions(force=True))
    assert not [p for p in server.repos["alice/elf"].head.files if p.startswith("concept_images/")]
