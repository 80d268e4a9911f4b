"""Several changes as one: what is undone with them, what is undone alone, and whose they are."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.core.registry.making import add_version, make_embedding
from tiregistry.concepts import NewVersion, SourceImage
from tiregistry.errors import Conflict, Damaged, DiskFull, InvalidInput, TiregError
from tiregistry.registry.registry import Registry

# -- parts -----------------------------------------------------------------------------------------------------------


def test_a_block_inside_that_an_exception_leaves_is_undone_alone(registry: Registry) -> None:
    add_version(registry)
    with registry.transaction():
        registry.tag("gnome", add=["before"])
        with contextlib.suppress(ValueError), registry.transaction():
            registry.tag("gnome", add=["inside"])
            with registry.transaction():
                registry.describe("gnome", licence="CC0-1.0", notes="unfindable")
            raise ValueError
        registry.tag("gnome", add=["after"])
    concept = registry.concept("gnome")
    assert (concept.tags, concept.licence) == (("after", "before"), "")
    assert registry.concepts("unfindable") == []
    assert registry.verify().damages == []


def test_a_method_that_fails_inside_a_transaction_leaves_nothing(registry: Registry) -> None:
    lost = NewVersion(
        "half", "<half>", "object", "imported", images=(SourceImage("sha256:" + "0" * 64, "x.png", 1, 1),)
    )
    unplain = NewVersion("half2", "<half2>", "object", "imported", record={"a": object()})
    with registry.transaction():
        for new, kind in ((lost, Damaged), (unplain, InvalidInput)):
            with pytest.raises(kind):
                registry.add_version(new, make_embedding(9))
        add_version(registry, "whole")
    assert [(concept.name, concept.num_versions) for concept in registry.concepts()] == [("whole", 1)]
    assert registry.verify().damages == []


def test_an_exception_that_leaves_the_outer_block_undoes_the_parts_too(registry: Registry) -> None:
    add_version(registry)

    def leave() -> None:
        with registry.transaction():
            with registry.transaction():
                registry.tag("gnome", add=["inside"])
            raise ValueError("all of it")

    with pytest.raises(ValueError, match="all of it"):
        leave()
    assert registry.concept("gnome").tags == ()


def test_errors_of_a_part_are_those_of_the_registry(registry: Registry) -> None:
    with registry.transaction():
        with pytest.raises(Damaged, match="no such table"), registry.database.write() as connection:
            connection.execute("SELECT * FROM lost_table")
        add_version(registry)
    assert registry.concept("gnome").num_versions == 1


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    point = tmp_path / "small"
    point.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(point)], capture_output=True).returncode:
        pytest.skip("mounting needs root")
    yield point
    subprocess.run(["umount", "-l", str(point)], check=True)


def test_what_a_full_disk_undoes_as_a_whole_does_not_go_on_by_halves(small: Path) -> None:
    with Registry.open(small / "home") as registry:
        add_version(registry)

        def fill_up() -> None:
            with registry.transaction():
                registry.tag("gnome", add=["before"])
                with contextlib.suppress(TiregError), registry.database.write() as connection:
                    connection.execute("PRAGMA cache_size = 1")
                    for number in range(500):
                        connection.execute("INSERT INTO settings VALUES (?, ?)", (f"k{number}", "x" * 50_000))
                if not registry.database.connection.in_transaction:
                    with pytest.raises(DiskFull, match="whole transaction"):
                        registry.tag("gnome", add=["after"])

        with contextlib.suppress(DiskFull):
            fill_up()
        assert registry.concept("gnome").tags in ((), ("before",))
        assert registry.database.value("SELECT count(*) FROM settings WHERE key LIKE 'k%'") == 0


def test_a_transaction_that_sqlite_ended_is_not_taken_for_a_good_one(registry: Registry) -> None:
    add_version(registry)

    def end_early() -> None:
        with registry.transaction():
            registry.tag("gnome", add=["before"])
            with contextlib.suppress(sqlite3.IntegrityError), registry.database.write() as connection:
                connection.execute("INSERT OR ROLLBACK INTO tags VALUES (1, 'before')")
            with pytest.raises(TiregError, match="the whole transaction was undone"):
                registry.tag("gnome", add=["after"])

    with pytest.raises(TiregError, match="the whole transaction was undone"):
        end_early()
    assert registry.concept("gnome").tags == ()
    registry.tag("gnome", add=["later"])
    assert registry.concept("gnome").tags == ("later",)


# -- tasks -----------------------------------------------------------------------------------------------------------


def test_a_task_is_never_taken_into_the_transaction_of_another(registry: Registry) -> None:
    add_version(registry, "a", 1)
    add_version(registry, "b", 2)

    async def one() -> None:
        with registry.transaction():
            registry.tag("a", add=["undone"])
            await asyncio.sleep(0.05)
            raise ValueError

    async def other() -> None:
        await asyncio.sleep(0.01)
        registry.tag("b", add=["kept"])

    async def both() -> list[BaseException | None]:
        return await asyncio.gather(one(), other(), return_exceptions=True)

    failed, refused = asyncio.run(both())
    assert isinstance(failed, ValueError)
    assert isinstance(refused, Conflict)
    assert "await" in refused.hint
    assert (registry.concept("a").tags, registry.concept("b").tags) == ((), ())
    registry.tag("b", add=["kept"])
    assert registry.concept("b").tags == ("kept",)


def test_a_task_begun_inside_a_transaction_is_another_one(registry: Registry) -> None:
    add_version(registry)

    async def child() -> None:
        registry.tag("gnome", add=["child"])

    async def parent() -> None:
        with registry.transaction():
            registry.tag("gnome", add=["parent"])
            with pytest.raises(Conflict):
                await asyncio.create_task(child())
        await asyncio.create_task(child())

    asyncio.run(parent())
    assert registry.concept("gnome").tags == ("child", "parent")


def test_a_context_of_its_own_is_another_task_in_any_library(registry: Registry) -> None:
    import contextvars

    add_version(registry)
    before = contextvars.copy_context()
    with registry.transaction():
        registry.tag("gnome", add=["mine"])
        with pytest.raises(Conflict):
            before.run(registry.tag, "gnome", add=["theirs"])
    before.run(registry.tag, "gnome", add=["later"])
    assert registry.concept("gnome").tags == ("later", "mine")


def test_tasks_that_write_in_threads_take_turns(registry: Registry) -> None:
    add_version(registry)

    async def write() -> None:
        def both(number: int) -> None:
            with registry.transaction():
                registry.append_note("gnome", str(number))
                registry.tag("gnome", add=[f"t{number}"])

        await asyncio.gather(*(asyncio.to_thread(both, number) for number in range(12)))

    asyncio.run(write())
    concept = registry.concept("gnome")
    assert (len(concept.tags), len(concept.notes.split("\n"))) == (12, 12)
