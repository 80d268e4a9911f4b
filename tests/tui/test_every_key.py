"""Every key that a place shows in its help does something that can be seen, on a real registry."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.screen import ModalScreen, Screen
from textual.widgets import Input

from tests.tui.conftest import Talkative, app_of, comes_to_be, drive, screen_text, settle
from tests.tui.states import digit, frozen_registry
from tireg_tui.app import TiregApp
from tireg_tui.places import PLACES
from tiregistry.graphics.terminal import Terminal
from tiregistry.runs import control

# Keys that lead out, or that other tests press: leaving, suspending, and moves that may stand at an end.
_ELSEWHERE = {"app.quit", "quit", "app.suspend_process", "suspend_process", "app.command_palette", "command_palette"}
_MOVES = {
    *("up", "down", "left", "right", "home", "end", "pageup", "pagedown", "ctrl+home", "ctrl+end", "j", "k", "g", "G"),
    *("h", "l", "H", "L", "shift+left", "shift+right", "ctrl+pageup", "ctrl+pagedown", "tab", "shift+tab"),
}

# Where there is rightly nothing to see: nothing to clear, nothing changed, a default, a look under way.
_QUIET = {
    ("library", "clear"),
    ("library", "reload"),
    ("settings", "default"),
    ("doctor", "examine"),
    ("hub", "select_cursor"),
}


def seen(pilot: Pilot[None]) -> tuple[object, ...]:
    """Everything a person can notice."""
    app = pilot.app
    assert isinstance(app, Talkative)
    focus = app.screen.focused
    return (type(app.screen), screen_text(pilot), id(focus), app.clipboard, len(app.said), app.theme, app.current_mode)


def keys_of(screen: Screen[object]) -> dict[str, str]:
    """Our keys that work on a screen now, with their actions; those that work everywhere at the first place only."""
    found: dict[str, str] = {}
    without_everywhere = screen.app.current_mode != PLACES[0].id
    for key, active in screen.active_bindings.items():
        ours = type(active.node).__module__.startswith(("tireg_tui", "tests"))
        if without_everywhere and isinstance(active.node, TiregApp):
            continue
        if ours and active.enabled and active.binding.action not in _ELSEWHERE and key not in _MOVES:
            found.setdefault(active.binding.action, key)
    return {key: action for action, key in found.items()}


async def back_to(pilot: Pilot[None], place: str) -> None:
    """Close whatever a key has opened, and stop what it has begun."""
    for _ in range(6):
        if not isinstance(pilot.app.screen, ModalScreen) and len(pilot.app.screen_stack) == 1:
            break
        await pilot.press("escape")
        await pilot.pause()
    if isinstance(pilot.app.screen.focused, Input) or place == "compose":
        await pilot.press("escape")
    app_of(pilot).action_go(place)
    await pilot.pause()
    if place == "compose":
        pilot.app.screen.query_one("#results").focus()
    await settle(pilot)


@pytest.mark.slow
@pytest.mark.parametrize("place", [known.id for known in PLACES])
def test_no_key_is_dead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    home = frozen_registry(tmp_path / "home", monkeypatch)
    monkeypatch.setenv("EDITOR", "true")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nobody is there
    monkeypatch.setattr(control, "start", lambda *_: None)  # no worker: nothing is trained here
    monkeypatch.setattr(Talkative, "open_url", lambda self, url, **_: self.said.append(url))

    async def story(pilot: Pilot[None]) -> dict[str, str]:
        await pilot.press(digit(place))
        await settle(pilot)
        await back_to(pilot, place)
        dead = {}
        for key, action in keys_of(pilot.app.screen).items():
            if f"go('{place}')" in action or (place, action) in _QUIET:
                continue
            before = seen(pilot)
            await pilot.press(key)
            await settle(pilot)
            if not await comes_to_be(pilot, lambda before=before: seen(pilot) != before):
                dead[key] = action
            await back_to(pilot, place)
        return dead

    assert drive(home, story, size=(120, 40), terminal=Terminal("off")) == {}
