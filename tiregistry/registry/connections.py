"""One SQLite connection per thread, none longer than its thread lives."""

from __future__ import annotations

import gc
import sqlite3
import threading
from collections.abc import Callable


class ThreadConnections:
    """The connections of a database file.

    A connection holds two or three open files. That of a thread that has ended is closed when another thread opens
    one; those of living threads are never closed under them, because that takes the process down while they read.

    Args:
        connect: opens one that any thread may close.
    """

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        self._connect = connect
        self._local = threading.local()
        self._all: list[tuple[threading.Thread, sqlite3.Connection]] = []
        self._lock = threading.Lock()

    def mine(self) -> sqlite3.Connection:
        """This thread's connection; opened on first use."""
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._connect()
            # After opening: the last connection to be closed would write the whole log into the file.
            with self._lock:
                before, self._all = self._all, [(threading.current_thread(), connection)]
                ended = []
                for thread, each in before:
                    if thread.is_alive():
                        self._all.append((thread, each))
                    else:
                        ended.append(each)
            for each in ended:
                each.close()
        return connection

    def begin_anew(self) -> None:
        """Let every thread open a new connection when it next asks; what goes on over the old ones is undisturbed."""
        self._local = threading.local()

    def close(self) -> None:
        """Close all connections.

        Those of other threads that live are let go instead, and close with the last reading that holds them.
        """
        with self._lock:
            connections, self._all = self._all, []
        self._local = threading.local()
        others = False
        while connections:
            thread, connection = connections.pop()
            if thread is threading.current_thread() or not thread.is_alive():
                connection.close()
            else:
                others = True
            del connection
        if others:
            gc.collect()  # a connection and its cache of statements hold each other
