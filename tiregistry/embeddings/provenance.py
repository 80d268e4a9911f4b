"""The `tireg` block in exported files: where the vectors come from, so that a file that comes back is recognised."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from tiregistry.concepts import CONCEPT_TYPES, ConceptType, Fingerprint, Version
from tiregistry.embeddings.embedding import Embedding
from tiregistry.references import DIGEST
from tiregistry.text import safe

KEY = "tireg"
"""Key of the block in safetensors metadata, torch dicts and picture documents; `tireg.json` in a folder."""
PARTS = ("clip_l", "clip_g", "clip_h", "t5")
_FORMAT = 1
MAX_BLOCK = 256 * 1024
"""Longest block that is written and read, in bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """What a file says about the version it was exported from; everything but `embedding` is optional."""

    embedding: str
    """Tensor identity of the vectors that the block describes; a file with other vectors has been changed since."""
    version: str = ""
    """Digest of the version."""
    reference: str = ""
    """`name@number` where it was exported."""
    placeholder_token: str = ""
    concept_type: ConceptType | None = None
    base_name: str = ""
    fingerprint: Fingerprint | None = None
    initializer: str = ""
    steps: int | None = None
    images: tuple[str, ...] = ()
    """Digests of the source images; the pictures themselves do not travel."""
    created_at: float = 0.0
    part: str = ""
    """Encoder role of the file's tensor, in formats whose key does not name it."""
    manifest: Mapping[str, Any] | None = None
    """The version's manifest, from which another registry gets the same version; here only known to be JSON."""

    def to_json(self, limit: int = MAX_BLOCK) -> str:
        """The block as one line of JSON, keys sorted, empty ones left out.

        A block longer than `limit` bytes goes without its manifest.
        """
        block: dict[str, Any] = {
            "format": _FORMAT,
            "embedding": self.embedding,
            "version": self.version,
            "reference": self.reference,
            "placeholder_token": self.placeholder_token,
            "concept_type": self.concept_type,
            "base_name": self.base_name,
            "fingerprint": self.fingerprint.as_dict() if self.fingerprint else None,
            "initializer": self.initializer,
            "steps": self.steps,
            "images": list(self.images),
            "created_at": self.created_at or None,
            "part": self.part,
            "manifest": self.manifest,
        }
        kept = {key: value for key, value in block.items() if value not in ("", None, [])}
        text = json.dumps(kept, sort_keys=True, separators=(",", ":"))
        return text if len(text) <= limit or self.manifest is None else replace(self, manifest=None).to_json(limit)

    @classmethod
    def from_version(
        cls, version: Version, embedding: Embedding, steps: int | None = None, created_at: float = 0.0
    ) -> Provenance:
        """The block for a registered version.

        Args:
            steps: optimiser steps that it was trained for, when known; the settings only say how many at most.
            created_at: when it was made, in UNIX seconds, when known.
        """
        training = version.training
        return cls(
            embedding=embedding.digest,
            version=version.digest,
            reference=version.reference,
            placeholder_token=version.placeholder_token,
            concept_type=version.concept_type,
            base_name=version.base_name,
            fingerprint=version.fingerprint,
            initializer=str(training.get("initializer") or ""),
            steps=steps,
            images=tuple(image.digest for image in version.images),
            created_at=created_at,
            manifest=version.manifest,
        )

    @classmethod
    def parse(cls, text: object) -> Provenance | None:
        """Read a block from a file; anything that is not one, field by field, is dropped rather than believed."""
        if not isinstance(text, str) or len(text) > MAX_BLOCK:
            return None
        try:
            block = json.loads(text)
        except (ValueError, RecursionError):
            return None
        if not isinstance(block, dict) or not _is_digest(block.get("embedding")):
            return None
        steps = block.get("steps")
        images = block.get("images")
        concept_type = block.get("concept_type")
        created_at = block.get("created_at")
        return cls(
            embedding=block["embedding"],
            version=block["version"] if _is_digest(block.get("version")) else "",
            reference=_text(block.get("reference")),
            placeholder_token=_text(block.get("placeholder_token")),
            concept_type=concept_type if concept_type in CONCEPT_TYPES else None,
            base_name=_text(block.get("base_name")),
            fingerprint=_fingerprint(block.get("fingerprint")),
            initializer=_text(block.get("initializer")),
            steps=steps if type(steps) is int and 0 <= steps < 10**9 else None,
            images=tuple(i for i in images[:1000] if _is_digest(i)) if isinstance(images, list) else (),
            created_at=created_at if isinstance(created_at, float) and 0 < created_at < 2**40 else 0.0,
            part=block["part"] if block.get("part") in PARTS else "",
            manifest=_json_object(block.get("manifest")),
        )


def _is_digest(value: object) -> bool:
    return isinstance(value, str) and DIGEST.fullmatch(value) is not None


def _text(value: object) -> str:
    return safe(value, limit=200) if isinstance(value, str) else ""


def _json_object(value: object) -> dict[str, Any] | None:
    """`value` when it is an object that JSON has words for; Python's reader also takes NaN."""
    try:
        json.dumps(value, allow_nan=False)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _fingerprint(raw: object) -> Fingerprint | None:
    if not isinstance(raw, dict) or raw.get("family") not in ("sd1", "sd2", "sdxl", "sd3", "flux"):
        return None
    parts = ("token_embedding", "text_encoder", "denoiser", "vae")
    if not _is_digest(raw.get("token_embedding")) or not all(
        raw.get(part, "") == "" or _is_digest(raw.get(part)) for part in parts
    ):
        return None
    return Fingerprint.from_dict(raw)
