"""The canonical manifest of a version: the text whose sha256 is the version's digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, get_args

from tiregistry.concepts import CONCEPT_TYPES, Fingerprint, NewVersion, Origin, Parent, ParentRelation, SourceImage
from tiregistry.errors import InvalidInput, TiregError
from tiregistry.registry.foreign_values import a_digest, a_list

if TYPE_CHECKING:
    from tiregistry.embeddings.embedding import Embedding

FORMAT = "tireg-manifest/1"
_PARTS = {"format", "placeholder_token", "concept_type", "embedding", "base", "images", "training", "parents"}
_MOST_IMAGES, _MOST_PARENTS = 10_000, 1000


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


# -- manifests from elsewhere ----------------------------------------------------------------------------------------


def version_of(
    manifest: Any, digest: str, concept: str, origin: Origin, known: Mapping[str, SourceImage] | None = None
) -> NewVersion:
    """The version that a manifest from elsewhere describes; `build` gives the manifest again.

    Args:
        manifest: the manifest as JSON data.
        digest: the digest that it must have.
        concept: name of the concept to register it under, which no manifest states.
        origin: how it came here.
        known: what is known of its pictures by digest: file name and size. None of their files need be there.

    Raises:
        ValueError: it has another digest, or holds something that this version of tireg would not write.
    """
    try:
        if manifest["format"] != FORMAT or digest_of(canonical(manifest)) != digest:
            raise ValueError("the manifest does not have the stated digest")
        return _version_of(manifest, concept, origin, known or {})
    except (KeyError, TypeError, AttributeError, OverflowError, RecursionError, TiregError) as error:
        raise ValueError(f"the manifest is none: {error}") from None


def _version_of(
    manifest: Mapping[str, Any], concept: str, origin: Origin, known: Mapping[str, SourceImage]
) -> NewVersion:
    if set(manifest) != _PARTS or manifest["concept_type"] not in CONCEPT_TYPES:
        raise ValueError("the manifest has unknown parts")
    if not isinstance(manifest["placeholder_token"], str) or not isinstance(manifest["training"], dict | None):
        raise ValueError("the manifest has parts of another kind")
    base = manifest["base"]
    fingerprint = Fingerprint.from_dict(base) if base is not None else None
    if fingerprint is not None and fingerprint.as_dict() != base:
        raise ValueError("the base model's fingerprint has unknown parts")
    images: list[SourceImage] = []
    for position, image in enumerate(a_list(manifest["images"], _MOST_IMAGES)):
        if set(image) != {"sha256", "caption"} or not isinstance(image["caption"], str):
            raise ValueError("an image has unknown parts")
        which = a_digest(f"sha256:{image['sha256']}")
        seen = known.get(which, SourceImage(which, f"picture {position + 1}", 0, 0))
        images.append(SourceImage(which, seen.filename, seen.width, seen.height, image["caption"]))
    return NewVersion(
        concept=concept,
        placeholder_token=manifest["placeholder_token"],
        concept_type=manifest["concept_type"],
        origin=origin,
        fingerprint=fingerprint,
        images=tuple(images),
        absent_images=frozenset(image.digest for image in images),
        training=manifest["training"],
        parents=tuple(_parent(parent) for parent in a_list(manifest["parents"], _MOST_PARENTS)),
    )


def _parent(raw: Mapping[str, Any]) -> Parent:
    if set(raw) != {"digest", "relation"} or raw["relation"] not in get_args(ParentRelation):
        raise ValueError("a parent has unknown parts")
    return Parent(a_digest(raw["digest"]), raw["relation"])
