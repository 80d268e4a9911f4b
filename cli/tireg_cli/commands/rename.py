"""`tireg rename`: another name for a word."""

from __future__ import annotations

import click

from tireg_cli import forms
from tireg_cli.messages import hint
from tireg_cli.output import emit, emit_json
from tiregistry.registry.registry import Registry


@click.command("rename")
@click.argument("name")
@click.argument("new_name")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(name: str, new_name: str, as_json: bool) -> None:
    """Rename a word. The old name keeps working until another word takes it; the placeholder token stays.

    \b
    Example:
      tireg rename gnome garden-gnome
    """
    with Registry.open() as registry:
        concept = registry.rename(name, new_name)
    if as_json:
        emit_json(forms.concept_data(concept))
    else:
        emit(concept.name)
        hint(f"in prompts it is still written {concept.placeholder_token}")
