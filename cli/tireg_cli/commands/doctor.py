"""`tireg doctor`: device, terminal, registry, Hub and versions in one report, with a test picture."""

from __future__ import annotations

import os
import sys

import click

from tireg_cli.messages import color_allowed, warn
from tireg_cli.output import emit_fields, emit_json
from tiregistry.errors import InvalidConfig


@click.command("doctor")
@click.option(
    "--images",
    default="",
    metavar="HOW",
    help="auto, kitty, kitty-direct, sixel, halfblocks, ascii or off; default $TIREG_IMAGES, then the settings.",
)
@click.option("--show/--no-show", default=True, help="Draw a test picture where there is a terminal.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(images: str, show: bool, as_json: bool) -> None:
    """Report on device, terminal graphics, registry, settings, Hub login and versions.

    The test picture should show straight bars, smooth gradients, fine lines and a round circle.

    \b
    Examples:
      tireg doctor
      tireg doctor --images sixel
      tireg doctor --json
    """
    from tiregistry.doctor import examine
    from tiregistry.graphics.detection import detect

    try:
        terminal = detect(images)
    except InvalidConfig:
        if images or os.environ.get("TIREG_IMAGES"):
            raise
        terminal = detect("auto")  # the report says what is wrong with the settings
    sections = examine(terminal)
    if as_json:
        emit_json({section.name: {"facts": section.facts, "problems": list(section.problems)} for section in sections})
        return
    for section in sections:
        click.echo(click.style(section.name, bold=True) if color_allowed(sys.stdout) else section.name)
        emit_fields({f"  {name}": value for name, value in section.facts.items()})
    for section in sections:
        for problem in section.problems:
            warn(f"{section.name}: {problem}")
    if show and terminal.protocol != "off":
        from tireg_cli.pictures import draw
        from tiregistry.graphics.testcard import make_testcard

        draw([make_testcard(256, 160)], ["test picture"], terminal, 40, 14)
