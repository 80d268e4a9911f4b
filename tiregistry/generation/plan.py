"""From requests to pictures one by one: expanding prompts, filling `<>`, and where each picture lies in a grid."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

from tiregistry.errors import InvalidInput, InvalidPrompt, InvalidReference
from tiregistry.generation.grammar import parse_tree
from tiregistry.generation.requests import MAX_PICTURES, PictureRequest
from tiregistry.generation.templates import Wildcards, expand, fill_holes
from tiregistry.references import Reference

if TYPE_CHECKING:
    from PIL.Image import Image

    from tiregistry.registry.registry import Registry


@dataclass(frozen=True, slots=True)
class Variant:
    """One prompt to make pictures of.

    Attributes:
        prompt: without alternatives, wildcards and holes.
        template: the prompt before its holes were filled; the label of its row in a grid.
        word: what its holes were filled with, or empty.
    """

    prompt: str
    template: str
    word: str = ""


def variants_of(request: PictureRequest, wildcards: Wildcards, words: Sequence[str] = ()) -> list[Variant]:
    """The prompts a request stands for: alternatives expanded, then `<>` filled with each of `words`.

    Raises:
        InvalidPrompt: the prompt is empty, it or a wildcard is wrong, or it has no `<>` for the words.
        FileMissing: there is no such wildcard file.
        InvalidInput: there are too many.
    """
    if not request.prompt.strip():
        # Nearly always a variable that was empty.
        raise InvalidPrompt("the prompt is empty", "() is the prompt that says nothing, for a picture of anything")
    templates = expand(request.prompt, wildcards, sample=request.sample, seed=request.seed)
    # White space that alternatives leave at the ends says nothing.
    templates = [template.strip() for template in templates]
    if not words:
        found = [Variant(template, template) for template in templates]
    else:
        found = [Variant(fill_holes(template, word), template, word) for template in templates for word in words]
    if len(found) * request.count > MAX_PICTURES:
        raise InvalidInput(
            f"{len(found)} prompts with {request.count} pictures each are more than {MAX_PICTURES:,}",
            "choose some with --random 20",
        )
    for variant in found:
        parse_tree(variant.prompt)
    return found


def split_words(registry: Registry, text: str) -> list[str]:
    """The words of a list such as `gnome,imp@2`; `gnome@*` stands for all versions of gnome, oldest first.

    Raises:
        InvalidReference: an entry is empty.
        ConceptNotFound: `name@*` of an unknown concept.
    """
    words: list[str] = []
    for entry in (part.strip().removeprefix("<").removesuffix(">") for part in text.split(",")):
        if not entry:
            raise InvalidReference(f"{text!r} has an empty entry", "write --words gnome,imp@2")
        if entry.endswith("@*"):
            concept = registry.concept(Reference.parse(entry[:-2]).name)
            words += [f"{concept.name}@{version.number}" for version in concept.versions]
        else:
            words.append(entry)
    return words


def blend_words(first: str, second: str, frames: int) -> list[str]:
    """`frames` words from `first` to `second`, evenly spaced, both ends included.

    Raises:
        InvalidInput: fewer than two frames.
    """
    if not 2 <= frames <= 1000:
        raise InvalidInput(f"{frames} frames are out of range", "from 2 to 1000")
    first, second = (word.strip().removeprefix("<").removesuffix(">") for word in (first, second))
    return [f"{first}~{second}~{round(i / (frames - 1), 4):g}" for i in range(frames)]


@dataclass(frozen=True, slots=True)
class Cell:
    """A picture's place among others."""

    template: str
    word: str
    seed: int
    image: Image


def arrange(cells: Sequence[Cell], *, is_blend: bool = False) -> tuple[list[list[Image | None]], list[str], list[str]]:
    """Rows of pictures with row and column labels: what varies first goes down, the rest across.

    Prompts go before words, words before seeds.

    Args:
        is_blend: the words are those of `blend_words`: seeds go before them, so that they are read from left to right,
            and they are labelled by how far they are.
    """
    keys = [
        [cell.template for cell in cells],
        [cell.word for cell in cells],
        [f"seed {cell.seed}" for cell in cells],
    ]
    if is_blend:
        keys[1], keys[2] = keys[2], keys[1]
    axes = [list(dict.fromkeys(key)) for key in keys]
    down = next((i for i in range(2) if len(axes[i]) > 1 and any(len(a) > 1 for a in axes[i + 1 :])), None)
    if down is None:
        down = 0  # one thing varies: prompts go down, everything else across
    across = [i for i in range(3) if i != down and len(axes[i]) > 1]
    columns = list(product(*(axes[i] for i in across)))
    place = {(keys[down][n], tuple(keys[i][n] for i in across)): cell.image for n, cell in enumerate(cells)}
    rows = [[place.get((row, column)) for column in columns] for row in axes[down]]
    label: Sequence[Callable[[str], str]] = (str, str, _frame if is_blend else str)
    row_labels = list(map(label[down], axes[down])) if len(axes[down]) > 1 or not across else []
    named = [" · ".join(label[i](key) for i, key in zip(across, column, strict=True)) for column in columns]
    return rows, row_labels, named if across else []


def _frame(word: str) -> str:
    """A frame of a blend: `gnome`, `20 % imp`, …, `imp`."""
    parts = word.split("~")
    if len(parts) != 3:
        return word
    first, second, at = parts
    return {"0": first, "1": second}.get(at, f"{100 * float(at):.4g} % {second}")
