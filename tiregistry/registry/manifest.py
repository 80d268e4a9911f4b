"""The canonical manifest of a version: the text whose sha256 is the version's digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tiregistry.concepts import NewVersion
from tiregistry.errors import InvalidInput

if TYPE_CHECKING:
    from tiregistry.embeddings.embedding import Embedding

FORMAT = "tireg-manifest/1"


def build(new: NewVersion, embedding: Embedding) -> dict[str, Any]:
    """Everything that makes a version what it is, as JSON data.

    The concept's name, times, notes, the run's observations and attachments are left out: they may differ where the
    same word is kept twice.
    """
    return {
        "format": FORMAT,
        "placeholder_token": new.placeholder_token,
        "concept_type": new.concept_type,
        "embedding": embedding.manifest(),
        "base": new.fingerprint.as_dict() if new.fingerprint else None,
        "images": [{"sha256": image.digest.removeprefix("sha256:"), "caption": image.caption} for image in new.images],
        "training": new.training if new.training is None else dict(new.training),
        "parents": [{"digest": parent.digest, "relation": parent.relation} for parent in new.parents],
    }


def canonical(manifest: Mapping[str, Any]) -> str:
    """The one way to write a manifest: JSON with sorted keys, no spaces, ASCII only.

    Raises:
        InvalidInput: it holds something JSON has no word for (NaN, a path, a tensor).
    """
    try:
        return json.dumps(manifest, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"the training configuration is not plain JSON: {error}") from None


def digest_of(text: str) -> str:
    """`sha256:<hex>` of a canonical manifest."""
    return "sha256:" + hashlib.sha256(text.encode("ascii")).hexdigest()


def embedding_digest(manifest: Mapping[str, Any]) -> str:
    """The tensor identity (`Embedding.digest`) that a manifest states."""
    return digest_of(canonical(manifest["embedding"]))
