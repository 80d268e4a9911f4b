"""A question that is answered with yes only by typing a name: for what others will see."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static

from tiregistry.text import safe


class TypeName(ModalScreen[bool]):
    """Dismissed with True only when the name stands in the field and the act is chosen.

    Args:
        name: what is to be typed.
        act: what the button says.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(False)", "Cancel", id="typename.cancel"),
        Binding("left", "app.focus_previous", show=False, id="typename.previous"),
        Binding("right", "app.focus_next", show=False, id="typename.next"),
    ]

    def __init__(self, title: str, text: str, name: str, act: str) -> None:
        super().__init__()
        self._title, self._text, self._wanted, self._act = title, text, name, act

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(safe(self._title), classes="dialog-title", markup=False)
            yield Static(safe(self._text, multiline=True), classes="dialog-text", markup=False)
            yield Static(safe(f"Type {self._wanted} to go on:"), markup=False)
            yield Input(id="typed", compact=True)
            with Horizontal(classes="dialog-buttons"):
                yield Button("Cancel", id="cancel")
                yield Button(self._act, id="act", variant="error", disabled=True)

    def on_mount(self) -> None:
        self.query_one("#typed").focus()

    @on(Input.Changed)
    def typed(self, event: Input.Changed) -> None:
        self.query_one("#act", Button).disabled = event.value.strip() != self._wanted

    @on(Input.Submitted)
    def submitted(self) -> None:
        if not self.query_one("#act", Button).disabled:  # half a name is no answer, and no refusal
            self.dismiss(True)

    @on(Button.Pressed)
    def answer(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "act")
