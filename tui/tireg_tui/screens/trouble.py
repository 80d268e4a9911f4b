"""Shown instead of everything else while the registry cannot be opened."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import Screen
from textual.widgets import Static

from tireg_tui.screens.confirm import Confirm
from tireg_tui.texts.unsaid import STILL_GONE, unsay
from tireg_tui.widgets.key_line import KeyLine
from tiregistry.errors import TiregError
from tiregistry.text import safe


class Trouble(Screen[None]):
    """What is wrong with the registry and what helps; `r` tries again.

    It may come up while something is typed: no key of it does what cannot be taken back.

    Args:
        error: what is wrong.
        title: in a few words.
        gone_from: the folder that a registry has gone from; opening it there would make an empty one.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "again", "Try again", id="trouble.retry"),
        Binding("N", "begin", "Begin a new one", id="trouble.begin"),
    ]

    def __init__(
        self, error: TiregError, title: str = "The registry cannot be opened", gone_from: Path | None = None
    ) -> None:
        super().__init__()
        self._error, self._heading, self._gone_from = error, title, gone_from

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return self._gone_from is not None if action == "begin" else super().check_action(action, parameters)

    async def action_again(self) -> None:
        """Try again to open the registry; one that is gone is opened as soon as it is back, without being asked."""
        if self._gone_from is None:
            await self.app.run_action("app.open_registry")
        else:
            unsay(self.app, STILL_GONE)
            self.notify("It is opened as soon as it is back", title=STILL_GONE)

    def action_begin(self) -> None:
        """Begin a new, empty registry in the place of one that is gone, after asking."""

        async def answered(yes: bool | None) -> None:
            if yes:
                await self.app.run_action("app.open_registry")

        text = f"{safe(self._gone_from)} gets an empty registry. Words that were there are not in it."
        self.app.push_screen(Confirm("Begin a new, empty registry?", text, "Begin anew", "Wait"), answered)

    def compose(self) -> ComposeResult:
        with Vertical(id="trouble"):
            yield Static(self._heading, classes="dialog-title", markup=False)
            yield Static(safe(self._error.message), id="trouble-message", markup=False)
            yield Static(safe(self._error.hint), classes="dialog-hint", markup=False)
        yield KeyLine()
