"""Small real things to put into a registry."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from tiregistry.concepts import Fingerprint, NewVersion, Parent, SourceImage
from tiregistry.embeddings.embedding import Embedding
from tiregistry.registry.handles import RegisteredVersion
from tiregistry.registry.registry import Registry

SD15 = Fingerprint("sd1", "sha256:" + "1" * 64, "sha256:" + "2" * 64, "sha256:" + "3" * 64, "sha256:" + "4" * 64)
SD15_FINE_TUNE = Fingerprint("sd1", SD15.token_embedding, "sha256:" + "5" * 64, "sha256:" + "6" * 64)
SD21 = Fingerprint("sd2", "sha256:" + "7" * 64, "sha256:" + "8" * 64, "sha256:" + "9" * 64)


def make_embedding(seed: int = 0, vectors: int = 1, dim: int = 8) -> Embedding:
    """`vectors` random vectors of `dim` for the encoder `clip_l`; equal seeds give equal vectors."""
    return Embedding({"clip_l": np.random.default_rng(seed).normal(size=(vectors, dim)).astype(np.float32)})


def make_image(registry: Registry, seed: int = 0, caption: str = "") -> SourceImage:
    """A source image whose bytes (not a real picture: the registry does not look inside) are in the blob store."""
    digest = registry.blobs.add(f"picture {seed} ".encode() * 50)
    return SourceImage(digest, f"picture-{seed}.png", 64, 48, caption)


def add_version(
    registry: Registry,
    name: str = "gnome",
    seed: int = 0,
    *,
    concept_type: str = "object",
    fingerprint: Fingerprint | None = SD15,
    parents: tuple[Parent, ...] = (),
    images: int = 1,
    caption: str = "",
    **fields: object,
) -> RegisteredVersion:
    """Register a version of `name`; the seed makes its content."""
    new = NewVersion(
        concept=name,
        placeholder_token=f"<{name}>",
        concept_type=concept_type,  # type: ignore[arg-type]
        origin="trained",
        fingerprint=fingerprint,
        base_name="sd15",
        images=tuple(make_image(registry, seed * 100 + i, caption) for i in range(images)),
        training={"seed": seed, "lr": 0.005},
        parents=parents,
    )
    from dataclasses import replace

    return registry.add_version(replace(new, **fields), make_embedding(seed))  # type: ignore[arg-type]


def pragma(path: Path, name: str) -> Any:
    """What a database file says of itself."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(f"PRAGMA {name}").fetchone()[0]
