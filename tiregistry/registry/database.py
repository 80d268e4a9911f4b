"""The SQLite file: opening, migrating, one connection per thread, and transactions that fail with a clear error."""

from __future__ import annotations

import os
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tiregistry.errors import Busy, Damaged, DiskFull, NotFound, RegistryReadOnly, TiregError
from tiregistry.registry.connections import ThreadConnections
from tiregistry.registry.daily_copies import FOLDER, copy_to
from tiregistry.registry.database_file import (
    choose_journal,
    prepare_folder,
    refuse_lost,
    refuse_newer,
    size_of,
    wanted_journal,
    written_version,
)
from tiregistry.registry.filesystem import make_folder, sync_folder
from tiregistry.registry.schema import APPLICATION_ID, SCHEMA_VERSION
from tiregistry.registry.sqlite_errors import translated, wait_while_busy
from tiregistry.registry.transactions import OpenTransactions
from tiregistry.registry.unlocked import UnlockedFile

Row = sqlite3.Row
BUSY_SECONDS = 60.0
"""How long a writer waits for the others before it gives up."""
_PORTION = 5000
"""Parameters of one statement, of which SQLite takes 32,766 at most."""
_TRIES = 5  # of a query over a file that is read without locks and rewritten meanwhile


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
        self._connections = ThreadConnections(self._connect)
        self._transactions = OpenTransactions()
        self._unlocked: UnlockedFile | None = None
        self._renewing = threading.RLock()
        self._renewals = 0
        self.has_written = False
        """Whether a transaction of `write` has ended well."""
        with translated(path):
            if not anew:
                refuse_lost(path, lambda: size_of(path) == 0)
            self.readonly = readonly or not prepare_folder(self.path)
            try:
                self._open()
            except BaseException:
                self.close()
                raise

    @property
    def is_full(self) -> bool:
        """Whether the file was opened for reading because there was no space."""
        return self._is_full

    @property
    def is_inside_write(self) -> bool:
        """Whether this thread is inside a block of `write`."""
        return self._transactions.now is not None

    # -- connections ---------------------------------------------------------------------------------------------

    @property
    def connection(self) -> sqlite3.Connection:
        """This thread's connection; opened on first use.

        Raises:
            TiregError: the database is closed.
        """
        if self._is_closed:
            raise TiregError(f"the registry in {self.path.parent} is closed", "open it anew: Registry.open()")
        if not self.readonly:
            return self._connections.mine()
        with self._renewing:
            unlocked = self._unlocked
            if unlocked is not None and unlocked.has_changed() and not self._connections.mine().in_transaction:
                self._renew(unlocked)
            return self._connections.mine()

    def _renew(self, before: UnlockedFile) -> None:
        """Look anew how a file can be read that was read without locks, and that somebody has written to."""
        self._connections.close()
        self._unlocked = None
        self._renewals += 1
        try:
            self._check_and_migrate()
        except BaseException:
            self._unlocked = before  # so that the next reading looks again
            raise
        before.close()

    def changes(self) -> int:
        """A number that is another one after each commit of another connection."""
        version = int(self.value("PRAGMA data_version"))
        return version + (self._renewals << 32)

    def close(self) -> None:
        """Close the connections of all threads; whatever is asked of the object afterwards raises TiregError.

        Readings that go on in other threads are not disturbed.
        """
        self._is_closed = True
        self._disconnect()

    def _disconnect(self) -> None:
        self._connections.close()
        self._let_go()

    def _let_go(self) -> None:
        if self._unlocked is not None:
            self._unlocked.close()
            self._unlocked = None

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
                connection = sqlite3.connect(
                    self._unlocked.uri if self._unlocked else f"{self.path.absolute().as_uri()}?mode=ro",
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

    # -- opening -------------------------------------------------------------------------------------------------

    def _open(self) -> None:
        try:
            with translated(self.path):
                self._check_and_migrate()
        except DiskFull:
            # Even looking needs a little space for the -shm file; what is there can still be read without it.
            if self.readonly or written_version(self.path) != SCHEMA_VERSION:
                raise
            self._disconnect()
            self.readonly = self._is_full = True
            self._check_and_migrate()

    def _leave_full_disk(self) -> None:
        """Open for writing again, if by now there is space for it; other threads' readings go on undisturbed."""
        self._let_go()
        self._connections.begin_anew()
        self.readonly = self._is_full = False
        self._open()

    def _check_and_migrate(self) -> None:
        refuse_newer(self.path, written_version(self.path))
        if self.readonly:
            self._open_readonly()
        version = self._version()
        if version == 0 and not self._anew:
            refuse_lost(self.path, lambda: self._version() == 0)
        if version < SCHEMA_VERSION:
            if self.readonly:
                raise RegistryReadOnly(
                    f"{self.path} must be brought up to date but cannot be written",
                    "open a copy of it",
                )
            choose_journal(self.connection, self.path, BUSY_SECONDS)
            self._migrate(version)
        elif not self.readonly and wanted_journal(self.path) != "WAL":
            choose_journal(
                self.connection, self.path, BUSY_SECONDS
            )  # it may have been made elsewhere, and moved or mounted here

    def _version(self) -> int:
        """`user_version` of the file, after checking that it is a registry that this program knows."""
        application, version = self._marks()
        if application == 0 and not self._is_empty():
            # Between the two looks another process may have made it, marks and tables at once.
            application, version = self._marks()
        if application != APPLICATION_ID and not (application == 0 and self._is_empty()):
            raise Damaged(f"{self.path} is not a tiregistry database", "move it away, or set TIREG_HOME elsewhere")
        refuse_newer(self.path, version)
        return version

    def _marks(self) -> tuple[int, int]:
        """`application_id` and `user_version`."""
        application, version = self.connection.execute(
            "SELECT a.application_id, u.user_version FROM pragma_application_id a, pragma_user_version u"
        ).fetchone()
        return int(application), int(version)

    def _is_empty(self) -> bool:
        return not self.connection.execute("SELECT 1 FROM sqlite_master").fetchone()

    def _open_readonly(self) -> None:
        """Find a way to read a file whose folder cannot be written."""
        if not self.path.exists():
            raise NotFound(f"there is no registry in {self.path.parent}", "tireg list creates one")
        try:
            self.connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.OperationalError:
            self._connections.close()
            self._unlocked = UnlockedFile(self.path)

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
        found: list[Row] = self._fetched(lambda connection: connection.execute(sql, parameters).fetchall())
        return found

    def row(self, sql: str, *parameters: Any) -> Row | None:
        """The first row of a query, or None."""
        found: Row | None = self._fetched(lambda connection: connection.execute(sql, parameters).fetchone())
        return found

    def value(self, sql: str, *parameters: Any) -> Any:
        """The first column of the first row, or None."""
        found = self.row(sql, *parameters)
        return None if found is None else found[0]

    def _fetched(self, fetch: Callable[[sqlite3.Connection], Any]) -> Any:
        """What a query finds; asked again where the file was rewritten amid it."""
        with translated(self.path):
            for _ in range(_TRIES):
                connection, unlocked = self.connection, self._unlocked
                if unlocked is None or connection.in_transaction:  # `read` looks itself
                    return fetch(connection)
                try:
                    found = fetch(connection)
                except sqlite3.DatabaseError:
                    if not unlocked.was_rewritten():
                        raise
                else:
                    if not unlocked.was_rewritten():
                        return found
        raise self._rewritten()

    def _rewritten(self) -> Busy:
        return Busy(f"the registry in {self.path.parent} was written to while it was read", "try again")

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """A read transaction: everything inside sees one state of the registry, whatever others write.

        Raises:
            Busy: the file had to be read without locks, and was written to in that moment.
        """
        connection, unlocked = self.connection, self._unlocked
        if connection.in_transaction:
            yield connection
            return
        with translated(self.path):
            connection.execute("BEGIN")
            try:
                yield connection
            except Exception as error:
                if unlocked is not None and unlocked.was_rewritten():
                    raise self._rewritten() from error
                raise
            finally:
                if connection.in_transaction:
                    connection.execute("COMMIT")
            if unlocked is not None and unlocked.was_rewritten():
                raise self._rewritten()

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """One transaction that holds the write lock from its beginning; a block inside another is a part of it.

        A part that an exception leaves is undone, and what was written around it stays, if that block catches the
        exception. It cannot begin inside `read()`: what was read there could have been changed by others since.

        Raises:
            RuntimeError: it is called inside `read()`.
            Conflict: another asyncio task of this thread is inside such a block.
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
        around = self._transactions.mine()
        if around is not None:
            with translated(self.path), around.part(connection), translated(self.path):
                yield connection
            return
        if connection.in_transaction:
            raise RuntimeError("Database.write() inside read(): begin with write(), inside which reading is free")
        with translated(self.path):
            try:
                _begin(connection)
                transaction = self._transactions.begin()
                yield connection
                transaction.check_alive()
                connection.execute("COMMIT")
                self.has_written = True
            except BaseException:
                if connection.in_transaction:  # a full disk may already have rolled it back
                    connection.execute("ROLLBACK")
                raise
            finally:
                self._transactions.end()


def portions(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    """`ids` in parts that fit as parameters into one statement."""
    return (ids[start : start + _PORTION] for start in range(0, len(ids), _PORTION))


def _begin(connection: sqlite3.Connection) -> None:
    """Take the write lock, waiting up to `BUSY_SECONDS`.

    SQLite's own waiting sleeps up to 100 ms between looks, so that of many writers most sleep while the lock is free;
    looking every few milliseconds keeps the lock busy and lets nobody starve.
    """
    connection.execute("PRAGMA busy_timeout = 0")
    try:
        wait_while_busy(
            lambda: connection.execute("BEGIN IMMEDIATE"), BUSY_SECONDS, lambda: 0.001 + 0.003 * random.random()
        )
    finally:
        connection.execute(f"PRAGMA busy_timeout = {int(BUSY_SECONDS * 1000)}")
