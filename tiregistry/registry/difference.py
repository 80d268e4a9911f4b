"""What distinguishes two versions: configuration, base model, images, vectors, scores."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tiregistry.concepts import Measurement, SourceImage, Version

if TYPE_CHECKING:
    from tiregistry.embeddings.embedding import Embedding


@dataclass(frozen=True, slots=True)
class Change:
    """One value that differs; None on a side that has no such value."""

    what: str
    a: Any
    b: Any


@dataclass(frozen=True, slots=True)
class ScoreChange:
    """One measured value that differs; None on a side where it was not measured in this way."""

    what: str
    """`Measurement.label`: measure, protocol and judge."""
    a: Measurement | None
    b: Measurement | None

    @property
    def is_clear(self) -> bool | None:
        """Whether the 95 % intervals are apart; None where that cannot be said."""
        return self.a.differs_clearly(self.b) if self.a and self.b else None


@dataclass(frozen=True, slots=True)
class TensorDistance:
    """How far the vectors of one text encoder are apart."""

    encoder: str
    shape_a: tuple[int, ...] | None
    """`[num_vectors, dim]`, or None when that version has no vectors for this encoder."""
    shape_b: tuple[int, ...] | None
    distance: float | None
    """Euclidean distance over all vectors; None when the shapes differ."""
    cosines: tuple[float, ...] = ()
    """Cosine similarity, vector by vector (as many as both have)."""
    norms_a: tuple[float, ...] = ()
    norms_b: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Difference:
    """What `tireg diff A B` shows."""

    a: Version
    b: Version
    changes: tuple[Change, ...]
    """Placeholder token, type, origin, base model and each training setting that differs."""
    images_only_a: tuple[SourceImage, ...]
    images_only_b: tuple[SourceImage, ...]
    captions: tuple[Change, ...]
    """Images that both have, with different captions."""
    images_common: int
    tensors: tuple[TensorDistance, ...]
    scores: tuple[ScoreChange, ...]
    same_vectors: bool
    same_version: bool


def compare(a: Version, b: Version, embedding_a: Embedding, embedding_b: Embedding) -> Difference:
    """Compare two versions, of one concept or of two."""
    pictures_a = {image.digest: image for image in a.images}
    pictures_b = {image.digest: image for image in b.images}
    common = [digest for digest in pictures_a if digest in pictures_b]
    return Difference(
        a=a,
        b=b,
        changes=tuple(_changes(_facts(a), _facts(b))),
        images_only_a=tuple(image for digest, image in pictures_a.items() if digest not in pictures_b),
        images_only_b=tuple(image for digest, image in pictures_b.items() if digest not in pictures_a),
        captions=tuple(
            Change(pictures_a[digest].filename, pictures_a[digest].caption, pictures_b[digest].caption)
            for digest in common
            if pictures_a[digest].caption != pictures_b[digest].caption
        ),
        images_common=len(common),
        tensors=tuple(_distances(embedding_a, embedding_b)),
        scores=tuple(_score_changes(a, b)),
        same_vectors=a.embedding_digest == b.embedding_digest,
        same_version=a.digest == b.digest,
    )


def _facts(version: Version) -> dict[str, Any]:
    """The comparable facts of a version, nested training settings flattened to `training.optimizer.lr`."""
    facts: dict[str, Any] = {
        "placeholder token": version.placeholder_token,
        "type": version.concept_type,
        "origin": version.origin,
        "base model": version.base_name or None,
        "parents": [f"{parent.relation} {parent.digest}" for parent in version.parents] or None,
    }
    if version.fingerprint:
        facts |= {f"base {key}": value or None for key, value in version.fingerprint.as_dict().items()}
    _flatten("training", version.manifest.get("training"), facts)
    return facts


def _flatten(prefix: str, value: Any, into: dict[str, Any]) -> None:
    if isinstance(value, Mapping):
        for key in sorted(value):
            _flatten(f"{prefix}.{key}", value[key], into)
    elif value is not None:
        into[prefix] = value


def _changes(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[Change]:
    keys = [*a, *(key for key in b if key not in a)]

    def text(value: Any) -> str:
        return json.dumps(value, sort_keys=True, default=str)  # 1 and 1.0, and [1] and (1,), are told apart as in JSON

    return [Change(key, a.get(key), b.get(key)) for key in keys if text(a.get(key)) != text(b.get(key))]


def _score_changes(a: Version, b: Version) -> list[ScoreChange]:
    left = {measured.label: measured for measured in a.measurements}
    right = {measured.label: measured for measured in b.measurements}
    pairs = [ScoreChange(label, left.get(label), right.get(label)) for label in dict.fromkeys([*left, *right])]
    return [pair for pair in pairs if pair.a is None or pair.b is None or pair.a.value != pair.b.value]


def _distances(a: Embedding, b: Embedding) -> list[TensorDistance]:
    import numpy as np

    from tiregistry.embeddings.inspection import lengths

    found = []
    for encoder in sorted({*a.tensors, *b.tensors}):
        left, right = a.tensors.get(encoder), b.tensors.get(encoder)
        norms_a = () if left is None else tuple(float(n) for n in lengths(left))
        norms_b = () if right is None else tuple(float(n) for n in lengths(right))
        distance, cosines = None, []
        if left is not None and right is not None and left.shape[1] == right.shape[1]:
            if left.shape == right.shape:
                distance = float(np.linalg.norm(left.astype(np.float64) - right.astype(np.float64)))
            for row, (x, y) in enumerate(zip(left.astype(np.float64), right.astype(np.float64), strict=False)):
                scale = norms_a[row] * norms_b[row]
                cosines.append(float(x @ y / scale) if scale else 0.0)
        found.append(
            TensorDistance(
                encoder,
                None if left is None else left.shape,
                None if right is None else right.shape,
                distance,
                tuple(cosines),
                norms_a,
                norms_b,
            )
        )
    return found
