"""Restoring: everything comes back, and nothing that is there changes."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tests.core.registry.making import add_version, make_embedding
from tests.core.registry.upkeep import everything, execute, fill
from tiregistry.registry.registry import Registry


def test_a_backup_restores_everything_into_an_empty_registry(registry: Registry, tmp_path: Path) -> None:
    fill(registry)
    report = registry.backup(tmp_path / "b.zip")
    assert (report.concepts, report.versions, report.missing) == (2, 3, ())
    assert report.bytes == (tmp_path / "b.zip").stat().st_size
    with Registry.open(tmp_path / "new") as new:
        merged = new.merge_backup(tmp_path / "b.zip")
        assert (merged.concepts, merged.versions, merged.runs, merged.trashed, merged.missing) == (3, 4, 1, [], [])
        assert everything(new) == everything(registry)
        assert new.version("gnome@best").embedding() == registry.version("gnome@best").embedding()
        assert new.concept("inky").name == "blotchy"
        assert new.last_run().status == "interrupted"
        assert new.undo_alias("gnome", "best").number == 1  # type: ignore[union-attr]
        assert new.verify().damages == []
        again = new.merge_backup(tmp_path / "b.zip")
        assert (again.concepts, again.versions, again.files, again.runs) == (0, 0, 0, 0)


def test_merging_into_a_living_registry_changes_nothing_that_is_there(registry: Registry, tmp_path: Path) -> None:
    fill(registry)
    registry.backup(tmp_path / "b.zip")
    with Registry.open(tmp_path / "living") as living:
        mine = add_version(living, "gnome", 7)
        shared = add_version(living, "gnome", 2, parents=registry.version("gnome@2").parents)
        living.set_alias("gnome@1", "best")
        living.describe("gnome", notes="my own note")
        theirs = registry.version("gnome@2")
        registry.set_version_notes(theirs, "given later")
        registry.attach(theirs, "original", registry.blobs.add(b"a file"))
        registry.backup(tmp_path / "b.zip", overwrite=True)
        living.create_concept("thief", "<inky>", "style")
        report = living.merge_backup(tmp_path / "b.zip")
        assert living.version("gnome@1").digest == mine.digest
        assert living.version("gnome@2").digest == shared.digest == registry.version("gnome@2").digest
        assert living.version("gnome@3").digest == registry.version("gnome@1").digest  # its number was taken
        assert living.version("gnome@best").number == 1
        assert living.version("gnome@2").notes == "given later"
        assert list(living.version("gnome@2").attachments()) == ["original"]
        concept = living.concept("gnome")
        assert (concept.notes, concept.licence, concept.tags) == ("my own note", "CC0-1.0", ("garden",))
        assert report.renumbered == ["gnome@1 of the backup is gnome@3 here"]
        assert report.changed == [
            "gnome: its licence came",
            "gnome@2: its note came",
            "gnome: tag garden came",
            "gnome: its latest version is gnome@3, it was gnome@2",
        ]
        assert report.trashed == ["blotchy"]  # <inky> belongs to another concept here
        assert "blotchy" in [item.reference for item in living.trash()]
        assert living.verify().damages == []


@pytest.mark.parametrize("change", ["renamed", "another token", "both"])
def test_a_word_that_changed_its_name_or_token_since_the_backup_is_the_same_word(
    registry: Registry, tmp_path: Path, change: str
) -> None:
    fill(registry)
    registry.backup(tmp_path / "b.zip")
    name, token = {
        "renamed": ("dwarf", "<gnome>"), "another token": ("gnome", "<dwarf>"), "both": ("dwarf", "<dwarf>"),
    }[change]  # fmt: skip
    registry.remove("gnome")
    registry.restore("gnome", new_name=name, new_token=token)
    registry.remove(f"{name}@1")
    added = add_version(registry, "twin", 2, parents=registry.version(f"{name}@2").parents)  # the same vectors
    report = registry.merge_backup(tmp_path / "b.zip")
    assert (report.concepts, report.versions, report.trashed) == (0, 1, [])
    assert [version.number for version in registry.versions(name)] == [1, 2]
    assert registry.concept("gnome").placeholder_token == token  # found by its old name
    assert registry.version("twin").digest == added.digest
    assert registry.verify().damages == []


def test_words_that_share_versions_stay_apart_in_a_restored_backup(registry: Registry, tmp_path: Path) -> None:
    version = add_version(registry, "gnome", 1)
    registry.remove("gnome")
    registry.restore("gnome", new_token="<old>")
    copy = add_version(registry, "copy", 1, placeholder_token="<gnome>")
    assert copy.digest == version.digest
    registry.rename("copy", "other")
    registry.backup(tmp_path / "b.zip")
    registry.rename("other", "another")
    with Registry.open(tmp_path / "new") as new:
        for target in (new, registry):
            report = target.merge_backup(tmp_path / "b.zip")
            assert report.trashed == []
        assert [(c.name, c.placeholder_token) for c in new.concepts()] == [("gnome", "<old>"), ("other", "<gnome>")]
    assert [(c.name, c.placeholder_token) for c in registry.concepts()] == [("another", "<gnome>"), ("gnome", "<old>")]


def test_a_word_in_the_trash_here_but_living_in_the_backup_comes_back(registry: Registry, tmp_path: Path) -> None:
    fill(registry)
    registry.backup(tmp_path / "b.zip")
    registry.remove("gnome@1")
    registry.remove("blotchy")
    registry.merge_backup(tmp_path / "b.zip")
    assert registry.version("gnome@1").number == 1
    assert registry.version("blotchy").number == 1


def test_what_was_taken_away_since_the_backup_comes_back_and_is_said(registry: Registry, tmp_path: Path) -> None:
    fill(registry)
    registry.set_alias("gnome@2", "night")
    registry.backup(tmp_path / "b.zip")
    registry.describe("gnome", notes="")
    registry.tag("gnome", remove=["garden"])
    registry.remove_alias("gnome", "best")
    report = registry.merge_backup(tmp_path / "b.zip")
    assert report.changed == ["gnome: its note came", "gnome: tag garden came"]
    assert report.left_out == ["the alias gnome@best, which was taken away here"]
    concept = registry.concept("gnome")
    assert (concept.notes, concept.tags, concept.aliases) == ("a note", ("garden",), {"night": 2})
    with Registry.open(tmp_path / "other") as other:
        add_version(other, "gnome", 9)
        told = other.merge_backup(tmp_path / "b.zip").changed
        assert "gnome: alias best came, for gnome@3" in told
        assert other.undo_alias("gnome", "best") is None
        assert other.concept("gnome").aliases == {"night": 3}


def test_the_own_backup_of_a_registry_with_namesakes_in_the_trash_changes_nothing(
    registry: Registry, tmp_path: Path
) -> None:
    for seed in range(3):  # two of three words called gnome end in the trash
        add_version(registry, seed=seed)
        if seed < 2:
            registry.remove("gnome")
    before = everything(registry)
    registry.backup(tmp_path / "b.zip")
    report = registry.merge_backup(tmp_path / "b.zip")
    assert (report.concepts, report.versions, report.files, report.trashed) == (0, 0, 0, [])
    assert everything(registry) == before
    with Registry.open(tmp_path / "new") as new:
        new.merge_backup(tmp_path / "b.zip")
        assert everything(new) == before


def test_a_word_in_the_backups_trash_does_not_join_its_successor(registry: Registry, tmp_path: Path) -> None:
    add_version(registry, seed=1)
    registry.remove("gnome")
    registry.backup(tmp_path / "b.zip")
    registry.purge()
    latest = add_version(registry, seed=2)
    registry.merge_backup(tmp_path / "b.zip")
    assert [version.digest for version in registry.versions("gnome")] == [latest.digest]
    assert [item.reference for item in registry.trash()] == ["gnome"]


def test_a_purged_word_comes_back_from_a_backup_even_after_gc(registry: Registry, tmp_path: Path) -> None:
    fill(registry)
    registry.backup(tmp_path / "b.zip")
    registry.remove("gnome")
    registry.purge(["gnome"])
    assert registry.gc(apply=True, grace=0).files
    assert registry.merge_backup(tmp_path / "b.zip").concepts == 1
    assert registry.version("gnome@best").embedding() == make_embedding(2)
    assert registry.verify().damages == []


def test_what_proves_nothing_does_not_come_from_a_backup(registry: Registry, tmp_path: Path) -> None:
    for seed, name in enumerate(["gnome", "gnome", "gnome", "evil", "spaced"]):
        add_version(registry, name, seed)
    registry.set_alias("gnome@2", "best")
    registry.set_alias("gnome@1", "first")
    empty = "sha256:" + hashlib.sha256(b"{}").hexdigest()
    for sql in (
        f"UPDATE versions SET manifest = '{{}}', digest = '{empty}' WHERE concept_id = 1 AND number = 2",
        "UPDATE versions SET manifest = replace(manifest, '0.005', '0.006') WHERE concept_id = 1 AND number = 3",
        "UPDATE versions SET encoders = '[]' WHERE concept_id = 1 AND number = 1",
        "UPDATE concepts SET name = 'ev' || char(27) || '[2Jil' WHERE name = 'evil'",
        "UPDATE concepts SET placeholder_token = '<a b>' WHERE name = 'spaced'",
        "INSERT INTO tags VALUES (1, 'a' || char(10))",
    ):
        execute(registry, sql)
    registry.backup(tmp_path / "b.zip")
    assert {"gnome@2", "gnome@3"} <= {damage.item for damage in registry.verify().damages}
    with Registry.open(tmp_path / "new") as new:
        report = new.merge_backup(tmp_path / "b.zip")
        refused = "\n".join(report.refused)
        for part in ("gnome@2: its manifest", "gnome@3: its manifest", "ev\x1b", "spaced: ", "'a\\n'", "'best'"):
            assert part in refused
        assert len(report.refused) == 6
        assert [str(concept.name) for concept in new.concepts()] == ["gnome"]
        assert [version.number for version in new.versions("gnome")] == [1]
        assert new.version("gnome@first").number == 1
        assert [d for d in new.verify().damages if d.kind != "file"] == []
