"""The blob store: content decides the name, nothing half written, damage healed by adding again."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from tiregistry.errors import Damaged
from tiregistry.registry.blobs import BlobStore


@pytest.fixture
def blobs(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path / "blobs")


def test_bytes_are_kept_under_their_digest(blobs: BlobStore) -> None:
    data = b"some bytes" * 1000
    digest = blobs.add(data)
    assert digest == "sha256:" + hashlib.sha256(data).hexdigest()
    assert blobs.add(memoryview(data)) == digest
    assert blobs.read(digest) == data
    assert digest in blobs
    assert list(blobs) == [digest]
    assert blobs.size(digest) == len(data)
    assert blobs.path(digest).stat().st_mode & 0o777 == 0o444
    assert list(blobs.temporary.iterdir()) == []


def test_missing_and_damaged_blobs_are_named(blobs: BlobStore) -> None:
    digest = blobs.add(b"x" * 100)
    path = blobs.path(digest)
    path.chmod(0o644)
    path.write_bytes(b"y" * 100)
    assert not blobs.is_intact(digest)
    with pytest.raises(Damaged, match="damaged"):
        blobs.read(digest)
    path.unlink()
    with pytest.raises(Damaged, match="missing"):
        blobs.read(digest)
    with pytest.raises(Damaged, match="not a sha256 digest"):
        blobs.path("sha256:../../etc/passwd")


@pytest.mark.parametrize("damage", [b"y" * 100, b"short", b""])
def test_adding_again_heals_a_damaged_blob(blobs: BlobStore, damage: bytes) -> None:
    digest = blobs.add(b"x" * 100)
    path = blobs.path(digest)
    path.chmod(0o644)
    path.write_bytes(damage)
    assert blobs.add(b"x" * 100) == digest
    assert blobs.is_intact(digest)


def test_adding_again_renews_the_time_that_gc_looks_at(blobs: BlobStore) -> None:
    digest = blobs.add(b"x")
    os.utime(blobs.path(digest), (1, 1))
    blobs.add(b"x")
    assert blobs.path(digest).stat().st_mtime > 1e9


def test_a_failed_write_leaves_nothing(blobs: BlobStore) -> None:
    blobs.path("sha256:" + hashlib.sha256(b"first").hexdigest()).mkdir(parents=True)  # something is in its place
    with pytest.raises(OSError, match="directory"):
        blobs.add(b"first")
    assert list(blobs.temporary.iterdir()) == []
