"""Registering a version: its files first, then its rows with their proof in one transaction."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from tiregistry.concepts import NewVersion
from tiregistry.errors import Conflict, InvalidInput
from tiregistry.registry import catalogue, curation
from tiregistry.registry.blobs import BlobStore, digest_of_bytes
from tiregistry.registry.database import Database, Row
from tiregistry.registry.file_rows import keep_blob, note_absent
from tiregistry.registry.manifest import build, canonical, digest_of
from tiregistry.registry.rebuild import put_back
from tiregistry.registry.repair import noted
from tiregistry.registry.search import covers, reindex
from tiregistry.registry.texts import check_text
from tiregistry.text import safe

if TYPE_CHECKING:
    from tiregistry.embeddings.embedding import Embedding


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


def heal(db: Database, blobs: BlobStore, version_id: int, embedding: Embedding, contents: Iterable[bytes]) -> bool:
    """Put back what is missing or damaged of a version: its vectors and its kept files. See `Registry.heal_version`."""
    row = db.row("SELECT embedding_digest, embedding_blob FROM versions WHERE id = ?", version_id)
    if row is None or row["embedding_digest"] != embedding.digest:
        return False
    healed = False
    if _is_lacking(db, blobs, row["embedding_blob"]):
        put_back(db, blobs, row["embedding_blob"], embedding)
        healed = True
    kept = {r["digest"] for r in db.rows("SELECT digest FROM attachments WHERE version_id = ?", version_id)}
    for content in contents:
        digest = digest_of_bytes(content)
        if digest in kept and _is_lacking(db, blobs, digest):
            blobs.add(content)
            noted(db, digest, len(content))
            healed = True
    return healed


def _is_lacking(db: Database, blobs: BlobStore, digest: str) -> bool:
    lost = db.value("SELECT 1 FROM blobs WHERE digest = ? AND lost_at IS NOT NULL", digest)
    return bool(lost) or not blobs.is_intact(digest)


def complete_record(db: Database, version_id: int, more: Mapping[str, Any]) -> set[str]:
    """Add the parts of `more` that a version's record lacks; return their keys. See `Registry.complete_record`."""
    with db.write() as connection:
        row = connection.execute("SELECT record FROM records WHERE version_id = ?", (version_id,)).fetchone()
        known = json.loads(row["record"]) if row is not None else {}
        added = set(more) - set(known)
        text = _record_text({**more, **known}) if added else None
        if text is not None:
            connection.execute("INSERT OR REPLACE INTO records VALUES (?, ?)", (version_id, text))
    return added


def _check(new: NewVersion) -> None:
    if new.origin not in ("trained", "imported", "pulled", "blended"):
        raise InvalidInput(f"{new.origin!r} is no origin of a version", "use trained, imported, pulled or blended")
    for what, text in (("description", new.description), ("licence", new.licence), ("base name", new.base_name)):
        check_text(text, what)
    for image in new.images:
        check_text(image.caption, "caption")
    for role in new.attachments:
        check_text(role, "attachment's role")


def _record_text(record: Mapping[str, Any]) -> str | None:
    if not record:
        return None
    try:
        return json.dumps(record, separators=(",", ":"), ensure_ascii=True)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"the record is not plain JSON: {error}") from None


def _concept_for(db: Database, connection: sqlite3.Connection, new: NewVersion) -> int:
    """The concept a new version belongs to; created when it does not exist."""
    token = curation.check_token(new.placeholder_token)
    row = connection.execute(
        "SELECT id, placeholder_token, concept_type FROM concepts WHERE id = ?", (catalogue.find(db, new.concept),)
    ).fetchone()
    if row is None:
        return curation.create(
            connection, new.concept, token, new.concept_type, description=new.description, licence=new.licence
        )
    if row["placeholder_token"] != token:
        curation.check_free(connection, None, token, besides=row["id"])
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
        curation.touch(connection, concept_id)


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
        # A file's name may hold undecodable bytes, which SQLite cannot keep.
        [
            (version_id, n, i.digest, safe(i.filename, limit=200), i.width, i.height, i.caption)
            for n, i in enumerate(new.images)
        ],
    )
    connection.executemany(
        "INSERT INTO attachments VALUES (?, ?, ?)", [(version_id, role, d) for role, d in new.attachments.items()]
    )
    connection.executemany(
        "INSERT INTO parents VALUES (?, ?, ?, ?)",
        [(version_id, n, parent.digest, parent.relation) for n, parent in enumerate(new.parents)],
    )
    return version_id
