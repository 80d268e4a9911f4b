"""`tireg alias`: movable names of versions."""

from __future__ import annotations

from dataclasses import asdict

import click

from tireg_cli import forms
from tireg_cli.messages import hint, say
from tireg_cli.output import emit, emit_json, emit_table
from tiregistry.concepts import AliasChange
from tiregistry.errors import InvalidInput
from tiregistry.references import Reference, check_alias
from tiregistry.registry.handles import RegisteredConcept
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
    flags = [name for name, on in (("--remove", remove), ("--undo", undo), ("--log", show_log)) if on]
    _check_usage(reference, parsed, alias, flags)
    if alias is not None:
        alias = check_alias(alias)
    with Registry.open() as registry:
        done = ""
        if alias is not None and not show_log:
            act = _remove if remove else _undo if undo else _set
            done = act(registry, parsed, alias)
        concept = registry.concept(parsed.name)
        changes = registry.alias_log(parsed.name, alias) if show_log else None
    if as_json:
        emit_json(_document(concept, changes))
        return
    if done:
        say(done)
    if changes is not None:
        _show_log(changes)
    elif alias is None:
        _show_aliases(concept)


def _check_usage(reference: str, parsed: Reference, alias: str | None, flags: list[str]) -> None:
    if len(flags) > 1:
        raise InvalidInput(f"{' and '.join(flags)} do not go together", "use one of them")
    if flags not in ([], ["--log"]) and alias is None:
        raise InvalidInput("which alias?", f"tireg alias {parsed.name} ALIAS {flags[0]}")
    if not parsed.selects_latest and (flags or alias is None):
        rest = " ".join(filter(None, (parsed.name, alias, *flags)))
        raise InvalidInput(f"{reference} is a version; this asks for a word", f"tireg alias {rest}")


def _set(registry: Registry, reference: Reference, alias: str) -> str:
    version = registry.set_alias(reference, alias)
    return f"{version.concept}@{alias} is now {version.reference}"


def _remove(registry: Registry, reference: Reference, alias: str) -> str:
    name = reference.name
    registry.remove_alias(name, alias)
    return f"{name}@{alias} is taken away · tireg alias {name} {alias} --undo brings it back"


def _undo(registry: Registry, reference: Reference, alias: str) -> str:
    version = registry.undo_alias(reference.name, alias)
    return f"{reference.name}@{alias} is {version.reference if version else 'gone'} again"


def _document(concept: RegisteredConcept, changes: list[AliasChange] | None) -> dict[str, object]:
    data: dict[str, object] = {
        "concept": concept.name,
        "aliases": dict(concept.aliases),
        "latest": concept.latest_number,
    }
    if changes is not None:
        data["log"] = [asdict(change) | {"changed_at": forms.moment(change.changed_at)} for change in changes]
    return data


def _show_log(changes: list[AliasChange]) -> None:
    emit_table(
        ["WHEN", "ALIAS", "FROM", "TO", ""],
        [
            [forms.day(c.changed_at), c.alias, c.old_number or "–", c.new_number or "–", "undo" if c.undoes else ""]
            for c in changes
        ],
    )


def _show_aliases(concept: RegisteredConcept) -> None:
    for name, number in concept.aliases.items():
        emit(f"{name}\t{concept.name}@{number}")
    if not concept.aliases:
        hint(f"no aliases but latest · set one: tireg alias {concept.name}@NUMBER best")
