"""Sizes: how many cells and pixels a picture takes when it is shown whole inside a box of cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_SCALE = 8
"""A small picture is not enlarged further than this: 64 pixels become 512 at most."""


@dataclass(frozen=True, slots=True)
class Box:
    """A picture's place: `columns` x `rows` cells, of which it fills `width` x `height` pixels from the top left."""

    columns: int
    rows: int
    width: int
    height: int


def fit(size: tuple[int, int], columns: int, rows: int, cell: tuple[int, int], *, of_characters: bool = False) -> Box:
    """The largest box for a picture of `size` pixels within `columns` x `rows` cells, keeping its proportions.

    Args:
        of_characters: it is drawn with characters: where cells are large, each pixel may take one cell's width, since
            with fewer cells some of the picture would be lost.
    """
    columns, rows = max(1, columns), max(1, rows)
    most = max(MAX_SCALE, cell[0]) if of_characters else MAX_SCALE
    scale = min(columns * cell[0] / size[0], rows * cell[1] / size[1], most)
    width, height = max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
    return Box(min(columns, -(-width // cell[0])), min(rows, -(-height // cell[1])), width, height)


def scaled(image: Image, box: Box) -> Image:
    """`image` as RGB in the box's pixels; transparent parts lie over black."""
    from PIL import Image as Pillow

    if image.mode in ("RGBA", "LA", "PA") or (image.mode == "P" and "transparency" in image.info):
        over = Pillow.new("RGBA", image.size, (0, 0, 0, 255))
        over.alpha_composite(image.convert("RGBA"))
        image = over
    image = image.convert("RGB")
    if image.size == (box.width, box.height):
        return image
    return image.resize((box.width, box.height), Pillow.Resampling.LANCZOS)
