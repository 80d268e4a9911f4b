"""Copies of the database beside it: made when due, never a reason to fail, and enough to have the words again."""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path

import pytest

from tests.core.registry.making import add_version
from tiregistry.errors import Damaged
from tiregistry.registry.daily_copies import copies, copy_if_due, newest_copy
from tiregistry.registry.registry import Registry


def age(home: Path, hours: float) -> None:
    for copy in copies(home):
        os.utime(copy, (time.time() - hours * 3600,) * 2)


def test_a_lost_database_comes_back_with_all_that_was_said(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with Registry.open(home) as registry:
        version = add_version(registry, caption="a photo of <gnome>")
        registry.tag("gnome", add=["garden"])
        registry.describe("gnome", notes="from grandmother")
        files = len(list((home / "blobs").glob("??/*")))
    for lost in home.glob("registry.db*"):
        lost.unlink()
    copy = newest_copy(home)
    assert copy is not None
    with pytest.raises(Damaged) as caught:
        Registry.open(home)
    assert f"tireg restore --from {copy}" in caught.value.hint
    with Registry.open(home, anew=True) as registry:
        report = registry.merge_backup(copy)
        assert (report.concepts, report.versions, report.missing) == (1, 1, [])
        assert registry.version("gnome").digest == version.digest
        assert registry.version("gnome").images[0].caption == "a photo of <gnome>"
        assert (registry.concept("gnome").tags, registry.concept("gnome").notes) == (("garden",), "from grandmother")
        assert not registry.verify().damages
        assert len(list((home / "blobs").glob("??/*"))) == files


def test_one_is_made_when_it_is_due_and_a_few_days_stay(tmp_path: Path) -> None:
    with Registry.open(tmp_path) as registry:
        registry.create_concept("gnome", "<gnome>", "object")
    assert copies(tmp_path) == []  # no word with vectors yet
    with Registry.open(tmp_path) as registry:
        add_version(registry, "gnome")
    [today] = copies(tmp_path)
    before = today.read_bytes()
    with Registry.open(tmp_path) as registry:
        registry.tag("gnome", add=["new"])
    assert today.read_bytes() == before
    age(tmp_path, hours=2)
    with Registry.open(tmp_path) as registry:
        registry.concepts()
    assert today.read_bytes() == before  # nothing was changed
    with Registry.open(tmp_path) as registry:
        registry.tag("gnome", add=["newer"])
        assert copy_if_due(registry.database) == today
    assert sqlite3.connect(today).execute("SELECT count(*) FROM tags").fetchone() == (2,)
    for day in ("20260101", "20260102", "20260103"):
        (today.parent / f"registry-{day}.db").write_bytes(before)
    other = today.parent / "registry-schema2-20260101-000000-1.db"
    other.write_bytes(b"made before a migration")
    age(tmp_path, hours=2)
    with Registry.open(tmp_path) as registry:
        registry.tag("gnome", add=["newest"])
    assert [copy.name for copy in copies(tmp_path)] == ["registry-20260102.db", "registry-20260103.db", today.name]
    assert sorted(path.name for path in today.parent.iterdir()) == sorted(
        [*(copy.name for copy in copies(tmp_path)), other.name]
    )


def test_a_disk_that_is_nearly_full_keeps_its_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tiregistry.registry.daily_copies.ROOM", 1 << 60)
    with Registry.open(tmp_path) as registry:
        add_version(registry, "gnome")
    assert copies(tmp_path) == []


def test_what_keeps_it_from_being_made_fails_nothing(tmp_path: Path) -> None:
    (tmp_path / "backups").write_text("a file in the way")
    with Registry.open(tmp_path) as registry:
        add_version(registry, "gnome")
    with Registry.open(tmp_path) as registry:
        assert registry.version("gnome").number == 1


def test_a_copy_of_a_damaged_database_does_not_take_the_place_of_a_good_one(tmp_path: Path) -> None:
    with Registry.open(tmp_path) as registry:
        for number in range(30):
            add_version(registry, f"gnome-{number}", number)
    [copy] = copies(tmp_path)
    good = copy.read_bytes()
    age(tmp_path, hours=2)
    registry = Registry.open(tmp_path)
    with open(tmp_path / "registry.db", "r+b") as file:
        for page in range(8, 40):
            file.seek(page * 4096)
            file.write(os.urandom(64))
    assert copy_if_due(registry.database) is None
    registry.close()
    assert copy.read_bytes() == good
