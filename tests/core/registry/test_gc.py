"""What garbage collection removes, and what it leaves alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.core.registry.making import add_version, make_embedding
from tiregistry.registry import gc
from tiregistry.registry.filesystem import make_folder
from tiregistry.registry.registry import Registry


def test_gc_lists_first_and_removes_only_what_nothing_needs(registry: Registry) -> None:
    version = add_version(registry, seed=1)
    registry.attach(version, "original", registry.blobs.add(b"attached"))
    add_version(registry, seed=2)
    registry.remove("gnome@2")
    waiting = registry.blobs.add(b"picture of a queued run")
    registry.create_run("dwarf", {"images": [{"digest": waiting}]}, 100)
    orphan = registry.blobs.add(b"nobody needs this")
    needed = set(registry.blobs) - {orphan}
    (registry.blobs.temporary / "999999999-dead").write_bytes(b"half")
    for path in [registry.blobs.path(digest) for digest in registry.blobs]:
        os.utime(path, (1, 1))
    os.utime(registry.blobs.temporary / "999999999-dead", (1, 1))

    report = registry.gc()
    assert ([digest for digest, _ in report.files], report.temporary, report.applied) == (
        [orphan],
        (("999999999-dead", 4),),
        False,
    )
    assert report.bytes == len(b"nobody needs this") + 4
    assert orphan in registry.blobs
    assert registry.gc(apply=True).files == report.files
    assert set(registry.blobs) == needed
    assert list(registry.blobs.temporary.iterdir()) == []
    assert registry.verify().damages == []

    registry.purge()
    registry.remove_run(registry.last_run().id)
    assert len(registry.gc(apply=True).files) == 3  # the purged embedding and image, the run's picture
    assert registry.verify().damages == []


def test_young_files_stay(registry: Registry) -> None:
    registry.create_concept("gnome", "<gnome>", "object")
    registry.blobs.add(b"just added, soon registered")
    (registry.blobs.temporary / f"{os.getpid()}-being-written").write_bytes(b"")
    report = registry.gc(apply=True)
    assert (report.files, report.temporary, report.young) == ((), (), 1)
    assert len(registry.gc(apply=True, grace=0).files) == 1


def test_a_file_registered_between_looking_and_removing_stays(registry: Registry) -> None:
    """gc looks again under the write lock: whoever came first wins."""
    registry.create_concept("dwarf", "<dwarf>", "object")
    data = make_embedding(1).to_bytes()
    digest = registry.blobs.add(data)
    os.utime(registry.blobs.path(digest), (1, 1))
    looked = gc._temporary
    try:
        gc._temporary = lambda *args: (add_version(registry, seed=1, images=0), looked(*args))[1]  # type: ignore[assignment]
        assert registry.gc(apply=True).files == ()
    finally:
        gc._temporary = looked
    assert registry.version("gnome").embedding() == make_embedding(1)


@pytest.fixture
def orphans(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Six old files that nothing refers to, of which gc removes one at a time."""
    add_version(registry)
    digests = [registry.blobs.add(f"nobody needs {number}".encode()) for number in range(6)]
    for digest in digests:
        os.utime(registry.blobs.path(digest), (1, 1))
    monkeypatch.setattr(gc, "_BATCH", 1)
    return digests


def test_what_is_needed_is_read_once_while_nobody_writes(registry: Registry, orphans: list[str]) -> None:
    statements: list[str] = []
    registry.database.connection.set_trace_callback(statements.append)
    assert len(registry.gc(apply=True).files) == len(orphans)
    registry.database.connection.set_trace_callback(None)
    assert statements.count("BEGIN IMMEDIATE") == 2 * len(orphans)
    assert sum("FROM runs" in statement for statement in statements) == 1


def test_what_others_need_in_the_middle_stays(
    registry: Registry, orphans: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    removed = 0

    def between(folder: Path) -> None:
        nonlocal removed
        removed += 1
        if removed == 3:
            with Registry.open() as other:
                other.create_run("gnome", {"images": [{"digest": digest} for digest in orphans]}, 1)
        make_folder(folder)

    monkeypatch.setattr(gc, "make_folder", between)
    report = registry.gc(apply=True)
    assert len(report.files) == 3
    kept = set(orphans) - {digest for digest, _ in report.files}
    assert len(kept) == 3
    assert kept <= set(registry.blobs)
