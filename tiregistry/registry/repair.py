"""What `tireg verify --repair` does: fetch good bytes from a copy, rebuild what can be computed, set aside the rest."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Sequence

from tiregistry.concepts import Fingerprint
from tiregistry.errors import Damaged
from tiregistry.registry.blobs import BlobStore
from tiregistry.registry.copies import Copy
from tiregistry.registry.database import Database, Row
from tiregistry.registry.file_rows import note
from tiregistry.registry.filesystem import make_folder
from tiregistry.registry.manifest import embedding_digest
from tiregistry.registry.search import reindex


def reindex_database(db: Database) -> str:
    """Rebuild SQLite's indexes, which heals damage that is only in them; return what was done."""
    try:
        with db.write() as connection:
            connection.execute("REINDEX")
        rows = db.rows("PRAGMA integrity_check(1)")
    except (sqlite3.DatabaseError, Damaged):
        return ""
    return "rebuilt the indexes" if [str(row[0]) for row in rows] == ["ok"] else ""


def rebuild_search(db: Database, concept_id: int | None) -> str:
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
    return "indexed again"


def drop_dangling(db: Database, blobs: BlobStore, table: str, rowid: int, parent: str) -> str:
    """Heal a row that refers to nothing: a file that is there is noted again, other rows go.

    Args:
        table: table of the row, as `PRAGMA foreign_key_check` names it.
        parent: the table it refers to.
    """
    with db.write() as connection:
        if parent == "blobs":
            column = "embedding_blob" if table == "versions" else "digest"
            (digest,) = connection.execute(f'SELECT {column} FROM "{table}" WHERE rowid = ?', (rowid,)).fetchone()
            return "noted the file again" if note(connection, blobs, digest) else "noted the file as lost"
        connection.execute(f'DELETE FROM "{table}" WHERE rowid = ?', (rowid,))
        return "removed the row"


def mend_file(db: Database, blobs: BlobStore, digest: str, size: int, copies: Sequence[Copy]) -> str:
    """Put good bytes in place of a missing or damaged file; where there are none, set the damaged file aside.

    Versions that lost their embedding go to the trash, so that `latest` and listings name only what works.
    """
    for copy in copies:
        data = copy.blob(digest, size)
        if data is not None:
            blobs.add(data)
            with db.write() as connection:
                connection.execute("UPDATE blobs SET size = ?, lost_at = NULL WHERE digest = ?", (len(data), digest))
            return f"copied from {copy.name}"
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
        done += f"; {moved} version{'s' * (moved > 1)} without embedding moved to the trash"
    return done


def mend_manifest(db: Database, row: Row, copies: Sequence[Copy]) -> str:
    """Fetch a version's manifest from a copy; where there is none, move the version to the trash."""
    for copy in copies:
        manifest = copy.manifest(row["digest"])
        if manifest is not None:
            with db.write() as connection:
                connection.execute("UPDATE versions SET manifest = ? WHERE id = ?", (manifest, row["id"]))
            return f"copied from {copy.name}"
    with db.write() as connection:
        connection.execute(
            "UPDATE versions SET deleted_at = coalesce(deleted_at, ?) WHERE id = ?", (time.time(), row["id"])
        )
    return "moved to the trash, where only purging it is left"


def mend_rows(db: Database, blobs: BlobStore, version_id: int) -> str:
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
    return "written again from the manifest"
