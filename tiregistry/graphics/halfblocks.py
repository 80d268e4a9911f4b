"""Pictures as text: two pixels per cell with the upper half block, in 24-bit or 256 colours, or plain characters."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from PIL.Image import Image

Colors = Literal["truecolor", "256", "none"]
_RAMP = " .:-=+*#%@"


def halfblocks(image: Image, columns: int, rows: int, colors: Colors = "truecolor") -> list[str]:
    """Lines of text that show `image` within `columns` x `rows` terminal cells, keeping its proportions.

    A cell is taken to be twice as high as wide. Each line ends with the attributes reset. With `colors="none"` the
    lines are ASCII characters of growing density and hold no escape sequence.
    """
    from PIL import Image as Pillow

    columns, rows = max(1, columns), max(1, rows)
    scale = min(columns / image.width, 2 * rows / image.height)
    width = max(1, min(columns, round(image.width * scale)))
    height = max(2, min(2 * rows, 2 * round(image.height * scale / 2)))
    smooth = Pillow.Resampling.BOX if scale < 1 else Pillow.Resampling.NEAREST
    small = image.convert("RGB").resize((width, height), smooth)
    if colors == "none":
        gray = small.convert("L").resize((width, height // 2), Pillow.Resampling.BOX).tobytes()
        return [
            "".join(_RAMP[value * (len(_RAMP) - 1) // 255] for value in gray[y * width : (y + 1) * width])
            for y in range(height // 2)
        ]
    code = _truecolor if colors == "truecolor" else _indexed
    data = small.tobytes()
    return [_line(data, width, 2 * y, code) for y in range(height // 2)]


def _line(data: bytes, width: int, y: int, code: Callable[[int, bytes], str]) -> str:
    """One line of cells: the upper pixel is the foreground, the lower one the background."""
    out: list[str] = []
    last = ("", "")
    for x in range(width):
        upper = (y * width + x) * 3
        lower = upper + width * 3
        now = (code(38, data[upper : upper + 3]), code(48, data[lower : lower + 3]))
        changed = [part for part, before in zip(now, last, strict=True) if part != before]
        if changed:
            out.append(f"\x1b[{';'.join(changed)}m")
        last = now
        out.append("▀")
    return "".join(out) + "\x1b[0m"


def _truecolor(plane: int, rgb: bytes) -> str:
    return f"{plane};2;{rgb[0]};{rgb[1]};{rgb[2]}"


def _indexed(plane: int, rgb: bytes) -> str:
    """The nearest colour of xterm's 6x6x6 cube or its grey ramp."""
    red, green, blue = rgb
    if max(rgb) - min(rgb) < 12:
        level = (red + green + blue) // 3
        return f"{plane};5;{16 if level < 4 else 231 if level > 246 else 232 + (level - 8) * 24 // 247}"
    steps = [0 if v < 48 else 1 if v < 115 else (v - 35) // 40 for v in (red, green, blue)]
    return f"{plane};5;{16 + 36 * steps[0] + 6 * steps[1] + steps[2]}"
