"""Other places the registry's files may be found in: backups, other registries, folders with the original files."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from tiregistry.errors import FULL_DISK, Damaged, FileMissing, InvalidInput
from tiregistry.registry.blobs import BlobStore, hash_file
from tiregistry.registry.filesystem import writing
from tiregistry.registry.scratch import scratch_folder

if TYPE_CHECKING:
    from tiregistry.embeddings.embedding import Embedding

BACKUP_FORMAT = "tireg-backup/1"
_CHUNK = 1 << 20
# What zipfile says of a member that is missing, damaged, encrypted or packed in an unknown way, and of bad headers.
_UNREADABLE = (KeyError, OSError, EOFError, RuntimeError, ValueError, struct.error, zipfile.BadZipFile, zlib.error)


class Copy(Protocol):
    """Somewhere lost bytes may be found."""

    name: str
    """How messages call it."""

    def blob(self, digest: str, size: int | None) -> bytes | None:
        """The bytes with this digest (checked), or None; `size` helps to look quickly where it is known."""

    def manifest(self, digest: str) -> str | None:
        """The manifest with this digest (checked), or None."""

    def vectors(self, identity: str) -> Embedding | None:
        """The vectors of this tensor identity, from whatever file they are in, or None."""


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

    def vectors(self, identity: str) -> Embedding | None:
        return None  # where it has them, it has the very file


class BackupCopy:
    """A file written by `tireg backup`.

    Args:
        path: how it is called.
        archive: the opened file.
        folder: an empty folder for its database, which is unpacked when the first manifest is asked for.
    """

    def __init__(self, path: Path, archive: zipfile.ZipFile, folder: Path) -> None:
        self.name = str(path)
        self._zip = archive
        self._folder = folder
        self._database: Path | None = None

    def blob(self, digest: str, size: int | None) -> bytes | None:
        return packed_blob(self._zip, digest, size)

    def manifest(self, digest: str) -> str | None:
        if self._database is None:
            self._database = self._folder / "registry.db"
            try:
                unpack(self._zip, "registry.db", self._database)
            except Damaged:
                self._database.unlink(missing_ok=True)
        return _manifest_in(self._database, digest)

    def vectors(self, identity: str) -> Embedding | None:
        return None  # where it has them, it has the very file


class FolderCopy:
    """A folder of any files, e.g. the photos a word was learned from; searched by size, then by hash.

    Embeddings in it, of any format, are known by their vectors too.
    """

    def __init__(self, folder: Path) -> None:
        self.name = str(folder)
        self._by_size: dict[int, list[Path]] | None = None
        self._embeddings: dict[str, Embedding] | None = None
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

    def vectors(self, identity: str) -> Embedding | None:
        if self._embeddings is None:
            from tiregistry.embeddings.folders import read_folder

            results = read_folder(self._folder)
            self._embeddings = {each.embedding.digest: each.embedding for result in results for each in result.found}
        return self._embeddings.get(identity)


@contextmanager
def open_copy(path: Path, scratch: Path) -> Iterator[Copy]:
    """The copy at `path`: a backup file (closed at the end of the block), a registry's folder, or any folder.

    Args:
        scratch: folder that the database of a backup may be unpacked in, see `scratch_folder`.

    Raises:
        FileMissing: nothing is there.
        InvalidInput, Damaged: it is a file but no backup that can be read.
    """
    if not path.exists():
        raise FileMissing(f"{path} does not exist", "check the path")
    if path.is_dir():
        yield RegistryCopy(path) if (path / "blobs").is_dir() else FolderCopy(path)
        return
    with open_backup(path) as archive, scratch_folder(scratch) as folder:
        yield BackupCopy(path, archive, folder)


def open_backup(path: Path) -> zipfile.ZipFile:
    """The opened backup file.

    Raises:
        FileMissing: there is no such file.
        InvalidInput: it is a folder, no backup, or one of a later format.
        Damaged: it is truncated or damaged, or encrypted.
    """
    if path.is_dir():
        raise InvalidInput(
            f"{path} is a folder, not a backup file", f"its files are read by: tireg verify --repair --from {path}"
        )
    if not path.is_file():
        raise FileMissing(f"{path} does not exist", "check the path")
    try:
        archive = zipfile.ZipFile(path)
    except _UNREADABLE:
        raise Damaged(f"{path} is not a backup, or is truncated", "use a file written by: tireg backup") from None
    try:
        _check_format(archive, path)
    except BaseException:
        archive.close()
        raise
    return archive


def _check_format(archive: zipfile.ZipFile, path: Path) -> None:
    foreign = InvalidInput(f"{path} is not a backup of a registry", "use a file written by: tireg backup")
    if "backup.json" not in archive.namelist():
        raise foreign
    try:
        kind = json.loads(b"".join(member(archive, "backup.json")))["format"]
    except (KeyError, ValueError, TypeError, RecursionError):
        raise foreign from None
    if kind != BACKUP_FORMAT:
        raise InvalidInput(
            f"{path} is a backup of an unknown format ({kind})", "update with: pip install --upgrade tiregistry"
        )


def member(archive: zipfile.ZipFile, name: str) -> Iterator[bytes]:
    """The bytes of a file inside a backup, in parts.

    Raises:
        Damaged: it is not there, damaged, or packed as no backup is (encrypted, compressed in another way).
    """
    try:
        if archive.getinfo(name).compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise NotImplementedError("it is compressed in another way than backups are")
        with archive.open(name) as packed:
            while part := packed.read(_CHUNK):
                yield part
    except _UNREADABLE as error:
        if isinstance(error, OSError) and error.errno in FULL_DISK:
            raise
        raise Damaged(f"{name} in {archive.filename} cannot be read: {error}", "use another backup") from None


def unpack(archive: zipfile.ZipFile, name: str, target: Path) -> None:
    """Write a file inside a backup to `target`.

    Raises:
        Damaged: as `member`.
        DiskFull, RegistryReadOnly: `target` cannot be written.
    """
    with writing(target.parent), open(target, "wb") as file:
        file.writelines(member(archive, name))


def packed_blob(archive: zipfile.ZipFile, digest: str, size: int | None) -> bytes | None:
    """The bytes of a blob in a backup, checked; None when it is not there, damaged, or not `size` bytes long."""
    name = blob_member(digest)
    try:
        if size is not None and archive.getinfo(name).file_size != size:  # not unpacked: it could be of any size
            return None
        data = b"".join(member(archive, name))
    except (KeyError, Damaged):
        return None
    return data if hashlib.sha256(data).hexdigest() == digest[7:] else None


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
