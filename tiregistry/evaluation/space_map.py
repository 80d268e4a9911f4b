"""A word among its neighbours in two dimensions, as marks for a picture or for a terminal of letters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tiregistry.evaluation.space import Space, VectorPlace, vocabularies
from tiregistry.graphics.scatter import Mark, Shape, scatter

if TYPE_CHECKING:
    from PIL.Image import Image

    from tiregistry.embeddings.inspection import Vocabulary
    from tiregistry.registry.registry import Registry

MOST_NEIGHBOURS = 24
MOST_RELATIVES = 8
WORD, VOCABULARY, INITIALIZER, VERSION, OTHER = 1, 4, 2, 0, 3
"""Colours by what a mark is."""
_SHAPES: dict[int, Shape] = {WORD: "star", VOCABULARY: "dot", INITIALIZER: "square", VERSION: "ring", OTHER: "ring"}


class _Point(NamedTuple):
    """What becomes a mark: a vector `[dim]`, what it is called and what it is."""

    vector: Any
    label: str
    color: int


class SpaceMap:
    """The places of a word's vectors, their neighbours, initializer and relatives in the plane that spreads them most.

    Directions (vectors of length 1) of the first encoder are projected on their first two principal components; a word
    of several vectors has a mark for each. `shown` says how much of the spread the plane holds: distances on the map
    are no better than that.
    """

    def __init__(self, registry: Registry, space: Space) -> None:
        version = space.version
        self.title = f"{version.reference} among its neighbours"
        encoder = version.encoders[0].encoder
        own = registry.embedding(version).tensors[encoder]
        vocabulary = vocabularies(registry, version).get(encoder)
        places = [place for place in space.vectors if place.encoder == encoder]
        starts, near = ([], []) if vocabulary is None else _vocabulary(vocabulary, places, own)
        points = [*_of_word(version.reference, own, WORD), *starts, *near, *_relatives(registry, space, encoder, own)]
        flat, self.shown = _plane(np.stack([point.vector for point in points]))
        self.marks = [
            Mark(float(x), float(y), point.label, point.color, _SHAPES[point.color])
            for (x, y), point in zip(flat, points, strict=True)
        ]
        numbers = {point.label: len(own) + number for number, point in enumerate(starts)}
        self.lines = [(n, numbers[place.initializer]) for n, place in enumerate(places) if place.initializer in numbers]

    def picture(self) -> Image:
        """RGB: the word a star, vocabulary words dots, the initializer a square, other words and versions rings."""
        title = f"{self.title} · the plane holds {self.shown:.0%} of their spread"
        return scatter(self.marks, title=title, lines=self.lines, square=True)

    def text(self, columns: int, rows: int) -> list[str]:
        """In letters: `*` the word, `.` vocabulary, `#` initializer, `o` other words; labels where they fit."""
        signs = {WORD: "*", VOCABULARY: ".", INITIALIZER: "#", VERSION: "o", OTHER: "o"}
        grid = [[" "] * columns for _ in range(rows)]
        xs, ys = [m.x for m in self.marks], [m.y for m in self.marks]
        wide, high = (max(xs) - min(xs)) or 1.0, (max(ys) - min(ys)) or 1.0
        room = max(1, columns - 12)
        spots = [
            (round((m.x - min(xs)) / wide * (room - 1)), round((max(ys) - m.y) / high * (rows - 1))) for m in self.marks
        ]
        # Where letters are few, learned words and the initializer matter more than the vocabulary around them.
        placed = sorted(zip(spots, self.marks, strict=True), key=lambda place: place[1].color == VOCABULARY)
        for (x, y), mark in placed:
            if grid[y][x] == " ":
                grid[y][x] = signs[mark.color]
        for (x, y), mark in placed:
            free = " " if mark.color == VOCABULARY else " ."
            text = mark.label[: columns - x - 1]
            # Beside its mark on the right, else on the left, else above or below it.
            for row, start in ((y, x + 1), (y, x - len(text)), (y - 1, x), (y + 1, x)):
                place = slice(start, start + len(text))
                if start >= 0 and 0 <= row < rows and all(cell in free for cell in grid[row][place]):
                    grid[row][place] = list(text)
                    break
        return ["".join(row).rstrip() for row in grid]


def _of_word(reference: str, vectors: Any, color: int) -> list[_Point]:
    """The vectors `[n, dim]` of a learned word, numbered where there are several."""
    if len(vectors) == 1:
        return [_Point(vectors[0], reference, color)]
    return [_Point(vector, f"{reference}[{number}]", color) for number, vector in enumerate(vectors, 1)]


def _vocabulary(vocabulary: Vocabulary, places: Sequence[VectorPlace], own: Any) -> tuple[list[_Point], list[_Point]]:
    """The vocabulary's words that the vectors `own` started from, and those that are near them now."""
    index = {word: number for number, word in enumerate(vocabulary.words) if word}
    starts = list(dict.fromkeys(place.initializer for place in places if place.initializer in index))
    told = [word for place in places for word, _ in (*place.nearest, *place.nearest_outputs)]
    found = [word for nearest in vocabulary.nearest(own[:4], 10) for word, _ in nearest]
    near = [word for word in dict.fromkeys([*told, *found]) if word in index and word not in starts]

    def points(words: Sequence[str], color: int) -> list[_Point]:
        return [_Point(vocabulary.rows([index[word]])[0], word, color) for word in words]

    return points(starts, INITIALIZER), points(near[:MOST_NEIGHBOURS], VOCABULARY)


def _relatives(registry: Registry, space: Space, encoder: str, own: Any) -> list[_Point]:
    """The nearest other words and versions that have vectors as long as `own` for the encoder."""
    points = []
    for relative in space.relatives[:MOST_RELATIVES]:
        other = registry.embedding(registry.version(relative.reference)).tensors.get(encoder)
        if other is not None and other.shape[1] == own.shape[1]:
            points += _of_word(relative.reference, other, VERSION if relative.is_same_concept else OTHER)
    return points


def _plane(rows: Any) -> tuple[Any, float]:
    """`[n, 2]` coordinates along the directions' first two principal components, and their share of the spread."""
    units = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    centred = (units - units.mean(axis=0)).astype(np.float64)
    left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    flat = np.zeros((len(rows), 2))
    count = min(2, len(sizes))
    flat[:, :count] = left[:, :count] * sizes[:count]
    total = float((sizes**2).sum())
    return flat, float((sizes[:2] ** 2).sum()) / total if total else 1.0
