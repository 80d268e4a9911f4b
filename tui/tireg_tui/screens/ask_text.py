"""A question answered with one line or a few: tags, an alias, a note."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static, TextArea

from tireg_tui.themes import ink
from tiregistry.errors import TiregError
from tiregistry.text import safe


class AskText(ModalScreen[str | None]):
    """Dismissed with the text, or None when cancelled.

    Args:
        title: what is asked.
        hint: how to answer.
        value: what stands there at first.
        multiline: a note of several lines; Ctrl+S keeps it.
        check: raises `TiregError` for a text that cannot be taken; that is said, and the text stays to be mended.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Cancel", id="ask.cancel"),
        Binding("ctrl+s", "keep", "Keep", id="ask.keep", priority=True),
    ]

    def __init__(
        self,
        title: str,
        hint: str = "",
        value: str = "",
        *,
        multiline: bool = False,
        check: Callable[[str], object] | None = None,
    ) -> None:
        super().__init__()
        self._title, self._hint, self._value, self._multiline = title, hint, value, multiline
        self._check = check

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(safe(self._title), classes="dialog-title", markup=False)
            if self._multiline:
                yield TextArea(safe(self._value, limit=100_000, multiline=True), id="answer")
            else:
                yield Input(safe(self._value), id="answer", select_on_focus=False)
            hint = f"{self._hint}  ·  " if self._hint else ""
            keep = "Ctrl+S keeps" if self._multiline else "Enter keeps"
            yield Static(f"{hint}{keep}, Esc cancels", id="ask-hint", classes="dialog-hint", markup=False)

    def on_mount(self) -> None:
        self.query_one("#answer").focus()

    @on(Input.Submitted)
    def action_keep(self) -> None:
        field = self.query_one("#answer")
        answer = field.text if isinstance(field, TextArea) else field.value if isinstance(field, Input) else ""
        try:
            if self._check is not None:
                self._check(answer)
        except TiregError as error:
            text = safe(f"{error.message} · {error.hint}" if error.hint else error.message, limit=400)
            self.query_one("#ask-hint", Static).update(Text(text, style=ink(self.app, "error")))
            return
        self.dismiss(answer)
