"""A licence that was changed in the card on the Hub: seen by who looks, taken over by who pulls, kept by who pushes."""

from __future__ import annotations

from tests.core.hub.words import learn
from tests.hub_server import HubServer
from tiregistry.hub.card_text import split
from tiregistry.hub.client import Hub
from tiregistry.hub.looking import look_at
from tiregistry.hub.pull import pull_repository
from tiregistry.hub.push import push_version
from tiregistry.registry.registry import Registry

REPO = "alice/gnome"


def edit(server: HubServer, old: str, new: str) -> None:
    card = server.repos[REPO].head.files["README.md"].data.decode()
    assert old in card
    server.repos[REPO].put("README.md", card.replace(old, new).encode())


def test_it_reaches_the_owner_and_a_third_person(
    server: HubServer, alice: Hub, here: Registry, there: Registry
) -> None:
    version = learn(here)
    push_version(here, version, REPO, alice)
    edit(server, "license: cc-by-4.0", "license: mit")

    assert look_at(here, alice, REPO).licence == "mit"
    (back,) = pull_repository(here, REPO, alice)
    pull_repository(there, REPO, alice)

    assert any("licence changed there" in note for note in back.notes)
    assert (here.concept("gnome").licence, there.concept("gnome").licence) == ("mit", "mit")
    assert there.version("gnome").digest == version.digest
    push_version(here, learn(here, 1), REPO, alice)
    assert '"licence": "mit"' in server.repos[REPO].head.files["tireg.json"].data.decode()
    assert split(server.repos[REPO].head.files["README.md"].data.decode())[0]["license"] == "mit"


def test_ones_own_change_since_stays_and_another_pull_says_nothing(
    server: HubServer, alice: Hub, here: Registry
) -> None:
    push_version(here, learn(here), REPO, alice)
    edit(server, "license: cc-by-4.0", "license: mit")
    here.describe("gnome", licence="cc0-1.0")
    for _ in range(2):
        (result,) = pull_repository(here, REPO, alice)
        assert result.notes == ()
        assert here.concept("gnome").licence == "cc0-1.0"


def test_a_licence_of_ones_own_is_not_taken_for_a_change(server: HubServer, alice: Hub, here: Registry) -> None:
    version = learn(here)
    here.describe("gnome", licence="My Garden Licence")
    push_version(here, version, REPO, alice)
    assert look_at(here, alice, REPO).licence == "My Garden Licence"
    (result,) = pull_repository(here, REPO, alice)
    assert (result.notes, here.concept("gnome").licence) == ((), "My Garden Licence")
    edit(server, "license_name: my-garden-licence", "license_name: forest-licence")
    pull_repository(here, REPO, alice)
    assert here.concept("gnome").licence == "forest-licence"
