"""Drawing a picture at the cursor of an ordinary command's output, with whichever protocol the terminal has."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tiregistry.graphics import kitty, tmux
from tiregistry.graphics.fitting import Box, fit, scaled
from tiregistry.graphics.halfblocks import halfblocks
from tiregistry.graphics.ids import new_id
from tiregistry.graphics.sixel import sixel
from tiregistry.graphics.terminal import Terminal

if TYPE_CHECKING:
    from PIL.Image import Image

_ESCAPE = re.compile("\x1b\\[[0-9;]*m")
_GAP = 2
"""Cells between two pictures."""


def draw_row(images: Sequence[Image], terminal: Terminal, columns: int, rows: int) -> str:
    """Pictures side by side, each within `columns` x `rows` cells, ending on a new line.

    Empty when the terminal shows no pictures.
    """
    if terminal.protocol == "off" or not images:
        return ""
    if not terminal.has_pixels:
        return _as_text(images, terminal, columns, rows)
    boxes = [fit(image.size, columns, rows, terminal.cell) for image in images]
    if terminal.protocol == "kitty":
        boxes = [fit(i.size, min(columns, kitty.MAX_CELLS), min(rows, kitty.MAX_CELLS), terminal.cell) for i in images]
    height = max(box.rows for box in boxes)
    # Make room first, so that the terminal scrolls before anything is drawn; then draw from the top.
    out = ["\n" * height, f"\x1b[{height}A"]
    for number, (image, box) in enumerate(zip(images, boxes, strict=True)):
        column = 1 + number * (columns + _GAP)
        out += [f"\x1b[{column}G\x1b7", _pixels(image, box, terminal), "\x1b8"]
    out.append(f"\x1b[{height}B\r")
    return "".join(out)


def _pixels(image: Image, box: Box, terminal: Terminal) -> str:
    """One picture at the cursor."""
    picture = scaled(image, box)
    if terminal.protocol == "sixel":
        return sixel(picture)
    if not terminal.in_tmux:
        return "".join(kitty.show_here(kitty.encode(picture), box.columns, box.rows))
    # Inside tmux only placeholders follow the text when it scrolls.
    number = new_id()
    sequences = [*kitty.transmit(kitty.encode(picture), number), kitty.place_virtual(number, box.columns, box.rows)]
    return "".join(map(tmux.passthrough, sequences)) + placeholders(number, box.columns, box.rows)


def placeholders(picture_id: int, columns: int, rows: int) -> str:
    """A block of placeholder cells at the cursor."""
    red, green, blue = kitty.id_color(picture_id)
    lines = [f"\x1b[38;2;{red};{green};{blue}m{kitty.placeholder_row(row, 0, columns)}\x1b[39m" for row in range(rows)]
    return f"\x1b[{columns}D\x1b[B".join(lines)


def _as_text(images: Sequence[Image], terminal: Terminal, columns: int, rows: int) -> str:
    colors = "none" if terminal.protocol == "ascii" else terminal.colors
    blocks = [halfblocks(image, columns, rows, colors) for image in images]
    lines = []
    for y in range(max(len(block) for block in blocks)):
        cells = []
        for block in blocks:
            line = block[y] if y < len(block) else ""
            cells.append(line + " " * (columns - len(_ESCAPE.sub("", line))))
        lines.append((" " * _GAP).join(cells).rstrip(" "))
    return "\n".join(lines) + "\n"
