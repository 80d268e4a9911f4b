"""A question before something is removed or stopped: it says what and how much, and the cursor stands on Cancel."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from tiregistry.text import safe


class Confirm(ModalScreen[bool]):
    """Dismissed with True only by choosing the act itself; Escape and Enter do not.

    Args:
        title: what would be done.
        text: what and how much it concerns.
        act: the button that does it.
        otherwise: the button that does not.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(False)", "Cancel", id="confirm.cancel"),
        Binding("left,right,h,l", "app.focus_next", show=False, id="confirm.other"),
    ]

    def __init__(self, title: str, text: str, act: str, otherwise: str = "Cancel") -> None:
        super().__init__()
        self._title, self._text, self._act, self._otherwise = title, text, act, otherwise

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(safe(self._title), classes="dialog-title", markup=False)
            yield Static(safe(self._text, multiline=True), classes="dialog-text", markup=False)
            with Horizontal(classes="dialog-buttons"):
                yield Button(self._otherwise, id="cancel")
                yield Button(self._act, id="act", variant="error")

    def on_mount(self) -> None:
        self.query_one("#cancel", Button).focus()

    @on(Button.Pressed)
    def answer(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "act")
