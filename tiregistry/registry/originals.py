"""What a version was imported from: the kept files by their names, and the vectors read from them again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tiregistry.errors import FULL_DISK, TiregError
from tiregistry.registry.blobs import BlobStore
from tiregistry.registry.database import Database
from tiregistry.registry.scratch import scratch_folder

if TYPE_CHECKING:
    from tiregistry.embeddings.embedding import Embedding

ORIGINAL = "original"
"""Role of the attachment that is the file a version was imported from; files beside it are `original/NAME`."""


def original_names(attachments: Mapping[str, str], record: Mapping[str, Any], concept: str) -> dict[str, str]:
    """File name to blob digest of what a version was imported from, the embedding's own file first.

    Of a pair that is both files, and texts that lay beside the embedding and were read with it.

    Args:
        attachments: role to digest.
        record: what was observed of the version; its part `import` knows the files' names.
        concept: what a file is called of which no name is known.
    """
    if ORIGINAL not in attachments:
        return {}
    told = record.get("import")
    facts = told if isinstance(told, Mapping) else {}
    kept = facts.get("files")
    first = Path(str(kept[0] if isinstance(kept, list) and kept else facts.get("file", ""))).name
    files = {first or f"{concept}.bin": attachments[ORIGINAL]}
    for role, blob in attachments.items():
        name = Path(role).name
        if role.startswith(f"{ORIGINAL}/") and name not in ("", ".."):
            files.setdefault(name, blob)
    return files


def embeddings_in_originals(db: Database, blobs: BlobStore, version_id: int, concept: str) -> Iterator[Embedding]:
    """What the kept files of a version hold; nothing where they are damaged, or were not kept."""
    from tiregistry.embeddings.neighbours import read_path

    attachments = {
        row["role"]: row["digest"]
        for row in db.rows("SELECT role, digest FROM attachments WHERE version_id = ? ORDER BY role", version_id)
    }
    try:
        record = json.loads(db.value("SELECT record FROM records WHERE version_id = ?", version_id) or "{}")
    except ValueError:
        record = {}
    files = original_names(attachments, record if isinstance(record, Mapping) else {}, concept)
    if not files:
        return
    with scratch_folder(blobs.folder.parent) as folder:
        try:
            for name, digest in files.items():
                (folder / name).write_bytes(blobs.read(digest))
            found = read_path(folder / next(iter(files)))
        except (TiregError, ValueError):
            return
        except OSError as error:
            if error.errno in FULL_DISK:
                raise
            return  # a name that no file can have
        for each in found:
            yield each.embedding
