"""What `verify --repair` brings back, and what it gives up until a copy turns up."""

from __future__ import annotations

import os
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.core.registry.making import add_version, make_embedding
from tests.core.registry.upkeep import damage_file, embedding_blob, execute, only
from tiregistry.errors import Damaged, FileMissing
from tiregistry.registry.registry import Registry


def test_files_come_back_from_a_backup_a_registry_or_a_folder(registry: Registry, tmp_path: Path) -> None:
    version = add_version(registry)
    image, vectors = version.images[0].digest, embedding_blob(registry, "gnome")
    photo = registry.blobs.read(image)
    backup = registry.backup(tmp_path / "b.zip").path
    shutil.copytree(registry.home, tmp_path / "copy")
    (tmp_path / "photos" / "deep").mkdir(parents=True)
    (tmp_path / "photos" / "deep" / "renamed.jpg").write_bytes(photo)
    (tmp_path / "photos" / "same size.jpg").write_bytes(b"x" * len(photo))

    for copy, digests in (
        (backup, [image, vectors]),
        (tmp_path / "copy", [image, vectors]),
        (tmp_path / "photos", [image]),
    ):
        for digest in digests:
            damage_file(registry, digest, b"broken")
        report = registry.verify(repair=True, copies=[copy])
        assert len(report.damages) == len(digests)
        assert all(damage.repair == f"copied from {copy}" for damage in report.damages)
        assert registry.verify().damages == []
    assert version.embedding() == make_embedding()


def test_what_no_copy_has_is_set_aside_and_comes_back_when_it_is_found(registry: Registry) -> None:
    add_version(registry, seed=1)
    add_version(registry, seed=2)
    digest = embedding_blob(registry, "gnome@2")
    damage_file(registry, digest, b"broken")
    given_up = registry.verify(repair=True)
    damage = only(given_up.unrepaired)  # a word was lost, which must not end as if all were well
    assert "set aside in quarantine/" in damage.repair
    assert "1 version without embedding moved to the trash" in damage.repair
    assert (registry.home / "quarantine" / digest[7:]).read_bytes() == b"broken"
    assert registry.version("gnome").number == 1
    report = registry.verify()
    assert (report.damages, report.known_losses, report.lost_words) == ([], 0, ["gnome@2"])
    add_version(registry, seed=2)  # the same content, learned or imported again, heals it
    assert registry.version("gnome").number == 2
    assert registry.verify().lost_words == []


def test_a_lost_image_does_not_take_the_word_away(registry: Registry) -> None:
    version = add_version(registry)
    damage_file(registry, version.images[0].digest, None)
    assert only(registry.verify(repair=True).damages).repair == "given up as lost"
    assert registry.version("gnome").embedding() == make_embedding()


def test_a_damaged_manifest_comes_back_from_a_copy(registry: Registry, tmp_path: Path) -> None:
    version = add_version(registry)
    backup = registry.backup(tmp_path / "b.zip").path
    execute(registry, "UPDATE versions SET manifest = replace(manifest, '0.005', '0.006')")
    assert only(registry.verify(repair=True, copies=[backup]).damages).repair == f"copied from {backup}"
    assert registry.version("gnome").manifest == version.manifest
    execute(registry, "UPDATE versions SET manifest = replace(manifest, '0.005', '0.006')")
    assert only(registry.verify(repair=True).damages).repair.startswith("moved to the trash, where only a copy")
    assert registry.concept("gnome").num_versions == 0


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_a_copy_is_unpacked_once_and_closed(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in range(5):
        add_version(registry, seed=seed)
    backup = registry.backup(tmp_path / "b.zip").path
    execute(registry, "UPDATE versions SET manifest = replace(manifest, '0.005', '0.006')")
    opened: list[str] = []
    real = zipfile.ZipFile.open

    def counted(archive: zipfile.ZipFile, name: str | zipfile.ZipInfo, mode: str = "r", **options: Any) -> Any:
        opened.append(name if isinstance(name, str) else name.filename)
        return real(archive, name, mode, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(zipfile.ZipFile, "open", counted)
    report = registry.verify(repair=True, copies=[backup])
    assert [damage.repair for damage in report.damages] == [f"copied from {backup}"] * 5
    assert opened.count("registry.db") == 1
    held = {os.path.realpath(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd")}
    assert str(backup) not in held


def test_what_is_no_copy_is_refused(registry: Registry, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello")
    with pytest.raises(Damaged, match="not a backup"):
        registry.verify(repair=True, copies=[tmp_path / "text"])
    with pytest.raises(FileMissing):
        registry.verify(repair=True, copies=[tmp_path / "none"])


def test_what_was_given_up_and_is_needed_stays_named_until_a_copy_has_it(registry: Registry, tmp_path: Path) -> None:
    version = add_version(registry)
    image, vectors = version.images[0].digest, embedding_blob(registry, "gnome")
    backup = registry.backup(tmp_path / "b.zip").path
    damage_file(registry, image, b"broken")
    given_up = registry.verify(repair=True)
    assert [damage.item for damage in given_up.unrepaired] == [image]
    damage = only(registry.verify().damages)
    assert (damage.item, damage.dependents, damage.repair) == (image, ("gnome@1 (image picture-0.png)",), "")
    damage_file(registry, vectors, None)
    registry.verify(repair=True)
    assert registry.concept("gnome").num_versions == 0
    repaired = registry.verify(repair=True, copies=[backup])
    assert {damage.repair for damage in repaired.damages} == {f"copied from {backup}"}
    assert repaired.unrepaired == []
    assert registry.version("gnome").embedding() == make_embedding()
    report = registry.verify()
    assert (report.damages, report.known_losses) == ([], 0)


def test_a_version_removed_by_hand_stays_removed_when_its_file_comes_back(registry: Registry, tmp_path: Path) -> None:
    add_version(registry)
    vectors = embedding_blob(registry, "gnome")
    backup = registry.backup(tmp_path / "b.zip").path
    registry.remove("gnome@1")
    damage_file(registry, vectors, None)
    registry.verify(repair=True)
    registry.verify(repair=True, copies=[backup])
    assert vectors in registry.blobs
    assert registry.concept("gnome").num_versions == 0


def test_a_backup_with_a_damaged_file_says_so_and_another_backup_heals(registry: Registry, tmp_path: Path) -> None:
    add_version(registry)
    vectors = embedding_blob(registry, "gnome")
    good = registry.backup(tmp_path / "good.zip").path
    bad = tmp_path / "bad.zip"
    with zipfile.ZipFile(good) as source, zipfile.ZipFile(bad, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            target.writestr(name, data[:-1] + bytes([data[-1] ^ 1]) if name.endswith(vectors[7:]) else data)
    with Registry.open(tmp_path / "other") as other:
        report = other.merge_backup(bad)
        assert (report.damaged, report.missing) == ([vectors], [])
        with pytest.raises(Damaged) as caught:
            other.version("gnome").embedding()
        assert "--repair --from" in caught.value.hint
        assert only(other.verify().damages).dependents == ("gnome@1 (embedding)",)
        assert other.verify(repair=True, copies=[good]).unrepaired == []
        assert other.version("gnome").embedding() == make_embedding()


def test_a_damaged_manifest_that_nothing_has_is_not_called_repaired(registry: Registry) -> None:
    add_version(registry)
    execute(registry, "UPDATE versions SET manifest = replace(manifest, '0.005', '0.006')")
    assert len(registry.verify(repair=True).unrepaired) == 1
    assert len(registry.verify().damages) == 1
    registry.purge(["gnome@1"])
    assert registry.verify().damages == []
