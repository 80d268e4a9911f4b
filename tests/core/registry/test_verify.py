"""What `verify` finds."""

from __future__ import annotations

import os
import time

import pytest

from tests.core.registry.making import add_version
from tests.core.registry.upkeep import damage_file, embedding_blob, execute, only
from tiregistry.registry.registry import Registry


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
    with Registry.open() as reopened:
        damages = reopened.verify().damages
        assert (kind, item) in [(damage.kind, damage.item) for damage in damages]
        repaired = reopened.verify(repair=True)
        assert (repaired.unrepaired == []) == (kind != "manifest")
        assert (reopened.verify().damages == []) == (kind != "manifest")


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


@pytest.mark.parametrize("repair", [False, True])
def test_a_clock_that_was_wrong_once_hides_no_damage(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, repair: bool
) -> None:
    add_version(registry, images=0)
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + 7200)
    registry.verify()
    monkeypatch.setattr(time, "time", now)
    digest = embedding_blob(registry, "gnome")
    good = registry.blobs.read(digest)
    damage_file(registry, digest, good[:-1] + bytes([good[-1] ^ 1]))
    report = registry.verify(repair=repair)
    assert [damage.item for damage in report.damages] == [digest]
    assert (report.files, report.before) == (1, 0)


def test_what_is_found_good_by_a_wrong_clock_is_read_again_once_it_was_written_to(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in range(3):
        add_version(registry, seed=seed, images=0)
    digests = [row["digest"] for row in registry.database.rows("SELECT digest FROM blobs ORDER BY digest")]

    def interrupt(done: int, total: int, what: str) -> None:
        if done == 2 and what == "files":
            raise KeyboardInterrupt

    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + 7200)
    with pytest.raises(KeyboardInterrupt):
        registry.verify(progress=interrupt)
    time.sleep(0.02)  # the file system's clock ticks
    good = registry.blobs.read(digests[0])
    damage_file(registry, digests[0], good[:-1] + bytes([good[-1] ^ 1]))
    monkeypatch.setattr(time, "time", lambda: now() + 10_000)
    report = registry.verify(resume=True)
    assert [damage.item for damage in report.damages] == [digests[0]]
    assert (report.files, report.before) == (2, 1)


def test_a_quick_check_leaves_an_interrupted_one_to_be_continued(registry: Registry) -> None:
    for seed in range(3):
        add_version(registry, seed=seed, images=0)

    def interrupt(done: int, total: int, what: str) -> None:
        if done == 2 and what == "files":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        registry.verify(progress=interrupt)
    assert registry.verify(quick=True).files == 3
    assert registry.verify(resume=True).before == 2


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


@pytest.mark.parametrize(
    ("sql", "item", "problem"),
    [
        ("DROP TABLE runs", "runs", "not there"),
        ("DROP TABLE search", "search", "not there"),
        ("ALTER TABLE runs DROP COLUMN held", "runs", "held"),
        ("DROP INDEX concepts_living_name", "concepts_living_name", "not there"),
    ],
)
def test_a_table_a_column_or_an_index_that_is_gone_is_damage(
    registry: Registry, sql: str, item: str, problem: str
) -> None:
    add_version(registry)
    execute(registry, sql)
    damage = next(damage for damage in registry.verify().damages if damage.item == item)
    assert damage.kind == "database"
    assert problem in damage.problem
    is_made_again = item != "runs"
    assert bool(registry.verify(repair=True).unrepaired) != is_made_again
    assert bool(registry.verify().damages) != is_made_again
    if is_made_again:
        assert [concept.name for concept in registry.concepts("gnome")] == ["gnome"]
