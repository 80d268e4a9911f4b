"""Files named by the sha256 of their bytes: written once, never changed, shared by everything that refers to them."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from tiregistry.errors import Damaged
from tiregistry.references import DIGEST
from tiregistry.registry.filesystem import NOT_WRITABLE, make_folder, sync_folder, writing

MEND = "tireg verify names what needs it; a copy brings it back: tireg verify --repair --from BACKUP-OR-FOLDER"


class BlobStore:
    """Content-addressed files in `folder`, as `ab/<64 hex digits>`.

    A blob is complete and durable before its digest is returned: unique temporary file, fsync, rename, fsync of the
    folder. A crash leaves at most a temporary file or a blob nobody refers to, which `gc` removes.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def temporary(self) -> Path:
        """Where files are written before they get their name; on the same file system, so that a rename is atomic."""
        return self.folder / "tmp"

    def path(self, digest: str) -> Path:
        """Where the blob `sha256:<hex>` lies, whether or not it exists.

        Raises:
            Damaged: `digest` is not a digest.
        """
        if not DIGEST.fullmatch(digest):
            raise Damaged(f"{digest!r} is not a sha256 digest", "run: tireg verify")
        return self.folder / digest[7:9] / digest[7:]

    def __contains__(self, digest: str) -> bool:
        return self.path(digest).is_file()

    def size(self, digest: str) -> int:
        """Size of a blob in bytes.

        Raises:
            Damaged: it is missing.
        """
        try:
            return self.path(digest).stat().st_size
        except FileNotFoundError:
            raise _missing(digest) from None

    def add(self, data: bytes | memoryview) -> str:
        """Keep `data`; return its digest `sha256:<hex>`.

        Bytes that are already there are touched, not written again, unless the stored file is damaged: then it is
        replaced by the good bytes.

        Raises:
            DiskFull: no space is left.
            RegistryReadOnly: the folder cannot be written.
        """
        digest = digest_of_bytes(data)
        if not self._touch(self.path(digest), len(data)):
            self._write(data, self.path(digest))
        return digest

    def read(self, digest: str) -> bytes:
        """The bytes of a blob, checked against the digest.

        Raises:
            Damaged: the blob is missing or its bytes are not what they were.
        """
        try:
            data = self.path(digest).read_bytes()
        except FileNotFoundError:
            raise _missing(digest) from None
        if hashlib.sha256(data).hexdigest() != digest[7:]:
            raise Damaged(f"the file {digest[:19]}… is damaged", MEND)
        return data

    def is_intact(self, digest: str) -> bool:
        """Whether the blob is there and its bytes match; reads all of it, in chunks."""
        try:
            return hash_file(self.path(digest)) == digest
        except OSError:
            return False

    def __iter__(self) -> Iterator[str]:
        """The digests of all files that are named like blobs, in no order."""
        try:
            shards = [entry.path for entry in os.scandir(self.folder) if len(entry.name) == 2 and entry.is_dir()]
        except FileNotFoundError:
            return
        for shard in sorted(shards):
            for entry in os.scandir(shard):
                if DIGEST.fullmatch(digest := f"sha256:{entry.name}"):
                    yield digest

    # -- writing -------------------------------------------------------------------------------------------------

    def _touch(self, target: Path, size: int) -> bool:
        """Whether `target` is there and good; its time is renewed so that gc's grace period begins anew."""
        try:
            if target.stat().st_size != size or hash_file(target)[7:] != target.name:
                return False
            os.utime(target)
        except FileNotFoundError:
            return False
        except OSError as error:
            if error.errno in NOT_WRITABLE:
                return True  # a read-only registry: what is there is there
            raise
        return True

    def _write(self, data: bytes | memoryview, target: Path) -> None:
        with writing(self.folder):
            handle, temporary = self._new_temporary()
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(data)
                    _seal(file)
                self._place(temporary, target)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise

    def _new_temporary(self) -> tuple[int, Path]:
        path = self.temporary / f"{os.getpid()}-{secrets.token_hex(8)}"
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0)
        try:
            return os.open(path, flags, 0o600), path
        except FileNotFoundError:
            make_folder(self.temporary)
            return os.open(path, flags, 0o600), path

    def _place(self, temporary: Path, target: Path) -> None:
        try:
            os.replace(temporary, target)
        except FileNotFoundError:
            make_folder(target.parent)
            os.replace(temporary, target)
        sync_folder(target.parent)


def digest_of_bytes(data: bytes | memoryview) -> str:
    """`sha256:<hex>` of bytes."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def hash_file(path: Path) -> str:
    """`sha256:<hex>` of a file's bytes, read in chunks."""
    with open(path, "rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()


def _seal(file: BinaryIO) -> None:
    """Make a finished file durable and read-only."""
    file.flush()
    if hasattr(os, "fchmod"):
        os.fchmod(file.fileno(), 0o444)
    os.fsync(file.fileno())


def _missing(digest: str) -> Damaged:
    return Damaged(f"the file {digest[:19]}… is missing from the registry", MEND)
