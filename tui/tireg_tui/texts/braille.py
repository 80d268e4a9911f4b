"""Curves out of braille dots: two columns and four rows of dots in each cell."""

from __future__ import annotations

from collections.abc import Sequence

# Bit of each dot in a braille character, by row and column.
_BITS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))


class Canvas:
    """Dots on `width` by `height` cells; the origin is at the lower left."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self._cells = [[0] * width for _ in range(height)]

    def dot(self, x: int, y: int) -> None:
        """Set one dot; what lies outside is left out."""
        row, column = self.height - 1 - y // 4, x // 2
        if 0 <= row < self.height and 0 <= column < self.width and x >= 0 and y >= 0:
            self._cells[row][column] |= _BITS[3 - y % 4][x % 2]

    def curve(self, levels: Sequence[float]) -> None:
        """A line through one level per column of dots, 0 at the bottom and 1 at the top."""
        top = 4 * self.height - 1
        before: int | None = None
        for x, level in enumerate(levels):
            y = round(min(1.0, max(0.0, level)) * top)
            low, high = (y, y) if before is None else (min(y, before), max(y, before))
            for between in range(low, high + 1):
                # A steep line belongs half to the column before.
                steep = before is not None and abs(between - before) < abs(between - y)
                # Two dots thick, or it would be fainter than what it summarises.
                self.dot(x - 1 if steep else x, between)
                self.dot(x - 1 if steep else x, between - 1 if between else between + 1)
            before = y

    def row(self, number: int) -> list[str]:
        """The characters of a row from the top; blank where there is no dot."""
        return [chr(0x2800 + bits) if bits else " " for bits in self._cells[number]]
