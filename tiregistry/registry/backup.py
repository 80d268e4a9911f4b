"""One file that holds the whole registry at one moment: the database and every file it refers to."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import time
import zipfile
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from tiregistry.errors import AlreadyExists, DiskFull, FileMissing, InvalidInput
from tiregistry.progress import Progress
from tiregistry.registry.blobs import BlobStore
from tiregistry.registry.copies import BACKUP_FORMAT, blob_member
from tiregistry.registry.database import Database
from tiregistry.registry.filesystem import folder_lock, sync_folder
from tiregistry.registry.schema import SCHEMA_VERSION
from tiregistry.registry.scratch import hold, is_abandoned, scratch_folder
from tiregistry.registry.sqlite_errors import translated

_PARTIAL = re.compile(r"\.(.+)\.(\d+)\.part")
_DEFAULT_NAME = re.compile(r"tireg-backup-\d{8}-\d{6}\.zip")
_FIRST = b"backup.json"  # the name of the first file inside, behind the 30 bytes that zip puts before it
_DATABASE = b"SQLite format 3\0"


@dataclass(frozen=True, slots=True)
class BackupReport:
    """What a backup holds."""

    path: Path
    concepts: int
    versions: int
    """Concepts and versions besides those in the trash, which it holds too."""
    files: int
    bytes: int
    """Size of the backup file."""
    missing: tuple[str, ...]
    """Digests of files that were damaged or missing and are not in the backup."""


def default_name() -> str:
    """`tireg-backup-20261123-174512.zip` (UTC)."""
    return time.strftime("tireg-backup-%Y%m%d-%H%M%S.zip", time.gmtime())


def backup(
    db: Database, blobs: BlobStore, target: Path, *, overwrite: bool = False, progress: Progress | None = None
) -> BackupReport:
    """Write the whole registry into the zip file `target`; others may go on reading and writing.

    The file appears under its name only when it is complete. A damaged file of the registry does not stop the backup
    of the others; it is named in the report.

    Raises:
        AlreadyExists: `target` exists and `overwrite` is False.
        InvalidInput: it lies inside the registry's folder, or is a database.
        FileMissing: its folder does not exist.
        DiskFull: there is no space for it; nothing is left behind.
    """
    if not target.parent.is_dir():
        raise FileMissing(f"the folder {target.parent} does not exist", "make it, or choose another place")
    _check_place(db, target)
    if target.exists() and not overwrite:
        raise AlreadyExists(f"{target} exists", "choose another name, or add --force")
    partial = target.with_name(f".{target.name}.{os.getpid()}.part")
    _sweep(target)
    try:
        with (
            translated(target),
            folder_lock(db.path.parent, exclusive=False),  # gc must not take files away that the copy refers to
            scratch_folder(target.parent) as folder,
        ):
            report = _write(db, blobs, folder / "registry.db", partial, target, progress)
            os.replace(partial, target)
            sync_folder(target.parent)
            return report
    except DiskFull:
        raise DiskFull(f"no space left for {target}", "choose another place") from None
    finally:
        partial.unlink(missing_ok=True)


def note_backup(db: Database) -> None:
    """Remember that the registry has just been backed up."""
    with db.write() as connection:
        connection.execute("INSERT OR REPLACE INTO settings VALUES ('last_backup', ?)", (str(time.time()),))


def last_backup(db: Database) -> float | None:
    """When `note_backup` was called last, in UNIX seconds."""
    said = db.value("SELECT value FROM settings WHERE key = 'last_backup'")
    return None if said is None else float(said)


def _check_place(db: Database, target: Path) -> None:
    home = db.path.parent.resolve()
    if any(home in (place, *place.parents) for place in (target.resolve(), target.parent.resolve())):
        raise InvalidInput(f"{target} lies inside the registry's own folder", "choose a place outside of it")
    is_database = False
    if target.is_file():
        with suppress(OSError), open(target, "rb") as file:
            is_database = file.read(len(_DATABASE)) == _DATABASE
    if is_database:
        raise InvalidInput(f"{target} is a database, perhaps another registry's", "choose another name")


def _sweep(target: Path) -> None:
    """Remove what killed backups left beside `target`: hidden, half written, and as large as the registry."""
    for file in target.parent.glob(".*.part"):
        match = _PARTIAL.fullmatch(file.name)
        with suppress(OSError):
            if match and file.is_file() and is_abandoned(file, match[2], file) and _is_ours(file, match[1], target):
                file.unlink()


def _is_ours(file: Path, name: str, target: Path) -> bool:
    """Whether a half written file is a backup: it is called like one, or begins as all of them do."""
    if name == target.name or _DEFAULT_NAME.fullmatch(name):
        return True
    with open(file, "rb") as opened:
        return opened.read(30 + len(_FIRST)).endswith(_FIRST)


def _write(
    db: Database, blobs: BlobStore, copy: Path, partial: Path, target: Path, progress: Progress | None
) -> BackupReport:
    with closing(sqlite3.connect(copy)) as connection:
        db.connection.backup(connection)
        connection.execute("PRAGMA journal_mode = DELETE")  # one file, without -wal
        digests = [
            row[0] for row in connection.execute("SELECT digest FROM blobs WHERE lost_at IS NULL ORDER BY digest")
        ]
        concepts = connection.execute("SELECT count(*) FROM concepts WHERE deleted_at IS NULL").fetchone()[0]
        versions = connection.execute(
            "SELECT count(*) FROM versions v JOIN concepts c ON c.id = v.concept_id "
            "WHERE v.deleted_at IS NULL AND c.deleted_at IS NULL"
        ).fetchone()[0]
    missing = []
    with open(partial, "xb") as file:
        hold(file.fileno())
        # Pictures and floats do not compress; the database does.
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
            about = {
                "format": BACKUP_FORMAT,
                "schema": SCHEMA_VERSION,
                "created_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                "concepts": concepts,
                "versions": versions,
                "files": len(digests),
            }
            archive.writestr(_FIRST.decode(), json.dumps(about, indent=2))
            archive.write(copy, "registry.db", compress_type=zipfile.ZIP_DEFLATED)
            for done, digest in enumerate(digests, 1):
                if blobs.is_intact(digest):
                    archive.write(blobs.path(digest), blob_member(digest))
                else:
                    missing.append(digest)
                if progress:
                    progress(done, len(digests), "files")
        file.flush()
        os.fsync(file.fileno())
        size = file.tell()
    return BackupReport(target, concepts, versions, len(digests) - len(missing), size, tuple(missing))
