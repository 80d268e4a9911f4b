"""Pictures that are asked for while others are made wait for their turn, and can be dropped."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from tests.tui.conftest import app_of, drive, notices, screen_text, settle, until
from tests.tui.test_compose import PAINTER, composing
from tireg_tui.processes import picture_maker


@pytest.fixture(autouse=True)
def painter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture_maker, "command_line", lambda options: [sys.executable, "-c", PAINTER, *options])


def states(pilot: Pilot[None]) -> list[str]:
    return [job.state for job in app_of(pilot).jobs.all]


def test_what_is_asked_for_while_pictures_are_made_waits_for_its_turn(home: Path) -> None:
    async def story(pilot: Pilot[None]) -> None:
        await pilot.press("5")  # what the queue showed then is not what it shows when one comes back to it
        await settle(pilot)
        screen = await composing(pilot, "a held <gnome>")
        screen.query_one("#count", Input).value = "2"
        screen.strip.focus()
        await pilot.press("ctrl+g")
        await until(pilot, lambda: len(screen.strip.sources) == 1)
        await pilot.press("ctrl+g")  # the same once more is no other wish
        await until(pilot, lambda: "Just these are being made" in notices(pilot))
        await pilot.press("N", "N")
        await until(pilot, lambda: "1 of 2 · 2 waiting · Esc stops" in screen_text(pilot))
        assert states(pilot) == ["waits", "waits", "at work"]
        assert "2 waiting" in screen_text(pilot).splitlines()[-2]
        await pilot.press("5")
        await settle(pilot)
        assert len([line for line in screen_text(pilot).splitlines() if "waits" in line and "draw 2 pic" in line]) == 2
        (home / "go-on").touch()
        await until(pilot, lambda: states(pilot) == ["done", "done", "done"])
        assert screen.fields.text("seed") == "4"

    drive(home, story)
    assert len(list((home / "pictures").iterdir())) == 6  # seeds 0 to 5


def test_what_waits_is_dropped_by_itself_or_with_what_is_drawn(home: Path) -> None:
    async def story(pilot: Pilot[None]) -> None:
        app = app_of(pilot)
        screen = await composing(pilot, "a slow <gnome>")
        screen.strip.focus()
        await pilot.press("ctrl+g")
        await until(pilot, lambda: len(screen.strip.sources) == 1)
        await pilot.press("N", "N", "N")
        await until(pilot, lambda: states(pilot) == ["waits", "waits", "waits", "at work"])
        await pilot.press("q")  # what waits would end with the window, too
        await until(pilot, lambda: "Under way in this window" in screen_text(pilot))
        await pilot.press("escape")
        await until(pilot, lambda: pilot.app.screen is screen)
        app.jobs.all[1].cancel()
        await until(pilot, lambda: states(pilot) == ["waits", "cancelled", "waits", "at work"])
        app.jobs.all[3].cancel()  # the next takes its turn
        await until(pilot, lambda: states(pilot) == ["waits", "cancelled", "at work", "cancelled"])
        await until(pilot, lambda: "1 waiting · Esc stops" in screen_text(pilot))
        await pilot.press("escape")
        await until(pilot, lambda: states(pilot) == ["cancelled"] * 4)
        assert "1 drawing that waited will not be made" in notices(pilot)
        assert "stopped" in screen_text(pilot)

    drive(home, story)


def test_seeds_go_on_only_where_pictures_are_asked_for(home: Path) -> None:
    async def story(pilot: Pilot[None]) -> None:
        screen = await composing(pilot, "a {red|blue|green} <gnome>")
        screen.query_one("#count", Input).value = "30"
        screen.strip.focus()
        await pilot.press("N")
        await until(pilot, lambda: "more than 64 pictures in one go" in notices(pilot))
        assert screen.fields.text("seed") == "0"
        screen.prompt.value = ""
        await pilot.press("N")
        await until(pilot, lambda: "Write a prompt first" in notices(pilot))
        assert screen.fields.text("seed") == "0"

    drive(home, story)
