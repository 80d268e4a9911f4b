"""Migrations: every released schema comes up to date, all or nothing, with a backup before."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.core.registry.making import add_version, pragma
from tiregistry.registry import database
from tiregistry.registry.database import Database
from tiregistry.registry.registry import Registry
from tiregistry.registry.schema import SCHEMA_VERSION

SCHEMAS = Path(__file__).parent / "schemas"


def schema_of(path: Path) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE '_sqlite_migrations%' "
            "AND name NOT LIKE 'idx__sqlite_migrations%' ORDER BY name"
        ).fetchall()


def released_schemas() -> list[Path]:
    return sorted(SCHEMAS.glob("*.sql"))


@pytest.mark.parametrize("released", released_schemas(), ids=lambda path: path.stem)
def test_every_released_schema_comes_up_to_date(tmp_path: Path, released: Path) -> None:
    """A registry as each release wrote it, with data in it, opens and equals a fresh one in structure."""
    old = tmp_path / "old" / "registry.db"
    old.parent.mkdir()
    with closing(sqlite3.connect(old)) as connection:
        connection.executescript(released.read_text(encoding="utf-8"))
    with Registry.open(old.parent) as registry:
        assert [concept.name for concept in registry.concepts("gnome")] == ["gnome"]
        assert registry.version("gnome@best").number == 1
    with Registry.open(tmp_path / "fresh") as fresh:
        assert schema_of(old) == schema_of(fresh.database.path)
        assert pragma(old, "user_version") == SCHEMA_VERSION


def test_the_present_schema_is_among_the_released_ones() -> None:
    """Write it with `python -m tests.core.registry.schemas` when a release changes it."""
    assert [int(path.stem) for path in released_schemas()] == list(range(1, SCHEMA_VERSION + 1))


def test_there_is_one_migration_per_schema_version() -> None:
    from tiregistry.registry.migrations import migrations

    assert len(migrations._migrations) == SCHEMA_VERSION


def test_an_existing_registry_is_backed_up_before_a_migration_which_is_all_or_nothing(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_version(registry)
    registry.close()
    from tiregistry.registry import migrations as module

    later = type(module.migrations)("tiregistry")
    later._migrations = list(module.migrations._migrations)

    def m_next_good(db: Any) -> None:
        db.conn.execute("ALTER TABLE concepts ADD COLUMN mood TEXT NOT NULL DEFAULT 'good'")

    def m_next_bad(db: Any) -> None:
        db.conn.execute("ALTER TABLE concepts ADD COLUMN more TEXT")
        raise RuntimeError("half way")

    later(name="m_next_good")(m_next_good)
    later(name="m_next_bad")(m_next_bad)
    monkeypatch.setattr(module, "migrations", later)
    monkeypatch.setattr(database, "SCHEMA_VERSION", SCHEMA_VERSION + 2)
    path = registry.database.path
    with pytest.raises(RuntimeError, match="half way"):
        Database(path)
    assert pragma(path, "user_version") == SCHEMA_VERSION
    with closing(sqlite3.connect(path)) as connection:
        columns = {row[1] for row in connection.execute("PRAGMA table_info(concepts)")}
    assert not columns & {"mood", "more"}
    (saved,) = (path.parent / "backups").glob(f"registry-schema{SCHEMA_VERSION}-*.db")
    assert pragma(saved, "user_version") == SCHEMA_VERSION

    del later._migrations[-1]
    monkeypatch.setattr(database, "SCHEMA_VERSION", SCHEMA_VERSION + 1)
    migrated = Database(path)
    assert migrated.value("SELECT mood FROM concepts") == "good"
    migrated.close()
    shutil.copy(saved, path)  # the backup is a whole registry
    for leftover in (Path(f"{path}-wal"), Path(f"{path}-shm")):
        leftover.unlink(missing_ok=True)
    monkeypatch.setattr(database, "SCHEMA_VERSION", SCHEMA_VERSION)
    with Registry.open() as restored:
        assert restored.version("gnome").number == 1
