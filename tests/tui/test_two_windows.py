"""Two windows on one registry share one file of what is remembered, and neither takes away what the other has typed."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import signal
import time
from pathlib import Path

from textual.pilot import Pilot
from textual.widgets import Input

from tests.tui.conftest import Talkative, drive, settle, until
from tireg_tui.input.training_draft import Draft
from tireg_tui.screens.train import TrainForm
from tireg_tui.settings.remembered import Remembered
from tiregistry.graphics.terminal import Terminal


def kept(home: Path, key: str) -> str:
    """What the next start remembers."""
    return Remembered(home).text(key)


def typing_until_killed(home: str, keys: list[str]) -> None:
    """A window of its own process: opens a form, types, and then waits for its end."""

    async def run() -> None:
        app = Talkative(Terminal("halfblocks"), Path(home))
        async with app.run_test(size=(120, 36)) as pilot:
            await settle(pilot)
            await pilot.press(*keys)
            await asyncio.sleep(600)

    asyncio.run(run())


def test_what_both_windows_type_outlives_their_being_killed(home: Path) -> None:
    context = multiprocessing.get_context("spawn")
    windows = [
        context.Process(target=typing_until_killed, args=(str(home), keys), daemon=True)
        for keys in (["n", *"troll"], ["enter", "n", *"photos"])
    ]
    for window in windows:
        window.start()

    def is_written() -> bool:
        texts = [Draft.from_json(kept(home, key)) for key in ("training", "training gnome")]
        return [draft and (draft.name, draft.pictures) for draft in texts] == [("troll", ""), ("gnome", "photos")]

    end = time.monotonic() + 60
    while not is_written() and time.monotonic() < end:
        time.sleep(0.1)
    for window in windows:
        assert window.pid is not None
        os.kill(window.pid, signal.SIGKILL)
        window.join()
    assert is_written(), (home / "tui.json").read_text()


def test_a_window_that_types_again_writes_again(home: Path) -> None:
    async def story(pilot: Pilot[None]) -> None:
        other = Remembered(home)  # of a window that was opened before the first has written anything
        await pilot.press("n", *"troll")
        await until(pilot, lambda: "troll" in kept(home, "training"))
        other.set("training mug", Draft(name="mug", pictures="~/mugs").to_json())
        other.save()
        assert "troll" in kept(home, "training")
        await pilot.press(*"s")
        await until(pilot, lambda: "trolls" in kept(home, "training"))
        assert "~/mugs" in kept(home, "training mug")

    drive(home, story)
    assert "~/mugs" in kept(home, "training mug")


def test_in_the_same_form_the_last_that_typed_wins_and_leaving_takes_nothing_away(home: Path) -> None:
    async def story(pilot: Pilot[None]) -> None:
        await pilot.press("n", *"troll")
        await until(pilot, lambda: "troll" in kept(home, "training"))
        other = Remembered(home)
        other.set("training", Draft(name="kite").to_json())
        other.save()
        await pilot.press("f8")  # what this window has typed is dropped, not what the other has
        await settle(pilot)
        await pilot.press("escape", "j")
        await settle(pilot)
        await pilot.press("n")  # and is here when the form is opened again
        await settle(pilot)
        assert isinstance(pilot.app.screen, TrainForm)
        assert pilot.app.screen.query_one("#name", Input).value == "kite"

    drive(home, story)
    assert "kite" in kept(home, "training")


def test_what_another_window_drops_is_not_taken_from_under_who_types_it(home: Path) -> None:
    """It was shown there, too: emptied, or started, there, it still stands in the form here, and stays when left."""

    async def story(pilot: Pilot[None]) -> None:
        await pilot.press("n", *"troll")
        await until(pilot, lambda: "troll" in kept(home, "training"))
        other = Remembered(home)
        assert "troll" in other.text("training")
        other.set("training", "")
        other.save()
        assert kept(home, "training") == ""
        await pilot.press("escape")
        await settle(pilot)
        await pilot.press("n")
        await settle(pilot)
        assert isinstance(pilot.app.screen, TrainForm)
        assert pilot.app.screen.query_one("#name", Input).value == "troll"

    drive(home, story)
    assert "troll" in kept(home, "training")


def test_what_is_dropped_is_forgotten_and_what_others_remember_is_not(home: Path) -> None:
    one, two = Remembered(home), Remembered(home)
    one.set("training", "a")
    one.set("note", "mine")
    one.save()
    two.set("prompt", "a photo")
    two.save()
    one.set("training", "ab")
    one.set("training", "")  # typed and dropped between two writings
    two.set("note", "")  # of a window that has never seen it
    one.save()
    two.save()
    assert json.loads((home / "tui.json").read_text()) == {"note": "mine", "prompt": "a photo"}
    assert two.text("note") == "mine"
