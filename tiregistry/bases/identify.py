"""From what a user calls a base model to a `BaseModel` with its fingerprint."""

from __future__ import annotations

import re
import time
import unicodedata
from pathlib import Path

from tiregistry.bases.families import resolution_of_folder, usual_resolution
from tiregistry.bases.fingerprints import HashCache, fingerprint_file, fingerprint_folder
from tiregistry.bases.locating import EMBEDDED, locate_base, looks_like_hub_id
from tiregistry.concepts import BaseModel
from tiregistry.errors import InvalidInput
from tiregistry.references import MAX_NAME
from tiregistry.text import safe

_COMMIT = re.compile(r"[0-9a-f]{40}")


def identify(source: str, *, revision: str = "", name: str = "", cache: HashCache | None = None) -> BaseModel:
    """Find a base model and compute its fingerprint.

    Args:
        source: `embedded`, a diffusers folder, a single-file checkpoint (safetensors), or a Hub id.
        revision: of a Hub id: branch, tag or commit.
        name: how it shall be called; by default made from the source.
        cache: remembers hashes of files.

    Raises:
        BaseModelNotFound, HubError: it is not there.
        InvalidInput: it is no base model, or a damaged one; or a revision of what has none.
    """
    path = Path(source).expanduser()
    if revision and not looks_like_hub_id(source):
        raise InvalidInput(
            f"only a Hub id has revisions; {safe(source)} is {'a path' if path.exists() else 'none'}",
            "leave --revision out",
        )
    if source != EMBEDDED and path.is_file():
        fingerprint = fingerprint_file(path, cache=cache)
        source, revision, resolution = str(path.resolve()), "", usual_resolution(fingerprint.family)
    else:
        folder = locate_base(source, revision)
        fingerprint = fingerprint_folder(folder, cache=cache)
        resolution = resolution_of_folder(folder, fingerprint.family)
        if looks_like_hub_id(source):
            # The cache keeps each commit in a folder of its name: the branch may move, what was fingerprinted does not.
            revision = folder.name if _COMMIT.fullmatch(folder.name) else revision
        elif source != EMBEDDED:
            source, revision = str(folder.resolve()), ""
    return BaseModel(
        name or name_from(source), source, fingerprint, revision=revision, resolution=resolution, added_at=time.time()
    )


def name_from(source: str) -> str:
    """A name for a base model: the last part of its source, with what a name cannot hold replaced by `-`."""
    last = Path(source).stem if source.endswith(".safetensors") else Path(source).name
    kept = "".join(
        character if unicodedata.category(character)[0] in "LM" or character.isdecimal() or character in "-_." else "-"
        for character in unicodedata.normalize("NFC", last)
    )
    kept = kept[:MAX_NAME].strip("-_.")
    return kept if kept and not kept.isdecimal() else f"base-{kept}".rstrip("-")
