"""A database's file and place: its folder, whether it is lost or too new, which journal is possible there."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from tiregistry.errors import FULL_DISK, Damaged, NewerRegistry, RegistryReadOnly
from tiregistry.registry.daily_copies import newest_copy
from tiregistry.registry.filesystem import make_folder, on_network
from tiregistry.registry.schema import SCHEMA_VERSION
from tiregistry.registry.sqlite_errors import wait_while_busy


def prepare_folder(path: Path) -> bool:
    """Create the folder of a database if need be; return whether the database can be written.

    Raises:
        RegistryReadOnly: it is not there and cannot be created.
    """
    folder = path.parent
    if path.exists():
        return os.access(folder, os.W_OK) and os.access(path, os.W_OK)
    try:
        make_folder(folder)
    except OSError as error:
        if error.errno in FULL_DISK:
            raise
        raise RegistryReadOnly(
            f"the registry cannot be created in {folder}: {error.strerror or error}",
            "set TIREG_HOME to a folder you can write",
        ) from None
    if not os.access(folder, os.W_OK):
        raise RegistryReadOnly(f"the folder {folder} cannot be written", "set TIREG_HOME to a folder you can write")
    return True


def refuse_lost(path: Path, is_lost: Callable[[], bool]) -> None:
    """Refuse to begin anew where files show that there was a database.

    Files are only written once the database is there: one that is still lost after they were seen was not made by
    a process that is just beginning.

    Raises:
        Damaged: names what helps.
    """
    if is_lost() and _holds_files(path.parent / "blobs") and is_lost():
        copy = newest_copy(path.parent)
        raise Damaged(
            f"the database {path} is missing or empty, but the files of its words are there",
            f"put it back, or read a backup: tireg restore --from {copy or 'FILE'}; to begin anew, move the folder "
            f"{path.parent} away",
        )


def refuse_newer(path: Path, version: int) -> None:
    """Refuse a schema that this program does not know.

    Raises:
        NewerRegistry: it is a later one.
    """
    if version > SCHEMA_VERSION:
        raise NewerRegistry(
            f"{path} was written by a newer tiregistry (schema {version}, this one knows {SCHEMA_VERSION})",
            "update with: pip install --upgrade tiregistry",
        )


def written_version(path: Path) -> int:
    """`user_version` as the file's first page has it; 0 where the file is missing or no database.

    Looking before the database is opened leaves a newer registry untouched: opening one in WAL mode makes files
    beside it, even for reading. SQLite itself looks, as if the file never changed: were the file opened and
    closed here, the system would drop the locks that other connections of this process hold on it, and another
    process would remove the log under them.
    """
    if size_of(path) < 100:
        return 0
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as look:
            return int(look.execute("PRAGMA user_version").fetchone()[0])
    except sqlite3.Error:
        return 0  # what is wrong with it is said when it is opened


def choose_journal(connection: sqlite3.Connection, path: Path, patience: float) -> None:
    """Write-ahead logging, or a rollback journal where WAL cannot work; the choice is kept in the file.

    `TIREG_JOURNAL=delete` forces the rollback journal.

    Args:
        patience: seconds to wait for other processes.
    """
    mode = wanted_journal(path)

    def switch() -> None:
        # The answer is the mode in force: SQLite keeps the old one where the file system lacks shared memory.
        connection.execute(f"PRAGMA journal_mode = {mode}").fetchone()

    # The busy timeout does not cover the switch; two processes creating the registry meet here.
    wait_while_busy(switch, patience, lambda: 0.02)


def wanted_journal(path: Path) -> str:
    """The journal mode for a database at this place, as SQLite calls it."""
    wanted = os.environ.get("TIREG_JOURNAL", "").upper()
    if wanted in ("DELETE", "WAL"):
        return wanted
    return "DELETE" if on_network(path.parent) else "WAL"


def size_of(path: Path) -> int:
    """Size of a file in bytes; 0 where there is none."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _holds_files(blobs: Path) -> bool:
    """Whether a folder of blobs holds any."""
    try:
        return any(
            len(shard.name) == 2 and any(len(entry.name) == 64 for entry in os.scandir(shard.path))
            for shard in os.scandir(blobs)
        )
    except OSError:
        return False
