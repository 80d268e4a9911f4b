"""All pairs of many words that are nearly the same: matrix products of whole groups instead of one pair at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tiregistry.embeddings.embedding import Embedding
from tiregistry.progress import Progress

_MOST_COSINES = 8_000_000  # of one product: 32 MB
_ROUNDED = 1e-5
"""How far a cosine computed in float32 may lie from the exact one."""


def similar_pairs(
    embeddings: Sequence[Embedding], at_least: float, progress: Progress | None = None
) -> Iterator[tuple[int, int]]:
    """Pairs of positions `(a, b)`, a before b, whose similarity may be `at_least`; none that is so is left out.

    Computed in float32: the exact similarity of what comes decides.

    Args:
        embeddings: the words' vectors.
        at_least: the smallest similarity (mean cosine over all encoders that two words have in common).
        progress: called with how many words were compared with all others, of how many.
    """
    groups = _groups(embeddings)
    done = 0
    for number, (shapes, members, units) in enumerate(groups):
        others = groups[number:]
        rows = max(count for count, _ in shapes.values())
        most = max(len(its) * rows * max(count for count, _ in other.values()) for other, its, _ in others)
        step = max(1, _MOST_COSINES // most)
        for start in range(0, len(members), step):
            part = slice(start, start + step)
            for other, its, their_units in others:
                common = [e for e in shapes if e in other and shapes[e][1] == other[e][1]]
                if common:
                    means = [_similarities(units[e][part], their_units[e]) for e in common]
                    near = np.mean(means, axis=0) >= at_least - _ROUNDED
                    for row, column in np.argwhere(near):
                        a, b = members[start + row], its[column]
                        if a < b or its is not members:
                            yield min(a, b), max(a, b)
            done += len(members[part])
            if progress:
                progress(done, len(embeddings), "words")


def _groups(embeddings: Sequence[Embedding]) -> list[tuple[dict[str, tuple[int, int]], list[int], dict[str, Any]]]:
    """Words of the same shapes: shape per encoder, their positions, unit vectors per encoder `[words, rows, dim]`."""
    positions: dict[tuple[tuple[str, int, int], ...], list[int]] = {}
    for position, embedding in enumerate(embeddings):
        shape = tuple((encoder, *embedding.tensors[encoder].shape) for encoder in sorted(embedding.tensors))
        positions.setdefault(shape, []).append(position)
    return [
        (
            {encoder: (rows, dim) for encoder, rows, dim in shape},
            members,
            {
                encoder: _units(np.stack([embeddings[position].tensors[encoder] for position in members]))
                for encoder, _, _ in shape
            },
        )
        for shape, members in positions.items()
    ]


def _units(vectors: Any) -> Any:
    wide = vectors.astype(np.float64)
    return (wide / np.maximum(np.linalg.norm(wide, axis=-1, keepdims=True), 1e-12)).astype(np.float32)


def _similarities(a: Any, b: Any) -> Any:
    """Similarity of each word of `a` `[n, rows, dim]` with each of `b`, `[n, m]`: see `space.similarity`."""
    if a.shape[1] == b.shape[1]:  # row by row: the mean of the products of rows at the same place
        return a.reshape(len(a), -1) @ b.reshape(len(b), -1).T / a.shape[1]
    cosines = a.reshape(-1, a.shape[2]) @ b.reshape(-1, b.shape[2]).T
    table = cosines.reshape(len(a), a.shape[1], len(b), b.shape[1])
    return (table.max(axis=1).mean(axis=-1) + table.max(axis=3).mean(axis=1)) / 2
