"""A picture fitted into cells: decoded and scaled, as text, and as sixel. Made in threads, and kept for a while."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.strip import Strip

from tireg_tui.pictures.bounded_cache import BoundedCache
from tireg_tui.pictures.sources import PictureSource
from tiregistry.graphics import kitty
from tiregistry.graphics.fitting import Box, fit, scaled
from tiregistry.graphics.terminal import Terminal

if TYPE_CHECKING:
    from PIL.Image import Image

_BYTES = 64 << 20
_BYTES_PER_CELL = 300
"""What a cell of half blocks takes, about."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A picture in a box of cells.

    Attributes:
        key: the same key means the same pixels in the same box.
        look: for which way to show pictures it was made, see `look_of`.
        image: RGB, of the box's pixels.
        lines: the box's rows as text.
    """

    key: tuple[object, ...]
    look: tuple[object, ...]
    image: Image
    box: Box
    lines: list[Strip]

    @property
    def size(self) -> int:
        """Bytes it takes, about."""
        return 3 * self.box.width * self.box.height + _BYTES_PER_CELL * self.box.columns * self.box.rows


def look_of(terminal: Terminal) -> tuple[object, ...]:
    """What of a terminal a picture is made for."""
    return (terminal.protocol, terminal.colors, terminal.cell)


class Drawer:
    """Draws pictures and keeps the last ones. All of it may be called in any thread."""

    def __init__(self) -> None:
        self._drawn: BoundedCache[Drawn] = BoundedCache(_BYTES, lambda drawn: drawn.size)
        self._sixels: BoundedCache[str] = BoundedCache(_BYTES // 4, len)

    def draw(self, source: PictureSource, columns: int, rows: int, terminal: Terminal) -> Drawn:
        """Decode a source and fit it, whole, into `columns` x `rows` cells. Raises whatever decoding it raises."""
        if terminal.protocol == "kitty":
            columns, rows = min(columns, kitty.MAX_CELLS), min(rows, kitty.MAX_CELLS)
        look = look_of(terminal)
        key = (source.key, columns, rows, look)

        def make() -> Drawn:
            original = source.load()
            box = fit(original.size, columns, rows, terminal.cell, of_characters=not terminal.has_pixels)
            if terminal.protocol == "sixel" and box.height > 6:
                # Whole bands of six, so that nothing reaches below the box: at the screen's end that would scroll it.
                box = Box(box.columns, box.rows, box.width, box.height // 6 * 6)
            image = scaled(original, box)
            return Drawn(key, look, image, box, _text_lines(image, box, terminal))

        return self._drawn.get(key, make)

    def sixel(self, drawn: Drawn, part: Region, cell: tuple[int, int]) -> str:
        """Some cells of a picture as one sixel sequence."""
        from tiregistry.graphics.sixel import sixel

        def make() -> str:
            left, top, width, height = pixel_box(part, drawn.box, cell)
            image = drawn.image
            if (width, height) != image.size:
                image = image.crop((left, top, left + width, top + max(1, height // 6 * 6 if height > 6 else height)))
            return sixel(image)

        return self._sixels.get((drawn.key, part, cell), make)

    def for_kitty(self, drawn: Drawn) -> str:
        """A picture as kitty is handed it; kitty keeps it, so nothing is kept here."""
        return kitty.encode(drawn.image)


def _text_lines(image: Image, box: Box, terminal: Terminal) -> list[Strip]:
    from PIL import Image as Pillow

    if terminal.protocol == "ascii" or terminal.colors == "none":
        from tiregistry.graphics.halfblocks import halfblocks

        # With a style, if an empty one: what NO_COLOR does to a line asks for it.
        return [Strip([Segment(line, Style.null())]) for line in halfblocks(image, box.columns, box.rows, "none")]
    small = image.resize((box.columns, 2 * box.rows), Pillow.Resampling.BOX)
    data, stride = small.tobytes(), 3 * box.columns
    lines = []
    for row in range(box.rows):
        upper = 2 * row * stride
        segments = [
            Segment("▀", _cell_style(data[x : x + 3], data[x + stride : x + stride + 3]))
            for x in range(upper, upper + stride, 3)
        ]
        lines.append(Strip(segments, box.columns).simplify())
    return lines


@lru_cache(maxsize=8192)
def _cell_style(upper: bytes, lower: bytes) -> Style:
    return Style(color=Color.from_rgb(*upper), bgcolor=Color.from_rgb(*lower))


def pixel_box(part: Region, box: Box, cell: tuple[int, int]) -> tuple[int, int, int, int]:
    """Left, top, width and height in pixels of some cells of a picture."""
    left, top = part.x * cell[0], part.y * cell[1]
    return (
        left,
        top,
        max(1, min(box.width - left, part.width * cell[0])),
        max(1, min(box.height - top, part.height * cell[1])),
    )
