"""`--json` before the name of a subcommand: `tireg runs --json list` is `tireg runs list --json`."""

from __future__ import annotations

import click


def hand_json_on(ctx: click.Context, as_json: bool) -> None:
    """Give a group's `--json` to the subcommand behind it.

    Raises:
        click.UsageError: the subcommand has no such option.
    """
    name = ctx.invoked_subcommand
    if not as_json or name is None:
        return
    assert isinstance(ctx.command, click.Group)
    command = ctx.command.get_command(ctx, name)
    if command is not None and all(parameter.name != "as_json" for parameter in command.params):
        raise click.UsageError(f"{name} has no --json", ctx)
    ctx.default_map = {name: {"as_json": True}}
