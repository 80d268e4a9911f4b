"""Export: a version as a file that other programs read, with its provenance inside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tiregistry.concepts import Version
from tiregistry.embeddings.placing import write_bytes
from tiregistry.embeddings.provenance import Provenance
from tiregistry.embeddings.writing import WRITERS, Word, write_embedding
from tiregistry.errors import AlreadyExists, InvalidInput, TiregError
from tiregistry.images import decode_picture
from tiregistry.registry.originals import ORIGINAL, original_names
from tiregistry.registry.registry import Registry
from tiregistry.text import natural_key, safe
from tiregistry.whole_files import write_all_whole

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = (*WRITERS, ORIGINAL)
"""Formats to export to; `ORIGINAL` gives back the files a version was imported from."""
_BY_SUFFIX = {".pt": "a1111", ".png": "a1111-png", ".bin": "diffusers-bin"}


def choose_format(path: Path, encoders: frozenset[str]) -> str:
    """The format when the user names none: by the extension, else the one that holds these encoders.

    Raises:
        InvalidInput: no format has files of this extension.
    """
    suffix = path.suffix.lower()
    if not path.is_dir() and suffix in _BY_SUFFIX:
        return _BY_SUFFIX[suffix]
    if not path.is_dir() and suffix not in ("", ".safetensors"):
        known = ", ".join([".safetensors", *_BY_SUFFIX])
        raise InvalidInput(
            f"{safe(path.name)}: no format for a word has files that end in {safe(suffix, limit=20)}",
            f"one of {known} (.png is a picture with the word in it), or choose with --format",
        )
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
    provenance: bool = True,
) -> list[Path]:
    """Write a version as a file or folder.

    Args:
        registry: where the version is.
        version: what to export.
        path: file to write, or a folder to choose a name in.
        format_id: one of `FORMATS`; empty chooses by extension and encoders.
        force: replace what is there.
        with_images: put the source pictures into an sd-concepts folder. They are the user's own, so only when asked.
        provenance: say in the file where the word comes from: base model, training settings, digests and captions of
            its pictures. Without it another registry cannot tell which version it is.

    Returns:
        The paths written, the main one first.

    Raises:
        InvalidInput: the format is unknown, cannot hold this word or is of another extension, or there is no original.
        AlreadyExists, FileMissing: something is there, or the folder is not.
        Damaged: the registry's file of the vectors is damaged.
    """
    format_id = format_id or choose_format(path, frozenset(shape.encoder for shape in version.encoders))
    if format_id == ORIGINAL:
        return _export_original(registry, version, path, force)
    word = word_of(registry, version)
    if not provenance:
        word = replace(word, provenance=None, base_name="")
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
    step, created_at = _step(record), _created_at(version, record)
    return Word(
        embedding=embedding,
        name=version.concept,
        placeholder_token=version.placeholder_token,
        concept_type=version.concept_type,
        family=version.fingerprint.family if version.fingerprint else "",
        resolution=_resolution(registry, version),
        stated=_stated(record),
        base_name=version.base_name,
        description=concept.description,
        licence=concept.licence,
        step=step,
        created_at=created_at,
        provenance=Provenance.from_version(version, embedding, step, created_at),
    )


def original_files(registry: Registry, version: Version) -> dict[str, str]:
    """File name to blob digest of what a version was imported from, the embedding's own file first.

    Of a pair that is both files, and texts that lay beside the embedding and were read with it.
    """
    return original_names(registry.attachments(version), registry.record(version), version.concept)


def _export_original(registry: Registry, version: Version, path: Path, force: bool) -> list[Path]:
    """All original files into a folder, or the embedding's own under the name of a file."""
    files = original_files(registry, version)
    if not files:
        raise InvalidInput(
            f"{version.reference} was not imported, so there is no original file", "leave out --format original"
        )
    if not path.is_dir():
        return [write_bytes(registry.blobs.read(next(iter(files.values()))), path, force=force)]
    contents = {path / name: registry.blobs.read(blob) for name, blob in files.items()}
    there = [target for target in contents if target.exists()]
    if there and not force:
        raise AlreadyExists(f"{safe(there[0])} exists", "choose another path, or add --force to replace it")
    write_all_whole(contents)
    return list(contents)


def _imported(record: Mapping[str, Any]) -> Mapping[str, Any]:
    facts = record.get("import")
    return facts if isinstance(facts, Mapping) else {}


def _stated(record: Mapping[str, Any]) -> Mapping[str, str]:
    """What the file that a version was imported from said of itself, as far as other programs look at it."""
    details = _imported(record).get("details")
    return {
        key: text
        for key, text in (details.items() if isinstance(details, Mapping) else ())
        if isinstance(text, str) and (key.startswith("modelspec.") or key in ("sd_checkpoint", "sd_checkpoint_name"))
    }


def _resolution(registry: Registry, version: Version) -> int:
    """Native resolution of the base model it was learned on, where that is registered here; else 0."""
    try:
        base = registry.base(version.base_name) if version.base_name and version.fingerprint else None
    except TiregError:
        return 0
    return base.resolution if base is not None and version.fingerprint == base.fingerprint else 0


def _step(record: Mapping[str, Any]) -> int | None:
    """Optimiser steps that it was trained for, where something says so; a training may have stopped early."""
    for value in (record.get("steps"), _imported(record).get("step")):
        if type(value) is int:
            return value
    return None


def _created_at(version: Version, record: Mapping[str, Any]) -> float:
    """When it was made, in UNIX seconds; 0 when that is not known, as when somebody else's file does not say."""
    for source in ("import", "hub"):
        facts = record.get(source)
        told = facts.get("created_at") if isinstance(facts, Mapping) else None
        if isinstance(told, float) and 0 < told < 2**40:
            return told
    return version.created_at if version.origin in ("trained", "blended") else 0.0


def _preview(registry: Registry, version: Version) -> Image | None:
    """A picture of the word: its last preview, else nothing (source pictures stay private)."""
    roles = sorted((role for role in registry.attachments(version) if role.startswith("preview")), key=natural_key)
    for role in reversed(roles):
        try:
            return decode_picture(registry.blobs.read(registry.attachments(version)[role]), safe(role)).image
        except TiregError:
            continue
    return None
