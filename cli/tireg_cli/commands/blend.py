"""`tireg blend`: a new word between two words."""

from __future__ import annotations

import click

from tireg_cli import forms
from tireg_cli.messages import hint, warn
from tireg_cli.output import emit, emit_json
from tiregistry.registry.registry import Registry


@click.command("blend")
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@click.option("--at", type=float, default=0.5, show_default=True, help="How far from A (0) to B (1).")
@click.option("--linear", is_flag=True, help="Along the straight line instead of the arc between the directions.")
@click.option("--name", default="", help="Of the concept it belongs to. [default: A-B]")
@click.option("--token", default="", help="Placeholder token of a new concept. [default: <NAME>]")
@click.option("--type", "concept_type", type=click.Choice(("object", "style")), help="Of a new concept. Default: A's.")
@click.option("--allow-compatible", is_flag=True, help="Also words of different models with the same vocabulary.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(
    first: str,
    second: str,
    at: float,
    linear: bool,
    name: str,
    token: str,
    concept_type: str | None,
    allow_compatible: bool,
    as_json: bool,
) -> None:
    """Mix two words into a new version, which has both as its parents.

    Each vector is turned from A's direction towards B's, and its length goes in a straight line. Both words need the
    same base model and the same number of vectors. To see the way from A to B without keeping anything:
    tireg gen "a photo of a <>" --blend A B --grid strip.png

    \b
    Examples:
      tireg blend gnome imp --at 0.3
      tireg blend gnome@1 gnome@4 --name gnome-mix
    """
    from tiregistry.evaluation.blending import blend

    with Registry.open() as registry:
        version, notes = blend(
            registry,
            first,
            second,
            at,
            name=name,
            placeholder_token=token,
            concept_type=concept_type,  # type: ignore[arg-type]
            linear=linear,
            allow_compatible=allow_compatible,
        )
        for note in notes:
            warn(note)
        if as_json:
            emit_json(forms.version_data(version) | {"record": version.record()})
            return
        emit(version.reference)
        parents = " ".join(ancestor.reference for ancestor in registry.ancestors(version))
        hint(f'the way from one to the other: tireg gen "a photo of a <>" --blend {parents} --grid strip.png')
