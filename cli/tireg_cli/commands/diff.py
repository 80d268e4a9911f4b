"""`tireg diff`: what distinguishes two versions."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from tireg_cli import forms
from tireg_cli.messages import hint
from tireg_cli.output import emit_json, emit_table, emit_wrapped
from tiregistry.references import DIGEST
from tiregistry.registry.registry import Registry

if TYPE_CHECKING:
    from tiregistry.concepts import Measurement
    from tiregistry.registry.difference import Difference, TensorDistance


@click.command("diff")
@click.argument("a", metavar="REF")
@click.argument("b", metavar="REF")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(a: str, b: str, as_json: bool) -> None:
    """Compare two versions: configuration, images, base model, distance of the vectors, scores.

    \b
    Examples:
      tireg diff gnome@2 gnome@best
      tireg diff gnome dwarf --json
    """
    with Registry.open() as registry:
        difference = registry.diff(a, b)
        if as_json:
            emit_json(_data(difference))
            return
        names = {
            digest: registry.reference_of(digest)
            for change in difference.changes
            if change.what in _NAMING_VERSIONS
            for digest in DIGEST.findall(f"{change.a} {change.b}")
        }
    if difference.same_version:
        hint(f"{difference.a.reference} and {difference.b.reference} are the same version")
    settings = [forms.settings_line(each.training) for each in (difference.a, difference.b)]
    # Where only one was trained here, its whole configuration differs: one line says as much as forty.
    changes = [c for c in difference.changes if all(settings) or not c.what.startswith("training.")]
    rows: list[list[object]] = [
        [c.what, *(DIGEST.sub(lambda found: names.get(found[0], found[0]), _text(each)) for each in (c.a, c.b))]
        for c in changes
    ]
    if any(settings) and not all(settings):
        rows.append(["training", *(line or "–" for line in settings)])
    rows += [["image", forms.image_line(image), "–"] for image in difference.images_only_a]
    rows += [["image", "–", forms.image_line(image)] for image in difference.images_only_b]
    rows += [[f"caption of {c.what}", c.a, c.b] for c in difference.captions]
    rows += [[f"{c.what}{_VERDICTS[c.is_clear]}", _value(c.a), _value(c.b)] for c in difference.scores]
    if rows:
        emit_table(["WHAT", difference.a.reference, difference.b.reference], rows)
    for tensor in difference.tensors:
        emit_wrapped(_tensor_line(tensor), "  ")


_NAMING_VERSIONS = ("parents", "training.initializer")


def _text(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, list):
        return ", ".join(map(_text, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


_VERDICTS = {None: "", True: " · clearly apart", False: " · within the noise"}
"""What the intervals of two measured values say about their difference."""


def _value(measured: Measurement | None) -> str:
    return "–" if measured is None else forms.value_text(measured)


def _tensor_line(tensor: TensorDistance) -> str:
    if tensor.shape_a is None or tensor.shape_b is None:
        return f"{tensor.encoder}: only one of the two has vectors for this encoder"
    if not tensor.cosines:
        return f"{tensor.encoder}: vectors of {tensor.shape_a[1]} and {tensor.shape_b[1]} dimensions"
    if tensor.distance == 0:
        return f"{tensor.encoder}: the same vectors"
    cosines = ", ".join(f"{value:.4f}" for value in tensor.cosines)
    distance = f"distance {tensor.distance:.4g}, " if tensor.distance is not None else ""
    counts = "" if tensor.shape_a == tensor.shape_b else f"{tensor.shape_a[0]} against {tensor.shape_b[0]} vectors, "
    return f"{tensor.encoder}: {counts}{distance}cosine {cosines}"


def _data(difference: Difference) -> dict[str, Any]:
    return {
        "a": difference.a.reference,
        "b": difference.b.reference,
        "same_version": difference.same_version,
        "same_vectors": difference.same_vectors,
        "changes": [asdict(change) for change in difference.changes],
        "images": {
            "common": difference.images_common,
            "only_a": [asdict(image) for image in difference.images_only_a],
            "only_b": [asdict(image) for image in difference.images_only_b],
            "captions": [asdict(change) for change in difference.captions],
        },
        "tensors": [asdict(tensor) for tensor in difference.tensors],
        "scores": [
            {
                "what": change.what,
                "a": change.a and forms.measurement_data(change.a),
                "b": change.b and forms.measurement_data(change.b),
                "clearly_apart": change.is_clear,
            }
            for change in difference.scores
        ],
    }
