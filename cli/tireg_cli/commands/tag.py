"""`tireg tag`: free labels on a word."""

from __future__ import annotations

import click

from tireg_cli.messages import hint
from tireg_cli.output import emit, emit_json
from tiregistry.errors import InvalidInput
from tiregistry.references import name_key
from tiregistry.registry.registry import Registry


@click.command("tag")
@click.argument("name")
@click.argument("tags", nargs=-1)
@click.option("-r", "--remove", "removed", multiple=True, metavar="TAG", help="Take this tag away; may be repeated.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(name: str, tags: tuple[str, ...], removed: tuple[str, ...], as_json: bool) -> None:
    """Add TAGS to a word, take tags away, or print those it has (one per line).

    \b
    Examples:
      tireg tag gnome garden pottery
      tireg tag gnome --remove pottery
      tireg list tag:garden
    """
    if both := {name_key(tag) for tag in tags} & {name_key(tag) for tag in removed}:
        raise InvalidInput(f"add {min(both)!r} or remove it?", "name each tag once")
    with Registry.open() as registry:
        changes = tags or removed
        absent = {name_key(tag) for tag in removed} - {*registry.concept(name).tags} if removed else set()
        concept = registry.tag(name, add=tags, remove=removed) if changes else registry.concept(name)
    if absent and not as_json:
        hint(f"{concept.name} had no tag {', '.join(sorted(absent))}")
    if as_json:
        emit_json({"concept": concept.name, "tags": list(concept.tags)})
    elif concept.tags:
        emit("\n".join(concept.tags))
