"""`Source`: the bytes of a file, read whole when small and by ranges when large, never from a pipe or a device."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tiregistry.embeddings.limits import MAX_FILE
from tiregistry.embeddings.tensors import damaged
from tiregistry.errors import DamagedEmbedding, FileMissing, UnreadableEmbedding
from tiregistry.quantities import size
from tiregistry.text import safe


class Source:
    """A file's bytes.

    Attributes:
        name: file name without folders, as given (not yet safe to show).
        size: length in bytes.
    """

    def __init__(self, data: bytes | None, name: str, size: int, handle: int = -1) -> None:
        self._data = data
        self._handle = handle
        self.name = name
        self.size = size

    @property
    def stem(self) -> str:
        """The name without its last extension."""
        return Path(self.name).stem

    @property
    def shown(self) -> str:
        """The name, safe to show."""
        return safe(self.name, limit=120) or "the file"

    @property
    def is_whole(self) -> bool:
        """Whether the bytes are in memory (`all` may be called)."""
        return self._data is not None

    def read(self, start: int, count: int) -> bytes:
        """Exactly `count` bytes from `start`.

        Raises:
            UnreadableEmbedding: the file ends before.
        """
        if start < 0 or count < 0 or start + count > self.size:
            raise damaged(f"{self.shown} ends after {self.size} bytes")
        if self._data is not None:
            return self._data[start : start + count]
        os.lseek(self._handle, start, os.SEEK_SET)
        parts: list[bytes] = []
        while count:
            part = os.read(self._handle, min(count, 2**20))
            if not part:
                raise damaged(f"{self.shown} became shorter while it was read")
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    def head(self, count: int) -> bytes:
        """The first `count` bytes, fewer when the file is shorter."""
        return self.read(0, min(count, self.size))

    def all(self) -> bytes:
        """The whole content.

        Raises:
            UnreadableEmbedding: the file is larger than any embedding.
        """
        if self._data is None:
            raise UnreadableEmbedding(
                f"{self.shown} has {size(self.size)}, far more than a learned word",
                "give an embedding file, not a whole model",
            )
        return self._data

    def digest(self) -> str:
        """`sha256:<hex>` of the content in memory."""
        return "sha256:" + hashlib.sha256(self.all()).hexdigest()


@contextmanager
def open_source(given: Path | bytes, filename: str = "") -> Iterator[Source]:
    """Open a file, or wrap bytes.

    Raises:
        FileMissing: there is no such file.
        UnreadableEmbedding: it is empty, a folder, a pipe, a device, or may not be read.
    """
    if isinstance(given, bytes):
        if not given:
            raise DamagedEmbedding(f"{safe(filename) or 'the file'} is empty (0 bytes)", "download it again")
        yield Source(given, filename, len(given))
        return
    name = filename or given.name
    handle = -1
    try:
        # O_NONBLOCK: opening a pipe must not wait for a writer that never comes.
        handle = os.open(given, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise UnreadableEmbedding(f"{safe(given)} is not an ordinary file", "give an embedding file or a folder")
        if status.st_size == 0:
            raise DamagedEmbedding(f"{safe(name)} is empty (0 bytes)", "download it again")
        data = None
        if status.st_size <= MAX_FILE:
            with os.fdopen(os.dup(handle), "rb") as file:
                data = file.read(MAX_FILE + 1)
        yield Source(data, name, len(data) if data is not None else status.st_size, handle)
    except FileNotFoundError:
        raise FileMissing(f"{safe(given)} does not exist", "check the path") from None
    except OSError as error:
        raise UnreadableEmbedding(f"{safe(given)} cannot be read: {error.strerror}", "check its permissions") from None
    except ValueError as error:  # a path with a zero byte
        raise FileMissing(f"{safe(given)} cannot be a path: {error}", "check the path") from None
    finally:
        if handle >= 0:
            os.close(handle)
