"""What vectors are like beside a vocabulary: their norms, and the words that lie nearest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tiregistry.embeddings.embedding import Embedding, Matrix

TYPICAL_NORM = {("clip_l", 768): 0.4}
"""Mean length of a vocabulary's rows by encoder and width, for when no base model is at hand (from kunheek/dti)."""


@dataclass(frozen=True, slots=True, eq=False)
class Vocabulary:
    """One text encoder's words.

    Attributes:
        base_name: the base model it belongs to.
        words: a word per row of `table`; empty text for rows that are no whole word.
        table: float32 `[num_words, dim]`, the token embeddings.
    """

    base_name: str
    words: Sequence[str]
    table: Matrix

    @property
    def dim(self) -> int:
        return int(self.table.shape[1])

    def mean_norm(self) -> float:
        """Mean length of a row."""
        return float(np.linalg.norm(self.table, axis=1).mean())


@dataclass(frozen=True, slots=True)
class Inspection:
    """One encoder's vectors beside its vocabulary.

    Attributes:
        encoder: role.
        norms: length of each vector.
        base_name, vocabulary_norm: the vocabulary compared with, and the mean length of its rows; empty and None when
            no base model of this width was at hand.
        nearest: per vector, the nearest words with their cosine similarity, best first.
    """

    encoder: str
    norms: tuple[float, ...]
    base_name: str = ""
    vocabulary_norm: float | None = None
    nearest: tuple[tuple[tuple[str, float], ...], ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """JSON data."""
        return {
            "norms": [round(norm, 4) for norm in self.norms],
            "base": self.base_name,
            "vocabulary_norm": None if self.vocabulary_norm is None else round(self.vocabulary_norm, 4),
            "nearest": [[{"word": w, "cosine": round(c, 4)} for w, c in words] for words in self.nearest],
        }


def inspect_encoder(embedding: Embedding, encoder: str, vocabulary: Vocabulary | None, count: int = 5) -> Inspection:
    """Compare one encoder's vectors with a vocabulary of the same width; without one, only the norms are given."""
    vectors = embedding.tensors[encoder]
    norms = tuple(float(norm) for norm in np.linalg.norm(vectors, axis=1))
    if vocabulary is None or vocabulary.dim != vectors.shape[1]:
        return Inspection(encoder, norms)
    nearest = tuple(nearest_words(vector, vocabulary, count) for vector in vectors[:8])
    return Inspection(encoder, norms, vocabulary.base_name, vocabulary.mean_norm(), nearest)


def nearest_words(
    vector: np.ndarray[Any, np.dtype[np.float32]], vocabulary: Vocabulary, count: int = 5
) -> tuple[tuple[str, float], ...]:
    """The whole words whose token embeddings point most in the direction of `vector` `[dim]`, with their cosine."""
    lengths = np.linalg.norm(vocabulary.table, axis=1)
    cosine = vocabulary.table @ vector / np.maximum(lengths * float(np.linalg.norm(vector)), 1e-12)
    found: list[tuple[str, float]] = []
    for index in np.argsort(-cosine)[: 20 * count]:
        if word := vocabulary.words[int(index)]:
            found.append((word, float(cosine[index])))
            if len(found) == count:
                break
    return tuple(found)
