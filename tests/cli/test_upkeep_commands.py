"""`tireg` keeps words safe: notes, trash, verify, repair, backup, restore, gc."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.running import Tireg
from tests.core.registry.making import add_version
from tests.core.registry.upkeep import damage_file
from tiregistry.registry.registry import Registry


@pytest.mark.parametrize("reference", ["gnome", "gnome@2"])
def test_two_processes_that_add_lines_to_a_note_lose_none(tireg: Tireg, words: Registry, reference: str) -> None:
    add_lines = (
        "import sys; from tireg_cli.main import run\n"
        "for n in range(25): run(['note', sys.argv[1], f'{sys.argv[2]}{n}', '--append'])"
    )
    before = tireg("note", reference).lines
    adding = [subprocess.Popen([sys.executable, "-c", add_lines, reference, writer]) for writer in "abc"]
    assert [each.wait(timeout=120) for each in adding] == [0, 0, 0]
    lines = tireg("note", reference).lines
    assert sorted(lines) == sorted([*before, *(f"{writer}{n}" for writer in "abc" for n in range(25))])


def test_a_backup_says_what_it_changes(
    tireg: Tireg, words: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tireg("note", "gnome", "a note")
    tireg("backup", str(tmp_path / "b.zip"))
    tireg("note", "gnome", "--clear")
    told = tireg("restore", "--from", str(tmp_path / "b.zip")).err
    assert "added 0 words" in told
    assert "gnome: its note came" in told
    with Registry.open(tmp_path / "other") as other:
        add_version(other, "gnome", 99)
    monkeypatch.setenv("TIREG_HOME", str(tmp_path / "other"))
    told = tireg("restore", "--from", str(tmp_path / "b.zip")).err
    assert "gnome@1 of the backup is gnome@2 here" in told
    assert "gnome: its latest version is gnome@4, it was gnome@1" in told


def test_a_word_whose_versions_are_all_in_the_trash_says_so(tireg: Tireg, words: Registry, tmp_path: Path) -> None:
    missing = tireg("remove", "inky@1", "inky@2", code=3).err
    assert "there is no version inky@2; nothing was removed · the newest are inky@1" in missing
    tireg("remove", "inky@1")
    told = "the versions of 'inky' are all in the trash · bring one back with: tireg restore inky@1"
    for arguments in (["export", "inky", str(tmp_path / "x.pt")], ["alias", "inky", "best"], ["diff", "inky", "gnome"]):
        assert told in tireg(*arguments, code=3).err
    assert told in tireg("history", "inky").err
    shown = tireg("show", "inky").out
    assert f"no prompt can: {told}" in shown
    assert "tireg gen" not in shown
    assert "there is no version inky@7, and the versions" in tireg("show", "inky@7", code=3).err


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ("list --limit", 0),
        ("list --offset", 0),
        ("list --trash --limit", 0),
        ("runs list --limit", 0),
        ("gallery list --limit", 0),
        ("gallery show", 3),
        ("gallery remove", 3),
    ],
)
def test_numbers_that_no_database_holds(tireg: Tireg, words: Registry, arguments: str, code: int) -> None:
    done = tireg(*arguments.split(), "9" * 20, code=code)
    assert ("there is no picture" in done.err) == (code == 3)
    if arguments == "list --limit":
        assert len(done.lines) == 2


def test_a_word_that_is_lost_is_never_as_it_was(tireg: Tireg, words: Registry) -> None:
    digest = words.database.value("SELECT embedding_blob FROM versions WHERE number = 2")
    damage_file(words, digest, None)
    assert "1 damage left" in tireg("verify", "--repair", code=6).err
    told = tireg("verify").err
    assert "lost embeddings, whose versions lie in the trash: gnome@2" in told
    assert "everything else is as it was" in told
    assert "originals" not in told
    tireg("remove", "gnome@2", "--purge", "--yes")
    assert "everything is as it was" in tireg("verify").err


def test_a_table_that_is_gone_is_no_sound_registry(tireg: Tireg, words: Registry) -> None:
    with words.database.write() as connection:
        connection.execute("DROP TABLE pictures")
    assert "pictures" in tireg("verify", code=6).out
    assert "read a backup" in tireg("verify", "--repair", code=6).err


def test_a_search_that_is_too_long_is_one_line(tireg: Tireg, words: Registry) -> None:
    refused = tireg("list", *(f"tag:w{number}" for number in range(1200)), code=2)
    assert refused.err.splitlines() == [
        "tireg: a search of 1,200 words and filters is too long · use 200 of them at most"
    ]
    assert "1,200 words is too long" in tireg("gallery", "list", *["beach"] * 1200, code=2).err


def test_backup_damage_verify_repair(tireg: Tireg, words: Registry, tmp_path: Path) -> None:
    (path,) = tireg("backup", str(tmp_path)).lines
    assert re.fullmatch(r"tireg-backup-\d{8}-\d{6}\.zip", Path(path).name)
    tireg("backup", path, code=4)
    assert tireg("backup", path, "--force", "--json").json["versions"] == 4
    assert "everything is as it was" in tireg("verify").err
    quick = tireg("verify", "--quick").err
    assert "contents were not read" in quick
    assert "as it was" not in quick
    blob = words.blobs.path(words.version("inky").images[0].digest)
    blob.chmod(0o644)
    blob.write_bytes(b"broken")
    damaged = tireg("verify", code=6)
    assert damaged.lines[0].split("\t")[3] == "inky@1 (image picture-400.png)"
    assert tireg("verify", "--json", code=6).json["damages"][0]["kind"] == "file"
    assert "copied from" in tireg("verify", "--repair", "--from", path).out
    assert tireg("verify", "--json").json["damages"] == []


def test_restore_from_a_backup(tireg: Tireg, words: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tireg("backup", str(tmp_path / "b.zip"))
    monkeypatch.setenv("TIREG_HOME", str(tmp_path / "elsewhere"))
    assert "added 2 words, 4 versions" in tireg("restore", "--from", str(tmp_path / "b.zip")).err
    assert tireg("restore", "--from", str(tmp_path / "b.zip"), "--json").json["versions"] == 0
    assert len(tireg("list").lines) == 2


def test_gc_lists_and_only_removes_when_told(tireg: Tireg, words: Registry) -> None:
    orphan = words.blobs.add(b"orphan")
    assert "younger than 24h, or taken" in tireg("gc").err
    assert tireg("gc", "--grace", "0s").lines == [f"{orphan}\t6 B"]
    assert orphan in words.blobs
    assert tireg("gc", "--grace", "0s", "--apply", "--json").json["bytes"] == 6
    assert orphan not in words.blobs
