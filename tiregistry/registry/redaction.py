"""Taking what was deleted for good out of the copies of the database in `backups/`, which are kept for all the rest."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tiregistry.errors import TiregError
from tiregistry.registry import purged as marks
from tiregistry.registry.daily_copies import all_copies, partial_of, remove_partial
from tiregistry.registry.filesystem import make_folder
from tiregistry.registry.purged import Purged
from tiregistry.registry.search import reindex

if TYPE_CHECKING:
    from tiregistry.registry.database import Database

_PATIENCE_SECONDS = 5.0
_LATER = ("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_FULL", "SQLITE_IOERR", "SQLITE_CANTOPEN", "SQLITE_READONLY")
"""How errors begin that say nothing about a copy itself."""


def redact_copies(db: Database) -> None:
    """Take what the database's mark names out of every copy; one that is too damaged for it is removed.

    What keeps a copy from being changed now (a disk without any space, rights) leaves the mark: the next call goes on.
    """
    if db.readonly:
        return
    with suppress(OSError, sqlite3.Error, TiregError):
        marked = marks.read(db.connection)
        if not marked:
            return
        with _alone(db.path.parent) as is_alone:
            if not is_alone:
                return
            purged = marks.without_returned(db.connection, marked)
            remove_partial(db.path.parent)
            clear = [_is_clear(copy, purged) for copy in all_copies(db.path.parent)]
            if all(clear):
                with db.write() as connection:
                    marks.clear(connection, marked)


@contextmanager
def _alone(home: Path) -> Iterator[bool]:
    """Whether no other process works on the copies within the block: what one leaves half done, another sweeps away."""
    from filelock import FileLock, Timeout

    make_folder(home / "locks")
    try:
        with FileLock(home / "locks" / "copies.lock").acquire(timeout=_PATIENCE_SECONDS):
            yield True
    except Timeout:
        yield False


def _is_clear(copy: Path, purged: Purged) -> bool:
    """Whether a copy holds nothing of it, by now."""
    try:
        with closing(sqlite3.connect(f"{copy.absolute().as_uri()}?mode=ro", uri=True, timeout=1)) as connection:
            if not any(_found(connection, purged)):
                return True
        made = copy.stat()
        try:
            _replace(copy, purged)
        except OSError:
            _take_out(copy, purged)  # where there is no space for another file
        os.utime(copy, ns=(made.st_atime_ns, made.st_mtime_ns))  # it is as old as what it holds
        return True
    except sqlite3.Error as error:
        if str(getattr(error, "sqlite_errorname", "")).startswith(_LATER):
            return False
        copy.unlink(missing_ok=True)
        return True
    except OSError:
        return False


def _replace(copy: Path, purged: Purged) -> None:
    """Put a file in the place of the copy that never held it.

    Raises:
        OSError: no space is left for it, or the folder cannot be written.
    """
    partial = partial_of(copy)
    try:
        shutil.copyfile(copy, partial)
        try:
            _take_out(partial, purged)
            with closing(_opened(partial)) as connection:
                connection.execute("VACUUM")  # nor what was written over earlier
        except sqlite3.OperationalError as error:
            raise OSError(str(error)) from error
        with open(partial, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(partial, copy)
    finally:
        partial.unlink(missing_ok=True)


def _take_out(path: Path, purged: Purged) -> None:
    """Delete it from a copy, and its bytes; the file grows by what the index over its texts takes, if at all."""
    with closing(_opened(path)) as connection:
        connection.execute("PRAGMA journal_mode = MEMORY")  # a journal beside it would hold what is deleted
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("BEGIN IMMEDIATE")
        concepts, versions, owners = _found(connection, purged)
        connection.executemany("DELETE FROM versions WHERE id = ?", [(each,) for each in versions])
        connection.executemany("DELETE FROM concepts WHERE id = ?", [(each,) for each in concepts])
        for concept_id in {*concepts, *owners}:
            reindex(connection, concept_id)
        connection.execute("INSERT INTO search (search) VALUES ('optimize')")
        connection.execute("COMMIT")


def _opened(path: Path) -> sqlite3.Connection:
    """A copy to be changed; one that is gone is not made anew, empty."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None)


def _found(connection: sqlite3.Connection, purged: Purged) -> tuple[list[int], list[int], list[int]]:
    """Ids of the concepts and of the versions that a copy holds of it, and of the concepts of these versions."""
    moments, digests = set(purged.concepts), set(purged.versions)
    concepts = [row[0] for row in connection.execute("SELECT id, created_at FROM concepts") if row[1] in moments]
    versions = [row for row in connection.execute("SELECT id, digest, concept_id FROM versions") if row[1] in digests]
    return concepts, [row[0] for row in versions], [row[2] for row in versions]
