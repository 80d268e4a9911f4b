"""A word between two words: each vector turned along the arc between the two directions, or on the straight line."""

from __future__ import annotations

import numpy as np

from tiregistry.embeddings.embedding import Embedding
from tiregistry.errors import WrongBaseModel


def mix(first: Embedding, second: Embedding, at: float, *, linear: bool = False) -> Embedding:
    """A word between two words.

    Each vector is turned along the arc between the two directions (slerp: Shoemake 1985), its length goes in a straight
    line: the encoder reads the direction, and a straight line through the middle would shorten the vector.

    Args:
        at: from `first` (0) to `second` (1).
        linear: the straight line all the same.

    Raises:
        WrongBaseModel: the two have vectors of different encoders, numbers or widths.
    """
    if at in (0, 1):
        return second if at else first
    if first.tensors.keys() != second.tensors.keys():
        raise WrongBaseModel(
            f"words for {', '.join(first.tensors)} and for {', '.join(second.tensors)} cannot be mixed",
            "mix words that were learned on the same base model",
        )
    tensors = {}
    for role, a in first.tensors.items():
        b = second.tensors[role]
        if a.shape[1] != b.shape[1]:
            raise WrongBaseModel(
                f"vectors of width {a.shape[1]} and {b.shape[1]} cannot be mixed",
                "mix words that were learned on the same base model",
            )
        if a.shape != b.shape:
            raise WrongBaseModel(
                f"words of {len(a)} and {len(b)} vectors cannot be mixed",
                "mix words with the same number of vectors, learned on the same base model",
            )
        tensors[role] = (1 - at) * a + at * b if linear else _turned(a, b, at)
    return Embedding(tensors)


def _turned(a: np.ndarray, b: np.ndarray, at: float) -> np.ndarray:
    length_a = np.linalg.norm(a, axis=-1, keepdims=True)
    length_b = np.linalg.norm(b, axis=-1, keepdims=True)
    unit_a, unit_b = a / np.maximum(length_a, 1e-12), b / np.maximum(length_b, 1e-12)
    angle = np.arccos(np.clip((unit_a * unit_b).sum(-1, keepdims=True), -1, 1))
    sine = np.sin(angle)
    # Nearly the same or opposite directions have no unique arc: there the straight line is as good.
    flat = sine < 1e-4
    safe_sine = np.where(flat, 1, sine)
    from_a = np.where(flat, 1 - at, np.sin((1 - at) * angle) / safe_sine)
    from_b = np.where(flat, at, np.sin(at * angle) / safe_sine)
    turned: np.ndarray = (from_a * unit_a + from_b * unit_b) * ((1 - at) * length_a + at * length_b)
    return turned
