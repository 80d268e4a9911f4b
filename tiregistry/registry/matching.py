"""Which concept here is the one in a backup: by name, token and type, else by the versions that both have."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence

from tiregistry.registry.database import Database, Row


def same_concepts(source: Database, connection: sqlite3.Connection, concepts: Sequence[Row]) -> dict[int, int]:
    """Which concept here each concept of the backup is: its id in the backup to its id here.

    Args:
        source: the backup.
        connection: the registry, inside the transaction of the merge.
        concepts: rows of the backup's concepts, those first that choose first.
    """
    same: dict[int, int] = {}
    for _, source_id, concept_id in sorted(_namesakes(source, connection, concepts), reverse=True):
        if source_id not in same and concept_id not in same.values():
            same[source_id] = concept_id
    for row in concepts:
        if row["id"] not in same:
            changed = _changed_since(source, connection, row, set(same.values()))
            if changed is not None:
                same[row["id"]] = changed
    return same


def _namesakes(
    source: Database, connection: sqlite3.Connection, concepts: Sequence[Row]
) -> Iterator[tuple[tuple[bool, bool, int], int, int]]:
    """How alike, id in the backup, id here: concepts of the same name, placeholder token and type.

    A name can be that of a living concept and of several in the trash. One in the backup's trash is a living one
    here only if more than the name says so: the versions of a removed word must not join its successor's.
    """
    for row in concepts:
        for here in connection.execute(
            "SELECT id, created_at, deleted_at FROM concepts WHERE name_key = ? AND token_key = ? AND concept_type = ?",
            (row["name_key"], row["token_key"], row["concept_type"]),
        ).fetchall():
            digests = _digests(source, row["id"])
            shared = sum(
                each["digest"] in digests
                for each in connection.execute("SELECT digest FROM versions WHERE concept_id = ?", (here["id"],))
            )
            is_as_old = row["created_at"] == here["created_at"]
            if is_as_old or shared or row["deleted_at"] is None or here["deleted_at"] is not None:
                is_as_alive = (row["deleted_at"] is None) == (here["deleted_at"] is None)
                yield (is_as_old, is_as_alive, shared), row["id"], here["id"]


def _changed_since(source: Database, connection: sqlite3.Connection, row: Row, claimed: set[int]) -> int | None:
    """The concept here that is the backup's under another name or token.

    It has a version of it and still its name or its token; or every version of it.
    """
    digests = _digests(source, row["id"])
    shared = Counter(
        here["concept_id"]
        for digest in digests
        for here in connection.execute("SELECT DISTINCT concept_id FROM versions WHERE digest = ?", (digest,))
    )
    best: tuple[bool, int, int] | None = None
    for concept_id, number in shared.items():
        here = connection.execute("SELECT name_key, token_key FROM concepts WHERE id = ?", (concept_id,)).fetchone()
        is_named = row["name_key"] == here["name_key"] or row["token_key"] == here["token_key"]
        if concept_id not in claimed and (is_named or number == len(digests)):
            best = max(best or (False, 0, 0), (is_named, number, -concept_id))
    return None if best is None else -best[2]


def _digests(source: Database, concept_id: int) -> set[str]:
    return {row["digest"] for row in source.rows("SELECT digest FROM versions WHERE concept_id = ?", concept_id)}
