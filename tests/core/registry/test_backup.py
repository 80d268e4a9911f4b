"""Backups: whole or not there, of one moment, and never over what belongs to a registry."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
import zipfile
from contextlib import closing
from pathlib import Path

import pytest

from tests.core.registry.making import add_version, make_embedding
from tests.core.registry.upkeep import damage_file, everything
from tiregistry.errors import AlreadyExists, Conflict, Damaged, DiskFull, FileMissing, InvalidInput, NewerRegistry
from tiregistry.registry.copies import open_backup, unpack
from tiregistry.registry.registry import Registry
from tiregistry.registry.schema import APPLICATION_ID, SCHEMA_VERSION
from tiregistry.registry.scratch import hold, scratch_folder


def test_a_damaged_registry_can_be_backed_up_and_the_backup_says_what_it_lacks(
    registry: Registry, tmp_path: Path
) -> None:
    version = add_version(registry)
    damage_file(registry, version.images[0].digest, b"broken")
    report = registry.backup(tmp_path / "b.zip")
    assert report.missing == (version.images[0].digest,)
    with Registry.open(tmp_path / "new") as new:
        assert new.merge_backup(tmp_path / "b.zip").missing == [version.images[0].digest]
        assert new.version("gnome").embedding() == make_embedding()
        assert new.verify().known_losses == 1


def test_what_a_killed_backup_left_behind_goes_with_the_next(registry: Registry, tmp_path: Path) -> None:
    add_version(registry)
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    left = [f".b.zip.{gone.pid}.part", f".tireg-backup-20260101-000000.zip.{gone.pid}.part"]
    kept = [f".b.zip.{os.getpid()}.part.txt", f".b.zip.{os.getppid()}.part", f".other.zip.{gone.pid}.part", "b.part"]
    for name in (*left, *kept):
        (tmp_path / name).write_bytes(b"half")
        os.utime(tmp_path / name, (0, 0))
    young = tmp_path / f".b.zip.{gone.pid}0.part"
    young.write_bytes(b"half")
    registry.backup(tmp_path / "b.zip")
    assert [name for name in (*left, *kept) if (tmp_path / name).exists()] == kept
    assert young.exists()


def test_what_a_killed_process_held_goes_at_once_and_what_is_held_stays(registry: Registry, tmp_path: Path) -> None:
    add_version(registry)
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    whole = registry.backup(tmp_path / "b.zip").path.read_bytes()
    half, foreign = tmp_path / f".kb.zip.{gone.pid}.part", tmp_path / f".mail.{gone.pid}.part"
    half.write_bytes(whole[: len(whole) // 2])
    foreign.write_bytes(b"PK\x03\x04 somebody else's")
    folders = [tmp_path / f".tireg-scratch-{gone.pid}-{name}" for name in ("let_go", "in_use")]
    for folder in folders:
        folder.mkdir()
        (folder / "held").touch()
    minute_ago = time.time() - 60
    for path in (half, foreign, *folders):
        os.utime(path, (minute_ago, minute_ago))
    with open(folders[1] / "held", "rb") as file:  # by a process of another container, whose numbers are not ours
        hold(file.fileno())
        registry.backup(tmp_path / "b.zip", overwrite=True)
    assert [path.exists() for path in (half, foreign, *folders)] == [False, True, False, True]


def test_a_full_place_for_temporary_files_stops_neither_backup_nor_restore(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_version(registry)
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(small)], capture_output=True).returncode:
        pytest.skip("mounting a tmpfs needs root")
    try:
        monkeypatch.setattr("tempfile.tempdir", str(small))
        backup = registry.backup(tmp_path / "b.zip").path
        with Registry.open(tmp_path / "new") as new:
            assert new.merge_backup(backup).versions == 1
        assert registry.verify(repair=True, copies=[backup]).damages == []
        with (
            open_backup(backup) as archive,
            scratch_folder(tmp_path / "nowhere") as folder,
            pytest.raises(DiskFull, match=f"no space left in {small}"),
        ):
            unpack(archive, "registry.db", folder / "registry.db")
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)


def test_the_folders_of_killed_backups_and_restores_go_with_the_next(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_version(registry)
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(place))
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    names = [f"tireg-scratch-{gone.pid}-a", f"tireg-scratch-{os.getppid()}-b", f"tireg-{gone.pid}-c"]
    for name in names:
        (place / name).mkdir()
        (place / name / "registry.db").write_bytes(b"half")
        os.utime(place / name, (0, 0))
    young = f"tireg-scratch-{gone.pid}-young"
    (place / young).mkdir()
    registry.backup(tmp_path / "b.zip")
    assert {path.name for path in place.iterdir()} == {*names[1:], young}
    os.utime(place / young, (0, 0))
    registry.merge_backup(tmp_path / "b.zip")
    assert {path.name for path in place.iterdir()} == set(names[1:])


def test_a_backup_never_replaces_what_belongs_to_a_registry(registry: Registry, tmp_path: Path) -> None:
    version = add_version(registry)
    with Registry.open(tmp_path / "other") as other:
        add_version(other)
        theirs = other.database.path
    (tmp_path / "link").symlink_to(registry.home)
    before = everything(registry)
    for target in (
        registry.database.path,
        tmp_path / "link" / "registry.db",
        registry.blobs.path(version.images[0].digest),
        registry.home / "new.zip",
        theirs,
    ):
        is_there = target.exists()
        with pytest.raises(InvalidInput, match="registry"):
            registry.backup(target, overwrite=True)
        assert target.exists() == is_there
    assert everything(registry) == before
    assert registry.verify().damages == []


def test_a_backup_file_is_never_half_there(registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_version(registry)
    target = tmp_path / "b.zip"
    registry.backup(target)
    before = target.read_bytes()
    with pytest.raises(AlreadyExists):
        registry.backup(target)

    def fail(done: int, total: int, what: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        registry.backup(target, overwrite=True, progress=fail)
    assert target.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["b.zip"]


def test_what_is_no_backup_is_refused(registry: Registry, tmp_path: Path) -> None:
    add_version(registry)
    good = registry.backup(tmp_path / "good.zip").path
    (tmp_path / "cut.zip").write_bytes(good.read_bytes()[:-200])
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("x", "y")
    with zipfile.ZipFile(tmp_path / "later.zip", "w") as archive:
        archive.writestr("backup.json", json.dumps({"format": "tireg-backup/9"}))
    newer = tmp_path / "newer.db"
    with closing(sqlite3.connect(newer)) as connection:
        registry.database.connection.backup(connection)
        connection.execute("PRAGMA user_version = 999")
    with zipfile.ZipFile(tmp_path / "newer.zip", "w") as archive:
        archive.writestr("backup.json", json.dumps({"format": "tireg-backup/1"}))
        archive.write(newer, "registry.db")
    before = everything(registry)
    for name, error in {
        "none.zip": FileMissing,
        "cut.zip": Damaged,
        "other.zip": InvalidInput,
        "later.zip": InvalidInput,
        "newer.zip": NewerRegistry,
    }.items():
        with pytest.raises(error):
            registry.merge_backup(tmp_path / name)
    assert everything(registry) == before


def test_wherever_the_database_in_a_backup_is_damaged_it_is_said(registry: Registry, tmp_path: Path) -> None:
    add_version(registry)
    good = registry.backup(tmp_path / "good.zip").path
    with zipfile.ZipFile(good) as archive:
        packed = archive.getinfo("registry.db")
    first = packed.header_offset + 30 + len("registry.db")
    data = good.read_bytes()
    bad = tmp_path / "bad.zip"
    before = everything(registry)
    for at in range(first, first + packed.compress_size, packed.compress_size // 40):
        bad.write_bytes(data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :])
        with pytest.raises(Damaged, match=r"registry\.db in .* cannot be read") as caught:
            registry.merge_backup(bad)
        assert caught.value.hint == "use another backup"
    assert everything(registry) == before


@pytest.mark.parametrize("name", ["backup.json", "registry.db"])
def test_an_encrypted_backup_is_refused(registry: Registry, tmp_path: Path, name: str) -> None:
    add_version(registry)
    path = registry.backup(tmp_path / "b.zip").path
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        data[archive.getinfo(name).header_offset + 6] |= 1  # the flag that says so, in both places
        entry = data.index(name.encode(), archive.start_dir) - 46
        data[entry + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(Damaged, match="encrypted"):
        registry.merge_backup(path)


@pytest.mark.parametrize(
    ("sql", "version"),
    [
        ("CREATE TABLE x (y)", SCHEMA_VERSION),
        ("CREATE TABLE blobs (digest, size)", SCHEMA_VERSION),
        ("CREATE VIEW blobs AS SELECT 1 AS digest", SCHEMA_VERSION),
        ("CREATE TABLE blobs (digest, size)", 1),
    ],
)
def test_a_database_with_a_registrys_marks_but_other_tables_is_refused(
    registry: Registry, tmp_path: Path, sql: str, version: int
) -> None:
    with closing(sqlite3.connect(tmp_path / "x.db")) as connection:
        connection.execute(sql)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {version}")
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("backup.json", json.dumps({"format": "tireg-backup/1"}))
        archive.write(tmp_path / "x.db", "registry.db")
    with pytest.raises(Damaged, match=r"the database in .*b\.zip cannot be used"):
        registry.merge_backup(tmp_path / "b.zip")


def test_a_backup_taken_beside_a_writer_is_one_moment(registry: Registry, tmp_path: Path) -> None:
    import threading

    add_version(registry, seed=0)
    stop = threading.Event()

    def write() -> None:
        seed = 1
        while not stop.is_set():
            add_version(registry, seed=seed)
            registry.set_alias(f"gnome@{seed + 1}", "best")
            seed += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for n in range(5):
            time.sleep(0.05)
            registry.backup(tmp_path / f"{n}.zip")
    finally:
        stop.set()
        writer.join()
    for n in range(5):
        with Registry.open(tmp_path / str(n)) as restored:
            assert restored.merge_backup(tmp_path / f"{n}.zip").missing == []
            assert restored.verify().damages == []


def test_places_may_be_given_as_text(registry: Registry, tmp_path: Path) -> None:
    version = add_version(registry)
    assert registry.backup(str(tmp_path / "b.zip")).path == tmp_path / "b.zip"
    with Registry.open(tmp_path / "other") as other:
        assert other.merge_backup(str(tmp_path / "b.zip")).versions == 1
        damage_file(other, version.images[0].digest, None)
        assert not other.verify(repair=True, copies=[str(tmp_path / "b.zip")]).unrepaired


def test_what_may_still_be_undone_is_not_backed_up(registry: Registry, tmp_path: Path) -> None:
    with registry.transaction():
        add_version(registry)
        with pytest.raises(Conflict, match="inside"):
            registry.backup(tmp_path / "b.zip")
    assert registry.backup(tmp_path / "b.zip").versions == 1
