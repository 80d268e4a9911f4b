"""Versions: finding and reading them, and what may be added to one later."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tiregistry.concepts import EncoderShape, Fingerprint, Measurement, Parent, SourceImage
from tiregistry.errors import Damaged, InvalidReference, VersionNotFound
from tiregistry.references import Reference
from tiregistry.registry import catalogue, curation, measurements
from tiregistry.registry.blobs import BlobStore
from tiregistry.registry.database import Database, Row, portions
from tiregistry.registry.file_rows import keep_blob
from tiregistry.registry.search import reindex
from tiregistry.registry.texts import check_text

if TYPE_CHECKING:
    from tiregistry.embeddings.embedding import Embedding

_SELECT = "SELECT v.*, c.name AS concept FROM versions v JOIN concepts c ON c.id = v.concept_id"


# -- finding ---------------------------------------------------------------------------------------------------------


def resolve(db: Database, reference: Reference) -> int:
    """Id of the living version a reference names.

    Raises:
        ConceptNotFound: no concept has the name.
        VersionNotFound: the concept has no such version; the hint says what it has.
        InvalidReference: a digest prefix fits several versions.
    """
    with db.read():
        concept_id = catalogue.resolve(db, reference.name)
        living = "SELECT v.id FROM versions v WHERE v.concept_id = ? AND v.deleted_at IS NULL"
        if reference.number is not None:
            found = db.rows(f"{living} AND v.number = ?", concept_id, reference.number)
        elif reference.alias is not None:
            found = db.rows(
                f"{living} AND v.id IN (SELECT version_id FROM aliases WHERE concept_id = ? AND alias = ?)",
                concept_id,
                concept_id,
                reference.alias,
            )
        elif reference.digest is not None:
            found = db.rows(
                f"{living} AND v.digest BETWEEN ? AND ?",
                concept_id,
                f"sha256:{reference.digest}",
                f"sha256:{reference.digest}g",
            )
        else:
            found = db.rows(f"{living} ORDER BY v.number DESC LIMIT 1", concept_id)
        if len(found) == 1:
            return int(found[0]["id"])
        if found:
            raise InvalidReference(f"{reference} fits {len(found)} versions", "write more digits of the digest")
        raise _not_found(db, concept_id, reference)


def without_versions(db: Database, concept_id: int, name: str) -> VersionNotFound:
    """The error for a concept of which no version lives: all are in the trash, or there never was one."""
    newest = db.value("SELECT max(number) FROM versions WHERE concept_id = ?", concept_id)
    if newest is None:
        return VersionNotFound(f"the concept {name!r} has no versions", f"learn one with: tireg train {name} IMAGES…")
    return VersionNotFound(
        f"the versions of {name!r} are all in the trash", f"bring one back with: tireg restore {name}@{newest}"
    )


def _not_found(db: Database, concept_id: int, reference: Reference) -> VersionNotFound:
    if reference.number is not None and db.value(
        "SELECT 1 FROM versions WHERE concept_id = ? AND number = ? AND deleted_at IS NOT NULL",
        concept_id,
        reference.number,
    ):
        return VersionNotFound(f"{reference} is in the trash", f"bring it back with: tireg restore {reference}")
    numbers = [
        row[0]
        for row in db.rows(
            "SELECT number FROM versions WHERE concept_id = ? AND deleted_at IS NULL ORDER BY number DESC LIMIT 5",
            concept_id,
        )
    ]
    if not numbers:
        none = without_versions(db, concept_id, reference.name)
        if reference.selects_latest:
            return none
        return VersionNotFound(f"there is no version {reference}, and {none.message}", none.hint)
    if reference.alias is not None:
        aliases = [row[0] for row in db.rows("SELECT alias FROM aliases WHERE concept_id = ?", concept_id)]
        hidden = db.value(
            "SELECT v.number FROM aliases a JOIN versions v ON v.id = a.version_id "
            "WHERE a.concept_id = ? AND a.alias = ?",
            concept_id,
            reference.alias,
        )
        if hidden is not None:
            version = f"{reference.name}@{hidden}"
            return VersionNotFound(f"{reference} is {version}, which is in the trash", f"tireg restore {version}")
        has = ", ".join(sorted(["latest", *aliases]))
        return VersionNotFound(f"{reference.name!r} has no alias {reference.alias!r}", f"it has: {has}")
    has = ", ".join(f"{reference.name}@{number}" for number in numbers)
    return VersionNotFound(f"there is no version {reference}", f"the newest are {has}")


def select(db: Database, where: str, *values: Any) -> list[dict[str, Any]]:
    """Fields of the versions that satisfy an SQL condition over `v` and `c`, with all that belongs to them."""
    with db.read():
        return hydrate(db, db.rows(f"{_SELECT} WHERE {where}", *values))


def hydrate(db: Database, rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Rows of `versions` joined with their concept's name, as the fields of `Version`."""
    images: dict[int, list[SourceImage]] = {}
    parents: dict[int, list[Parent]] = {}
    all_ids = [row["id"] for row in rows]
    measured = measurements.newest(db, all_ids)
    for ids in portions(all_ids):
        marks = ",".join("?" * len(ids))
        for row in db.rows(f"SELECT * FROM images WHERE version_id IN ({marks}) ORDER BY version_id, position", *ids):
            images.setdefault(row["version_id"], []).append(
                SourceImage(row["digest"], row["filename"], row["width"], row["height"], row["caption"])
            )
        for row in db.rows(f"SELECT * FROM parents WHERE version_id IN ({marks}) ORDER BY version_id, position", *ids):
            parents.setdefault(row["version_id"], []).append(Parent(row["digest"], row["relation"]))
    return [_fields(row, images, parents, measured) for row in rows]


def _fields(
    row: Row,
    images: Mapping[int, list[SourceImage]],
    parents: Mapping[int, list[Parent]],
    measured: Mapping[int, list[Measurement]],
) -> dict[str, Any]:
    try:
        manifest = json.loads(row["manifest"])
        token, kind, base = manifest["placeholder_token"], manifest["concept_type"], manifest["base"]
        encoders = tuple(EncoderShape(*shape) for shape in json.loads(row["encoders"]))
    except (ValueError, KeyError, TypeError):
        raise Damaged(f"{row['concept']}@{row['number']} is damaged", "run: tireg verify --repair") from None
    return {
        "id": row["id"],
        "concept": row["concept"],
        "number": row["number"],
        "digest": row["digest"],
        "placeholder_token": token,
        "concept_type": kind,
        "embedding_digest": row["embedding_digest"],
        "encoders": encoders,
        "origin": row["origin"],
        "fingerprint": Fingerprint.from_dict(base) if base else None,
        "base_name": row["base_name"],
        "manifest": manifest,
        "images": tuple(images.get(row["id"], ())),
        "parents": tuple(parents.get(row["id"], ())),
        "measurements": tuple(measured.get(row["id"], ())),
        "run_id": row["run_id"],
        "notes": row["notes"],
        "created_at": row["created_at"],
        "deleted_at": row["deleted_at"],
    }


# -- what belongs to a version ---------------------------------------------------------------------------------------


def embedding(db: Database, blobs: BlobStore, version_id: int) -> Embedding:
    """The stored vectors of a version.

    Raises:
        VersionNotFound: it is no longer in the registry.
        Damaged: its file is missing, or not what it was.
    """
    blob = db.value("SELECT embedding_blob FROM versions WHERE id = ?", version_id)
    if blob is None:
        raise VersionNotFound("the version is gone", "tireg list shows all concepts")
    from tiregistry.embeddings.embedding import Embedding  # numpy: 80 ms

    return Embedding.from_bytes(blobs.read(blob))


def record(db: Database, version_id: int) -> dict[str, Any]:
    """What was observed when the version was made."""
    text = db.value("SELECT record FROM records WHERE version_id = ?", version_id)
    return json.loads(text) if text else {}


def attachments(db: Database, version_id: int) -> dict[str, str]:
    """Role to blob digest of the files kept with a version."""
    rows = db.rows("SELECT role, digest FROM attachments WHERE version_id = ? ORDER BY role", version_id)
    return {row["role"]: row["digest"] for row in rows}


def attach(db: Database, blobs: BlobStore, version_id: int, role: str, blob: str) -> None:
    """Keep a file with a version; an attachment of the same role is replaced."""
    check_text(role, "attachment's role")
    with db.write() as connection:
        keep_blob(connection, blobs, blob)
        connection.execute("INSERT OR REPLACE INTO attachments VALUES (?, ?, ?)", (version_id, role, blob))


def set_notes(db: Database, version_id: int, notes: str) -> None:
    """Set the notes of one version."""
    check_text(notes, "note")
    with db.write() as connection:
        connection.execute("UPDATE versions SET notes = ? WHERE id = ?", (notes, version_id))
        concept_id = connection.execute("SELECT concept_id FROM versions WHERE id = ?", (version_id,)).fetchone()[0]
        curation.touch(connection, concept_id)
        reindex(connection, concept_id)
