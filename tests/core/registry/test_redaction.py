"""What was deleted for good is in no copy of the database; everything else in the copies stays."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.core.registry.making import add_version
from tiregistry.registry import daily_copies, purged, redaction
from tiregistry.registry.daily_copies import all_copies, copies
from tiregistry.registry.registry import Registry

SECRET = "zanzibarian remark"
DAY = 86400


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A registry with `gnome`, which has a secret, and `other`, and copies of three days and of a migration."""
    with Registry.open(tmp_path) as registry:
        add_version(registry, "gnome", 1, caption=f"a {SECRET} in a caption")
        add_version(registry, "other", 2, caption="a plain caption")
        registry.describe("gnome", notes=SECRET)
    [copy] = copies(tmp_path)
    for number, name in enumerate(("registry-20250101-000000.db", "registry-schema2-20250101-000000-77.db"), 1):
        path = copy.with_name(name)
        shutil.copyfile(copy, path)
        os.utime(path, (time.time() - number * DAY,) * 2)
    assert all(SECRET.encode() in each.read_bytes() for each in all_copies(tmp_path))
    return tmp_path


def purge(registry: Registry, name: str = "gnome") -> None:
    registry.remove(name)
    registry.purge(name)


def words(copy: Path) -> list[str]:
    with closing(sqlite3.connect(copy)) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []
        database.execute("INSERT INTO search (search) VALUES ('integrity-check')")
        return [row[0] for row in database.execute("SELECT name FROM concepts ORDER BY name")]


def everything_in(home: Path) -> bytes:
    return b"".join(path.read_bytes() for path in (home / "backups").iterdir())


def is_marked(home: Path) -> bool:
    with closing(sqlite3.connect(home / "registry.db")) as database:
        return bool(purged.read(database))


def test_it_is_taken_out_of_every_copy_and_the_rest_stays(home: Path) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in all_copies(home)}
    left = home / "backups" / ".registry-20250101-000000.db.abc.part"
    left.write_bytes(SECRET.encode())  # of a process that was killed while it copied
    with Registry.open(home) as registry:
        purge(registry)
    assert {path.name: path.stat().st_mtime_ns for path in all_copies(home)} == before
    assert [words(copy) for copy in all_copies(home)] == [["other"]] * 3
    assert SECRET.encode() not in everything_in(home)
    assert b"zanzibar" not in everything_in(home)  # nor in the index over the texts
    assert not is_marked(home)
    with Registry.open(home, readonly=True) as registry:
        assert registry.verify().damages == []


def test_a_single_version_is_taken_out(home: Path) -> None:
    with Registry.open(home) as registry:
        add_version(registry, "other", 3, caption=SECRET)
    for copy in copies(home):
        os.utime(copy, (time.time() - 2 * DAY,) * 2)
    time.sleep(1.1)
    with Registry.open(home) as registry:
        registry.tag("other", add=["x"])
    with Registry.open(home) as registry:
        purge(registry)
        purge(registry, "other@2")
    assert SECRET.encode() not in everything_in(home)
    assert {tuple(words(copy)) for copy in all_copies(home)} == {("other",)}


def test_a_process_that_is_killed_after_the_purge_leaves_it_to_the_next(home: Path) -> None:
    killed = Registry.open(home)
    purge(killed)
    killed.database.close()
    assert SECRET.encode() in everything_in(home)
    with Registry.open(home) as registry:
        assert [concept.name for concept in registry.concepts()] == ["other"]  # it only looks
    assert SECRET.encode() not in everything_in(home)
    assert not is_marked(home)


def test_a_purge_that_is_undone_takes_nothing_out(home: Path) -> None:
    def purge_in_vain() -> None:
        with Registry.open(home) as registry, registry.transaction():
            purge(registry)
            raise ValueError("in vain")

    with pytest.raises(ValueError, match="in vain"):
        purge_in_vain()
    assert {tuple(words(copy)) for copy in all_copies(home)} == {("gnome", "other")}


def test_what_has_come_back_stays_in_the_copies(home: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    backup = tmp_path_factory.mktemp("elsewhere") / "b.zip"
    with Registry.open(home) as registry:
        registry.backup(backup)
        purge(registry)
        registry.merge_backup(backup)
    assert {tuple(words(copy)) for copy in all_copies(home)} == {("gnome", "other")}
    assert not is_marked(home)


def test_where_no_new_copy_can_be_made_the_old_ones_are_changed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daily_copies, "ROOM", 1 << 60)
    monkeypatch.setattr(daily_copies, "LARGEST", 0)

    def no_space(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(redaction.shutil, "copyfile", no_space)
    with Registry.open(home) as registry:
        purge(registry)
    assert [words(copy) for copy in all_copies(home)] == [["other"]] * 3
    assert SECRET.encode() not in everything_in(home)


def test_a_copy_that_is_in_use_is_changed_later(home: Path) -> None:
    copy = copies(home)[-1]
    with closing(sqlite3.connect(copy, isolation_level=None)) as user:
        user.execute("BEGIN EXCLUSIVE")
        with Registry.open(home) as registry:
            purge(registry)
        assert is_marked(home)
    assert words(copy) == ["gnome", "other"]
    Registry.open(home).close()
    assert words(copy) == ["other"]
    assert not is_marked(home)


def test_a_copy_too_damaged_to_be_changed_is_removed(home: Path) -> None:
    damaged = all_copies(home)[0]
    damaged.write_bytes(damaged.read_bytes()[:8192])
    with Registry.open(home) as registry:
        purge(registry)
    assert not damaged.exists()
    assert [words(copy) for copy in all_copies(home)] == [["other"]] * 2


def test_a_copy_that_was_begun_before_the_purge_is_not_kept(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for copy in all_copies(home):
        copy.unlink()
    copy_to = daily_copies.copy_to

    def copy_slowly(source: sqlite3.Connection, target: Path) -> None:
        copy_to(source, target)
        monkeypatch.setattr(daily_copies, "copy_to", copy_to)
        other = Registry.open(home)
        purge(other)
        other.database.close()

    with Registry.open(home) as registry:
        registry.tag("other", add=["x"])
        monkeypatch.setattr(daily_copies, "copy_to", copy_slowly)
    assert SECRET.encode() not in everything_in(home)


def test_another_process_that_closes_meanwhile_destroys_no_copy(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It finds the mark, too, and would sweep away what is being written in the place of a copy."""
    take_out = redaction._take_out
    monkeypatch.setattr(redaction, "_PATIENCE_SECONDS", 0.2)
    beside = 0

    def slow(path: Path, marked: purged.Purged) -> None:
        nonlocal beside
        take_out(path, marked)
        command = "from tiregistry import Registry; Registry.open().close()"
        environment = os.environ | {"TIREG_HOME": str(home), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        lines = ["import tiregistry.registry.redaction as r", "r._PATIENCE_SECONDS = 0.2", command]
        beside += subprocess.run([sys.executable, "-c", "\n".join(lines)], check=True, env=environment).returncode == 0

    monkeypatch.setattr(redaction, "_take_out", slow)
    with Registry.open(home) as registry:
        purge(registry)
    assert beside >= 3
    assert all(words(copy) == ["other"] for copy in all_copies(home))
    assert SECRET.encode() not in everything_in(home)
    assert not is_marked(home)


def test_a_file_that_was_swept_away_is_not_made_anew(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    take_out = redaction._take_out

    def swept(path: Path, marked: purged.Purged) -> None:
        take_out(path, marked)
        if path.name.endswith(".part"):
            path.unlink()

    monkeypatch.setattr(redaction, "_take_out", swept)
    with Registry.open(home) as registry:
        purge(registry)
    assert all(words(copy) == ["other"] for copy in all_copies(home))
    assert SECRET.encode() not in everything_in(home)
