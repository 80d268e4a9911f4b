"""Versions: registering them with their proofs, finding and reading them."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tiregistry.concepts import EncoderShape, Fingerprint, Measurement, NewVersion, Parent, SourceImage
from tiregistry.errors import Conflict, Damaged, InvalidInput, InvalidReference, VersionNotFound
from tiregistry.references import Reference
from tiregistry.registry import catalogue, measurements
from tiregistry.registry.blobs import BlobStore
from tiregistry.registry.database import Database, Row
from tiregistry.registry.manifest import build, canonical, digest_of
from tiregistry.registry.search import covers, reindex

if TYPE_CHECKING:
    from tiregistry.embeddings.embedding import Embedding

_SELECT = "SELECT v.*, c.name AS concept FROM versions v JOIN concepts c ON c.id = v.concept_id"


# -- registering -----------------------------------------------------------------------------------------------------


def add(db: Database, blobs: BlobStore, new: NewVersion, embedding: Embedding) -> int:
    """Register a version; return its id. See `Registry.add_version`.

    Files come first and are durable before the transaction begins; inside it, their presence is checked again, so
    that gc, which removes files only while it holds the same lock, can never take one away in between.
    """
    _check(new)
    manifest = canonical(build(new, embedding))
    digest = digest_of(manifest)
    record = _record_text(new.record)
    data = embedding.to_bytes()
    embedding_blob = blobs.add(data)
    files = sorted({embedding_blob, *(image.digest for image in new.images), *new.attachments.values()})
    with db.write() as connection:
        if embedding_blob not in blobs:
            blobs.add(data)  # gc took an old, unreferenced copy away just now; while we hold the lock it cannot
        concept_id = _concept_for(db, connection, new)
        existing = connection.execute(
            "SELECT id, deleted_at FROM versions WHERE concept_id = ? AND digest = ?", (concept_id, digest)
        ).fetchone()
        if existing is not None:
            _revive(connection, blobs, concept_id, existing, embedding_blob, files)
            return int(existing["id"])
        for blob in files:
            if blob in new.absent_images and blob not in blobs:
                note_absent(connection, blob)
            else:
                keep_blob(connection, blobs, blob)
        version_id = _insert(connection, concept_id, new, embedding, embedding_blob, digest, manifest, record)
        captions = [image.caption for image in new.images]
        if not covers(connection, concept_id, captions, new.base_name):
            reindex(connection, concept_id)
        return version_id


def _check(new: NewVersion) -> None:
    if new.origin not in ("trained", "imported", "pulled", "blended"):
        raise InvalidInput(f"{new.origin!r} is no origin of a version", "use trained, imported, pulled or blended")
    for what, text in (("description", new.description), ("licence", new.licence), ("base name", new.base_name)):
        catalogue.check_text(text, what)
    for image in new.images:
        catalogue.check_text(image.caption, "caption")
    for role in new.attachments:
        catalogue.check_text(role, "attachment's role")


def _record_text(record: Mapping[str, Any]) -> str | None:
    if not record:
        return None
    try:
        return json.dumps(record, separators=(",", ":"), ensure_ascii=True)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"the record is not plain JSON: {error}") from None


def _concept_for(db: Database, connection: sqlite3.Connection, new: NewVersion) -> int:
    """The concept a new version belongs to; created when it does not exist."""
    token = catalogue.check_token(new.placeholder_token)
    row = connection.execute(
        "SELECT id, placeholder_token, concept_type FROM concepts WHERE id = ?", (catalogue.find(db, new.concept),)
    ).fetchone()
    if row is None:
        return catalogue.create(
            connection, new.concept, token, new.concept_type, description=new.description, licence=new.licence
        )
    if row["placeholder_token"] != token:
        catalogue.check_free(connection, None, token, besides=row["id"])
        raise Conflict(
            f"the concept {new.concept!r} is written {row['placeholder_token']}, not {token}",
            "use its token, or choose another concept name",
        )
    if row["concept_type"] != new.concept_type:
        raise Conflict(
            f"the concept {new.concept!r} is of type {row['concept_type']}, not {new.concept_type}",
            f"use --type {row['concept_type']}, or choose another concept name",
        )
    return int(row["id"])


def _revive(
    connection: sqlite3.Connection,
    blobs: BlobStore,
    concept_id: int,
    existing: Row,
    embedding_blob: str,
    files: list[str],
) -> None:
    """Registering what lies in the trash brings it back, and what was given up as lost is found again."""
    for blob in files:
        if blob in blobs:
            keep_blob(connection, blobs, blob)
    connection.execute(
        "UPDATE versions SET embedding_blob = ? WHERE id = ? AND embedding_blob <> ? AND EXISTS "
        "(SELECT 1 FROM blobs WHERE digest = embedding_blob AND lost_at IS NOT NULL)",
        (embedding_blob, existing["id"], embedding_blob),
    )
    if existing["deleted_at"] is not None:
        connection.execute("UPDATE versions SET deleted_at = NULL WHERE id = ?", (existing["id"],))
        catalogue.touch(connection, concept_id)


def keep_blob(connection: sqlite3.Connection, blobs: BlobStore, digest: str) -> None:
    """Make a blob known to the database inside the transaction that refers to it.

    Raises:
        Damaged: it is not in the blob store.
    """
    connection.execute(
        "INSERT INTO blobs (digest, size, added_at) VALUES (?, ?, ?) ON CONFLICT (digest) DO UPDATE "
        "SET lost_at = NULL, size = excluded.size WHERE lost_at IS NOT NULL",
        (digest, blobs.size(digest), time.time()),
    )


def note_absent(connection: sqlite3.Connection, digest: str) -> None:
    """Make a blob known whose bytes are elsewhere; registering them later heals it."""
    now = time.time()
    connection.execute(
        "INSERT OR IGNORE INTO blobs (digest, size, added_at, lost_at) VALUES (?, 0, ?, ?)", (digest, now, now)
    )


def _insert(
    connection: sqlite3.Connection,
    concept_id: int,
    new: NewVersion,
    embedding: Embedding,
    embedding_blob: str,
    digest: str,
    manifest: str,
    record: str | None,
) -> int:
    now = time.time()
    number = connection.execute(
        "UPDATE concepts SET last_number = last_number + 1, updated_at = ? WHERE id = ? RETURNING last_number",
        (now, concept_id),
    ).fetchone()[0]
    base = new.fingerprint
    values = {
        "concept_id": concept_id,
        "number": number,
        "digest": digest,
        "embedding_digest": embedding.digest,
        "embedding_blob": embedding_blob,
        "encoders": json.dumps([[s.encoder, s.num_vectors, s.dim] for s in embedding.shapes], separators=(",", ":")),
        "origin": new.origin,
        "base_name": new.base_name,
        "base_family": base.family if base else "",
        "base_token_embedding": base.token_embedding if base else "",
        "base_text_encoder": base.text_encoder if base else "",
        "base_denoiser": base.denoiser if base else "",
        "run_id": new.run_id,
        "created_at": now,
        "manifest": manifest,
    }
    cursor = connection.execute(
        f"INSERT INTO versions ({', '.join(values)}) VALUES ({', '.join('?' * len(values))})", tuple(values.values())
    )
    version_id = cursor.lastrowid
    assert version_id is not None
    if record is not None:
        connection.execute("INSERT INTO records VALUES (?, ?)", (version_id, record))
    connection.executemany(
        "INSERT INTO images VALUES (?, ?, ?, ?, ?, ?, ?)",
        [(version_id, n, i.digest, i.filename, i.width, i.height, i.caption) for n, i in enumerate(new.images)],
    )
    connection.executemany(
        "INSERT INTO attachments VALUES (?, ?, ?)", [(version_id, role, d) for role, d in new.attachments.items()]
    )
    connection.executemany(
        "INSERT INTO parents VALUES (?, ?, ?, ?)",
        [(version_id, n, parent.digest, parent.relation) for n, parent in enumerate(new.parents)],
    )
    return version_id


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
        return VersionNotFound(f"the concept {reference.name!r} has no versions", "learn one with: tireg train")
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
    for ids in _portions(all_ids):
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


def _portions(ids: list[int], size: int = 5000) -> Iterable[list[int]]:
    return (ids[start : start + size] for start in range(0, len(ids), size))


# -- what belongs to a version ---------------------------------------------------------------------------------------


def embedding(db: Database, blobs: BlobStore, version_id: int) -> Embedding:
    """The stored vectors of a version."""
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
    catalogue.check_text(role, "attachment's role")
    with db.write() as connection:
        keep_blob(connection, blobs, blob)
        connection.execute("INSERT OR REPLACE INTO attachments VALUES (?, ?, ?)", (version_id, role, blob))


def set_notes(db: Database, version_id: int, notes: str) -> None:
    """Set the notes of one version."""
    catalogue.check_text(notes, "note")
    with db.write() as connection:
        connection.execute("UPDATE versions SET notes = ? WHERE id = ?", (notes, version_id))
        concept_id = connection.execute("SELECT concept_id FROM versions WHERE id = ?", (version_id,)).fetchone()[0]
        catalogue.touch(connection, concept_id)
        reindex(connection, concept_id)
