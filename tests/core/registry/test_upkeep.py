"""verify, repair, gc, backup and restore."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
import zipfile
from contextlib import closing
from pathlib import Path

import pytest

from tests.core.registry.making import SD15, add_version, make_embedding
from tiregistry.concepts import BaseModel
from tiregistry.errors import AlreadyExists, Damaged, FileMissing, InvalidInput, NewerRegistry
from tiregistry.registry.registry import Registry
from tiregistry.registry.verify import Damage


def damage_file(registry: Registry, digest: str, content: bytes | None) -> None:
    """Overwrite (or with None remove) a blob behind the registry's back."""
    path = registry.blobs.path(digest)
    path.chmod(0o644)
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)


def embedding_blob(registry: Registry, reference: str) -> str:
    version = registry.version(reference)
    return str(registry.database.value("SELECT embedding_blob FROM versions WHERE id = ?", version.id))


def execute(registry: Registry, sql: str) -> None:
    """Change the database behind the registry's back, without its checks."""
    with closing(sqlite3.connect(registry.database.path)) as connection, connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute(sql)


def only(damages: list[Damage]) -> Damage:
    assert len(damages) == 1, damages
    return damages[0]


# -- verify ----------------------------------------------------------------------------------------------------------


def test_a_sound_registry_is_found_sound(registry: Registry) -> None:
    for seed in range(3):
        add_version(registry, seed=seed, caption="two\nlines")
    registry.rename("gnome", "dwarf")
    seen: list[tuple[int, int, str]] = []
    report = registry.verify(progress=lambda *step: seen.append(step))
    assert (report.files, report.versions, report.damages, report.known_losses) == (6, 3, [], 0)
    assert seen[-1] == (3, 3, "versions")
    assert (6, 6, "files") in seen


@pytest.mark.parametrize(
    ("content", "problem"),
    [(b"short", "bytes instead of"), (None, "missing"), ("flip", "bytes have changed")],
)
def test_each_damaged_file_is_named_with_what_depends_on_it(
    registry: Registry, content: bytes | str | None, problem: str
) -> None:
    version = add_version(registry)
    registry.attach(version, "original", registry.blobs.add(b"original"))
    for digest, user in [
        (version.images[0].digest, "gnome@1 (image picture-0.png)"),
        (embedding_blob(registry, "gnome"), "gnome@1 (embedding)"),
        (version.attachments()["original"], "gnome@1 (original)"),
    ]:
        good = registry.blobs.read(digest)
        flipped = bytes([good[0] ^ 1]) + good[1:]
        damage_file(registry, digest, flipped if content == "flip" else content)  # type: ignore[arg-type]
        damage = only(registry.verify().damages)
        assert (damage.kind, damage.item, damage.dependents) == ("file", digest, (user,))
        assert problem in damage.problem
        if content is None or content == b"short":
            assert len(registry.verify(quick=True).damages) == 1
        registry.blobs.add(good)
        assert registry.verify().damages == []


@pytest.mark.parametrize(
    ("sql", "kind", "item"),
    [
        ("UPDATE versions SET manifest = replace(manifest, '0.005', '0.006')", "manifest", "gnome@1"),
        ("UPDATE versions SET manifest = 'ÿ'", "manifest", "gnome@1"),
        ("UPDATE versions SET base_token_embedding = 'sha256:other'", "rows", "gnome@1"),
        ("UPDATE versions SET encoders = '[]'", "rows", "gnome@1"),
        ("UPDATE versions SET encoders = 'nonsense'", "rows", "gnome@1"),
        ("UPDATE versions SET embedding_digest = 'sha256:other'", "rows", "gnome@1"),
        ("UPDATE images SET caption = 'changed'", "rows", "gnome@1"),
        ("DELETE FROM images", "rows", "gnome@1"),
        ("DELETE FROM parents", "rows", "gnome@1"),
        ("UPDATE concepts SET name = 'gno' || char(27) || 'me' WHERE id = 1", "rows", "gno\x1bme"),
        ("UPDATE concepts SET placeholder_token = '<gno me>' WHERE id = 1", "rows", "gnome"),
        ("UPDATE concepts SET name_key = 'other' WHERE id = 1", "rows", "gnome"),
        ("UPDATE concepts SET last_number = 0", "rows", "gnome"),
        ("INSERT INTO redirects VALUES ('gnome', 2, 1.0)", "rows", "gnome"),
        ("INSERT INTO aliases VALUES (2, 'best', 1)", "rows", "second@best"),
        ("INSERT INTO aliases VALUES (1, 'a b', 1)", "rows", "gnome@a b"),
        ("INSERT INTO tags VALUES (1, 'a' || char(10))", "rows", "gnome"),
        ("INSERT INTO tags VALUES (99, 'lonely')", "rows", "tags row 2"),
        ("UPDATE search SET notes = 'nonsense'", "search", "gnome"),
        ("DELETE FROM search", "search", "gnome"),
        ("DELETE FROM search_data WHERE id > 10", "search", "search index"),
    ],
)
def test_each_damaged_row_is_named(registry: Registry, sql: str, kind: str, item: str) -> None:
    from tiregistry.concepts import Parent

    add_version(registry, caption="a caption", parents=(Parent("sha256:" + "a" * 64, "continued"),))
    registry.tag("gnome", add=["garden"])
    registry.create_concept("second", "<second>", "object")
    registry.close()
    execute(registry, sql)
    damages = registry.verify().damages
    assert (kind, item) in [(damage.kind, damage.item) for damage in damages]
    repaired = registry.verify(repair=True)
    assert (repaired.unrepaired == []) == (kind != "manifest")
    assert registry.verify().damages == [] or kind == "manifest"


def test_a_structurally_corrupt_database_is_reported(registry: Registry) -> None:
    for seed in range(30):
        add_version(registry, f"word{seed}", seed)
    path = registry.database.path
    registry.close()
    content = bytearray(path.read_bytes())
    for page in range(4, 20):
        content[page * 4096 : page * 4096 + 200] = b"\xff" * 200
    path.write_bytes(content)
    with Registry.open() as reopened:
        report = reopened.verify()
    assert report.damages[0].kind == "database"
    assert report.damages[0].dependents == ("the whole registry",)
    assert report.unrepaired


def test_an_interrupted_check_goes_on_where_it_stopped(registry: Registry) -> None:
    for seed in range(20):
        add_version(registry, seed=seed, images=0)

    def interrupt(done: int, total: int, what: str) -> None:
        if done == 12:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        registry.verify(progress=interrupt)
    steps: list[int] = []
    report = registry.verify(
        resume=True, progress=lambda done, _, what: steps.append(done) if what == "files" else None
    )
    assert steps == list(range(13, 21))
    assert (report.files, report.before) == (8, 12)
    steps.clear()
    registry.verify(resume=True, progress=lambda done, _, what: steps.append(done) if what == "files" else None)
    assert steps == list(range(1, 21))  # nothing was interrupted, so everything is read


@pytest.mark.parametrize("change", ["bytes", "size", "gone"])
def test_a_file_that_changes_while_the_check_is_interrupted_is_found(registry: Registry, change: str) -> None:
    for seed in range(5):
        add_version(registry, seed=seed, images=0)
    digests = [row["digest"] for row in registry.database.rows("SELECT digest FROM blobs ORDER BY digest")]

    def interrupt(done: int, total: int, what: str) -> None:
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        registry.verify(progress=interrupt)
    path = registry.blobs.path(digests[1])
    before, good = path.stat(), path.read_bytes()
    damage_file(
        registry, digests[1], {"bytes": good[:-1] + bytes([good[-1] ^ 1]), "size": b"short", "gone": None}[change]
    )
    if change != "gone":
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # as a tool that hides its traces does
    report = registry.verify(resume=True)
    assert [damage.item for damage in report.damages] == [digests[1]]
    assert (report.files, report.before) == (2, 3)


# -- repair ----------------------------------------------------------------------------------------------------------


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
    damage = only(registry.verify(repair=True).damages)
    assert "set aside in quarantine/" in damage.repair
    assert "1 version without embedding moved to the trash" in damage.repair
    assert (registry.home / "quarantine" / digest[7:]).read_bytes() == b"broken"
    assert registry.version("gnome").number == 1
    report = registry.verify()
    assert (report.damages, report.known_losses) == ([], 1)
    add_version(registry, seed=2)  # the same content, learned or imported again, heals it
    assert registry.version("gnome").number == 2
    assert registry.verify().known_losses == 0


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


def test_what_is_no_copy_is_refused(registry: Registry, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello")
    with pytest.raises(Damaged, match="not a backup"):
        registry.verify(repair=True, copies=[tmp_path / "text"])
    with pytest.raises(FileMissing):
        registry.verify(repair=True, copies=[tmp_path / "none"])


# -- gc --------------------------------------------------------------------------------------------------------------


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


# -- backup and restore ----------------------------------------------------------------------------------------------


def fill(registry: Registry) -> None:
    first = add_version(registry, "gnome", 1, caption="a garden", record={"loss": [2.0, 1.0]})
    from tiregistry.concepts import Parent

    add_version(registry, "gnome", 2, parents=(Parent(first.digest, "continued"),))
    add_version(registry, "inky", 3, concept_type="style")
    registry.set_alias("gnome@1", "best")
    registry.set_alias("gnome@2", "best")
    registry.tag("gnome", add=["garden"])
    registry.describe("gnome", notes="a note", licence="CC0-1.0")
    registry.set_scores(first, {"clip_i": 0.5})
    registry.attach(first, "original", registry.blobs.add(b"original"))
    registry.rename("inky", "blotchy")
    registry.add_base(BaseModel("sd15", "/models/sd15", SD15))
    registry.set_default_base("sd15")
    registry.create_run("gnome", {"lr": 1}, 10)
    registry.add_picture("/p.png", "<gnome>", {"seed": 1}, words=[first.digest])
    add_version(registry, "gone", 4)
    registry.remove("gone")


def everything(registry: Registry) -> dict[str, object]:
    """All that matters of a registry, comparable."""
    tables = {}
    for table, columns in {
        "concepts": "name, placeholder_token, concept_type, notes, licence, last_number, deleted_at IS NULL",
        "versions": "number, digest, origin, base_name, notes, manifest, created_at",
        "records": "record",
        "images": "position, digest, filename, caption",
        "attachments": "role, digest",
        "parents": "digest, relation",
        "measurements": "measure, protocol, judge, value, low, high, details, measured_at",
        "tags": "tag",
        "alias_log": "alias, old_number, new_number",
        "redirects": "name_key",
        "bases": "name, source, token_embedding",
        "settings": "key, value",
        "pictures": "path, recipe",
        "search": "name, token, tags, notes, captions, bases",
    }.items():
        tables[table] = sorted(
            (tuple(row) for row in registry.database.rows(f"SELECT {columns} FROM {table}")), key=repr
        )
    tables["aliases"] = {c.name: dict(c.aliases) for c in registry.concepts()}  # type: ignore[assignment]
    return tables | {"blobs": sorted(registry.blobs)}


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


# -- files that were given up ----------------------------------------------------------------------------------------


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
