"""Export: a version as a file that other programs read, with its provenance inside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tiregistry.concepts import Version
from tiregistry.embeddings.provenance import Provenance
from tiregistry.embeddings.writing import WRITERS, Word, write_bytes, write_embedding
from tiregistry.errors import InvalidInput, TiregError
from tiregistry.images import decode_picture
from tiregistry.registry.registry import Registry
from tiregistry.text import safe

if TYPE_CHECKING:
    from PIL.Image import Image

ORIGINAL = "original"
"""The format that gives back the bytes a version was imported from."""
FORMATS = (*WRITERS, ORIGINAL)
_BY_SUFFIX = {".pt": "a1111", ".png": "a1111-png", ".bin": "diffusers-bin"}


def choose_format(path: Path, encoders: frozenset[str]) -> str:
    """The format when the user names none: by the extension, else the one that holds these encoders."""
    if not path.is_dir() and path.suffix.lower() in _BY_SUFFIX:
        return _BY_SUFFIX[path.suffix.lower()]
    if "t5" in encoders:
        return "sd3" if "clip_g" in encoders else "flux" if "clip_l" in encoders else "comfyui"
    return "diffusers"


def export_version(
    registry: Registry,
    version: Version,
    path: Path,
    format_id: str = "",
    *,
    force: bool = False,
    with_images: bool = False,
) -> list[Path]:
    """Write a version as a file or folder.

    Args:
        registry: where the version is.
        version: what to export.
        path: file to write, or a folder to choose a name in.
        format_id: one of `FORMATS`; empty chooses by extension and encoders.
        force: replace what is there.
        with_images: put the source pictures into an sd-concepts folder. They are the user's own, so only when asked.

    Returns:
        The paths written, the main one first.

    Raises:
        InvalidInput: the format is unknown, cannot hold this word, or there is no original.
        AlreadyExists, FileMissing: something is there, or the folder is not.
        Damaged: the registry's file of the vectors is damaged.
    """
    format_id = format_id or choose_format(path, frozenset(shape.encoder for shape in version.encoders))
    if format_id == ORIGINAL:
        return [_export_original(registry, version, path, force)]
    word = word_of(registry, version)
    if format_id == "a1111-png":
        word = replace(word, preview=_preview(registry, version))
    if with_images:
        images = [(image.filename, registry.blobs.read(image.digest)) for image in version.images]
        word = replace(word, images=images)
    return write_embedding(word, format_id, path, force=force)


def word_of(registry: Registry, version: Version) -> Word:
    """A version as the writers of `tiregistry.embeddings` take it, without pictures.

    Raises:
        Damaged: the registry's file of the vectors is damaged.
    """
    embedding = registry.embedding(version)
    concept = registry.concept(version.concept)
    record = registry.record(version)
    return Word(
        embedding=embedding,
        name=version.concept,
        placeholder_token=version.placeholder_token,
        concept_type=version.concept_type,
        family=_family(version, record),
        base_name=version.base_name,
        description=concept.description,
        licence=concept.licence,
        step=_step(version, record),
        created_at=version.created_at,
        provenance=Provenance.from_version(version, embedding),
    )


def _export_original(registry: Registry, version: Version, path: Path, force: bool) -> Path:
    attachments = registry.attachments(version)
    if ORIGINAL not in attachments:
        raise InvalidInput(
            f"{version.reference} was not imported, so there is no original file", "leave out --format original"
        )
    filename = registry.record(version).get("import", {}).get("file", "")
    target = path / (Path(str(filename)).name or f"{version.concept}.bin") if path.is_dir() else path
    return write_bytes(registry.blobs.read(attachments[ORIGINAL]), target, force=force)


def _imported(record: Mapping[str, Any]) -> Mapping[str, Any]:
    facts = record.get("import")
    return facts if isinstance(facts, Mapping) else {}


def _family(version: Version, record: Mapping[str, Any]) -> str:
    """The family of its base model, else the best candidate that its import found."""
    if version.fingerprint is not None:
        return version.fingerprint.family
    families = _imported(record).get("families")
    first = families[0] if isinstance(families, list) and families else {}
    return str(first.get("family", "")) if isinstance(first, Mapping) else ""


def _step(version: Version, record: Mapping[str, Any]) -> int | None:
    """Optimiser steps that it was trained for, where something says so."""
    training = version.manifest.get("training") or {}
    for value in (record.get("steps"), record.get("step"), _imported(record).get("step"), training.get("max_steps")):
        if type(value) is int:
            return value
    return None


def _preview(registry: Registry, version: Version) -> Image | None:
    """A picture of the word: its last preview, else nothing (source pictures stay private)."""
    roles = sorted(role for role in registry.attachments(version) if role.startswith("preview"))
    for role in reversed(roles):
        try:
            return decode_picture(registry.blobs.read(registry.attachments(version)[role]), safe(role)).image
        except TiregError:
            continue
    return None
