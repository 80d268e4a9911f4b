"""`tireg note`: notes, description and licence of a word, notes of a version."""

from __future__ import annotations

import sys

import click

from tireg_cli import forms
from tireg_cli.output import emit, emit_json
from tiregistry.errors import InvalidInput
from tiregistry.references import Reference
from tiregistry.registry.registry import Registry


@click.command("note")
@click.argument("reference", metavar="REF")
@click.argument("text", required=False)
@click.option("--append", is_flag=True, help="Add a line instead of replacing the note.")
@click.option("--clear", is_flag=True, help="Empty it.")
@click.option("--description", "field", flag_value="description", help="Set the one-line description instead.")
@click.option("--licence", "field", flag_value="licence", help="Set the licence instead, e.g. CC-BY-4.0.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(reference: str, text: str | None, append: bool, clear: bool, field: str | None, as_json: bool) -> None:
    """Set the note of a word, or of one version (REF with @); without TEXT, print it. `-` reads from stdin.

    \b
    Examples:
      tireg note gnome "learned from grandmother's garden"
      tireg note gnome@3 "best at night" --append
      tireg note gnome CC-BY-4.0 --licence
    """
    parsed = Reference.parse(reference)
    if clear and (text is not None or append):
        raise InvalidInput("--clear empties the note; it takes no text", f"tireg note {reference} --clear")
    if append and text is None:
        raise InvalidInput("--append adds a line: which?", f"tireg note {reference} TEXT --append")
    if text == "-":
        if sys.stdin is None:
            raise InvalidInput("stdin is closed, so there is no note to read", f"tireg note {reference} TEXT")
        text = sys.stdin.read().rstrip("\n")
    if clear:
        text = ""
    with Registry.open() as registry:
        if not parsed.selects_latest:
            if field:
                raise InvalidInput(f"a version has no {field}", f"tireg note {parsed.name} --{field} TEXT")
            version = registry.version(parsed)
            if text is not None:
                change = registry.append_version_note if append else registry.set_version_notes
                version = change(version, text)
            result, data = version.notes, forms.version_data(version)
        else:
            key = field or "notes"
            concept = registry.concept(parsed.name)
            if text is not None and append:
                concept = registry.append_note(parsed.name, text, field=key)
            elif text is not None:
                concept = registry.describe(parsed.name, None, **{key: text})
            result, data = str(getattr(concept, key)), forms.concept_data(concept)
    if as_json:
        emit_json(data)
    elif text is None and result:
        emit(result)
