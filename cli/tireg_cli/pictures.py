"""Pictures in this terminal: written to stderr, so that stdout stays data; nothing at all where that is no terminal."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from PIL.Image import Image

    from tiregistry.graphics.terminal import Terminal


@cache
def this_terminal() -> Terminal:
    """How this terminal shows pictures; asked once, best before long work, while nobody types the next command yet."""
    from tiregistry.graphics.detection import detect

    return detect()


def say_when_none_are_drawn() -> None:
    """One line that says why `--show` draws nothing, where that is so."""
    from tireg_cli.messages import hint

    terminal = this_terminal()
    if terminal.protocol == "off":
        hint(f"--show draws nothing here ({terminal.reason}) · tireg doctor tells more")


def show_picture(image: Image, *, caption: str = "") -> None:
    """Draw one picture on stderr, as large as the terminal and the picture allow."""
    size = shutil.get_terminal_size((80, 24))
    terminal = this_terminal()
    if terminal.has_pixels:
        # At its own size, or a small one twice as large; never more than the screen.
        wanted = image.width * (2 if image.width <= 256 else 1)
        columns = min(size.columns, max(1, -(-wanted // terminal.cell[0])))
    else:
        columns = min(size.columns, max(32, image.width))
    draw([image], [caption], terminal, columns, max(4, size.lines - 3))


def show_pictures(images: Sequence[Image], captions: Sequence[str]) -> None:
    """Draw several pictures on stderr, side by side where they fit the width."""
    size = shutil.get_terminal_size((80, 24))
    each = 32 if size.columns >= 66 else min(size.columns, 32)
    per_line = max(1, (size.columns + 2) // (each + 2))
    for start in range(0, len(images), per_line):
        if start and this_terminal().protocol != "off":
            click.echo("", err=True)
        draw(images[start : start + per_line], captions[start : start + per_line], this_terminal(), each, each)


def draw(images: Sequence[Image], captions: Sequence[str], terminal: Terminal, columns: int, rows: int) -> None:
    """One row of pictures on stderr, each within `columns` x `rows` cells, with their captions below.

    Nothing, captions included, where the terminal shows no pictures.
    """
    from tireg_cli.output import fit, width_of
    from tiregistry.graphics.drawing import draw_row
    from tiregistry.text import safe

    drawn = draw_row(images, terminal, columns, rows)
    if not drawn:
        return
    click.echo(drawn, err=True, color=True, nl=False)
    room = columns if len(images) > 1 else 1000
    labels = [fit(safe(text), room) for text in captions]
    padded = [label + " " * (columns - width_of(label)) for label in labels]
    if any(labels):
        click.echo("  ".join(padded).rstrip(), err=True)
    sys.stderr.flush()
