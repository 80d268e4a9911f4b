"""Exporting a version as a file for another program: format and path; nothing that is there is replaced."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Label, Select, Static

from tireg_tui.widgets.path_input import PathInput
from tiregistry.text import safe

_BY_PATH = "by the path's ending"


@dataclass(frozen=True, slots=True)
class ExportWish:
    """Where to, and how; an empty format is chosen by the path."""

    path: Path
    format_id: str


class ExportWord(ModalScreen[ExportWish | None]):
    """Dismissed with the wish, or None.

    Args:
        reference: what is exported.
        formats: the formats there are.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Cancel", id="export.cancel"),
        Binding("ctrl+g,f5", "take", "Export", id="export.take", priority=True),
        Binding("up", "app.focus_previous", show=False, id="export.up"),
        Binding("down", "app.focus_next", show=False, id="export.down"),
    ]

    def __init__(self, reference: str, formats: list[str]) -> None:
        super().__init__()
        self._reference, self._formats = reference, formats

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
            with Horizontal(classes="dialog-buttons"):
                yield Button("Cancel", id="cancel")
                yield Button("Export", id="act", variant="primary")

    def on_mount(self) -> None:
        self.query_one(Input).focus()

    @on(Input.Submitted)
    def action_take(self) -> None:
        """Export it."""
        path = self.query_one(Input).value.strip()
        if path:
            self.dismiss(ExportWish(Path(path).expanduser(), str(self.query_one(Select).value)))

    @on(Button.Pressed)
    def answer(self, event: Button.Pressed) -> None:
        if event.button.id == "act":
            self.action_take()
        else:
            self.dismiss(None)
