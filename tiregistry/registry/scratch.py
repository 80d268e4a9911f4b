"""Folders for work that may be killed: what is left of them goes with the next."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tiregistry.registry.filesystem import process_exists

_ABANDONED = 3600.0  # seconds; a process of this number may be another machine's
_OURS = re.compile(r"tireg-scratch-(\d+)-\w+")


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """An empty folder in the system's place for temporary files, for this user's eyes only; removed at the end."""
    _sweep(Path(tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix=f"tireg-scratch-{os.getpid()}-") as folder:
        yield Path(folder)


def _sweep(place: Path) -> None:
    """Remove the folders of this user's processes that were killed; each can be as large as a database."""
    for folder in place.glob("tireg-scratch-*"):
        match = _OURS.fullmatch(folder.name)
        with suppress(OSError):
            about = folder.lstat()
            is_mine = not hasattr(os, "getuid") or about.st_uid == os.getuid()
            is_old = time.time() - about.st_mtime >= _ABANDONED
            if match and is_mine and is_old and not process_exists(match[1]) and not folder.is_symlink():
                shutil.rmtree(folder, ignore_errors=True)
