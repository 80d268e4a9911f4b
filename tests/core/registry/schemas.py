"""Writes the present schema, with one word in it, as `schemas/<number>.sql`, for the tests of migrations.

Run it once for each release that changes the schema:

    python -m tests.core.registry.schemas
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from tests.core.registry.making import add_version
from tiregistry.registry.registry import Registry
from tiregistry.registry.schema import APPLICATION_ID, SCHEMA_VERSION


def main() -> None:
    """Write the file."""
    with tempfile.TemporaryDirectory() as folder:
        with Registry.open(Path(folder)) as registry:
            add_version(registry, caption="a photo of <gnome>")
            registry.set_alias("gnome", "best")
            registry.tag("gnome", add=["garden"])
        with closing(sqlite3.connect(Path(folder) / "registry.db")) as connection:
            lines = list(statements(connection))
    lines += [f"PRAGMA application_id = {APPLICATION_ID};", f"PRAGMA user_version = {SCHEMA_VERSION};"]
    target = Path(__file__).with_suffix("") / f"{SCHEMA_VERSION}.sql"
    target.parent.mkdir(exist_ok=True)
    target.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(target)


def statements(connection: sqlite3.Connection) -> Iterator[str]:
    """The whole database as SQL; unlike `iterdump`, without the inner tables of the search index."""
    for name, kind, sql in connection.execute(
        "SELECT name, type, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'search!_%' ESCAPE '!' "
        "ORDER BY type = 'index', rowid"
    ).fetchall():
        yield f"{sql};"
        if kind != "table":
            continue
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({name})")]
        columns += ["rowid"] if name == "search" else []
        values = ", ".join(f"quote({column})" for column in columns)
        for row in connection.execute(f"SELECT {values} FROM {name}").fetchall():
            yield f"INSERT INTO {name} ({', '.join(columns)}) VALUES ({', '.join(row)});"


if __name__ == "__main__":
    main()
