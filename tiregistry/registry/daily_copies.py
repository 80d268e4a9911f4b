"""Copies of the database in `backups/`, made as it changes: names, captions and settings are in no other file.

A registry whose database is lost still has the files of its words. With one of these copies it has the words again, but
for what changed within the last hour. A disk that fails takes both: that is what `tireg backup` is for.
"""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tiregistry.registry.filesystem import make_folder

if TYPE_CHECKING:
    from tiregistry.registry.database import Database

FOLDER = "backups"
KEPT = 3
"""Days whose copies stay: of those on which the registry was changed."""
DUE_SECONDS = 3600.0
LARGEST = 256 << 20
"""Bytes of a database that is copied: about a second's work."""
ROOM = 100 << 20
"""Bytes that must be free, besides ten times what a copy takes."""
_NAME = re.compile(r"registry-\d{8}\.db")


def copy_if_due(db: Database) -> Path | None:
    """Copy the database if it holds words and the last copy is older than an hour; returns the copy's path.

    What keeps it from being copied (a full disk, another writer) is no reason to fail: None then, as where none is due.
    """
    folder = db.path.parent / FOLDER
    with suppress(OSError, sqlite3.Error):
        newest = newest_copy(db.path.parent)
        if newest is not None and 0 <= time.time() - newest.stat().st_mtime < DUE_SECONDS:
            return None
        size = db.path.stat().st_size
        if size > LARGEST or shutil.disk_usage(db.path.parent).free < ROOM + 10 * size:
            return None  # the space belongs to words first
        make_folder(folder)
        target = folder / time.strftime("registry-%Y%m%d.db")
        # One of its own: within a transaction, a connection would copy what may still be rolled back.
        with closing(sqlite3.connect(f"{db.path.absolute().as_uri()}?mode=ro", uri=True, timeout=0.1)) as source:
            if source.execute("SELECT 1 FROM versions LIMIT 1").fetchone() is None:
                return None
            copy_to(source, target)
        for old in copies(db.path.parent)[:-KEPT]:
            old.unlink()
        return target
    return None


def copy_to(source: sqlite3.Connection, target: Path) -> None:
    """Copy an open database into a file that is there whole or not at all.

    Raises:
        OSError, sqlite3.Error: it cannot be read or written, or is damaged: a good copy of before stays.
    """
    partial = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with closing(sqlite3.connect(partial)) as copy:
            source.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")  # complete by itself, whoever opens it
            if copy.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
                raise sqlite3.DatabaseError(f"what was copied to {target} is damaged")
        os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)


def copies(home: Path) -> list[Path]:
    """The copies that `copy_if_due` made beside a registry, oldest first."""
    with suppress(OSError):
        return sorted(path for path in (home / FOLDER).iterdir() if _NAME.fullmatch(path.name))
    return []


def is_copy(path: Path) -> bool:
    """Whether a file is called as `copy_if_due` calls its copies, and lies in a folder of that name."""
    return path.parent.name == FOLDER and bool(_NAME.fullmatch(path.name)) and path.is_file()


def newest_copy(home: Path) -> Path | None:
    """The newest of `copies`, if there is any."""
    found = copies(home)
    return found[-1] if found else None
