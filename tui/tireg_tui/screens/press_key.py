"""Asks for a key by letting it be pressed."""

from __future__ import annotations

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from tiregistry.text import safe


class PressKey(ModalScreen[str | None]):
    """Dismissed with the key as Textual calls it, None for Escape.

    Args:
        what: what the key shall do.
    """

    def __init__(self, what: str) -> None:
        super().__init__()
        self._what = what

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(safe(f"Press the new key for: {self._what}"), classes="dialog-title", markup=False)
            yield Static("Esc cancels", classes="dialog-hint", markup=False)

    def on_key(self, event: events.Key) -> None:
        event.stop()
        event.prevent_default()
        self.dismiss(None if event.key == "escape" else event.key)
