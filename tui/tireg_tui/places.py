"""The places one can go to, in the order of their digits; each is imported when it is first opened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from textual.screen import Screen


@dataclass(frozen=True, slots=True)
class Place:
    """One place.

    Attributes:
        id: what actions call it.
        digit: its key.
        label: what the top line calls it.
        what: what it is for, in the palette.
    """

    id: str
    digit: str
    label: str
    what: str


PLACES: tuple[Place, ...] = (
    Place("library", "1", "Library", "Browse the learned words"),
    Place("runs", "2", "Runs", "Watch and resume trainings"),
    Place("compose", "3", "Compose", "Write prompts with learned words"),
    Place("hub", "4", "Hub", "Search, pull and push words"),
    Place("queue", "5", "Queue", "What is under way and what waits"),
    Place("settings", "6", "Settings", "Pictures, theme, folders, base model, keys"),
    Place("doctor", "7", "Doctor", "Device, pictures, folders, versions"),
)


def screen_of(place: str) -> Screen[None]:
    """A new screen for a place; the library must not wait for what the others import."""
    if place == "runs":
        from tireg_tui.screens.runs import Runs

        return Runs()
    if place == "compose":
        from tireg_tui.screens.compose import Compose

        return Compose()
    if place == "hub":
        from tireg_tui.screens.hub import HubScreen

        return HubScreen()
    if place == "queue":
        from tireg_tui.screens.queue import Queue

        return Queue()
    if place == "settings":
        from tireg_tui.screens.settings import SettingsScreen

        return SettingsScreen()
    if place == "doctor":
        from tireg_tui.screens.doctor import Doctor

        return Doctor()
    from tireg_tui.screens.library import Library

    return Library()
