"""What SQLite and the disk complain about, as the errors a person can act on."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tiregistry.errors import FULL_DISK, Busy, Damaged, DiskFull, RegistryReadOnly, TiregError

_BUSY = ("SQLITE_BUSY", "SQLITE_LOCKED")
_LACKING = ("no such table", "no such column")
"""How SQLite begins when it is not our database, or one that has lost a part."""


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn SQLite's and the disk's errors into ours."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        ours = _as_ours(error, path)
        if ours is None:
            raise
        raise ours from error
    except OSError as error:
        if error.errno in FULL_DISK:
            raise DiskFull(f"no space left in {path.parent}", kept="nothing was lost") from error
        raise


def wait_while_busy(act: Callable[[], object], patience: float, pause: Callable[[], float]) -> None:
    """Do something as soon as no other connection is in its way.

    Args:
        act: raises SQLite's error while one is.
        patience: seconds after which that error is raised here.
        pause: seconds until the next try.
    """
    deadline = time.monotonic() + patience
    while True:
        try:
            act()
            return
        except sqlite3.OperationalError as error:
            if not error.sqlite_errorname.startswith(_BUSY) or time.monotonic() > deadline:
                raise
        time.sleep(pause())


def _as_ours(error: sqlite3.DatabaseError, path: Path) -> TiregError | None:
    """What a person can act on; None for a mistake in this program, or what the caller handles."""
    name = getattr(error, "sqlite_errorname", "") or ""
    if isinstance(error, (sqlite3.IntegrityError, sqlite3.ProgrammingError)):
        return None
    # Growing the shared-memory file is the first thing that fails on a full disk, and has a name of its own.
    if name.startswith(("SQLITE_FULL", "SQLITE_IOERR_SHMSIZE")):
        return DiskFull(f"no space left in {path.parent}", kept="nothing was lost")
    if name.startswith(_BUSY):
        return Busy(f"{path} is in use by another process", "wait for it to finish and try again")
    if name.startswith(("SQLITE_READONLY", "SQLITE_PERM", "SQLITE_AUTH")):
        return RegistryReadOnly(f"the registry in {path.parent} cannot be written", "check the folder's rights")
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")) or str(error).startswith(_LACKING):
        return Damaged(
            f"{path} is damaged: {error}", f"move {path.parent} away and read a backup: tireg restore --from FILE"
        )
    if name.startswith("SQLITE_CANTOPEN"):
        if path.parent.exists() and not path.parent.is_dir():
            return TiregError(f"{path.parent} is no folder", "set TIREG_HOME to the registry's folder")
        return TiregError(f"{path} cannot be opened: {error}", "check the folder's rights")
    if name.startswith("SQLITE_IOERR"):
        return TiregError(f"the disk failed while using {path}: {error} ({name})", "check the disk; nothing was lost")
    return None
