"""Whether a database has every table, column and index that its schema makes, and nothing less."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any, NamedTuple

from tiregistry.registry.database import Database, Row
from tiregistry.registry.search import reindex

_COLUMNS = (
    'SELECT t.name AS "table", t.strict, c.name AS "column", c.type, c."notnull" '
    "FROM pragma_table_list t, pragma_table_info(t.name) c "
    "WHERE t.schema = 'main' AND t.type IN ('table', 'virtual') "
    "AND t.name NOT LIKE 'sqlite%' AND t.name NOT LIKE '!_%' ESCAPE '!'"
)
_INDEXES = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
_SEARCH = "search"


class Lack(NamedTuple):
    """A part of the schema that a database does not have, or has in another form."""

    item: str
    """A table or an index."""
    problem: str
    is_table: bool
    sql: str = ""
    """What makes it again; empty where what stood in it is lost too."""


def columns(db: Database) -> set[tuple[Any, ...]]:
    """Each column of each table: table, whether that is strict, column, type, whether it must have a value."""
    return {tuple(row) for row in db.rows(_COLUMNS)}


def lacks(db: Database) -> list[Lack]:
    """What the database lacks of the schema that this program makes; tables before indexes."""
    from sqlite_utils import Database as Tables

    from tiregistry.registry.migrations import migrations

    with closing(sqlite3.connect(":memory:")) as made:
        migrations.apply(Tables(made, execute_plugins=False))
        expected = {tuple(row) for row in made.execute(_COLUMNS)}
        indexes = dict(made.execute(_INDEXES).fetchall())
        (search,) = made.execute("SELECT sql FROM sqlite_master WHERE name = ?", (_SEARCH,)).fetchone()
    here = columns(db)
    tables = {column[0] for column in here}
    found = []
    for table in sorted({column[0] for column in expected - here}):
        lost = sorted(str(column[2]) for column in expected - here if column[0] == table)
        if table not in tables:
            found.append(Lack(table, "the table is not there", True, search if table == _SEARCH else ""))
        else:
            found.append(Lack(table, f"the table has not the columns that it must have: {', '.join(lost)}", True))
    known = {row["name"] for row in db.rows(_INDEXES)}
    unindexed = sorted(set(indexes) - known)
    return found + [Lack(name, "the index is not there", False, indexes[name]) for name in unindexed]


def make_again(db: Database, lack: Lack) -> str:
    """Make an index or the search table again; return what was done, empty where that is impossible."""
    if not lack.sql:
        return ""
    with db.write() as connection:
        try:
            connection.execute(lack.sql)
        except (sqlite3.IntegrityError, sqlite3.OperationalError):
            return ""  # two rows contradict it, or its table is not there either
        if lack.item == _SEARCH:
            for concept in _concepts(connection):
                reindex(connection, concept["id"])
    return "made again"


def _concepts(connection: sqlite3.Connection) -> list[Row]:
    return connection.execute("SELECT id FROM concepts").fetchall()
