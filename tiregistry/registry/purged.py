"""The mark of what was deleted for good and may still be in the copies of the database: made and kept in the database.

It is written in the transaction that deletes, so that no process that is killed after it can lose it. It names nothing:
concepts by the moment they were created, versions by their digests.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

_KEY = "purged"


@dataclass(slots=True)
class Purged:
    """What was deleted for good since the copies were last cleared of such."""

    number: int = 0
    """How often something was deleted for good; a copy that was begun before the last time is not kept."""
    concepts: list[float] = field(default_factory=list)
    """When they were created, in UNIX seconds: what a concept keeps under any name, also in another database."""
    versions: list[str] = field(default_factory=list)
    """Their digests."""

    def __bool__(self) -> bool:
        return bool(self.concepts or self.versions)


def note(connection: sqlite3.Connection, concepts: Iterable[int], versions: Iterable[int]) -> None:
    """Mark concepts and versions, by their ids, that the transaction is about to delete."""
    purged = read(connection)
    purged.number += 1
    for concept_id in concepts:
        purged.concepts += _column(connection, "SELECT created_at FROM concepts WHERE id = ?", concept_id)
        purged.versions += _column(connection, "SELECT digest FROM versions WHERE concept_id = ?", concept_id)
    for version_id in versions:
        purged.versions += _column(connection, "SELECT digest FROM versions WHERE id = ?", version_id)
    connection.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (_KEY, _text(purged)))


def read(connection: sqlite3.Connection) -> Purged:
    """The mark as it is now; one that cannot be read marks nothing."""
    row = connection.execute("SELECT value FROM settings WHERE key = ?", (_KEY,)).fetchone()
    try:
        return Purged(**json.loads(row[0])) if row else Purged()
    except (ValueError, TypeError):
        return Purged()


def without_returned(connection: sqlite3.Connection, purged: Purged) -> Purged:
    """The mark without what has come back since, as from a backup."""
    alive = set(_column(connection, "SELECT created_at FROM concepts"))
    versions = set(_column(connection, "SELECT digest FROM versions"))
    return Purged(
        purged.number,
        [moment for moment in purged.concepts if moment not in alive],
        [digest for digest in purged.versions if digest not in versions],
    )


def clear(connection: sqlite3.Connection, purged: Purged) -> None:
    """Note that no copy holds it any more, unless something else was deleted meanwhile."""
    connection.execute(
        "UPDATE settings SET value = ? WHERE key = ? AND value = ?", (_text(Purged(purged.number)), _KEY, _text(purged))
    )


def _text(purged: Purged) -> str:
    return json.dumps({"number": purged.number, "concepts": purged.concepts, "versions": purged.versions})


def _column(connection: sqlite3.Connection, sql: str, *parameters: Any) -> list[Any]:
    return [row[0] for row in connection.execute(sql, parameters)]
