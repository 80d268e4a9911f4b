"""The Hub's screens against the loopback Hub, through the real client in its own process."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Checkbox, Input, Select

from tests.core.hub.words import learn
from tests.hub_server import HubServer
from tests.hub_server.faults import Fault
from tests.tui.conftest import app_of, drive, notices, screen_text, settle, until
from tireg_tui.screens.hub import HubScreen
from tireg_tui.screens.pull import PullDialog
from tireg_tui.screens.push import PushPage
from tireg_tui.screens.type_name import TypeName
from tireg_tui.texts import hub_texts
from tiregistry.hub.client import Hub
from tiregistry.hub.endpoints import Endpoint
from tiregistry.hub.looking import look_at
from tiregistry.hub.push import PushOptions, push_version
from tiregistry.registry.registry import Registry


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HubServer]:
    """A Hub on which bob has a word in two versions; alice, who is here, may read it."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    for name in ("HF_TOKEN", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
    monkeypatch.setenv("TIREG_HUB_TOKEN", "alices-word")
    with HubServer() as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        hub = Hub(Endpoint(running.url, "bobs-word"))
        with Registry.open(tmp_path / "bobs") as theirs:
            for seed in range(2):
                version = learn(theirs, seed, "lantern")
                push_version(theirs, version, "bob/lantern", hub, PushOptions(private=False, with_images=True))
        yield running


async def searched(pilot: Pilot[None], words: str) -> HubScreen:
    await pilot.press("4")
    await settle(pilot)
    screen = pilot.app.screen
    assert isinstance(screen, HubScreen)
    await pilot.press("slash", *words, "enter")
    await until(pilot, lambda: "1 found" in screen_text(pilot))
    return screen


def test_what_is_typed_becomes_a_search() -> None:
    assert hub_texts.parsed("red cat base:sd15 sort:changed x:y author:") == {
        "base": "sd15",
        "sort": "last_modified",
        "text": "red cat x:y author:",
    }


@pytest.mark.slow
def test_found_looked_at_and_pulled(home: Path, server: HubServer) -> None:
    async def story(pilot: Pilot[None]) -> None:
        screen = await searched(pilot, "lan")
        assert "bob/lantern" in screen_text(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: screen._looked is not None)
        await until(pilot, lambda: "A garden gnome." in screen_text(pilot))
        text = screen_text(pilot)
        for expected in ("<lantern>", "cc-by-4.0", "v1, v2", "not here yet"):
            assert expected in text, expected
        before = len(server.log)
        await pilot.press("U")
        await pilot.pause()
        assert isinstance(pilot.app.screen, PullDialog)
        assert "licence: cc-by-4.0" in screen_text(pilot)
        await pilot.press("enter")  # Cancel
        await pilot.pause()
        assert len(server.log) == before
        await pilot.press("U")
        await pilot.pause()
        pilot.app.screen.query_one("#pull-all", Checkbox).value = True
        await pilot.press("right", "enter")
        registry = app_of(pilot).registry
        assert registry is not None
        await until(pilot, lambda: not app_of(pilot).jobs.at_work and bool(app_of(pilot).jobs.all))
        assert [v.number for v in registry.versions("lantern")] == [1, 2], notices(pilot)
        assert "lantern@2" in notices(pilot)
        await pilot.press("5")
        await settle(pilot)
        assert "✓ done" in screen_text(pilot)
        await pilot.press("4")
        await settle(pilot)
        await pilot.press("escape")  # from what was found to what is known, and no word of the search above it
        await settle(pilot)
        assert "known from before" in screen_text(pilot)
        assert screen.query_one("#hub-search", Input).value == ""

    drive(home, story, size=(150, 45))


@pytest.mark.slow
def test_pushing_lists_what_becomes_readable_first(home: Path, server: HubServer) -> None:
    with Registry.open(home) as registry:
        learn(registry, 5, "teapot")
        learn(registry, 6, "teapot")

    async def push(pilot: Pilot[None]) -> PushPage:
        app_of(pilot).push_word("teapot@1" if "alice/teapot" not in server.repos else "teapot@2")
        await pilot.pause()
        page = pilot.app.screen
        assert isinstance(page, PushPage)
        await until(pilot, lambda: page._plan is not None and "learned_embeds" in screen_text(pilot))
        return page

    async def story(pilot: Pilot[None]) -> None:
        page = await push(pilot)
        await until(pilot, lambda: "learned_embeds.safetensors" in screen_text(pilot))
        text = screen_text(pilot)
        assert "only alice (its members, if that is an organization)" in text
        assert "concept_images/0" not in text
        assert "alice/teapot" not in server.repos  # a plan sends nothing
        page.query_one("#push-images", Select).value = "send"
        await until(
            pilot, lambda: page._plan is not None and any("concept_images" in p for p, _ in page._plan["files"])
        )
        assert page.command() == "tireg push teapot@1 --with-images"
        await pilot.press("ctrl+g")
        await pilot.pause()
        await pilot.press("enter")  # Cancel
        await pilot.pause()
        assert "alice/teapot" not in server.repos
        await pilot.press("ctrl+g")
        await pilot.pause()
        await pilot.press("right", "enter")
        await until(pilot, lambda: not app_of(pilot).jobs.at_work and bool(app_of(pilot).jobs.all))
        sent = [path for path in server.repos["alice/teapot"].head.files if path.startswith("concept_images/")]
        assert len(sent) == 2, notices(pilot)
        assert server.repos["alice/teapot"].private
        page = await push(pilot)  # the next version: pictures that are there stay unless they are taken away
        assert page._plan is not None
        assert not any("concept_images" in path for path in page._plan["removed"])
        page.query_one("#push-images", Select).value = "remove"
        await until(pilot, lambda: page._plan is not None and len(page._plan["removed"]) == 2)
        assert page.command() == "tireg push teapot@2 --without-images"
        await pilot.press("escape")
        await pilot.pause()
        page = await push(pilot)  # over what is there: its name must be typed
        await pilot.press("ctrl+g")
        await pilot.pause()
        assert isinstance(pilot.app.screen, TypeName)
        await pilot.press("enter")
        await pilot.pause()
        assert isinstance(pilot.app.screen, TypeName)  # half a name is no answer
        await pilot.press("escape")
        await pilot.pause()
        assert pilot.app.screen is page
        await pilot.press("ctrl+g")
        await pilot.pause()
        await pilot.press(*"teapot", "enter")
        await until(pilot, lambda: not app_of(pilot).jobs.at_work and len(app_of(pilot).jobs.all) == 2)
        assert app_of(pilot).jobs.all[0].state == "done", notices(pilot)

    drive(home, story, size=(150, 45))


@pytest.mark.slow
def test_a_conflict_shows_both_sides(home: Path, server: HubServer) -> None:
    server.add_repo("alice/teapot", {"learned_embeds.bin": b"another program's"})
    with Registry.open(home) as registry:
        version = learn(registry, 5, "teapot")

    async def story(pilot: Pilot[None]) -> None:
        app_of(pilot).push_word("teapot@1")
        await until(pilot, lambda: "has moved" in screen_text(pilot))
        text = screen_text(pilot)
        assert "there: learned_embeds.bin, which tireg did not write at " in text
        assert f"here:  teapot@1 ({version.digest[:19]}…), never seen from here" in text
        assert "tireg pull alice/teapot" in text
        await pilot.press("ctrl+g")
        await pilot.pause()
        assert "Not yet" in notices(pilot)

    drive(home, story, size=(180, 45))


@pytest.mark.slow
def test_a_hub_that_stalls_is_given_up(home: Path, server: HubServer) -> None:
    server.faults += [Fault.stall("GET /api/models", 60), Fault.stall("GET /api/models", 60)]

    async def story(pilot: Pilot[None]) -> None:
        await pilot.press("4")
        await settle(pilot)
        screen = pilot.app.screen
        assert isinstance(screen, HubScreen)
        await pilot.press("slash", *"cat", "enter")
        await until(pilot, lambda: "gives up" in screen_text(pilot))
        since = screen._since
        await pilot.press(*"fish", "enter")  # another question takes its place, and is waited for by its own clock
        await until(pilot, lambda: screen._since > since)
        waited = re.compile(r"(\d+) s · Esc gives up")
        await until(pilot, lambda: waited.search(screen_text(pilot)))
        [said] = waited.findall(screen_text(pilot))
        assert int(said) <= time.monotonic() - screen._since + 1
        await pilot.press("escape")
        await until(pilot, lambda: "given up" in screen_text(pilot))
        assert not app_of(pilot).hub.is_alive
        await pilot.press("escape", "1")
        await settle(pilot)
        assert "<gnome>" in screen_text(pilot)

    drive(home, story)


@pytest.mark.slow
def test_a_hub_that_cannot_be_reached_is_said(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("TIREG_HUB_TIMEOUT", "2")

    async def story(pilot: Pilot[None]) -> None:
        await pilot.press("4")
        await settle(pilot)
        assert pilot.app.screen.query_one("#hub-search", Input).value == ""
        await pilot.press("slash", *"cat", "enter")
        await until(pilot, lambda: "could not be asked" in screen_text(pilot))
        screen = pilot.app.screen
        assert isinstance(screen, HubScreen)
        assert screen.current is None  # nothing stands below words that it does not answer
        assert "That did not work" in notices(pilot)

    drive(home, story)


def test_looking_tells_what_differs(tmp_path: Path, server: HubServer) -> None:
    hub = Hub(Endpoint(server.url, "alices-word"))
    with Registry.open(tmp_path / "mine") as registry:
        looked = look_at(registry, hub, "bob/lantern")
        assert (looked.relation, looked.number, looked.versions, looked.token) == ("not here", 2, (1, 2), "<lantern>")
        assert {file.kind for file in looked.files if file.fetched} == {"vectors", "picture", "text"}
        assert look_at(registry, hub, "bob/lantern", "v1").number == 1
    with Registry.open(tmp_path / "bobs") as theirs:
        assert look_at(theirs, hub, "bob/lantern").relation == "here"
        learn(theirs, 7, "lantern")
        assert look_at(theirs, hub, "bob/lantern").relation == "older there"
        theirs.remove("lantern@2")
        found = look_at(theirs, hub, "bob/lantern")
        assert found.relation == "newer there"
        assert ("seed", "0", "1") in found.differences
