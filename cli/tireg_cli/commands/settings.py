"""`tireg settings`: what a user has set, and changing it without an editor."""

from __future__ import annotations

from difflib import get_close_matches

import click

from tireg_cli.json_option import hand_json_on
from tireg_cli.messages import hint
from tireg_cli.output import emit, emit_json, emit_table
from tiregistry.errors import InvalidConfig
from tiregistry.settings import FILE, SETTINGS, Settings, home
from tiregistry.text import safe


@click.group("settings", invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """Settings in settings.toml beside the registry: list, get, set, unset.

    Options and environment variables win over them. The default base model is not among them: tireg base default.

    \b
    Examples:
      tireg settings
      tireg settings set images sixel
      tireg settings set keys.library.filter f
      tireg settings unset images
    """
    hand_json_on(ctx, as_json)
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_settings, as_json=as_json)


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def list_settings(as_json: bool = False) -> None:
    """List all settings with their values.

    \b
    Example:
      tireg settings list --json
    """
    settings = Settings.load()
    keys = {f"keys.{act}": key for act, key in sorted(settings.keys.items())}
    if as_json:
        emit_json({setting.name: settings.get(setting.name) for setting in SETTINGS} | keys)
        return
    rows = [(s.name, settings.get(s.name) or '""', ", ".join(s.choices), s.what) for s in SETTINGS]
    emit_table(
        ("SETTING", "VALUE", "CHOICES", "WHAT"),
        [*rows, *((name, key, "", "a remapped key") for name, key in keys.items())],
    )
    hint(f"they stand in {home() / FILE}")


@command.command("get")
@click.argument("name")
def get_setting(name: str) -> None:
    """Print the value of one setting.

    \b
    Example:
      tireg settings get images
    """
    emit(Settings.load().get(name))


@command.command("set")
@click.argument("name")
@click.argument("value")
def set_one(name: str, value: str) -> None:
    """Set one setting; comments in the file stay.

    keys.ID remaps a key of the terminal UI; its settings screen lists the ids.

    \b
    Example:
      tireg settings set theme light
    """
    from tiregistry.settings_file import set_setting

    if name.startswith("keys."):
        from tireg_tui.settings.keymap import trouble_with  # the screens know their acts; they import Textual

        problem, what_to_do = trouble_with(name.removeprefix("keys."))
        if problem:
            raise InvalidConfig(problem, what_to_do)
    if name == "theme":
        _check_theme(value)
    set_setting(name, value)


def _check_theme(name: str) -> None:
    """Refuse a theme that the terminal UI does not have; only Textual knows which it has.

    Raises:
        InvalidConfig: there is no such theme.
    """
    from tireg_tui.settings.themes import names

    known = names()
    if name not in known:
        close = get_close_matches(name, known, n=3, cutoff=0.5)
        advice = f"did you mean {' or '.join(close)}?" if close else f"one of {', '.join(known)}"
        raise InvalidConfig(f"there is no theme {safe(name)}", advice)


@command.command("unset")
@click.argument("name")
def unset_one(name: str) -> None:
    """Take one setting out of the file, so that its default holds.

    \b
    Example:
      tireg settings unset images
    """
    from tiregistry.settings_file import unset_setting

    unset_setting(name)
