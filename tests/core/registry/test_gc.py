"""What garbage collection removes, and what it leaves alone."""

from __future__ import annotations

import os

from tests.core.registry.making import add_version, make_embedding
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
    from tiregistry.registry import gc

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
