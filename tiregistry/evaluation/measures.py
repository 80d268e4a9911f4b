"""The paper's two measures of a word, from features of pictures and texts (Gal et al. 2022, section 5.1)."""

from __future__ import annotations

from typing import Any

import numpy as np

from tiregistry.evaluation.intervals import Values

Features = np.ndarray[Any, np.dtype[np.float32]]
"""Float32 `[n, dim]`, each row of length 1."""

IMAGE, TEXT, DINO, SCORE = "image_alignment", "text_alignment", "dino_image_alignment", "score"
"""Names of measures, as the registry keeps them."""


_COSINE = (-1.0, 1.0)
RANGES = {IMAGE: _COSINE, TEXT: _COSINE, DINO: _COSINE, SCORE: (0.0, 1.0)}
"""The lowest and the highest value that each measure can have."""


def unit(features: Any) -> Features:
    """Rows scaled to length 1 (a zero row stays zero)."""
    rows = np.asarray(features, dtype=np.float32)
    scaled: Features = rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-12)
    return scaled


def image_alignment(made: Features, sources: Features) -> Values:
    """Per generated picture `[n]`: its mean cosine with all source pictures.

    Their mean is the mean of all pairs, the paper's measure of reconstruction.
    """
    cosines: Values = made.astype(np.float64) @ sources.astype(np.float64).T
    means: Values = cosines.mean(axis=1)
    return means


def text_alignment(made: Features, text: Features) -> Values:
    """Per generated picture `[n]`: its cosine with the text `[1, dim]`, the paper's measure of editability."""
    cosines: Values = made.astype(np.float64) @ text.astype(np.float64).reshape(-1)
    return cosines


def score(image: Values, text: Values) -> Values:
    """One number for ranking: the geometric mean of both alignments, 0 where one of them is negative.

    Its order does not depend on the scale of either (text cosines of CLIP are about a third of its image cosines): one
    per cent more of the one weighs as much as one per cent more of the other.
    """
    mean: Values = np.sqrt(np.maximum(image, 0.0) * np.maximum(text, 0.0))
    return mean
