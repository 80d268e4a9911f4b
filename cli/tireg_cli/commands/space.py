"""`tireg space`: where a word lives."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tireg_cli.messages import hint, warn
from tireg_cli.output import emit, emit_fields, emit_json, emit_table
from tireg_cli.paths import PathParam
from tiregistry.errors import InvalidInput
from tiregistry.evaluation.space import ROUNDING
from tiregistry.registry.registry import Registry

if TYPE_CHECKING:
    from tiregistry.evaluation.space import Neighbours, Relative, Space, VectorPlace
    from tiregistry.evaluation.space_map import SpaceMap


@click.command("space")
@click.argument("reference", metavar="REF", required=False, default="")
@click.option(
    "--nearest", "count", type=click.IntRange(1, 50), default=5, show_default=True, help="Neighbours of each vector."
)
@click.option("--outputs", is_flag=True, help="Also neighbours behind the text encoder; encodes the whole vocabulary.")
@click.option("--picture", type=PathParam(), metavar="FILE", help="Save a map of the neighbourhood.")
@click.option("--show", is_flag=True, help="Draw the map in the terminal.")
@click.option("--duplicates", is_flag=True, help="Instead of one word: all pairs of words that are nearly the same.")
@click.option("--above", type=click.FloatRange(-1, 1), default=0.98, show_default=True, help="Cosine for --duplicates.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(
    reference: str,
    count: int,
    outputs: bool,
    picture: Path | None,
    show: bool,
    duplicates: bool,
    above: float,
    as_json: bool,
) -> None:
    """Show where a word lives: length, neighbours in the vocabulary, initializer, its versions, similar words.

    Lengths are compared with the vocabulary's: a vector far beyond them may drown the rest of a prompt. Neighbours
    are by cosine of token embeddings, with --outputs also of what the text encoder makes of each word.

    \b
    Examples:
      tireg space gnome
      tireg space gnome --outputs --picture map.png --show
      tireg space --duplicates
    """
    if bool(reference) == duplicates:
        raise InvalidInput("name a word, or ask for --duplicates", "tireg space gnome")
    if picture is not None:
        from tireg_cli.evaluation import check_file

        check_file(picture)
    with Registry.open() as registry:
        if duplicates:
            _duplicates(registry, above, as_json=as_json)
            return
        from tireg_cli.bar import CountingBar
        from tiregistry.evaluation.space import analyse

        with CountingBar("encoding the vocabulary") as bar:
            space = analyse(registry, registry.version(reference), count=count, outputs=outputs, progress=bar)
        for note in space.notes:
            warn(note)
        if as_json:
            emit_json(_document(space))
        else:
            _print(space)
        if picture is not None or show:
            from tiregistry.evaluation.space_map import SpaceMap
            from tiregistry.generation.metadata import save_image

            drawn = SpaceMap(registry, space)
            if picture is not None:
                save_image(drawn.picture(), picture)
                hint(f"map: {picture}")
            if show:
                _draw(drawn)


def _duplicates(registry: Registry, above: float, *, as_json: bool) -> None:
    from tireg_cli.bar import CountingBar
    from tiregistry.evaluation.space import duplicates

    with CountingBar("comparing", lines_every=10) as bar:
        found = duplicates(registry, above, bar)
    if as_json:
        emit_json([{"first": a, "second": b, "cosine": cosine} for a, b, cosine in found])
        return
    emit_table(["FIRST", "SECOND", "COSINE"], [[a, b, f"{cosine:.4f}"] for a, b, cosine in found])
    if not found:
        hint(f"no two words have a cosine of {above:g} or more")


def _print(space: Space) -> None:
    version = space.version
    norms = [
        f"{encoder}: all words {mean:.3f}"
        if high - low <= mean * ROUNDING
        else f"{encoder}: mean {mean:.3f}, nine of ten from {low:.3f} to {high:.3f}"
        for encoder, (mean, low, high) in space.vocabulary.items()
    ]
    same = [r for r in space.relatives if r.is_same_concept]
    others = [r for r in space.relatives if not r.is_same_concept][:5]
    emit_fields(
        {
            "word": version.reference,
            "vocabulary": space.base_name,
            "norms there": "; ".join(norms),
            "versions": _relatives(same[:5]),
            "other words": _relatives(others),
            "nearly the same": ", ".join(r.reference for r in space.duplicates),
        }
    )
    emit("")
    rows = []
    for place in space.vectors:
        where = _length(place, space)
        start = "" if place.to_initializer is None else f"{place.initializer} {place.to_initializer:.3f}"
        rows.append(
            [
                f"{place.encoder}[{place.number + 1}]",
                f"{place.norm:.3f}{where}",
                start,
                _words(place.nearest),
                _words(place.nearest_outputs),
            ]
        )
    headers = ["VECTOR", "NORM", "INITIALIZER", "NEAREST", "NEAREST OUTPUTS"]
    if not any(place.nearest_outputs for place in space.vectors):
        headers, rows = headers[:-1], [row[:-1] for row in rows]
    emit_table(headers, rows)


def _length(place: VectorPlace, space: Space) -> str:
    """How a vector's length compares with the vocabulary's."""
    if place.percentile is None:
        return ""
    mean, low, high = space.vocabulary[place.encoder]
    if high - low <= mean * ROUNDING and abs(place.norm - mean) <= mean * ROUNDING:
        return " (as all words)"
    return f" (longer than {place.percentile:.0%})"


def _words(neighbours: Neighbours) -> str:
    return " ".join(f"{word} {cosine:.2f}" for word, cosine in neighbours)


def _relatives(relatives: list[Relative]) -> str:
    return ", ".join(f"{r.reference} {r.cosine:.3f} ({r.degrees:.0f}°)" for r in relatives)


def _draw(drawn: SpaceMap) -> None:
    from tireg_cli.pictures import show_picture, this_terminal

    if this_terminal().has_pixels:
        show_picture(drawn.picture())
        return
    # Half blocks are too coarse for labels; letters are not.
    size = shutil.get_terminal_size((80, 24))
    for line in drawn.text(max(20, size.columns - 1), max(8, size.lines - 4)):
        hint(line)


def _document(space: Space) -> dict[str, object]:
    def neighbours(found: Neighbours) -> list[dict[str, object]]:
        return [{"word": word, "cosine": cosine} for word, cosine in found]

    return {
        "reference": space.version.reference,
        "base": space.base_name,
        "vocabulary_norms": {
            encoder: {"mean": mean, "percentile_5": low, "percentile_95": high}
            for encoder, (mean, low, high) in space.vocabulary.items()
        },
        "vectors": [
            asdict(place) | {"nearest": neighbours(place.nearest), "nearest_outputs": neighbours(place.nearest_outputs)}
            for place in space.vectors
        ],
        "relatives": [
            asdict(r) | {"degrees": r.degrees, "near_duplicate": r.is_near_duplicate} for r in space.relatives
        ],
    }
