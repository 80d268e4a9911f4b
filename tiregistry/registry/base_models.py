"""Base models known to the registry, which one is the default, and the cache of their files' hashes."""

from __future__ import annotations

import time
from pathlib import Path

from tiregistry.concepts import BaseModel, Fingerprint
from tiregistry.errors import AlreadyExists, BaseModelNotFound, Busy, DiskFull, RegistryReadOnly
from tiregistry.references import check_name, name_key
from tiregistry.registry.database import Database, Row
from tiregistry.registry.texts import check_text

DEFAULT = "embedded"
"""The base model used when the user has chosen none."""


def add(db: Database, base: BaseModel) -> None:
    """Remember a base model, or renew what is known of one from the same source.

    Raises:
        InvalidReference: the name breaks the rule of names.
        AlreadyExists: another source has the name.
    """
    name = check_name(base.name, "base model's name")
    check_text(base.source, "base model's source")
    fingerprint = base.fingerprint
    with db.write() as connection:
        row = connection.execute("SELECT source FROM bases WHERE name_key = ?", (name_key(name),)).fetchone()
        if row is not None and row["source"] != base.source:
            raise AlreadyExists(
                f"the name {name!r} belongs to the base model {row['source']}",
                f"choose another with --name, or: tireg base remove {name}",
            )
        connection.execute("DELETE FROM bases WHERE name_key = ?", (name_key(name),))
        connection.execute(
            "INSERT INTO bases (name, name_key, source, revision, resolution, family, token_embedding, text_encoder, "
            "denoiser, vae, added_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                name,
                name_key(name),
                base.source,
                base.revision,
                base.resolution,
                fingerprint.family,
                fingerprint.token_embedding,
                fingerprint.text_encoder,
                fingerprint.denoiser,
                fingerprint.vae,
                base.added_at or time.time(),
            ),
        )


def get(db: Database, name: str) -> BaseModel:
    """One base model by name.

    Raises:
        BaseModelNotFound: none has it; the hint names the closest.
    """
    row = db.row("SELECT * FROM bases WHERE name_key = ?", name_key(name))
    if row is not None:
        return _base(row)
    from difflib import get_close_matches

    known = [row["name"] for row in db.rows("SELECT name FROM bases ORDER BY name_key")]
    close = get_close_matches(name, known, n=1) or known[:5]
    hint = f"known: {', '.join(close)}" if close else "add one with: tireg base add FOLDER_OR_HUB_ID"
    raise BaseModelNotFound(f"no base model is named {name!r}", hint)


def every(db: Database) -> list[BaseModel]:
    """All base models, by name."""
    return [_base(row) for row in db.rows("SELECT * FROM bases ORDER BY name_key")]


def remove(db: Database, name: str) -> BaseModel:
    """Forget a base model (its files and the words learned on it stay); return what was forgotten."""
    base = get(db, name)
    with db.write() as connection:
        connection.execute("DELETE FROM bases WHERE name_key = ?", (name_key(name),))
        connection.execute("DELETE FROM settings WHERE key = 'default_base' AND value = ?", (base.name,))
    return base


def default(db: Database) -> str:
    """Name of the base model used when none is named."""
    return str(db.value("SELECT value FROM settings WHERE key = 'default_base'") or DEFAULT)


def set_default(db: Database, name: str) -> None:
    """Choose the base model used when none is named.

    Raises:
        BaseModelNotFound: none has this name (`embedded` always works).
    """
    chosen = name if name == DEFAULT else get(db, name).name
    with db.write() as connection:
        connection.execute("INSERT OR REPLACE INTO settings VALUES ('default_base', ?)", (chosen,))


def _base(row: Row) -> BaseModel:
    fingerprint = Fingerprint(row["family"], row["token_embedding"], row["text_encoder"], row["denoiser"], row["vae"])
    return BaseModel(row["name"], row["source"], fingerprint, row["revision"], row["resolution"], row["added_at"])


class FileHashes:
    """Hashes of big files, remembered until size, time or inode of the file changes.

    It is the `HashCache` that `tiregistry.bases.fingerprints` asks; in a registry that cannot be written (now, on a
    full disk, or beside one who holds it) it only reads: what it would remember can be computed again.
    """

    def __init__(self, db: Database) -> None:
        self._db = db

    def get(self, path: Path, role: str) -> str | None:
        """The remembered hash of a file, or None when it is unknown or the file has changed."""
        status = path.stat()
        found = self._db.value(
            "SELECT digest FROM file_hashes WHERE path = ? AND role = ? AND size = ? AND mtime_ns = ? AND inode = ?",
            _key(path),
            role,
            status.st_size,
            status.st_mtime_ns,
            _inode(status.st_ino),
        )
        return None if found is None else str(found)

    def put(self, path: Path, role: str, digest: str) -> None:
        """Remember a hash of the file as it is now."""
        status = path.stat()
        try:
            with self._db.write() as connection:
                connection.execute(
                    "INSERT OR REPLACE INTO file_hashes VALUES (?, ?, ?, ?, ?, ?)",
                    (_key(path), role, status.st_size, status.st_mtime_ns, _inode(status.st_ino), digest),
                )
        except (RegistryReadOnly, DiskFull, Busy):
            return


def _key(path: Path) -> str:
    # Undecodable bytes in a file name become escapes, because SQLite keeps only valid text.
    return str(path.resolve()).encode("utf-8", "backslashreplace").decode()


def _inode(number: int) -> int:
    return number & 0x7FFF_FFFF_FFFF_FFFF  # some file systems use all 64 bits, SQLite's integers are signed
