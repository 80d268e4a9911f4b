"""Sixel: a picture as bands of six pixel rows, in a palette made for it and dithered."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

# The same character four times or more is written as a count.
_RUN = re.compile(rb"(.)\1{3,}", re.DOTALL)


def sixel(image: Image, colors: int = 256) -> str:
    """`image` as one sixel sequence; its top left corner comes to the cursor's cell.

    Args:
        colors: size of the palette, 2 to 256. Fewer are fewer bytes.
    """
    from PIL import Image as Pillow

    rgb = image.convert("RGB")
    # An adaptive palette first, then the dithering against it: quantize() alone does not dither with this method.
    palette = rgb.quantize(colors, method=Pillow.Quantize.FASTOCTREE, dither=Pillow.Dither.NONE)
    indexed = rgb.quantize(palette=palette, dither=Pillow.Dither.FLOYDSTEINBERG)
    width, height = indexed.size
    pixels = indexed.tobytes()
    # P2=1: pixels that are not drawn stay as they are. Raster attributes: square pixels, the picture's size.
    out = [b'\x1bP0;1;0q"1;1;%d;%d' % (width, height), _palette(indexed.getpalette() or [], set(pixels))]
    # No new line after the last band: at the end of the screen it would scroll.
    out.append(b"-".join(_band(pixels, width, top, min(6, height - top)) for top in range(0, height, 6)))
    out.append(b"\x1b\\")
    return b"".join(out).decode("ascii")


def _palette(values: list[int], used: set[int]) -> bytes:
    """The registers of the used colours; sixel counts each channel from 0 to 100."""
    out = []
    for number in sorted(used):
        red, green, blue = (round(value * 100 / 255) for value in values[3 * number : 3 * number + 3])
        out.append(b"#%d;2;%d;%d;%d" % (number, red, green, blue))
    return b"".join(out)


def _band(pixels: bytes, width: int, top: int, rows: int) -> bytes:
    """Six rows: for each colour in them one line of characters, whose bits say which of the six pixels have it."""
    lines: dict[int, bytearray] = {}
    for row in range(rows):
        bit = 1 << row
        start = (top + row) * width
        for x, color in enumerate(pixels[start : start + width]):
            line = lines.get(color)
            if line is None:
                line = lines[color] = bytearray(b"?") * width
            line[x] += bit
    parts = [b"#%d%s" % (color, _RUN.sub(_count, bytes(line.rstrip(b"?")))) for color, line in lines.items()]
    return b"$".join(parts)


def _count(match: re.Match[bytes]) -> bytes:
    return b"!%d%s" % (len(match.group()), match.group(1))
