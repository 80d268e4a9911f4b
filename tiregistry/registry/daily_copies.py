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

from tiregistry.registry import purged as marks
from tiregistry.registry.filesystem import make_folder

if TYPE_CHECKING:
    from tiregistry.registry.database import Database

FOLDER = "backups"
NEWEST = 3
DAYS = 3
"""What stays: the newest copies, and the last one of each of these days, of those on which the registry was changed.

None is written over: after a restore from an older copy the newest are still there.
"""
DUE_SECONDS = 3600.0
LARGEST = 256 << 20
"""Bytes of a database that is copied: about a second's work."""
ROOM = 100 << 20
"""Bytes that must be free, besides ten times what a copy takes."""
_NAME = re.compile(r"registry-\d{8}-\d{6}\.db")
_ANY_NAME = re.compile(r"registry-(?:schema\d+-)?\d{8}-\d{6}(?:-\d+)?\.db")
_LEFT = re.compile(r"\.registry-.*\.part(?:-journal)?")
_HEADER = b"SQLite format 3\0"


def copy_if_due(db: Database) -> Path | None:
    """Copy the database if it holds words and the last copy is older than an hour; returns the copy's path.

    What keeps it from being copied (a full disk, another writer) is no reason to fail: None then, as where none is due.
    """
    home = db.path.parent
    with suppress(OSError, sqlite3.Error):
        age = time.time() - max((_made(copy) for copy in copies(home)), default=0.0)
        size = db.path.stat().st_size
        if age < DUE_SECONDS:
            return None
        if size > LARGEST or shutil.disk_usage(home).free < ROOM + 10 * size:
            return None  # the space belongs to words first
        make_folder(home / FOLDER)
        _sweep(home / FOLDER)
        target = home / FOLDER / time.strftime("registry-%Y%m%d-%H%M%S.db")
        # One of its own: within a transaction, a connection would copy what may still be rolled back.
        with closing(sqlite3.connect(f"{db.path.absolute().as_uri()}?mode=ro", uri=True, timeout=0.1)) as source:
            if source.execute("SELECT 1 FROM versions LIMIT 1").fetchone() is None:
                return None
            deleted = marks.read(source).number
            copy_to(source, target)
            if marks.read(source).number != deleted:  # it may hold what was deleted for good meanwhile
                target.unlink()
                return None
        for old in _superfluous(copies(home)):
            if old != target:
                old.unlink()
        return target
    return None


def copy_to(source: sqlite3.Connection, target: Path) -> None:
    """Copy an open database into a file that is there whole or not at all.

    Raises:
        OSError, sqlite3.Error: it cannot be read or written, or is damaged: a good copy of before stays.
    """
    partial = partial_of(target)
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
    """The copies that `copy_if_due` made beside a registry, oldest first, by when they were made."""
    with suppress(OSError):
        return sorted((path for path in (home / FOLDER).iterdir() if _NAME.fullmatch(path.name)), key=_made)
    return []


def all_copies(home: Path) -> list[Path]:
    """The copies beside a registry, those too that were made before a migration."""
    with suppress(FileNotFoundError):
        return sorted(path for path in (home / FOLDER).iterdir() if _ANY_NAME.fullmatch(path.name))
    return []


def partial_of(target: Path) -> Path:
    """A name for what is to become a copy, which is swept away if nobody completes it."""
    return target.with_name(f".{target.name}.{os.urandom(6).hex()}.part")


def remove_partial(home: Path) -> None:
    """Remove what killed processes left in `backups/`, and what others are writing: they then make none."""
    with suppress(FileNotFoundError):
        for path in (home / FOLDER).iterdir():
            if _LEFT.fullmatch(path.name):
                path.unlink(missing_ok=True)


def newest_copy(home: Path) -> Path | None:
    """The newest of `copies`, if there is any."""
    found = copies(home)
    return found[-1] if found else None


def is_database(path: Path, own: Path) -> bool:
    """Whether a file is an SQLite database by itself, such as one of `copies`, wherever it was carried.

    Args:
        own: the open database, which is never looked into: closing it again would drop the locks on it.
    """
    with suppress(OSError):
        if path.is_file() and not (own.exists() and path.samefile(own)):
            with open(path, "rb") as file:
                return file.read(len(_HEADER)) == _HEADER
    return False


def _made(copy: Path) -> float:
    """When a copy was made, in UNIX seconds; one from the future, of a clock that was wrong, counts as the oldest."""
    try:
        moment = copy.stat().st_mtime
    except OSError:
        return 0.0
    return moment if moment <= time.time() + 60 else 0.0


def _superfluous(found: list[Path]) -> list[Path]:
    """Which of these, oldest first, need not stay."""
    of_day = {time.strftime("%Y%m%d", time.localtime(_made(copy))): copy for copy in found}
    kept = {*found[-NEWEST:], *[of_day[day] for day in sorted(of_day)[-DAYS:]]}
    return [copy for copy in found if copy not in kept]


def _sweep(folder: Path) -> None:
    """Remove what killed processes left."""
    for path in folder.iterdir():
        if _LEFT.fullmatch(path.name) and time.time() - path.stat().st_mtime > DUE_SECONDS:
            path.unlink(missing_ok=True)
