"""Aliases: movable names of versions whose every move is remembered and can be taken back."""

from __future__ import annotations

import sqlite3
import time

from tiregistry.concepts import AliasChange
from tiregistry.errors import Conflict, VersionNotFound
from tiregistry.references import check_alias
from tiregistry.registry import curation
from tiregistry.registry.database import Database


def put(db: Database, concept_id: int, alias: str, version_id: int) -> None:
    """Make `alias` name the version; moving it is remembered.

    Raises:
        InvalidReference: `alias` cannot be an alias (`latest` is automatic).
    """
    alias = check_alias(alias)
    with db.write() as connection:
        (number,) = connection.execute("SELECT number FROM versions WHERE id = ?", (version_id,)).fetchone()
        _move(connection, concept_id, alias, number)


def take_away(db: Database, concept_id: int, alias: str) -> None:
    """Remove an alias; `undo` brings it back.

    Raises:
        VersionNotFound: there is no such alias.
    """
    with db.write() as connection:
        if _number(connection, concept_id, alias) is None:
            raise VersionNotFound(f"there is no alias {alias!r}", "tireg show lists the aliases")
        _move(connection, concept_id, alias, None)


def undo(db: Database, concept_id: int, alias: str) -> int | None:
    """Take back the last change of an alias that is not yet taken back; return the number it names now, if any.

    Raises:
        VersionNotFound: nothing is left to take back.
        Conflict: the version it named before is in the trash, or was deleted for good.
    """
    with db.write() as connection:
        last = connection.execute(
            "SELECT * FROM alias_log WHERE concept_id = ? AND alias = ? AND undoes IS NULL "
            "AND id NOT IN (SELECT undoes FROM alias_log WHERE concept_id = ? AND undoes IS NOT NULL) "
            "ORDER BY id DESC LIMIT 1",
            (concept_id, alias, concept_id),
        ).fetchone()
        if last is None:
            raise VersionNotFound(f"the alias {alias!r} has no change to take back", "tireg alias REF --log lists them")
        number = last["old_number"]
        _move(connection, concept_id, alias, number, undoes=last["id"])
        return None if number is None else int(number)


def log(db: Database, concept_id: int, alias: str | None = None) -> list[AliasChange]:
    """Every change of one or all aliases of a concept, newest first."""
    rows = db.rows(
        "SELECT id, alias, old_number, new_number, changed_at, undoes FROM alias_log "
        "WHERE concept_id = ? AND (? IS NULL OR alias = ?) ORDER BY id DESC",
        concept_id,
        alias,
        alias,
    )
    return [AliasChange(*row) for row in rows]


def _number(connection: sqlite3.Connection, concept_id: int, alias: str) -> int | None:
    row = connection.execute(
        "SELECT v.number FROM aliases a JOIN versions v ON v.id = a.version_id WHERE a.concept_id = ? AND a.alias = ?",
        (concept_id, alias),
    ).fetchone()
    return None if row is None else int(row[0])


def _move(
    connection: sqlite3.Connection, concept_id: int, alias: str, number: int | None, undoes: int | None = None
) -> None:
    old = _number(connection, concept_id, alias)
    if old == number and undoes is None:
        return
    if number is None:
        connection.execute("DELETE FROM aliases WHERE concept_id = ? AND alias = ?", (concept_id, alias))
    else:
        version = connection.execute(
            "SELECT v.id, v.deleted_at, c.name FROM concepts c LEFT JOIN versions v "
            "ON v.concept_id = c.id AND v.number = ? WHERE c.id = ?",
            (number, concept_id),
        ).fetchone()
        if version["id"] is None:
            raise Conflict(
                f"{version['name']}@{number}, which {alias!r} named before, was deleted for good",
                f"name another: tireg alias {version['name']}@NUMBER {alias}",
            )
        if version["deleted_at"] is not None:
            raise Conflict(
                f"{version['name']}@{number}, which {alias!r} named before, is in the trash",
                f"tireg restore {version['name']}@{number}",
            )
        connection.execute("INSERT OR REPLACE INTO aliases VALUES (?, ?, ?)", (concept_id, alias, version["id"]))
    connection.execute(
        "INSERT INTO alias_log (concept_id, alias, old_number, new_number, changed_at, undoes) "
        "VALUES (?, ?, ?, ?, ?, ?)",
        (concept_id, alias, old, number, time.time(), undoes),
    )
    curation.touch(connection, concept_id)
