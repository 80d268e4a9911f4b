"""Whose a transaction is: blocks of `Database.write` nest within one task of one thread, never across tasks."""

from __future__ import annotations

import sqlite3
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from tiregistry.errors import Conflict, DiskFull, TiregError

_entered: ContextVar[tuple[Transaction, ...]] = ContextVar("tireg_transactions", default=())
"""The transactions around what is carried out now. A ContextVar, because all tasks of a thread share its connection."""


@dataclass(slots=True, eq=False)
class Transaction:
    """One that is open over a thread's connection.

    `_entered` keeps tasks of any library apart, but those that are begun inside a block inherit what it holds:
    asyncio's are told by the task itself.
    """

    task: Any
    failure: BaseException | None = None
    """What made SQLite undo the whole of it, where something did."""

    def check_alive(self) -> None:
        """Raise what ended the transaction early: a block that caught it must not go on as if all were well."""
        if self.failure is None:
            return
        said = getattr(self.failure, "message", "") or str(self.failure)
        kind = DiskFull if isinstance(self.failure, DiskFull) else TiregError
        raise kind(f"the whole transaction was undone: {said}") from self.failure

    @contextmanager
    def part(self, connection: sqlite3.Connection) -> Iterator[None]:
        """A part of it, which is undone alone when an exception leaves it."""
        self.check_alive()
        connection.execute("SAVEPOINT part")  # the name means the innermost one
        try:
            yield
            self.check_alive()
            connection.execute("RELEASE part")
        except BaseException as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK TO part")
                connection.execute("RELEASE part")
            elif self.failure is None:
                self.failure = error
            raise


class OpenTransactions(threading.local):
    """The transaction that is open over this thread's connection, if one is."""

    now: Transaction | None = None

    def mine(self) -> Transaction | None:
        """The open transaction, if it is of this task.

        Raises:
            Conflict: it is another task's, which would undo, or commit too early, what this one writes.
        """
        if self.now is not None and not (self.now in _entered.get() and self.now.task is _task()):
            raise Conflict(
                "another task of this thread is inside registry.transaction()",
                "write no `await` inside the block, or change the registry in a thread: asyncio.to_thread",
            )
        return self.now

    def begin(self) -> Transaction:
        """Note that this task has begun one."""
        self.now = Transaction(_task())
        _entered.set((*_entered.get(), self.now))
        return self.now

    def end(self) -> None:
        """Note that it is over."""
        ended, self.now = self.now, None
        _entered.set(tuple(each for each in _entered.get() if each is not ended))


def _task() -> Any:
    """The asyncio task that runs, if one does."""
    current_task = getattr(sys.modules.get("asyncio"), "current_task", None)  # another thread may be importing it
    try:
        return None if current_task is None else current_task()
    except RuntimeError:  # no loop runs in this thread
        return None
