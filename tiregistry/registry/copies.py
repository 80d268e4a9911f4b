"""Other places the registry's files may be found in: backups, other registries, folders with the original files."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import tempfile
import zipfile
import zlib
from contextlib import closing
from pathlib import Path
from typing import Protocol

from tiregistry.errors import Damaged, FileMissing, InvalidInput
from tiregistry.registry.blobs import BlobStore, hash_file

BACKUP_FORMAT = "tireg-backup/1"


class Copy(Protocol):
    """Somewhere lost bytes may be found."""

    name: str
    """How messages call it."""

    def blob(self, digest: str, size: int | None) -> bytes | None:
        """The bytes with this digest (checked), or None; `size` helps to look quickly where it is known."""

    def manifest(self, digest: str) -> str | None:
        """The manifest with this digest (checked), or None."""


class RegistryCopy:
    """Another registry's folder."""

    def __init__(self, folder: Path) -> None:
        self.name = str(folder)
        self._blobs = BlobStore(folder / "blobs")
        self._database = folder / "registry.db"

    def blob(self, digest: str, size: int | None) -> bytes | None:
        try:
            return self._blobs.read(digest)
        except (Damaged, OSError):
            return None

    def manifest(self, digest: str) -> str | None:
        return _manifest_in(self._database, digest)


class BackupCopy:
    """A file written by `tireg backup`."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._path = path
        self._zip = open_backup(path)

    def blob(self, digest: str, size: int | None) -> bytes | None:
        try:
            if size is not None and self._zip.getinfo(blob_member(digest)).file_size != size:
                return None  # not unpacked: it could be of any size
            data = self._zip.read(blob_member(digest))
        except (KeyError, OSError, zipfile.BadZipFile, zlib.error):
            return None
        return data if hashlib.sha256(data).hexdigest() == digest[7:] else None

    def manifest(self, digest: str) -> str | None:
        with tempfile.TemporaryDirectory(prefix="tireg-") as folder:
            try:
                database = Path(self._zip.extract("registry.db", folder))
            except (KeyError, OSError, zipfile.BadZipFile, zlib.error):
                return None
            return _manifest_in(database, digest)


class FolderCopy:
    """A folder of any files, e.g. the photos a word was learned from; searched by size, then by hash."""

    def __init__(self, folder: Path) -> None:
        self.name = str(folder)
        self._by_size: dict[int, list[Path]] | None = None
        self._folder = folder

    def blob(self, digest: str, size: int | None) -> bytes | None:
        if self._by_size is None:
            self._by_size = {}
            for path in sorted(self._folder.rglob("*")):
                if path.is_file() and not path.is_symlink():
                    self._by_size.setdefault(path.stat().st_size, []).append(path)
        sizes = self._by_size if size is None else {size: self._by_size.get(size, [])}
        for candidates in sizes.values():
            for path in candidates:
                try:
                    if hash_file(path) == digest:
                        return path.read_bytes()
                except OSError:
                    continue
        return None

    def manifest(self, digest: str) -> str | None:
        return None


def open_copy(path: Path) -> Copy:
    """The copy at `path`: a backup file, a registry's folder, or any folder.

    Raises:
        FileMissing: nothing is there.
        InvalidInput: it is a file but no backup.
    """
    if not path.exists():
        raise FileMissing(f"{path} does not exist", "check the path")
    if path.is_dir():
        return RegistryCopy(path) if (path / "blobs").is_dir() else FolderCopy(path)
    return BackupCopy(path)


def open_backup(path: Path) -> zipfile.ZipFile:
    """The opened backup file.

    Raises:
        FileMissing: there is no such file.
        InvalidInput: it is a folder, no backup, or one of a later format.
        Damaged: it is truncated or damaged.
    """
    if path.is_dir():
        raise InvalidInput(
            f"{path} is a folder, not a backup file", f"its files are read by: tireg verify --repair --from {path}"
        )
    if not path.is_file():
        raise FileMissing(f"{path} does not exist", "check the path")
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError):
        raise Damaged(f"{path} is not a backup, or is truncated", "use a file written by: tireg backup") from None
    try:
        about = json.loads(archive.read("backup.json"))
        kind = about["format"]
    except (KeyError, ValueError, TypeError, zipfile.BadZipFile):
        archive.close()
        raise InvalidInput(f"{path} is not a backup of a registry", "use a file written by: tireg backup") from None
    if kind != BACKUP_FORMAT:
        archive.close()
        raise InvalidInput(
            f"{path} is a backup of an unknown format ({kind})", "update with: pip install --upgrade tiregistry"
        )
    return archive


def blob_member(digest: str) -> str:
    """Name of a blob inside a backup file."""
    return f"blobs/{digest[7:9]}/{digest[7:]}"


def _manifest_in(database: Path, digest: str) -> str | None:
    try:
        with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            row = connection.execute("SELECT manifest FROM versions WHERE digest = ?", (digest,)).fetchone()
    except sqlite3.Error:
        return None
    if row is None or "sha256:" + hashlib.sha256(str(row[0]).encode()).hexdigest() != digest:
        return None
    return str(row[0])
