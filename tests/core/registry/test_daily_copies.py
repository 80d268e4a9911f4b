"""Copies of the database beside it: made when due, never a reason to fail, and enough to have the words again."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from contextlib import closing
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


def test_one_is_made_when_it_is_due(tmp_path: Path) -> None:
    with Registry.open(tmp_path) as registry:
        registry.create_concept("gnome", "<gnome>", "object")
    assert copies(tmp_path) == []  # no word with vectors yet
    with Registry.open(tmp_path) as registry:
        add_version(registry, "gnome")
    [first] = copies(tmp_path)
    with Registry.open(tmp_path) as registry:
        registry.tag("gnome", add=["new"])
    assert copies(tmp_path) == [first]
    age(tmp_path, hours=2)
    with Registry.open(tmp_path) as registry:
        registry.concepts()
    assert copies(tmp_path) == [first]  # nothing was changed
    time.sleep(1.1)  # copies are called by the second
    with Registry.open(tmp_path) as registry:
        registry.tag("gnome", add=["newer"])
    [before, newest] = copies(tmp_path)
    assert before == first
    for copy, tags in ((before, 0), (newest, 2)):
        with closing(sqlite3.connect(copy)) as database:
            assert database.execute("SELECT count(*) FROM tags").fetchone() == (tags,)
    assert sorted(path.name for path in newest.parent.iterdir()) == sorted([before.name, newest.name])


def test_the_newest_and_a_few_days_stay_whatever_the_clock_says(tmp_path: Path) -> None:
    with Registry.open(tmp_path) as registry:
        add_version(registry, "gnome")
    [made] = copies(tmp_path)
    data, now = made.read_bytes(), time.time()
    made.unlink()
    hours = {"future": -48, "h1": 1, "h2": 2, "h3": 3, "d1": 30, "d1-early": 31, "d2": 54, "d2-early": 55, "d9": 220}
    for number, back in enumerate(hours.values()):
        copy = made.parent / f"registry-20250101-00000{number}.db"
        copy.write_bytes(data)
        os.utime(copy, (now - back * 3600,) * 2)
    left = made.parent / ".registry-20250101-000000.db.abc.part"
    left.write_bytes(b"of a process that was killed")
    os.utime(left, (now - 7200,) * 2)
    other = made.parent / "registry-schema2-20250101-000000-1.db"
    other.write_bytes(b"made before a migration")
    with Registry.open(tmp_path) as registry:
        registry.tag("gnome", add=["new"])
    names = {path.name for path in made.parent.iterdir()}
    assert other.name in names
    assert left.name not in names
    kept = copies(tmp_path)
    assert kept[-1].stat().st_mtime >= now - 1
    backs = [round((now - copy.stat().st_mtime) / 3600) for copy in kept[:-1]]
    assert {1, 2} <= set(backs)
    assert not {-48, 31, 55, 220} & set(backs)


def test_a_restore_from_an_older_copy_leaves_the_newest_one(tmp_path: Path) -> None:
    with Registry.open(tmp_path) as registry:
        add_version(registry, "monday", 1)
    [monday] = copies(tmp_path)
    age(tmp_path, hours=30)
    time.sleep(1.1)
    with Registry.open(tmp_path) as registry:
        add_version(registry, "tuesday", 2)
    tuesday = newest_copy(tmp_path)
    assert tuesday is not None
    os.utime(tuesday, (time.time() - 7200,) * 2)
    for lost in tmp_path.glob("registry.db*"):
        lost.unlink()
    time.sleep(1.1)
    with Registry.open(tmp_path, anew=True) as registry:
        registry.merge_backup(monday)
    with Registry.open(tmp_path) as registry:
        registry.merge_backup(tuesday)
        assert {concept.name for concept in registry.concepts()} == {"monday", "tuesday"}


def test_a_copy_is_read_wherever_it_was_carried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Registry.open(tmp_path / "one") as registry:
        add_version(registry, "gnome")
    copy = newest_copy(tmp_path / "one")
    assert copy is not None
    shutil.copy(copy, tmp_path / "usb.db")
    monkeypatch.chdir(copy.parent)
    for number, path in enumerate((tmp_path / "usb.db", Path(copy.name))):
        with Registry.open(tmp_path / f"new-{number}") as registry:
            assert registry.merge_backup(path).concepts == 1
    with Registry.open(tmp_path / "one") as registry, pytest.raises(Damaged):
        registry.merge_backup(tmp_path / "one" / "registry.db")


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
