"""What vectors are like beside a vocabulary: their norms, and the words that lie nearest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tiregistry.embeddings.embedding import Embedding, Matrix
from tiregistry.embeddings.families import base_role

TYPICAL_NORM = {("clip_l", 768): 0.4}
"""Mean norm of a vocabulary's rows by encoder and width, for when no base model is at hand.

CLIP-L's is told by kunheek/dti and by tkalayci71/embedding-inspector (0.3 to 0.4); for other encoders nobody tells it.
"""
_BLOCK = 8192
_INSPECTED = 8


class Vocabulary:
    """One text encoder's words.

    Args:
        base_name: the base model it belongs to.
        words: a word per row of `table`; empty text for rows that are no whole word. May be shorter than the table.
        table: token embeddings `[num_words, dim]` as float32 or float16, or bfloat16 as 16-bit integers. It may be
            mapped from a file: only a few thousand rows at a time are widened to float32.
    """

    def __init__(self, base_name: str, words: Sequence[str], table: npt.NDArray[Any]) -> None:
        self.base_name = base_name
        self.words = words
        self.table = table
        self._norms: npt.NDArray[np.float32] | None = None

    @property
    def dim(self) -> int:
        """Width of a row."""
        return int(self.table.shape[1])

    @property
    def norms(self) -> npt.NDArray[np.float32]:
        """The norm of each row, float32 `[num_words]`."""
        if self._norms is None:
            self._norms = np.concatenate([np.linalg.norm(rows, axis=1) for rows in self._blocks()])
        return self._norms

    def mean_norm(self) -> float:
        """Mean norm of a row."""
        return float(self.norms.mean())

    def nearest(self, vectors: Matrix, count: int = 5) -> tuple[tuple[tuple[str, float], ...], ...]:
        """The whole words whose token embeddings point most in the direction of each vector.

        Args:
            vectors: float32 `[num_vectors, dim]`.
            count: how many words per vector.

        Returns:
            Per vector the words with their cosine similarity, best first.
        """
        if not any(self.words):
            return ()
        directions = (vectors / np.maximum(lengths(vectors)[:, None], 1e-12)).astype(np.float32)
        cosine = np.concatenate([rows @ directions.T for rows in self._blocks()])
        cosine /= np.maximum(self.norms[:, None], 1e-12)
        return tuple(self._words(column, count) for column in cosine.T)

    def rows(self, indices: Sequence[int]) -> Matrix:
        """Some rows of the table, float32 `[len(indices), dim]`."""
        return _widened(self.table[list(indices)])

    def _words(self, cosine: npt.NDArray[np.float32], count: int) -> tuple[tuple[str, float], ...]:
        found: list[tuple[str, float]] = []
        for index in np.argsort(-cosine)[: 20 * count]:
            if index < len(self.words) and (word := self.words[int(index)]):
                found.append((word, float(cosine[index])))
                if len(found) == count:
                    break
        return tuple(found)

    def _blocks(self) -> Iterator[Matrix]:
        """The rows as float32, a few thousand at a time."""
        for start in range(0, len(self.table), _BLOCK):
            yield _widened(self.table[start : start + _BLOCK])


def lengths(vectors: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """The norm of each row of `[num_vectors, dim]`; also where its square is more than a float32 holds."""
    norms: npt.NDArray[np.float64] = np.linalg.norm(vectors.astype(np.float64), axis=-1)
    return norms


def _widened(rows: npt.NDArray[Any]) -> Matrix:
    if rows.dtype == np.uint16:  # bfloat16: the upper half of a float32
        return (rows.astype(np.uint32) << 16).view(np.float32)
    return rows.astype(np.float32)


@dataclass(frozen=True, slots=True)
class Inspection:
    """One encoder's vectors beside its vocabulary.

    Attributes:
        encoder: role.
        norms: norm of each vector.
        base_name, vocabulary_norm: the vocabulary compared with, and the mean norm of its rows; empty and None when no
            base model of this width was at hand.
        typical_norm: what that mean usually is for this encoder, where it is known.
        nearest: per vector, the nearest words with their cosine similarity, best first.
    """

    encoder: str
    norms: tuple[float, ...]
    base_name: str = ""
    vocabulary_norm: float | None = None
    typical_norm: float | None = None
    nearest: tuple[tuple[tuple[str, float], ...], ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """JSON data."""
        return {
            "norms": [round(norm, 4) for norm in self.norms],
            "base": self.base_name,
            "vocabulary_norm": None if self.vocabulary_norm is None else round(self.vocabulary_norm, 4),
            "typical_norm": self.typical_norm,
            "nearest": [[{"word": w, "cosine": round(c, 4)} for w, c in words] for words in self.nearest],
        }


def inspect_encoder(embedding: Embedding, encoder: str, vocabulary: Vocabulary | None, count: int = 5) -> Inspection:
    """Compare one encoder's vectors with a vocabulary of the same width; without one, only the norms are given."""
    vectors = embedding.tensors[encoder]
    norms = tuple(float(norm) for norm in lengths(vectors))
    typical = TYPICAL_NORM.get((base_role(encoder), vectors.shape[1]))
    if vocabulary is None or vocabulary.dim != vectors.shape[1]:
        return Inspection(encoder, norms, typical_norm=typical)
    nearest = vocabulary.nearest(vectors[:_INSPECTED], count)
    return Inspection(encoder, norms, vocabulary.base_name, vocabulary.mean_norm(), typical, nearest)
