"""Labelled grids of pictures: columns and rows with captions, in one PNG."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tiregistry.errors import InvalidInput
from tiregistry.graphics.lettering import font, lines_of

if TYPE_CHECKING:
    from PIL.Image import Image


_SMALLEST = 16
"""Pixels of a cell in which something can still be seen."""
_PAPER = (250, 250, 248)
_GAP = 4
"""Pixels between cells."""


def labelled_grid(
    cells: Sequence[Sequence[Image | None]],
    row_labels: Sequence[str] = (),
    column_labels: Sequence[str] = (),
    *,
    cell: int = 0,
    left: int = 0,
) -> Image:
    """One RGB picture of `cells[row][column]` with labels at the left and on top.

    Args:
        cells: rows of equal length; None leaves a cell empty.
        row_labels, column_labels: one per row and column, or none at all; they wrap to fit.
        cell: side of a cell in pixels; 0 takes the largest picture. Smaller pictures are enlarged by whole factors
            with hard edges, so that 64-pixel pictures stay what they are.
        left: pixels for the row labels; 0 chooses by the cells. Where there are no row labels it is nothing.
    """
    from PIL import Image as Pillow
    from PIL import ImageDraw

    present = [image for row in cells for image in row if image is not None]
    side = cell or max(max(image.size) for image in present)
    size = max(11, min(18, side // 9))
    letters = font(size, (*row_labels, *column_labels))
    line = int(size * 1.35)
    left = (left or min(3 * side, max(90, side))) if row_labels else 0
    wrapped_columns = [lines_of(text, side - 2 * _GAP, letters) for text in column_labels]
    top = max((len(lines) for lines in wrapped_columns), default=0) * line + (_GAP if column_labels else 0)
    columns = max(len(row) for row in cells)
    width = left + columns * (side + _GAP) + _GAP
    height = top + len(cells) * (side + _GAP) + _GAP
    sheet = Pillow.new("RGB", (width, height), _PAPER)
    ink = ImageDraw.Draw(sheet)
    for c, lines in enumerate(wrapped_columns):
        for i, text in enumerate(lines):
            x = left + _GAP + c * (side + _GAP) + side / 2
            ink.text((x, _GAP + i * line), text, fill=(30, 30, 34), font=letters, anchor="ma")
    for r, row in enumerate(cells):
        y = top + _GAP + r * (side + _GAP)
        if row_labels:
            lines = lines_of(row_labels[r], left - 2 * _GAP, letters)
            start = y + side / 2 - len(lines) * line / 2
            for i, text in enumerate(lines):
                ink.text((left - _GAP, start + i * line), text, fill=(30, 30, 34), font=letters, anchor="ra")
        for c, image in enumerate(row):
            if image is not None:
                fitted = fit_cell(image, side)
                x = left + _GAP + c * (side + _GAP)
                sheet.paste(fitted, (x + (side - fitted.width) // 2, y + (side - fitted.height) // 2))
    return sheet


def stacked(sheets: Sequence[Image]) -> Image:
    """Grids one below the other, flush left, as one RGB picture as wide as the widest."""
    from PIL import Image as Pillow

    width, height = max(sheet.width for sheet in sheets), sum(sheet.height for sheet in sheets)
    page = Pillow.new("RGB", (width, height), _PAPER)
    top = 0
    for sheet in sheets:
        page.paste(sheet, (0, top))
        top += sheet.height
    return page


def side_within(rows: int, columns: int, side: int, longest: int) -> int:
    """The side of a cell, at most `side`, with which a labelled grid stays within `longest` pixels.

    Raises:
        InvalidInput: there are too many cells for any.
    """
    # Labels take up to three cells at the left, and a few lines on top.
    while side >= _SMALLEST and (max(rows, columns) + 3) * (side + 4) + 200 > longest:
        side //= 2
    if side < _SMALLEST:
        raise InvalidInput(f"a grid of {columns} by {rows} pictures is too large for this format", "save it as .png")
    return side


def fit_cell(image: Image, side: int) -> Image:
    """`image` to fit a square of `side` pixels: enlarged by a whole factor with hard edges, or shrunk smoothly."""
    from PIL import Image as Pillow

    largest = max(image.size)
    if largest * 2 <= side:
        factor = side // largest
        return image.resize((image.width * factor, image.height * factor), Pillow.Resampling.NEAREST)
    if largest > side:
        copy = image.copy()
        copy.thumbnail((side, side), Pillow.Resampling.LANCZOS)
        return copy
    return image
