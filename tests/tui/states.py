"""The main states of the app, each reached by its keys, on a registry that always looks the same."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from tests.tui.conftest import add_run_at_work, add_three_words, picture, screen_text, settle, until
from tireg_tui.places import PLACES
from tireg_tui.texts import formatting
from tireg_tui.widgets.bar import TopBar
from tiregistry.registry.registry import Registry

Reach = Callable[[Pilot[None]], Awaitable[None]]


def frozen_registry(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Words, pictures, and a training at work; clocks and folders always look the same."""
    monkeypatch.setattr(formatting, "ago", lambda *_: "2 h")
    monkeypatch.setattr(TopBar, "status", lambda self: ["~/words", "pictures: off"])
    monkeypatch.setattr(Input, "cursor_blink", False)
    monkeypatch.chdir(folder.parent)
    with Registry.open(folder) as registry:
        add_three_words(registry)
        registry.describe("gnome", notes="Stands by the pond.")
        for seed, color in ((3, "lime"), (4, "teal")):
            made = Path(f"home/pictures/000{seed}.png")
            made.parent.mkdir(exist_ok=True)
            made.write_bytes(picture(color))
            recipe = {"prompt": "a <gnome> at sea", "seed": seed, "num_inference_steps": 20}
            registry.add_picture(made, "a <gnome> at sea", recipe, words=[registry.version("gnome").digest])
        add_run_at_work(registry)
    return Path(folder.name)


def digit(place: str) -> str:
    """The key of a place."""
    return next(known.digit for known in PLACES if known.id == place)


def _pressing(*keys: str, until_shown: str = "") -> Reach:
    async def reach(pilot: Pilot[None]) -> None:
        for key in keys:
            await pilot.press(key)
            await settle(pilot)
        if until_shown:
            await until(pilot, lambda: until_shown in screen_text(pilot))
        await settle(pilot)

    return reach


STATES: dict[str, Reach] = {
    "library": _pressing(),
    "filtered": _pressing("slash", *"tag:garden", "enter"),
    "remove": _pressing("escape", "slash", "escape", "escape", "D"),
    "concept": _pressing("escape", "enter"),
    "help": _pressing("question_mark"),
    "train": _pressing("escape", "escape", "n", *"teapot"),
    "runs": _pressing("escape", digit("runs"), until_shown="30/60"),
    "compose": _pressing(digit("compose"), *"a photo of <gn"),
    "queue": _pressing("escape", "escape", digit("queue")),
    "settings": _pressing(digit("settings")),
}
"""In this order, from the start on: each begins where the one before ended."""
