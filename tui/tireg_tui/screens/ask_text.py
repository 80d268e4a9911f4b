"""A question answered with one line or a few: tags, an alias, a note."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static, TextArea

from tiregistry.text import safe


class AskText(ModalScreen[str | None]):
    """Dismissed with the text, or None when cancelled.

    Args:
        title: what is asked.
        hint: how to answer.
        value: what stands there at first.
        multiline: a note of several lines; Ctrl+S keeps it.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Cancel", id="ask.cancel"),
        Binding("ctrl+s", "keep", "Keep", id="ask.keep", priority=True),
    ]

    def __init__(self, title: str, hint: str = "", value: str = "", *, multiline: bool = False) -> None:
        super().__init__()
        self._title, self._hint, self._value, self._multiline = title, hint, value, multiline

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(safe(self._title), classes="dialog-title", markup=False)
            if self._multiline:
                yield TextArea(safe(self._value, limit=100_000, multiline=True), id="answer")
            else:
                yield Input(safe(self._value), id="answer", select_on_focus=False)
            hint = f"{self._hint}  ·  " if self._hint else ""
            keep = "Ctrl+S keeps" if self._multiline else "Enter keeps"
            yield Static(f"{hint}{keep}, Esc cancels", classes="dialog-hint", markup=False)

    def on_mount(self) -> None:
        self.query_one("#answer").focus()

    @on(Input.Submitted)
    def action_keep(self) -> None:
        answer = self.query_one("#answer")
        self.dismiss(answer.text if isinstance(answer, TextArea) else answer.value if isinstance(answer, Input) else "")
