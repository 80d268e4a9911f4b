"""The SQLite file: opening, migrating, one connection per thread, and transactions that fail with a clear error."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from tiregistry.errors import FULL_DISK, Damaged, DiskFull, NewerRegistry, NotFound, RegistryReadOnly, TiregError
from tiregistry.registry.connections import ThreadConnections
from tiregistry.registry.daily_copies import FOLDER, copy_to, newest_copy
from tiregistry.registry.filesystem import make_folder, on_network, sync_folder
from tiregistry.registry.schema import APPLICATION_ID, SCHEMA_VERSION
from tiregistry.registry.sqlite_errors import translated

Row = sqlite3.Row
BUSY_SECONDS = 60.0
"""How long a writer waits for the others before it gives up."""


class Database:
    """The registry's SQLite file.

    Reading needs no ceremony (`rows`, `row`, `value`); every change happens inside `with db.write():`, which is one
    `BEGIN IMMEDIATE` transaction. Safe to use from several threads: each gets its own connection.

    Args:
        path: the database file; created, with its folder, when it is missing and `readonly` is False.
        readonly: never write, not even to create or migrate.
        anew: create the file even where the `blobs` beside it show that there was one.

    On a full disk an existing file opens for reading.

    Raises:
        NewerRegistry: the file was written by a newer tiregistry; it has not been touched.
        Damaged: the file is no registry, SQLite finds it corrupt, or it is gone while its files are still there.
        RegistryReadOnly: the file must be created or migrated but its folder cannot be written.
        NotFound: `readonly`, and there is no file.
    """

    def __init__(self, path: Path, *, readonly: bool = False, anew: bool = False) -> None:
        self.path = path
        self._anew = anew
        self._is_full = self._is_closed = False
        self._full_path: Path | None = None
        self._connections = ThreadConnections(self._connect)
        self._nesting = _Nesting()
        self._snapshot: tempfile.TemporaryDirectory[str] | None = None
        self._immutable = False
        self.has_written = False
        """Whether a transaction of `write` has ended well."""
        with translated(path):
            if not anew:
                self._refuse_lost(lambda: _size(path) == 0)
            self.readonly = readonly or not self._prepare_folder()
            try:
                self._open()
            except BaseException:
                self.close()
                raise

    @property
    def is_full(self) -> bool:
        """Whether the file was opened for reading because there was no space."""
        return self._is_full

    # -- connections ---------------------------------------------------------------------------------------------

    @property
    def connection(self) -> sqlite3.Connection:
        """This thread's connection; opened on first use.

        Raises:
            TiregError: the database is closed.
        """
        if self._is_closed:
            raise TiregError(f"the registry in {self.path.parent} is closed", "open it anew: Registry.open()")
        return self._connections.mine()

    def close(self) -> None:
        """Close the connections of all threads; whatever is asked of the object afterwards raises TiregError.

        Readings that go on in other threads are not disturbed.
        """
        self._is_closed = True
        self._disconnect()

    def _disconnect(self) -> None:
        self._connections.close()
        if self._snapshot is not None:
            self._snapshot.cleanup()
            self._snapshot = None

    def _connect(self) -> sqlite3.Connection:
        with translated(self.path):
            if not self.readonly:
                connection = sqlite3.connect(
                    self.path,
                    timeout=BUSY_SECONDS,
                    isolation_level=None,
                    check_same_thread=False,
                    cached_statements=256,
                )
            else:
                options = "mode=ro&immutable=1" if self._immutable else "mode=ro"
                connection = sqlite3.connect(
                    f"{self.path.absolute().as_uri()}?{options}",
                    uri=True,
                    timeout=BUSY_SECONDS,
                    isolation_level=None,
                    check_same_thread=False,
                )
            connection.row_factory = sqlite3.Row
            connection.create_function("casefold", 1, str.casefold, deterministic=True)
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA trusted_schema = OFF")
            if not self.readonly:
                # FULL: a committed row survives power loss, as the blobs it points at do.
                connection.execute("PRAGMA synchronous = FULL")
            return connection

    def _prepare_folder(self) -> bool:
        """Create the folder if need be; return whether the database can be written."""
        folder = self.path.parent
        if self.path.exists():
            return os.access(folder, os.W_OK) and os.access(self.path, os.W_OK)
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

    # -- opening -------------------------------------------------------------------------------------------------

    def _open(self) -> None:
        try:
            with translated(self.path):
                self._check_and_migrate()
        except DiskFull:
            # Even looking needs a little space for the -shm file; what is there can still be read without it.
            if self.readonly or self._written_version() != SCHEMA_VERSION:
                raise
            self._disconnect()
            self._full_path = self.path
            self.readonly = self._is_full = True
            self._check_and_migrate()

    def _leave_full_disk(self) -> None:
        """Open for writing again, if by now there is space for it; other threads' readings go on undisturbed."""
        assert self._full_path is not None
        self.path, self._immutable = self._full_path, False
        self._connections.begin_anew()
        self.readonly = self._is_full = False
        self._open()

    def _refuse_lost(self, is_lost: Callable[[], bool]) -> None:
        """Refuse to begin anew where files show that there was a database.

        Files are only written once the database is there: one that is still lost after they were seen was not made by
        a process that is just beginning.
        """
        if is_lost() and _holds_files(self.path.parent / "blobs") and is_lost():
            copy = newest_copy(self.path.parent)
            raise Damaged(
                f"the database {self.path} is missing or empty, but the files of its words are there",
                f"put it back, or read a backup: tireg restore --from {copy or 'FILE'}; to begin anew, move the folder "
                f"{self.path.parent} away",
            )

    def _check_and_migrate(self) -> None:
        self._refuse_newer(self._written_version())
        if self.readonly:
            self._open_readonly()
        version = self._version()
        if version == 0 and not self._anew:
            self._refuse_lost(lambda: self._version() == 0)
        if version < SCHEMA_VERSION:
            if self.readonly:
                raise RegistryReadOnly(
                    f"{self.path} must be brought up to date but cannot be written",
                    "open a copy of it",
                )
            self._choose_journal()
            self._migrate(version)
        elif not self.readonly and self._wanted_journal() != "WAL":
            self._choose_journal()  # it may have been made elsewhere, and moved or mounted here

    def _version(self) -> int:
        """`user_version` of the file, after checking that it is a registry that this program knows."""
        application, version = self._marks()
        if application == 0 and not self._is_empty():
            # Between the two looks another process may have made it, marks and tables at once.
            application, version = self._marks()
        if application != APPLICATION_ID and not (application == 0 and self._is_empty()):
            raise Damaged(f"{self.path} is not a tiregistry database", "move it away, or set TIREG_HOME elsewhere")
        self._refuse_newer(version)
        return version

    def _marks(self) -> tuple[int, int]:
        """`application_id` and `user_version`."""
        application, version = self.connection.execute(
            "SELECT a.application_id, u.user_version FROM pragma_application_id a, pragma_user_version u"
        ).fetchone()
        return int(application), int(version)

    def _written_version(self) -> int:
        """`user_version` as the file's first page has it; 0 where the file is missing or no database.

        Looking before the database is opened leaves a newer registry untouched: opening one in WAL mode makes files
        beside it, even for reading. SQLite itself looks, as if the file never changed: were the file opened and
        closed here, the system would drop the locks that other connections of this process hold on it, and another
        process would remove the log under them.
        """
        if _size(self.path) < 100:
            return 0
        try:
            with closing(sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as look:
                return int(look.execute("PRAGMA user_version").fetchone()[0])
        except sqlite3.Error:
            return 0  # what is wrong with it is said when it is opened

    def _refuse_newer(self, version: int) -> None:
        if version > SCHEMA_VERSION:
            raise NewerRegistry(
                f"{self.path} was written by a newer tiregistry (schema {version}, this one knows {SCHEMA_VERSION})",
                "update with: pip install --upgrade tiregistry",
            )

    def _is_empty(self) -> bool:
        return not self.connection.execute("SELECT 1 FROM sqlite_master").fetchone()

    def _open_readonly(self) -> None:
        """Find a way to read a file whose folder cannot be written.

        WAL needs its `-shm` file even for reading. Where it cannot be made, a database without a `-wal` file is
        complete by itself (`immutable`); one with a `-wal` file is copied and read from the copy.
        """
        if not self.path.exists():
            raise NotFound(f"there is no registry in {self.path.parent}", "tireg list creates one")
        try:
            self.connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            return
        except sqlite3.OperationalError:
            self._disconnect()
        wal = Path(f"{self.path}-wal")
        if wal.exists() and wal.stat().st_size:
            self._snapshot = tempfile.TemporaryDirectory(prefix="tireg-")
            copy = Path(self._snapshot.name) / self.path.name
            shutil.copyfile(self.path, copy)
            shutil.copyfile(wal, f"{copy}-wal")
            self.path = copy
        else:
            self._immutable = True

    def _choose_journal(self) -> None:
        """Write-ahead logging, or a rollback journal where WAL cannot work; the choice is kept in the file.

        `TIREG_JOURNAL=delete` forces the rollback journal.
        """
        mode = self._wanted_journal()
        deadline = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                # The answer is the mode in force: SQLite keeps the old one where the file system lacks shared memory.
                self.connection.execute(f"PRAGMA journal_mode = {mode}").fetchone()
                return
            except sqlite3.OperationalError as error:
                # The busy timeout does not cover the switch; two processes creating the registry meet here.
                busy = error.sqlite_errorname.startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))
                if not busy or time.monotonic() > deadline:
                    raise
                time.sleep(0.02)

    def _wanted_journal(self) -> str:
        wanted = os.environ.get("TIREG_JOURNAL", "").upper()
        if wanted in ("DELETE", "WAL"):
            return wanted
        return "DELETE" if on_network(self.path.parent) else "WAL"

    def _migrate(self, version: int) -> None:
        """Bring the file to `SCHEMA_VERSION` in one transaction; an existing one is copied to a backup first."""
        if version > 0:
            self._backup_before_migration(version)
        with self.write() as connection:
            (now,) = connection.execute("PRAGMA user_version").fetchone()
            if now >= SCHEMA_VERSION:
                return  # another process was faster
            from sqlite_utils import Database as Tables  # 105 ms, and only when the schema is behind

            from tiregistry.registry.migrations import migrations

            migrations.apply(Tables(connection, execute_plugins=False))
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        sync_folder(self.path.parent)

    def _backup_before_migration(self, version: int) -> None:
        folder = self.path.parent / FOLDER
        make_folder(folder)
        stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
        target = folder / f"{self.path.stem}-schema{version}-{stamp}-{os.getpid()}.db"
        copy_to(self.connection, target)
        sync_folder(folder)

    # -- reading and writing -------------------------------------------------------------------------------------

    def rows(self, sql: str, *parameters: Any) -> list[Row]:
        """All rows of a query."""
        with translated(self.path):
            return self.connection.execute(sql, parameters).fetchall()

    def row(self, sql: str, *parameters: Any) -> Row | None:
        """The first row of a query, or None."""
        with translated(self.path):
            found: Row | None = self.connection.execute(sql, parameters).fetchone()
            return found

    def value(self, sql: str, *parameters: Any) -> Any:
        """The first column of the first row, or None."""
        found = self.row(sql, *parameters)
        return None if found is None else found[0]

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """A read transaction: everything inside sees one state of the registry, whatever others write."""
        connection = self.connection
        if connection.in_transaction:
            yield connection
            return
        with translated(self.path):
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                if connection.in_transaction:
                    connection.execute("COMMIT")

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """One transaction that holds the write lock from its beginning; nested calls join the outer one.

        It cannot begin inside `read()`: what was read there could have been changed by others since.

        Raises:
            RuntimeError: it is called inside `read()`.
            RegistryReadOnly: the registry cannot be written.
            DiskFull: no space is left; the transaction is rolled back.
            Busy: others have held the lock for `BUSY_SECONDS`.
            Damaged: SQLite finds the file corrupt.
        """
        if self._is_full:
            self._leave_full_disk()
        if self._is_full:
            raise DiskFull(f"no space left in {self.path.parent}", kept="nothing was lost")
        if self.readonly:
            raise RegistryReadOnly(f"the registry in {self.path.parent} cannot be written", "check the folder's rights")
        connection = self.connection
        if self._nesting.depth:
            self._nesting.depth += 1
            try:
                yield connection
            finally:
                self._nesting.depth -= 1
            return
        if connection.in_transaction:
            raise RuntimeError("Database.write() inside read(): begin with write(), inside which reading is free")
        with translated(self.path):
            _begin(connection)
            self._nesting.depth = 1
            try:
                yield connection
                connection.execute("COMMIT")
                self.has_written = True
            except BaseException:
                if connection.in_transaction:  # a full disk may already have rolled it back
                    connection.execute("ROLLBACK")
                raise
            finally:
                self._nesting.depth = 0


def portions(ids: Sequence[int], size: int = 5000) -> Iterator[Sequence[int]]:
    """`ids` in parts that fit as parameters into one statement, of which SQLite takes 32,766 at most."""
    return (ids[start : start + size] for start in range(0, len(ids), size))


class _Nesting(threading.local):
    """How deep this thread is in blocks of `write`."""

    depth = 0


def _size(path: Path) -> int:
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


def _begin(connection: sqlite3.Connection) -> None:
    """Take the write lock, waiting up to `BUSY_SECONDS`.

    SQLite's own waiting sleeps up to 100 ms between looks, so that of many writers most sleep while the lock is free;
    looking every few milliseconds keeps the lock busy and lets nobody starve.
    """
    connection.execute("PRAGMA busy_timeout = 0")
    try:
        deadline = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                connection.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError as error:
                busy = error.sqlite_errorname.startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))
                if not busy or time.monotonic() > deadline:
                    raise
                time.sleep(0.001 + 0.003 * random.random())
    finally:
        connection.execute(f"PRAGMA busy_timeout = {int(BUSY_SECONDS * 1000)}")
