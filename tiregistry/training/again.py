"""Learning a word again from what the registry keeps of it: its pictures, their captions and masks, and what it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tiregistry.errors import Damaged, InvalidInput
from tiregistry.images import SourcePicture, decode_picture

if TYPE_CHECKING:
    from tiregistry.concepts import Version
    from tiregistry.registry.registry import Registry

_DESCRIBING = ("initializer", "num_vectors", "encoders", "caption_templates", "use_alpha")
"""Settings that say what the word is and what its pictures show; the others say how it is learned."""


@dataclass(frozen=True)
class Material:
    """What a version was learned from.

    Attributes:
        version: the version.
        pictures, captions, masks: as `TrainingRequest` wants them.
        settings: those fields of its `TrainingConfig` that describe the word, where they are not what is usual.
    """

    version: Version
    pictures: list[SourcePicture]
    captions: list[str]
    masks: list[SourcePicture | None]
    settings: Mapping[str, Any]

    @property
    def base(self) -> str:
        """What its base model was called."""
        return self.version.base_name


def material_of(registry: Registry, reference: str) -> Material:
    """What a version was learned from; of a bare name the newest version that has pictures.

    Raises:
        InvalidReference, ConceptNotFound, VersionNotFound: there is none.
        InvalidInput: it has no pictures: it was imported, or pulled without them.
        Damaged: a picture is not what it was.
    """
    from tiregistry.training.config import TrainingConfig

    versions = [registry.version(reference)] if "@" in reference else registry.versions(reference)
    for version in reversed(versions):
        if version.images and all(image.digest in registry.blobs for image in version.images):
            break
    else:
        raise InvalidInput(
            f"the registry has no pictures that {reference} was learned from", "give picture files or a folder"
        )
    record: Mapping[str, Any] = version.training
    usual = TrainingConfig().as_dict()
    settings = {key: record[key] for key in _DESCRIBING if key in record and record[key] != usual[key]}
    masks = version.training_list("masks")
    try:
        return Material(
            version,
            [decode_picture(registry.blobs.read(image.digest), image.filename) for image in version.images],
            [image.caption for image in version.images],
            [decode_picture(registry.blobs.read(mask), "mask", is_mask=True) if mask else None for mask in masks],
            settings | {"concept_type": version.concept_type},
        )
    except (TypeError, ValueError):
        raise Damaged(f"the training record of {version.reference} cannot be read", "give the pictures again") from None


def over(settings: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """A material's settings where nothing else is given; another initializer brings its own number of vectors."""
    settings = dict(settings)
    if given.get("initializer", settings.get("initializer")) != settings.get("initializer"):
        settings.pop("num_vectors", None)
    return {**settings, **given}
