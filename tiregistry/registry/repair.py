"""What `tireg verify --repair` does: fetch good bytes from a copy, rebuild what can be computed, set aside the rest."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Sequence
from typing import NamedTuple

from tiregistry.concepts import Fingerprint
from tiregistry.errors import Damaged
from tiregistry.quantities import count
from tiregistry.registry.blobs import BlobStore
from tiregistry.registry.copies import Copy
from tiregistry.registry.database import Database, Row
from tiregistry.registry.file_rows import note
from tiregistry.registry.filesystem import make_folder
from tiregistry.registry.manifest import embedding_digest
from tiregistry.registry.rebuild import rebuild
from tiregistry.registry.search import reindex


class Outcome(NamedTuple):
    """What a repair did."""

    done: str
    """In words; empty when nothing was or could be done."""
    remains: bool = False
    """Whether something is lost, or the next check finds the damage again."""


def reindex_database(db: Database) -> Outcome:
    """Rebuild SQLite's indexes, which heals damage that is only in them; return what was done."""
    try:
        with db.write() as connection:
            connection.execute("REINDEX")
        rows = db.rows("PRAGMA integrity_check(1)")
    except (sqlite3.DatabaseError, Damaged):
        return Outcome("")
    return Outcome("rebuilt the indexes" if [str(row[0]) for row in rows] == ["ok"] else "")


def rebuild_search(db: Database, concept_id: int | None) -> Outcome:
    """Rebuild the search index for one concept, or wholly."""
    with db.write() as connection:
        if concept_id is None:
            connection.execute("DELETE FROM search_data WHERE id > 10")
            connection.execute("INSERT INTO search (search) VALUES ('rebuild')")
            ids = [row[0] for row in connection.execute("SELECT id FROM concepts")]
        else:
            ids = [concept_id]
        for found in ids:
            reindex(connection, found)
    return Outcome("indexed again")


def drop_dangling(db: Database, blobs: BlobStore, table: str, rowid: int, parent: str) -> Outcome:
    """Heal a row that refers to nothing: a file that is there is noted again, other rows go.

    Args:
        table: table of the row, as `PRAGMA foreign_key_check` names it.
        parent: the table it refers to.
    """
    with db.write() as connection:
        if parent == "blobs":
            column = "embedding_blob" if table == "versions" else "digest"
            (digest,) = connection.execute(f'SELECT {column} FROM "{table}" WHERE rowid = ?', (rowid,)).fetchone()
            return Outcome("noted the file again" if note(connection, blobs, digest) else "noted the file as lost")
        connection.execute(f'DELETE FROM "{table}" WHERE rowid = ?', (rowid,))
        return Outcome("removed the row")


def mend_file(db: Database, blobs: BlobStore, digest: str, size: int, copies: Sequence[Copy]) -> Outcome:
    """Put good bytes in place of a missing or damaged file; where there are none, set the damaged file aside.

    A file of vectors is made anew where others hold the same vectors. Versions that lost their embedding go to the
    trash, so that `latest` and listings name only what works.
    """
    if found := fetch_file(db, blobs, digest, size, copies) or rebuild(db, blobs, digest, copies):
        return Outcome(found)
    done = "given up as lost"
    path = blobs.path(digest)
    if path.exists():
        aside = db.path.parent / "quarantine"
        make_folder(aside)
        os.replace(path, aside / path.name)
        done = f"set aside in {aside.name}/"
    with db.write() as connection:
        now = time.time()
        connection.execute("UPDATE blobs SET lost_at = ? WHERE digest = ?", (now, digest))
        moved = connection.execute(
            "UPDATE versions SET deleted_at = ? WHERE embedding_blob = ? AND deleted_at IS NULL", (now, digest)
        ).rowcount
    if moved:
        done += f"; {count(moved, 'version')} without embedding moved to the trash"
    return Outcome(done, remains=bool(moved or living_users(db, digest)))


def fetch_file(db: Database, blobs: BlobStore, digest: str, size: int, copies: Sequence[Copy]) -> str:
    """Put good bytes from a copy in place of a missing or damaged file; return what was done, or an empty string.

    Versions that went to the trash because this embedding was given up come back.
    """
    for copy in copies:
        data = copy.blob(digest, size or None)
        if data is not None:
            blobs.add(data)
            noted(db, digest, len(data))
            return f"copied from {copy.name}"
    return ""


def noted(db: Database, digest: str, size: int) -> None:
    """Note that a file is here (again)."""
    with db.write() as connection:
        connection.execute(
            "UPDATE versions SET deleted_at = NULL WHERE embedding_blob = ? AND deleted_at = "
            "(SELECT lost_at FROM blobs WHERE digest = ?)",
            (digest, digest),
        )
        connection.execute("UPDATE blobs SET size = ?, lost_at = NULL WHERE digest = ?", (size, digest))


def bring_back(db: Database, blobs: BlobStore, digest: str, size: int, copies: Sequence[Copy]) -> Outcome:
    """Undo that a file was given up, where it is there again or a copy has it."""
    if blobs.is_intact(digest):
        noted(db, digest, blobs.size(digest))
        return Outcome("the file is there again")
    return Outcome(fetch_file(db, blobs, digest, size, copies) or rebuild(db, blobs, digest, copies))


def lost_words(db: Database) -> list[str]:
    """References of the versions in the trash whose embedding was given up: `gnome@3`."""
    rows = db.rows(
        "SELECT c.name || '@' || v.number AS version FROM versions v JOIN concepts c ON c.id = v.concept_id "
        "JOIN blobs b ON b.digest = v.embedding_blob "
        "WHERE b.lost_at IS NOT NULL AND (v.deleted_at IS NOT NULL OR c.deleted_at IS NOT NULL) "
        "ORDER BY c.name_key, v.number"
    )
    return [row["version"] for row in rows]


def living_users(db: Database, digest: str) -> tuple[str, ...]:
    """What of the versions that are not in the trash uses a blob; see `users`."""
    return users(db, digest, "v.deleted_at IS NULL AND c.deleted_at IS NULL")


def users(db: Database, digest: str, where: str = "1") -> tuple[str, ...]:
    """What uses a blob: `gnome@3 (embedding)`, `gnome@3 (image cat.png)`."""
    rows = db.rows(
        "SELECT c.name || '@' || v.number AS version, u.what FROM ("
        "SELECT id AS version_id, 'embedding' AS what FROM versions WHERE embedding_blob = ? UNION ALL "
        "SELECT version_id, 'image ' || filename FROM images WHERE digest = ? UNION ALL "
        "SELECT version_id, role FROM attachments WHERE digest = ?) u "
        f"JOIN versions v ON v.id = u.version_id JOIN concepts c ON c.id = v.concept_id WHERE {where} "
        "ORDER BY c.name_key, v.number",
        digest,
        digest,
        digest,
    )
    return tuple(f"{row['version']} ({row['what']})" for row in rows)


def mend_manifest(db: Database, row: Row, copies: Sequence[Copy]) -> Outcome:
    """Fetch a version's manifest from a copy; where there is none, move the version to the trash."""
    for copy in copies:
        manifest = copy.manifest(row["digest"])
        if manifest is not None:
            with db.write() as connection:
                connection.execute("UPDATE versions SET manifest = ? WHERE id = ?", (manifest, row["id"]))
            return Outcome(f"copied from {copy.name}")
    with db.write() as connection:
        connection.execute(
            "UPDATE versions SET deleted_at = coalesce(deleted_at, ?) WHERE id = ?", (time.time(), row["id"])
        )
    return Outcome("moved to the trash, where only a copy or purging it helps", remains=True)


def mend_rows(db: Database, blobs: BlobStore, version_id: int) -> Outcome:
    """Write a version's rows again from its manifest, which proves itself."""
    with db.write() as connection:
        row = connection.execute("SELECT * FROM versions WHERE id = ?", (version_id,)).fetchone()
        manifest = json.loads(row["manifest"])
        base = Fingerprint.from_dict(manifest["base"]) if manifest["base"] else None
        shapes = [[name, *manifest["embedding"][name]["shape"]] for name in sorted(manifest["embedding"])]
        connection.execute(
            "UPDATE versions SET embedding_digest = ?, encoders = ?, base_family = ?, base_token_embedding = ?, "
            "base_text_encoder = ?, base_denoiser = ? WHERE id = ?",
            (
                embedding_digest(manifest),
                json.dumps(shapes, separators=(",", ":")),
                base.family if base else "",
                base.token_embedding if base else "",
                base.text_encoder if base else "",
                base.denoiser if base else "",
                version_id,
            ),
        )
        known = {
            image["digest"]: image
            for image in connection.execute("SELECT * FROM images WHERE version_id = ?", (version_id,))
        }
        connection.execute("DELETE FROM images WHERE version_id = ?", (version_id,))
        for position, image in enumerate(manifest["images"]):
            digest = "sha256:" + image["sha256"]
            old = known.get(digest)
            note(connection, blobs, digest)
            connection.execute(
                "INSERT INTO images VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    version_id,
                    position,
                    digest,
                    old["filename"] if old else f"{position}",
                    old["width"] if old else 0,
                    old["height"] if old else 0,
                    image["caption"],
                ),
            )
        connection.execute("DELETE FROM parents WHERE version_id = ?", (version_id,))
        connection.executemany(
            "INSERT INTO parents VALUES (?, ?, ?, ?)",
            [(version_id, n, parent["digest"], parent["relation"]) for n, parent in enumerate(manifest["parents"])],
        )
        reindex(connection, row["concept_id"])
    return Outcome("written again from the manifest")
