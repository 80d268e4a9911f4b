"""One of several: a list with the present choice under the cursor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static

from tiregistry.text import safe


class Choose(ModalScreen[str | None]):
    """Dismissed with the choice, or None.

    Args:
        title: what is chosen.
        choices: the values.
        value: the present one.
        preview: called with each value that the cursor comes to, and with `value` when nothing was chosen.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Cancel", id="choose.cancel"),
        Binding("j", "move('down')", show=False, id="choose.down"),
        Binding("k", "move('up')", show=False, id="choose.up"),
    ]

    def __init__(
        self, title: str, choices: Sequence[str], value: str = "", preview: Callable[[str], None] | None = None
    ) -> None:
        super().__init__()
        self._title, self._choices, self._value, self._preview = title, list(choices), value, preview

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(safe(self._title), classes="dialog-title", markup=False)
            options = [Text(f"{'●' if choice == self._value else ' '} {safe(choice)}") for choice in self._choices]
            yield OptionList(*options, compact=True)
            yield Static("Enter takes it, Esc cancels", classes="dialog-hint", markup=False)

    def on_mount(self) -> None:
        options = self.query_one(OptionList)
        if self._value in self._choices:
            options.highlighted = self._choices.index(self._value)
        options.focus()

    @on(OptionList.OptionHighlighted)
    def show(self, event: OptionList.OptionHighlighted) -> None:
        if self._preview is not None:
            self._preview(self._choices[event.option_index])

    @on(OptionList.OptionSelected)
    def take(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self._choices[event.option_index])

    def action_move(self, where: str) -> None:
        """Move as the arrows do."""
        options = self.query_one(OptionList)
        options.action_cursor_down() if where == "down" else options.action_cursor_up()

    def action_cancel(self) -> None:
        """Leave everything as it is."""
        if self._preview is not None and self._value in self._choices:
            self._preview(self._value)
        self.dismiss(None)
