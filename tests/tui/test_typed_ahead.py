"""Keys that come faster than they are handled, as over a slow connection."""

from __future__ import annotations

from pathlib import Path

from textual import events
from textual.pilot import Pilot
from textual.widgets import Input

from tests.tui.conftest import drive, screen_text, until
from tireg_tui.screens.confirm import Confirm
from tireg_tui.screens.train import TrainForm


def test_what_is_typed_ahead_goes_where_it_belongs(home: Path) -> None:
    async def story(pilot: Pilot[None]) -> None:
        def at_once(keys: str) -> None:
            for letter in keys:
                key = {"/": "slash", "\r": "enter", " ": "space"}.get(letter, letter)
                pilot.app.post_message(events.Key(key, letter))

        at_once("/gnome\rD")
        await until(pilot, lambda: isinstance(pilot.app.screen, Confirm))
        assert pilot.app.screen_stack[0].query_one("#filter", Input).value == "gnome"
        assert "<gnome>" in screen_text(pilot)
        await pilot.press("escape")
        at_once("nrobot")  # the form is yet to be opened
        await until(pilot, lambda: isinstance(pilot.app.screen, TrainForm))
        await until(pilot, lambda: pilot.app.screen.query_one("#name", Input).value == "robot")

    drive(home, story)
