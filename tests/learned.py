"""Words with known vectors, registered without a training: what generation needs of a learned word."""

from __future__ import annotations

from typing import Any

import numpy as np

from tiregistry.concepts import BaseModel, Version
from tiregistry.embeddings.embedding import Embedding
from tiregistry.registry.registry import Registry


def register_word(
    registry: Registry, base: Any, name: str, *, num_vectors: int = 1, seed: int = 0, identity: BaseModel | None = None
) -> Version:
    """Register a word with random vectors of a vocabulary word's length.

    Args:
        base: the loaded base model that it shall fit.
        identity: another base model to say it was learned on.
    """
    from tiregistry.concepts import NewVersion

    source = np.random.default_rng(seed)
    rows = {}
    for tower in base.towers:
        vectors = source.normal(size=(num_vectors, tower.dim))
        rows[tower.role] = (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True) * 0.4).astype(np.float32)
    of = identity or base.identity
    new = NewVersion(
        concept=name,
        placeholder_token=f"<{name}>",
        concept_type="object",
        origin="imported",
        fingerprint=of.fingerprint,
        base_name=of.name,
    )
    return registry.add_version(new, Embedding(rows))
