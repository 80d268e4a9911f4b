"""`tireg alias`: movable names of versions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

import click

from tireg_cli import forms
from tireg_cli.messages import hint, say
from tireg_cli.output import emit, emit_json, emit_table
from tiregistry.errors import InvalidInput
from tiregistry.references import Reference, check_alias
from tiregistry.registry.registry import Registry


@click.command("alias")
@click.argument("reference", metavar="REF")
@click.argument("alias", required=False)
@click.option("--remove", is_flag=True, help="Take the alias away.")
@click.option("--undo", is_flag=True, help="Take back the last change of the alias.")
@click.option("--log", "show_log", is_flag=True, help="Every change of the aliases, newest first.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(reference: str, alias: str | None, remove: bool, undo: bool, show_log: bool, as_json: bool) -> None:
    """Make ALIAS name the version REF; or list a word's aliases, take one away, or undo a change.

    The alias latest is automatic: it is always the newest version.

    \b
    Examples:
      tireg alias gnome@3 best          then: tireg gen "<gnome@best> in the snow"
      tireg alias gnome best --undo
      tireg alias gnome --log
    """
    parsed = Reference.parse(reference)
    chosen = [name for name, on in (("--remove", remove), ("--undo", undo), ("--log", show_log)) if on]
    if len(chosen) > 1:
        raise InvalidInput(f"{' and '.join(chosen)} do not go together", "use one of them")
    if (remove or undo) and alias is None:
        raise InvalidInput("which alias?", f"tireg alias {parsed.name} ALIAS {chosen[0]}")
    if not parsed.selects_latest and (chosen or alias is None):
        rest = " ".join(filter(None, (parsed.name, alias, *chosen)))
        raise InvalidInput(f"{reference} is a version; this asks for a word", f"tireg alias {rest}")
    if alias is not None:
        alias = check_alias(alias)
    talk: Callable[[str], None] = (lambda _: None) if as_json else say
    with Registry.open() as registry:
        if alias and remove:
            registry.remove_alias(parsed.name, alias)
            talk(f"{parsed.name}@{alias} is taken away · tireg alias {parsed.name} {alias} --undo brings it back")
        elif alias and undo:
            version = registry.undo_alias(parsed.name, alias)
            talk(f"{parsed.name}@{alias} is {version.reference if version else 'gone'} again")
        elif alias and not show_log:
            version = registry.set_alias(parsed, alias)
            talk(f"{version.concept}@{alias} is now {version.reference}")
        concept = registry.concept(parsed.name)
        changes = registry.alias_log(parsed.name, alias) if show_log else []
    if as_json:
        data: dict[str, object] = {
            "concept": concept.name,
            "aliases": dict(concept.aliases),
            "latest": concept.latest_number,
        }
        if show_log:
            data["log"] = [asdict(change) | {"changed_at": forms.moment(change.changed_at)} for change in changes]
        emit_json(data)
    elif show_log:
        emit_table(
            ["WHEN", "ALIAS", "FROM", "TO", ""],
            [
                [forms.day(c.changed_at), c.alias, c.old_number or "–", c.new_number or "–", "undo" if c.undoes else ""]
                for c in changes
            ],
        )
    elif alias is None:
        for name, number in concept.aliases.items():
            emit(f"{name}\t{concept.name}@{number}")
        if not concept.aliases:
            hint(f"no aliases but latest · set one: tireg alias {concept.name}@NUMBER best")
