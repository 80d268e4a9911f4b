"""Shown instead of everything else while the registry cannot be opened."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import Screen
from textual.widgets import Static

from tireg_tui.widgets.key_line import KeyLine
from tiregistry.errors import TiregError
from tiregistry.text import safe


class Trouble(Screen[None]):
    """What is wrong with the registry and what helps; `r` tries again.

    Args:
        error: what is wrong.
        title: in a few words.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "app.open_registry", "Try again", id="trouble.retry"),
    ]

    def __init__(self, error: TiregError, title: str = "The registry cannot be opened") -> None:
        super().__init__()
        self._error, self._heading = error, title

    def compose(self) -> ComposeResult:
        with Vertical(id="trouble"):
            yield Static(self._heading, classes="dialog-title", markup=False)
            yield Static(safe(self._error.message), id="trouble-message", markup=False)
            yield Static(safe(self._error.hint), classes="dialog-hint", markup=False)
        yield KeyLine()
