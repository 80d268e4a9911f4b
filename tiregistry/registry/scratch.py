"""Folders and files for work that may be killed: what is left of them goes with the next."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tiregistry.registry.filesystem import on_network, process_exists

_ABANDONED = 3600.0  # seconds without a write; a process of this number may be another machine's
_SETTLED = 10.0  # seconds; what is younger may not be locked yet
_OURS = re.compile(r"\.?tireg-scratch-(\d+)-\w+")
_HELD = "held"


@contextmanager
def scratch_folder(beside: Path) -> Iterator[Path]:
    """An empty folder for this user's eyes only; removed at the end.

    Args:
        beside: folder to make it in: the disk that the work is for is the one that must have the space. Where it
            cannot be written, the system's place for temporary files (`TMPDIR`) is used.
    """
    system = Path(tempfile.gettempdir())
    place = beside if beside.is_dir() and os.access(beside, os.W_OK) else system
    for each in {place, system}:
        _sweep(each)
    hidden = "" if place == system else "."
    with tempfile.TemporaryDirectory(prefix=f"{hidden}tireg-scratch-{os.getpid()}-", dir=place) as folder:
        lock = Path(folder) / _HELD
        with open(lock, "xb") as file:
            hold(file.fileno())
            inside = Path(folder) / "work"
            inside.mkdir(mode=0o700)
            yield inside


def hold(handle: int) -> None:
    """Mark an open file as that of a living process, for as long as it is open; where the system has such locks."""
    with suppress(ImportError, OSError):
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)


def is_abandoned(path: Path, pid: str, lock: Path) -> bool:
    """Whether the process that made `path` is gone.

    Args:
        path: a file or folder of a process with the number `pid`, which may be one of another machine or container.
        lock: the file that it holds, see `hold`.
    """
    about = path.lstat()
    is_mine = not hasattr(os, "getuid") or about.st_uid == os.getuid()
    age = time.time() - about.st_mtime
    if not is_mine or path.is_symlink() or process_exists(pid):
        return False
    is_held = _is_held(lock)
    if is_held is None:
        return age >= _ABANDONED
    return not is_held and age >= _SETTLED


def _is_held(lock: Path) -> bool | None:
    """Whether somebody on this machine holds the file; None where that cannot be told."""
    if on_network(lock.parent):
        return None
    try:
        import fcntl

        with open(lock, "rb") as file:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
            return False
    except BlockingIOError:
        return True
    except (ImportError, OSError):
        return None


def _sweep(place: Path) -> None:
    """Remove the folders of this user's processes that were killed; each can be as large as a database."""
    for folder in (*place.glob("tireg-scratch-*"), *place.glob(".tireg-scratch-*")):
        match = _OURS.fullmatch(folder.name)
        with suppress(OSError):
            if match and is_abandoned(folder, match[1], folder / _HELD):
                shutil.rmtree(folder, ignore_errors=True)
