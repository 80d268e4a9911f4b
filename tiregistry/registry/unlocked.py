"""A database read without SQLite's locks, where nothing can be written beside it; others may change it all the same."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

_TRIES = 5

Look = tuple[int, int, int] | None
"""Inode, size and time of the last change (ns) of a file; None where it is not there."""


class UnlockedFile:
    """How a database is read whose `-shm` file, which write-ahead logging needs even for reading, cannot be made.

    One without a `-wal` file is complete by itself and read as a file that does not change (`immutable`); one with a
    `-wal` file is copied and read from the copy. Neither notices when somebody who may write does so: who reads has to
    ask `has_changed` before, and `was_rewritten` after.

    Args:
        path: the database file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._wal = Path(f"{path}-wal")
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._seen = self._look()
        self.uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
        """What SQLite is to open."""
        if self._holds_log():
            self._copy()

    def has_changed(self) -> bool:
        """Whether somebody has written to the database, or has opened it for writing, since."""
        return self._look() != self._seen

    def was_rewritten(self) -> bool:
        """Whether what was read may have been half of an older and half of a newer state."""
        return self._folder is None and _look(self._path) != self._seen[0]

    def close(self) -> None:
        """Let go of the copy, if one was made."""
        if self._folder is not None:
            self._folder.cleanup()

    def _look(self) -> tuple[Look, Look]:
        return _look(self._path), _look(self._wal)

    def _holds_log(self) -> bool:
        return self._seen[1] is not None and self._seen[1][1] > 0

    def _copy(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="tireg-", ignore_cleanup_errors=True)
        copy = Path(self._folder.name) / self._path.name
        for _ in range(_TRIES):
            shutil.copyfile(self._path, copy)
            Path(f"{copy}-wal").unlink(missing_ok=True)
            if self._wal.exists():
                shutil.copyfile(self._wal, f"{copy}-wal")
            before, self._seen = self._seen, self._look()
            if self._seen == before:
                break  # nobody has written while it was copied
        self.uri = f"{copy.as_uri()}?mode=ro"


def _look(path: Path) -> Look:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
