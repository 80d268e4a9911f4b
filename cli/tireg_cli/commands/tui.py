"""`tireg tui`: the terminal UI; also what `tireg` alone opens on a terminal."""

from __future__ import annotations

import click

from tireg_cli.terminal import has_terminal
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
