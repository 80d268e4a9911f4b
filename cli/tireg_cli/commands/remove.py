"""`tireg remove`: into the trash, and, only when asked, out of it for good."""

from __future__ import annotations

import click

from tireg_cli import forms
from tireg_cli.all_or_nothing import all_or_nothing
from tireg_cli.confirm import confirm
from tireg_cli.messages import hint, say
from tireg_cli.output import emit, emit_json
from tiregistry.errors import InvalidInput, NotFound
from tiregistry.quantities import count
from tiregistry.references import Reference
from tiregistry.registry.registry import Registry


@click.command("remove")
@click.argument("references", nargs=-1, metavar="REF...")
@click.option("--purge", is_flag=True, help="Delete for good, from the trash or at once.")
@click.option("--empty-trash", is_flag=True, help="Delete for good everything in the trash.")
@click.option("--older-than", metavar="AGE", help="With --empty-trash: only what was removed so long ago, e.g. 30d.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(
    references: tuple[str, ...], purge: bool, empty_trash: bool, older_than: str | None, yes: bool, as_json: bool
) -> None:
    """Move words (a name) or versions (name@3) to the trash; `tireg restore` brings them back.

    Nothing is deleted for good unless --purge or --empty-trash says so; even then the files stay until `tireg gc`.

    \b
    Examples:
      tireg remove gnome@2
      tireg remove gnome --purge
      tireg remove --empty-trash --older-than 30d --yes
    """
    if empty_trash == bool(references):
        raise InvalidInput("name what to remove, or use --empty-trash", "tireg remove gnome@2")
    if purge and empty_trash:
        raise InvalidInput("--purge belongs to named words; --empty-trash deletes all", "leave --purge out")
    if older_than and not empty_trash:
        raise InvalidInput("--older-than belongs to --empty-trash", "tireg remove --empty-trash --older-than 30d")
    references = tuple(dict.fromkeys(references))
    with Registry.open() as registry:
        if empty_trash:
            items = registry.trash()
            if items:
                confirm(f"delete for good {count(len(items), 'thing')} in the trash?", yes=yes)
            done = registry.purge(older_than=forms.seconds_of(older_than) if older_than else None)
        else:
            if purge:
                confirm(f"delete {', '.join(references)} for good?", yes=yes)
            with all_or_nothing(registry, references, "removed"):
                if not purge:  # what is wrong with one is said of what was there, not of what the others left
                    for reference in references:
                        _look(registry, Reference.parse(reference))
                done = [_remove(registry, reference, purge=purge) for reference in references]
    if as_json:
        emit_json({"removed": done, "purged": purge or empty_trash})
    elif done:
        emit("\n".join(done))
    if empty_trash and not done:
        hint("the trash holds nothing older" if older_than else "the trash is empty")
    elif purge or empty_trash:
        say(f"deleted {count(len(done), 'thing')} for good · tireg gc --apply frees the space")
    else:
        hint(f"in the trash · tireg restore {done[0]} brings it back")


def _look(registry: Registry, reference: Reference) -> None:
    if reference.selects_latest:
        registry.concept(reference.name)
    else:
        registry.version(reference)


def _remove(registry: Registry, reference: str, *, purge: bool) -> str:
    try:
        removed = registry.remove(reference)
    except NotFound:
        if not purge:
            raise
        removed = reference  # it may lie in the trash already
    if purge:
        removed = registry.purge([removed])[0]
    return removed
