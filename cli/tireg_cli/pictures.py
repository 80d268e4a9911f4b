"""Pictures in this terminal: chooses how to draw them and writes them to stderr, so that stdout stays data."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from PIL.Image import Image

    from tiregistry.graphics.halfblocks import Colors


def terminal_colors() -> Colors:
    """24-bit colour where the terminal announces it, 256 colours on other terminals, none with NO_COLOR or dumb."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM", "dumb") == "dumb":
        return "none"
    announced = os.environ.get("COLORTERM", "").lower()
    return "truecolor" if announced in ("truecolor", "24bit") else "256"


def show_picture(image: Image, *, caption: str = "") -> None:
    """Draw one picture as text on stderr, as large as the terminal and the picture allow."""
    from tiregistry.graphics.halfblocks import halfblocks
    from tiregistry.text import safe

    size = shutil.get_terminal_size((80, 24))
    columns = min(size.columns, max(32, image.width))
    lines = halfblocks(image, columns, max(4, size.lines - 3), terminal_colors())
    for line in lines:
        click.echo(line, err=True, color=True)
    if caption:
        click.echo(safe(caption), err=True)


def show_pictures(images: Sequence[Image], captions: Sequence[str]) -> None:
    """Draw several pictures, side by side where they fit the width."""
    from tiregistry.graphics.halfblocks import halfblocks
    from tiregistry.text import safe

    size = shutil.get_terminal_size((80, 24))
    each = 32 if size.columns >= 66 else min(size.columns, 32)
    per_line = max(1, (size.columns + 2) // (each + 2))
    for start in range(0, len(images), per_line):
        row = images[start : start + per_line]
        blocks = [halfblocks(image, each, each, terminal_colors()) for image in row]
        for y in range(max(len(block) for block in blocks)):
            click.echo("  ".join(block[y] if y < len(block) else " " * each for block in blocks), err=True, color=True)
        labels = [safe(text)[:each].ljust(each) for text in captions[start : start + per_line]]
        click.echo("  ".join(labels).rstrip() + "\n", err=True)
    sys.stderr.flush()
