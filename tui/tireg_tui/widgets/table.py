"""A table with vim's motions beside the arrows."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.widgets import DataTable


class Table(DataTable[Text]):
    """Rows with a cursor; cells are texts, never strings, which would be read as markup."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "cursor_down", show=False, id="table.down"),
        Binding("k", "cursor_up", show=False, id="table.up"),
        Binding("g", "scroll_top", "First", show=False, id="table.first"),
        Binding("G", "scroll_bottom", "Last", show=False, id="table.last"),
    ]

    def __init__(self, *, id: str | None = None, header: bool = True) -> None:  # noqa: A002
        super().__init__(id=id, cursor_type="row", show_header=header)
