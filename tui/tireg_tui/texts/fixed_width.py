"""Text of exactly so many cells of a terminal."""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size


def fitted(text: str, width: int) -> str:
    """The text in `width` cells: filled up with blanks, or cut so that it ends in an ellipsis."""
    return set_cell_size(text, width) if cell_len(text) <= width else set_cell_size(text, width - 1) + "…"


def in_column(text: str, width: int) -> str:
    """The text in a table's column of `width` cells, with a blank on both sides."""
    return f" {fitted(text, width)} "
