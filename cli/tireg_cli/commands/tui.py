"""`tireg tui`: the terminal UI; also what `tireg` alone opens on a terminal."""

from __future__ import annotations

import os
import sys

import click

from tiregistry.errors import InvalidInput


@click.command("tui")
@click.option(
    "--images",
    default="",
    metavar="HOW",
    help="auto, kitty, kitty-direct, sixel, halfblocks, ascii or off; default $TIREG_IMAGES, then the settings.",
)
def command(images: str) -> int:
    """Browse, train and compose words in a terminal UI.

    \b
    Examples:
      tireg tui
      tireg tui --images halfblocks
    """
    if not has_terminal():
        raise InvalidInput("the terminal UI needs a terminal", "tireg --help lists commands that work without")
    # Textual costs a third of a second, which only this command pays.
    from tireg_tui.launch import run

    return run(images)


def has_terminal() -> bool:
    """Whether keys can be read and a screen be drawn."""
    streams = (sys.stdin, sys.stdout, sys.stderr)
    return all(stream is not None and stream.isatty() for stream in streams) and os.environ.get("TERM") != "dumb"
