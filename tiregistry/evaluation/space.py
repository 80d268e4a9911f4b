"""Where a word lives: its length and neighbours in the vocabulary, its initializer, its versions, similar words."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tiregistry.concepts import Version
from tiregistry.embeddings.embedding import Embedding
from tiregistry.embeddings.inspection import lengths
from tiregistry.errors import Damaged
from tiregistry.evaluation.similar_pairs import similar_pairs
from tiregistry.progress import Progress

if TYPE_CHECKING:
    from tiregistry.embeddings.inspection import Vocabulary
    from tiregistry.registry.registry import Registry

NEAR_DUPLICATE = 0.98
"""Cosine (mean over vectors) from which two words are called near-duplicates: an angle of 11 degrees."""
ROUNDING = 1e-3
"""Share by which two lengths may differ and still be called equal: vocabularies are kept in half precision."""
Neighbours = tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class VectorPlace:
    """One vector of a word.

    Attributes:
        percentile: share of the vocabulary with a clearly smaller norm, 0 to 1; None without a vocabulary.
        nearest: vocabulary words by cosine of token embeddings.
        nearest_outputs: vocabulary words by cosine of what the text encoder makes of them right after the begin token,
            with the vocabulary's mean taken off; empty when it was not asked.
        to_initializer: cosine with the initializer's vector, or None.
    """

    encoder: str
    number: int
    norm: float
    percentile: float | None
    nearest: Neighbours
    nearest_outputs: Neighbours = ()
    initializer: str = ""
    to_initializer: float | None = None


@dataclass(frozen=True)
class Relative:
    """Another version here. `cosine` is the mean over vectors; of different numbers of vectors, each with its best."""

    reference: str
    is_same_concept: bool
    cosine: float

    @property
    def degrees(self) -> float:
        """The angle."""
        return math.degrees(math.acos(max(-1.0, min(1.0, self.cosine))))

    @property
    def is_near_duplicate(self) -> bool:
        return not self.is_same_concept and self.cosine >= NEAR_DUPLICATE


@dataclass(frozen=True)
class Space:
    """What `analyse` found.

    Attributes:
        vocabulary: encoder role to mean, 5th and 95th percentile of the vocabulary's norms.
        relatives: other versions of the concept, then the latest versions of other concepts, each nearest first.
    """

    version: Version
    base_name: str
    vocabulary: dict[str, tuple[float, float, float]]
    vectors: tuple[VectorPlace, ...]
    relatives: tuple[Relative, ...]
    notes: list[str] = field(default_factory=list)

    @property
    def duplicates(self) -> list[Relative]:
        """Words of other concepts that are nearly this one."""
        return [relative for relative in self.relatives if relative.is_near_duplicate]


def analyse(
    registry: Registry, version: Version, *, count: int = 5, outputs: bool = False, progress: Progress | None = None
) -> Space:
    """Look at a version beside its base model's vocabulary and the other words of the registry.

    Args:
        count: neighbours per vector.
        outputs: also compare what the text encoder makes of the words; encodes the whole vocabulary.

    Raises:
        Damaged: the vectors cannot be read.
        InvalidInput: `outputs`, and the text encoder cannot be loaded.
    """
    embedding = registry.embedding(version)
    found = vocabularies(registry, version)
    encoded: dict[str, list[Neighbours]] = {}
    notes = []
    if outputs:
        from tiregistry.evaluation.outputs import nearest_outputs

        encoded, note = nearest_outputs(registry, version, embedding, count, progress)
        notes += [note] if note else []
    training = version.training
    # Without an initializer a word starts from the name of its type.
    phrase = str(training.get("initializer") or (version.concept_type if training else ""))
    start = _initializer(registry, phrase)
    places, spreads, base_name = [], {}, ""
    for encoder, vectors in embedding.tensors.items():
        vocabulary = found.get(encoder)
        nearest = vocabulary.nearest(vectors, count) if vocabulary else tuple(() for _ in vectors)
        if vocabulary:
            base_name = vocabulary.base_name
            low, high = np.percentile(vocabulary.norms, [5, 95])
            spreads[encoder] = (vocabulary.mean_norm(), float(low), float(high))
        starts = _start_vectors(start, phrase, encoder, vocabulary)
        for number, vector in enumerate(vectors):
            norm = float(lengths(vector))
            name, origin = starts[min(number, len(starts) - 1)] if starts else ("", None)
            places.append(
                VectorPlace(
                    encoder,
                    number,
                    norm,
                    float((vocabulary.norms < norm * (1 - ROUNDING)).mean()) if vocabulary else None,
                    nearest[number] if number < len(nearest) else (),
                    encoded[encoder][number] if encoder in encoded else (),
                    name,
                    None if origin is None else _cosine(vector, origin),
                )
            )
    if not spreads:
        notes.append(f"no vocabulary of {version.base_name or 'its base model'} is on this disk")
    return Space(version, base_name, spreads, tuple(places), tuple(_relatives(registry, version, embedding)), notes)


def vocabularies(registry: Registry, version: Version) -> dict[str, Vocabulary]:
    """Per encoder the vocabulary of the base model that a version fits; of an unknown one, any of its width."""
    from tiregistry.exchange.vocabularies import Vocabularies

    bases = registry.bases()
    if version.fingerprint is not None:
        bases = [base for base in bases if version.fingerprint.fit(base.fingerprint) in ("exact", "compatible")]
    lookup = Vocabularies(bases)
    found = {shape.encoder: lookup.find(shape.encoder, shape.dim) for shape in version.encoders}
    return {encoder: vocabulary for encoder, vocabulary in found.items() if vocabulary is not None}


def similarity(a: Embedding, b: Embedding) -> float | None:
    """Mean cosine of two words' vectors over all encoders; None when they have no encoder of one width in common."""
    cosines = []
    for encoder, left in a.tensors.items():
        right = b.tensors.get(encoder)
        if right is None or right.shape[1] != left.shape[1]:
            continue
        table = _unit(left) @ _unit(right).T
        if len(left) == len(right):
            cosines.append(float(np.diagonal(table).mean()))
        else:
            cosines.append(float((table.max(axis=0).mean() + table.max(axis=1).mean()) / 2))
    return float(np.mean(cosines)) if cosines else None


def duplicates(
    registry: Registry, at_least: float = NEAR_DUPLICATE, progress: Progress | None = None
) -> list[tuple[str, str, float]]:
    """Pairs of concepts whose latest versions are nearly the same: two references and the cosine, nearest first.

    Args:
        at_least: the smallest cosine that counts, from -1 to 1.
        progress: called with done, total and what is counted.
    """
    words = _latest(registry, progress)
    found = []
    for a, b in similar_pairs([embedding for _, embedding in words], at_least, progress):
        (version, embedding), (other, its) = words[a], words[b]
        cosine = similarity(embedding, its) if _comparable(version, other) else None
        if cosine is not None and cosine >= at_least:
            found.append((version.reference, other.reference, cosine))
    return sorted(found, key=lambda pair: (-pair[2], pair[:2]))


def _relatives(registry: Registry, version: Version, embedding: Embedding) -> list[Relative]:
    own = [(v, registry.embedding(v)) for v in registry.versions(version.concept) if v.id != version.id]
    others = [(v, e) for v, e in _latest(registry) if v.concept != version.concept]
    found = []
    for other, its in (*own, *others):
        cosine = similarity(embedding, its) if _comparable(version, other) else None
        if cosine is not None:
            found.append(Relative(other.reference, other.concept == version.concept, cosine))
    return sorted(found, key=lambda relative: (not relative.is_same_concept, -relative.cosine))


def _latest(registry: Registry, progress: Progress | None = None) -> list[tuple[Version, Embedding]]:
    words: list[tuple[Version, Embedding]] = []
    concepts = [concept for concept in registry.concepts() if concept.latest_number is not None]
    for number, concept in enumerate(concepts, 1):
        if progress:
            progress(number, len(concepts), "words read")
        version = concept.latest
        try:
            words.append((version, version.embedding()))
        except Damaged:
            continue  # tireg verify names it; the others can still be compared
    return words


def _comparable(a: Version, b: Version) -> bool:
    """Vectors of two tables say nothing about each other; of an unrecorded one they may."""
    if a.fingerprint is None or b.fingerprint is None:
        return True
    return a.fingerprint.fit(b.fingerprint) != "other"


def _initializer(registry: Registry, phrase: str) -> Embedding | None:
    if not phrase.startswith("sha256:"):
        return None
    found = registry.versions_with(digest=phrase)
    return registry.embedding(found[0]) if found else None


def _start_vectors(
    start: Embedding | None, phrase: str, encoder: str, vocabulary: Vocabulary | None
) -> list[tuple[str, Any]]:
    """What each vector started from, with a name; empty when it is not known."""
    if start is not None:
        return [("the version it continued", vector) for vector in start.tensors.get(encoder, ())]
    if vocabulary is None or not phrase:
        return []
    index = {word: number for number, word in enumerate(vocabulary.words) if word}
    words = [word for word in phrase.lower().split() if word in index]
    return [(word, vocabulary.rows([index[word]])[0]) for word in words]


def _cosine(a: Any, b: Any) -> float:
    return float(_unit(a[None])[0] @ _unit(b[None])[0])


def _unit(rows: Any) -> Any:
    wide = np.asarray(rows, dtype=np.float64)
    return wide / np.maximum(np.linalg.norm(wide, axis=-1, keepdims=True), 1e-12)
