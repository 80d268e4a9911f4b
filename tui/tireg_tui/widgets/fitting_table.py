"""A table that never has to be scrolled sideways: what does not fit is shortened, then left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len
from rich.text import Text

from tireg_tui.widgets.table import Table

_NARROWEST = 8
"""Cells that the column which is shortened keeps at least."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column.

    Attributes:
        key: what rows call it.
        label: its heading.
        rank: the higher, the sooner it gives way; 0 never does.
        shortened: it takes the room that the others leave; one column of a table does.
    """

    key: str
    label: str
    rank: int = 0
    shortened: bool = False


class FittingTable(Table):
    """Rows by key; a row that is still there keeps the cursor."""

    COLUMNS: ClassVar[tuple[Column, ...]] = ()

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._cells: dict[str, dict[str, Text]] = {}
        self._widths: dict[str, int] = {}

    def on_resize(self) -> None:
        """Fit anew."""
        self._fill(self._cells)

    @property
    def keys(self) -> list[str]:
        """Of the rows, in order."""
        return list(self._cells)

    def show(self, rows: Mapping[str, Mapping[str, Text]], cursor: str = "") -> None:
        """Show these rows.

        Args:
            rows: by key, each with a cell for every column.
            cursor: the row that the cursor shall be on, if there is such a row; default: where it is.
        """
        self._fill({key: dict(cells) for key, cells in rows.items()})
        if cursor in self._cells and self.keys.index(cursor) != self.cursor_row:
            self.move_cursor(row=self.keys.index(cursor), animate=False)

    def _fill(self, rows: dict[str, dict[str, Text]]) -> None:
        widths = fitting(self.COLUMNS, rows, self.size.width - self.styles.scrollbar_size_vertical, self.cell_padding)
        before = self._cells
        self._cells = rows
        if list(before) == list(rows) and widths == self._widths:
            for key, cells in rows.items():
                for column in widths:
                    if before[key][column] != cells[column]:
                        self.update_cell(key, column, cells[column])
            return
        at = self.cursor_row
        if widths != self._widths:
            self._widths = widths
            self.clear(columns=True)
            for known in self.COLUMNS:
                if known.key in widths:
                    self.add_column(known.label, key=known.key, width=widths[known.key])
        else:
            self.clear()
        for key, cells in rows.items():
            self.add_row(*(_one_line(cells[column]) for column in widths), key=key)
        self.move_cursor(row=min(max(0, at), max(0, len(rows) - 1)), animate=False)


def fitting(
    columns: tuple[Column, ...], rows: Mapping[str, Mapping[str, Text]], room: int, padding: int
) -> dict[str, int]:
    """Which columns there is room for, in order, and how wide each is, in cells without its padding."""
    widths = {
        column.key: max([cell_len(column.label), *(cells[column.key].cell_len for cells in rows.values())])
        for column in columns
    }
    shortened = next(column.key for column in columns if column.shortened)
    for giving_way in sorted((column for column in columns if column.rank), key=lambda column: -column.rank):
        if _total(widths, padding) - widths[shortened] + min(widths[shortened], _NARROWEST) <= room:
            break
        del widths[giving_way.key]
    widths[shortened] = max(1, min(widths[shortened], room - _total(widths, padding) + widths[shortened]))
    return widths


def _total(widths: Mapping[str, int], padding: int) -> int:
    return sum(width + 2 * padding for width in widths.values())


def _one_line(cell: Text) -> Text:
    cell.no_wrap, cell.overflow = True, "ellipsis"
    return cell
