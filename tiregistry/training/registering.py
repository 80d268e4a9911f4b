"""What a run has learned becomes a version, with the record of how, its previews and its masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from tiregistry.concepts import Fingerprint, NewVersion, Parent, SourceImage, Version
from tiregistry.training.events import PreviewMade
from tiregistry.training.journal import JournalReader
from tiregistry.training.request import TrainingRequest, continued_version

if TYPE_CHECKING:
    from tiregistry.embeddings.embedding import Embedding
    from tiregistry.registry.registry import Registry

_SOFTWARE = ("torch", "diffusers", "transformers")


def register_learned(
    registry: Registry,
    request: TrainingRequest,
    images: Sequence[SourceImage],
    embedding: Embedding,
    base: tuple[str, Fingerprint],
    run: tuple[str, Path],
    record: Mapping[str, Any],
) -> Version:
    """Add the embedding that a run learned to the registry as a version.

    Args:
        images: the run's source images, whose blobs are in the store.
        base: name and fingerprint of the base model.
        run: the run's id and its folder, whose journal names the previews.
        record: how the run went; the versions of the libraries are added.

    Raises:
        Conflict and its kin: another has taken the name or the placeholder token.
        DiskFull, RegistryReadOnly: it cannot be written.
    """
    run_id, folder = run
    previews = {
        event.role: event.digest
        for event in JournalReader(folder).new()
        if isinstance(event, PreviewMade) and event.digest in registry.blobs
    }
    new = trained_version(registry, request, images, base, run_id, {**record, "software": _software()}, previews)
    return registry.add_version(new, embedding)


def trained_version(
    registry: Registry,
    request: TrainingRequest,
    images: Sequence[SourceImage],
    base: tuple[str, Fingerprint],
    run_id: str,
    record: Mapping[str, Any],
    previews: Mapping[str, str] = MappingProxyType({}),
) -> NewVersion:
    """The version of vectors that a run learned: with its configuration, pictures, masks and what it went on from.

    Args:
        images, base: as `register_learned`.
        record: how the run went.
        previews: role to digest of each.

    Raises:
        VersionNotFound: the version it went on from is gone.
    """
    continued = continued_version(registry, request.config)
    masks = {f"mask/{i:04d}.png": mask for i, mask in enumerate(request.config.masks) if mask}
    return NewVersion(
        concept=request.concept,
        placeholder_token=request.placeholder_token,
        concept_type=request.config.concept_type,
        origin="trained",
        fingerprint=base[1],
        base_name=base[0],
        images=tuple(images),
        training=request.config.as_dict(),
        parents=(Parent(continued.digest, "continued"),) if continued is not None else (),
        run_id=run_id,
        record=record,
        attachments={**previews, **masks},
    )


def _software() -> dict[str, str]:
    """Versions of the libraries that a training depends on, read without importing them."""
    found = {}
    for name in _SOFTWARE:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # put in place without its metadata
            continue
    return found
