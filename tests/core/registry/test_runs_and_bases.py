"""The registry's books: training runs, base models, remotes, pictures."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path

import pytest

from tests.core.registry.making import SD15, SD21, add_version
from tiregistry.concepts import BaseModel, Remote
from tiregistry.errors import AlreadyExists, BaseModelNotFound, InvalidInput, InvalidReference, RunNotFound
from tiregistry.registry.registry import Registry


def test_a_run_from_queued_to_finished(registry: Registry) -> None:
    with pytest.raises(RunNotFound):
        registry.last_run()
    run = registry.create_run("gnome", {"lr": 0.1, "images": []}, 500)
    assert (run.status, run.config, run.max_steps) == ("queued", {"lr": 0.1, "images": []}, 500)
    claimed = registry.claim_run(device="cpu", pid=42)
    assert claimed is not None
    assert (claimed.id, claimed.status, claimed.pid, claimed.device) == (run.id, "running", 42, "cpu")
    assert registry.claim_run(device="cpu", pid=43) is None
    registry.update_run(run.id, step=10, loss=0.5, heartbeat_at=123.0)
    version = add_version(registry, run_id=run.id)
    done = registry.update_run(run.id, status="finished", version_id=version.id, message="stopped early")
    assert done.version == version
    assert registry.run(run.id[-3:]).id == registry.run(run.id[:9]).id == registry.last_run().id == run.id
    assert [r.id for r in registry.runs(status="finished", concept="gnome")] == [run.id]
    registry.rename("gnome", "dwarf")
    assert registry.run(run.id).concept == "dwarf"
    registry.remove_run(run.id)
    assert registry.version("dwarf").run_id == run.id


def test_a_rename_leaves_the_runs_of_a_namesake_in_the_trash_alone(registry: Registry) -> None:
    old_run = registry.create_run("gnome", {}, 1)
    old = add_version(registry, seed=1)
    registry.update_run(old_run.id, status="finished", version_id=old.id)
    registry.remove("gnome")
    add_version(registry, seed=2)
    failed = registry.create_run("gnome", {}, 1)
    registry.rename("gnome", "dwarf")
    assert registry.run(old_run.id).concept == "gnome"
    assert registry.run(failed.id).concept == "dwarf"


def test_runs_are_named_and_changed_with_care(registry: Registry) -> None:
    ids = [registry.create_run("gnome", {}, 1).id for _ in range(30)]
    assert len(set(ids)) == 30
    assert [run.id for run in registry.runs(limit=5)] == ids[:-6:-1]
    for bad in ("", "x", "nope", "%", "____"):
        with pytest.raises(RunNotFound):
            registry.run(bad)
    with pytest.raises(InvalidReference, match="fits 30 runs"):
        registry.run(ids[0][:5])
    with pytest.raises(InvalidInput, match="no changeable field"):
        registry.update_run(ids[0], colour="red")
    with pytest.raises(InvalidInput, match="no status"):
        registry.update_run(ids[0], status="happy")
    with pytest.raises(RunNotFound):
        registry.update_run("nope", step=1)


def _claim_all(home: str, results: multiprocessing.SimpleQueue[list[str]]) -> None:
    claimed = []
    with Registry.open(Path(home)) as registry:
        while run := registry.claim_run(device="cpu", pid=os.getpid()):
            claimed.append(run.id)
    results.put(claimed)


def test_two_workers_never_get_the_same_run(registry: Registry) -> None:
    ids = {registry.create_run("gnome", {}, 1).id for _ in range(40)}
    spawn = multiprocessing.get_context("spawn")
    results = spawn.SimpleQueue()
    workers = [spawn.Process(target=_claim_all, args=(str(registry.home), results)) for _ in range(3)]
    for worker in workers:
        worker.start()
    claimed = [run_id for _ in workers for run_id in results.get()]
    for worker in workers:
        worker.join()
    assert len(claimed) == 40
    assert set(claimed) == ids


def test_base_models_have_names_and_a_default(registry: Registry) -> None:
    assert registry.default_base == "embedded"
    registry.add_base(BaseModel("sd15", "/models/sd15", SD15, resolution=512))
    registry.add_base(BaseModel("SD15", "/models/sd15", SD21, revision="abc"))  # the same source, looked at again
    assert [base.name for base in registry.bases()] == ["SD15"]
    assert registry.base("sd15").family == "sd2"
    with pytest.raises(AlreadyExists, match="/models/sd15"):
        registry.add_base(BaseModel("sd15", "/elsewhere", SD15))
    with pytest.raises(InvalidReference):
        registry.add_base(BaseModel("a/b", "/x", SD15))
    registry.set_default_base("sd15")
    assert registry.default_base == "SD15"
    with pytest.raises(BaseModelNotFound) as caught:
        registry.set_default_base("sd14")
    assert "SD15" in caught.value.hint
    registry.remove_base("sd15")
    assert registry.default_base == "embedded"
    registry.set_default_base("embedded")


def test_a_hash_that_cannot_be_remembered_now_stops_nothing(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "weights").write_bytes(b"weights")
    monkeypatch.setattr("tiregistry.registry.database.BUSY_SECONDS", 0.1)
    with Registry.open() as other, other.transaction():
        registry.file_hashes.put(tmp_path / "weights", "file", "sha256:" + "1" * 64)
    assert registry.file_hashes.get(tmp_path / "weights", "file") is None
    registry.database.connection.execute(f"PRAGMA max_page_count = {registry.database.value('PRAGMA page_count')}")
    for number in range(100):  # until the last page is used up
        registry.file_hashes.put(tmp_path / "weights", f"file {number}" * 100, "sha256:" + "1" * 64)
    assert registry.file_hashes.get(tmp_path / "weights", "file 99" * 100) is None


def test_pushes_and_pulls_are_remembered(registry: Registry) -> None:
    version = add_version(registry)
    for n, direction in enumerate(("push", "pull")):
        registry.add_remote(
            version, Remote("", "", direction, "https://hub", "me/gnome", "main", f"{n}" * 40, at=float(n + 1))
        )
    assert [(r.direction, r.version, r.digest) for r in registry.remotes(version)] == [
        ("pull", "gnome@1", version.digest),
        ("push", "gnome@1", version.digest),
    ]
    assert registry.remotes(repo_id="you/other") == []


def test_pictures_are_searched_without_regard_to_case_in_every_script(registry: Registry) -> None:
    gnome = add_version(registry, "Größe", placeholder_token="<gnome>")
    first = registry.add_picture("/Ärger/a.png", "ÜBER 100% of the Wald", {})
    second = registry.add_picture("/b.png", "лес", {}, words=[gnome.digest], base_name="Embedded")
    for query, found in {
        "über": [first], "Über WALD": [first], "ärger": [first], "100%": [first], "1%0": [], "ЛЕС": [second],
        "größe@1 embedded": [second], "GRÖSSE": [second], "%ü": [],
    }.items():  # fmt: skip
        assert [picture.id for picture in registry.pictures(query=query)] == found, query


def test_where_the_bytes_of_a_picture_were_is_remembered(registry: Registry) -> None:
    digest, other = "sha256:" + "1" * 64, "sha256:" + "2" * 64
    both = {"picture": {"digest": other, "path": "/c.png"}, "mask": {"digest": digest, "path": "/mask.png"}}
    registry.add_picture("/a.png", "made", {"seed": 1}, digest=digest)
    registry.add_picture("/b.png", "begun", {"start": {"picture": {"digest": digest, "path": "/start.png"}}})
    registry.add_picture("/b2.png", "begun", {"start": {"picture": {"digest": digest, "name": "nowhere"}}})
    registry.add_picture("/b3.png", "begun", {"start": both}, digest=other)
    registry.add_picture("/d.png", "about it", {"start": None, "note": digest})
    registry.add_picture("/a2.png", "made", {"start": "x"}, digest=digest)
    assert registry.paths_of_picture(digest) == ["/start.png", "/mask.png", "/a2.png", "/a.png"]
    assert registry.paths_of_picture("sha256:" + "3" * 64) == []


def test_pictures_are_found_by_the_words_they_were_made_with(registry: Registry) -> None:
    gnome, inky = add_version(registry, "gnome", 1), add_version(registry, "inky", 2)
    first = registry.add_picture("/a.png", "a <gnome>", {"seed": 1}, words=[gnome.digest])
    second = registry.add_picture(Path("/b.png"), "<gnome> <inky>", {"seed": 2}, words=[gnome.digest, inky.digest])
    assert [picture.id for picture in registry.pictures()] == [second, first]
    assert [picture.id for picture in registry.pictures(inky)] == [second]
    (picture,) = registry.pictures(gnome, limit=1, offset=1)
    assert (picture.path, picture.recipe, picture.words) == ("/a.png", {"seed": 1}, (gnome.digest,))
