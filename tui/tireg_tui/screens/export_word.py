"""Exporting a version as a file for another program: format and path; nothing that is there is replaced."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Button, Input, Label, Select, Static

from tireg_tui.input.path_line import path_in
from tireg_tui.screens.keeping import KeepingDialog
from tireg_tui.widgets.path_input import PathInput
from tiregistry.errors import AlreadyExists
from tiregistry.text import safe

_BY_PATH = "by the path's ending"


class ExportWord(KeepingDialog):
    """Closed when it was exported, or cancelled.

    Args:
        reference: what is exported.
        formats: the formats there are.
        act: exports to a path in a format, an empty one being chosen by the path; called in a thread.
        then: told what `act` returned.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Cancel", id="export.cancel"),
        Binding("ctrl+g,f5", "take", "Export", id="export.take", priority=True),
        Binding("up", "app.focus_previous", show=False, id="export.up"),
        Binding("down", "app.focus_next", show=False, id="export.down"),
    ]

    def __init__(
        self,
        reference: str,
        formats: list[str],
        act: Callable[[Path, str], list[Path]],
        then: Callable[[list[Path]], None] | None = None,
    ) -> None:
        super().__init__()
        self._reference, self._formats, self._act, self._then = reference, formats, act, then

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(safe(f"Export {self._reference}"), classes="dialog-title", markup=False)
            with Horizontal(classes="form-row"):
                yield Label("to", markup=False)
                yield PathInput(f"{Path.cwd()}/", id="export-path")
            with Horizontal(classes="form-row"):
                yield Label("format", markup=False)
                choices = [(_BY_PATH, ""), *((name, name) for name in self._formats)]
                yield Select(choices, value="", allow_blank=False, id="export-format", compact=True)
            yield Static("Nothing that is there is replaced.", id="said", classes="dialog-hint", markup=False)
            with Horizontal(classes="dialog-buttons"):
                yield Button("Cancel", id="cancel")
                yield Button("Export", id="act", variant="primary")

    def on_mount(self) -> None:
        self.query_one(Input).focus()

    @property
    def typed(self) -> tuple[str, str]:
        """Path and format."""
        return self.query_one(Input).value.strip(), str(self.query_one(Select).value)

    @on(Input.Submitted)
    async def action_take(self) -> None:
        """Export it, and close when that is done."""
        path, format_id = self.typed
        if path:
            await self.keep(lambda: self._exported(path_in(path), format_id), self._then)

    def _exported(self, path: Path, format_id: str) -> list[Path]:
        try:
            return self._act(path, format_id)
        except AlreadyExists as error:  # whose hint is an option of the command line
            raise AlreadyExists(error.message, "choose another path") from None

    @on(Button.Pressed)
    async def answer(self, event: Button.Pressed) -> None:
        if event.button.id == "act":
            await self.action_take()
        else:
            self.dismiss()
