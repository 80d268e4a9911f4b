"""`tireg runs`: lists, details, cancelling and the exit codes; no model is loaded."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tireg_cli.main import run
from tireg_cli.runs.describing import place_of
from tiregistry.bases.locating import EMBEDDED
from tiregistry.registry.registry import Registry
from tiregistry.runs.control import watch
from tiregistry.runs.liveness import LOG
from tiregistry.training.config import TrainingConfig
from tiregistry.training.events import Notice, Preparing, Started, StepDone
from tiregistry.training.journal import Journal
from tiregistry.training.run_lock import RunLock
from tiregistry.training.run_state import run_folder, wish_of


@pytest.fixture
def registry() -> Iterator[Registry]:
    with Registry.open() as opened:
        yield opened


def queued(registry: Registry, concept: str = "gnome") -> Any:
    config = {"training": {"recipe": "direction", "max_steps": 7}, "base": {"name": "tiny"}, "background": True}
    return registry.create_run(concept, config, 7)


def test_no_runs_yet(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["runs"]) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "tireg train NAME" in captured.err
    assert run(["runs", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []
    assert run(["runs", "show", "--last"]) == 3


def test_list_and_show(capsys: pytest.CaptureFixture[str], registry: Registry) -> None:
    first, second = queued(registry, "one"), queued(registry, "two")
    assert run(["runs", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("\t")[:4] for line in lines] == [
        [second.id, "two", "queued", "0/7"],
        [first.id, "one", "queued", "0/7"],
    ]
    assert run(["runs", "show", first.id]) == 0
    assert "max_steps=7" in capsys.readouterr().out
    assert run(["runs", "show", "--last", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert (data["id"], data["status"], data["config"]["base"]["name"]) == (second.id, "queued", "tiny")
    assert datetime.fromisoformat(data["created_at"]).timestamp() == pytest.approx(second.created_at, abs=0.01)
    assert run(["runs", "list", "--status", "finished"]) == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("kind", ["object", "style"])
def test_only_the_settings_that_were_chosen_are_told(
    kind: Any, capsys: pytest.CaptureFixture[str], registry: Registry
) -> None:
    config = TrainingConfig(recipe="thorough", concept_type=kind, seed=4).resolved()
    registry.create_run("gnome", {"training": config.as_dict(), "base": {"name": EMBEDDED}}, 400)
    assert run(["runs", "show", "--last"]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("settings"))
    style = {"concept_type=style"} if kind == "style" else set()
    assert set(line.removeprefix("settings").strip().split(", ")) == {"recipe=thorough", "seed=4"} | style


def test_a_run_behind_others_is_said_to_wait(registry: Registry) -> None:
    first = queued(registry)
    assert place_of(registry, [first]) == "training in the background"
    registry.update_run(first.id, status="running", pid=os.getpid(), heartbeat_at=time.time(), device="cpu")
    second, third = queued(registry), queued(registry)
    assert place_of(registry, [second, third]) == "waits behind 1 run"
    assert place_of(registry, [third]) == "waits behind 2 runs"
    registry.update_run(second.id, held=True)
    assert place_of(registry, [third]) == "waits behind 1 run"
    registry.update_run(third.id, device="cuda:0")
    assert place_of(registry, [registry.run(third.id)]) == "training in the background"


def test_a_run_that_nobody_takes_up_is_named(capsys: pytest.CaptureFixture[str], registry: Registry) -> None:
    run_id = queued(registry).id
    assert run(["runs"]) == 0
    assert "nothing is at work" not in capsys.readouterr().err  # its worker may be on its way
    registry.database.connection.execute("UPDATE runs SET created_at = created_at - 60")
    assert run(["runs"]) == 0
    said = f"gnome waits and nothing is at work · tireg runs resume {run_id} --detach"
    assert said in capsys.readouterr().err
    assert run(["runs", "queue"]) == 0
    assert said in capsys.readouterr().err
    registry.create_run("other", {}, 100, "cpu", pid=os.getpid())
    other = registry.last_run()
    lock = RunLock(run_folder(registry, other.id))
    lock.acquire()
    registry.update_run(other.id, status="running")
    assert run(["runs", "queue"]) == 0
    assert said not in capsys.readouterr().err
    lock.release()


def test_a_run_that_is_watched_and_taken_up_by_nobody(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = queued(registry)
    registry.database.connection.execute("UPDATE runs SET created_at = created_at - 60")
    monkeypatch.setattr("tiregistry.runs.control.PATIENCE_SECONDS", 0.05)
    looks = iter(range(40))
    events = list(watch(registry, waiting.id, poll=0.01, over=lambda: next(looks) == 39))
    assert [event.what for event in events if isinstance(event, Notice)] == [
        f"nothing is at work that could take the run up: tireg runs resume {waiting.id} --detach starts it"
    ]


def test_a_run_that_died_on_a_full_disk_says_so(
    registry: Registry, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    registry.create_run("gnome", {}, 100, "cpu", pid=child.pid)
    full = shutil.disk_usage(registry.home)._replace(free=0)
    monkeypatch.setattr("tiregistry.runs.liveness.shutil.disk_usage", lambda _: full)
    assert run(["runs", "show", "--last"]) == 0
    assert "there is no space left in" in capsys.readouterr().out


def test_a_words_name_is_no_run_but_leads_to_its_runs(capsys: pytest.CaptureFixture[str], registry: Registry) -> None:
    mine = queued(registry)
    queued(registry, "other")
    assert run(["runs", "show", "Gnome"]) == 3
    assert f"Gnome is a word, not a run; its run is {mine.id} (queued) · tireg runs list --concept Gnome" in (
        capsys.readouterr().err
    )
    assert run(["runs", "list", "--concept", "Gnome"]) == 0
    assert capsys.readouterr().out.split("\t")[:2] == [mine.id, "gnome"]
    assert run(["runs", "list", "--concept", "dwarf"]) == 0
    assert capsys.readouterr().err == "no run of dwarf is here\n"


def test_a_run_is_named_once(capsys: pytest.CaptureFixture[str], registry: Registry) -> None:
    queued(registry)
    assert run(["runs", "show"]) == 2
    assert run(["runs", "show", "x", "--last"]) == 2
    assert run(["runs", "show", "nothing-like-it"]) == 3
    assert "tireg runs lists them" in capsys.readouterr().err


def test_a_run_is_moved_by_its_id_or_as_the_last(capsys: pytest.CaptureFixture[str], registry: Registry) -> None:
    ids = [queued(registry, name).id for name in ("one", "two", "three")]
    one, two, three = ids

    def moved(*arguments: str) -> list[str]:
        assert run(["runs", "move", *arguments]) == 0
        return capsys.readouterr().out.split()

    assert moved("--last", "first") == [three, one, two]
    assert moved("last", "--last") == [one, two, three]
    assert moved(two, "up") == [two, one, three]
    for arguments in ((), ("first",), (two,), (two, "--last", "first"), (one, two, "first"), (two, "sideways")):
        assert run(["runs", "move", *arguments]) == 2, arguments
    assert "'sideways'" in capsys.readouterr().err
    assert [waiting.id for waiting in registry.queue()] == [two, one, three]


def test_cancel_and_remove(capsys: pytest.CaptureFixture[str], registry: Registry) -> None:
    waiting = queued(registry)
    assert run(["runs", "resume", "--last"]) == 4
    assert "is in the queue" in capsys.readouterr().err
    assert run(["runs", "cancel", "--last"]) == 0
    assert capsys.readouterr().out == f"{waiting.id} cancelled\n"
    assert run(["runs", "cancel", "--last"]) == 4
    assert run(["runs", "remove", "--last"]) == 0
    assert not registry.runs()


def test_a_run_is_given_another_name_before_it_goes_on(capsys: pytest.CaptureFixture[str], registry: Registry) -> None:
    settings = {"max_steps": 7, "concept_type": "object"}
    config = {"training": settings, "base": {"name": "tiny"}, "placeholder_token": "<gnome>", "images": []}
    waiting = registry.create_run("gnome", config, 7)
    registry.create_concept("dwarf", "<elf>", "object")
    assert run(["runs", "resume", "--last", "--token", "<elf>"]) == 4
    assert "is already the placeholder token of dwarf" in capsys.readouterr().err
    assert run(["runs", "resume", "--last", "--token", "elf"]) == 2
    assert registry.run(waiting.id) == waiting
    assert run(["runs", "resume", "--last", "--name", "troll"]) == 4  # renamed; but it waits in the queue
    changed = registry.run(waiting.id)
    assert (changed.concept, changed.config["placeholder_token"]) == ("troll", "<troll>")


def test_a_dead_run_is_called_dead(capsys: pytest.CaptureFixture[str], registry: Registry) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    broken = queued(registry)
    registry.update_run(broken.id, status="running", pid=process.pid, step=3)
    assert run(["runs"]) == 0
    captured = capsys.readouterr()
    assert captured.out.split("\t")[2] == "dead"
    assert f"tireg runs resume {broken.id}" in captured.err
    assert run(["runs", "watch", "--last"]) == 1
    assert "is dead" in capsys.readouterr().err


def test_a_dead_run_says_what_its_worker_could_not_record(
    capsys: pytest.CaptureFixture[str], registry: Registry
) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    broken = queued(registry)
    registry.update_run(broken.id, status="running", pid=process.pid, step=3)
    log = run_folder(registry, broken.id) / LOG
    log.parent.mkdir(parents=True)
    log.write_text(
        f"2026-01-01 10:00:00 [7] {broken.id}: taken from the queue\n2026-01-01 10:01:00 [7] error: no space\n"
    )
    assert run(["runs", "show", "--last"]) == 0
    assert "no space" in capsys.readouterr().out
    assert run(["runs", "watch", "--last"]) == 1
    assert f"run {broken.id} is dead: no space" in capsys.readouterr().err
    with open(log, "a") as file:  # taken up again since: that was not the end
        file.write(f"2026-01-01 10:02:00 [8] {broken.id}: taken from the queue\n")
    assert run(["runs", "show", "--last"]) == 0
    assert "no space" not in capsys.readouterr().out


def test_json_before_the_subcommand(capsys: pytest.CaptureFixture[str], registry: Registry) -> None:
    waiting = queued(registry)
    assert run(["runs", "--json", "list"]) == 0
    assert [entry["id"] for entry in json.loads(capsys.readouterr().out)] == [waiting.id]
    assert run(["runs", "--json", "cancel", "--last"]) == 2
    assert "cancel has no --json" in capsys.readouterr().err
    assert registry.run(waiting.id).status == "queued"
    assert run(["settings", "--json", "list"]) == 0
    json.loads(capsys.readouterr().out)


def test_what_has_learned_nothing_is_not_kept(capsys: pytest.CaptureFixture[str], registry: Registry) -> None:
    waiting = queued(registry)
    assert run(["runs", "cancel", "--last", "--keep"]) == 4
    assert "learned nothing to keep" in capsys.readouterr().err
    assert registry.run(waiting.id).status == "queued"


def test_a_run_that_a_worker_takes_up_meanwhile_is_asked_to_keep(
    capsys: pytest.CaptureFixture[str], registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = queued(registry)
    lock = RunLock(run_folder(registry, waiting.id))

    def taken_up(*_: Any) -> None:
        registry.update_run(waiting.id, status="running", pid=os.getpid(), heartbeat_at=time.time())
        assert lock.acquire()

    monkeypatch.setattr("tiregistry.training.checkpoint.load_checkpoint", taken_up)
    assert run(["runs", "cancel", "--last", "--keep"]) == 0
    assert capsys.readouterr().out == f"{waiting.id} stopping\n"
    assert wish_of(run_folder(registry, waiting.id)) == "keep"
    lock.release()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("broken", ["2>/dev/full", "2>&-", ">&-"])
def test_streams_that_cannot_be_written_stop_no_work(registry: Registry, broken: str) -> None:
    """Where nobody hears the talk, the work is done all the same."""
    queued(registry)
    command = (
        f"{sys.executable} -c 'from tireg_cli.main import run; raise SystemExit(run())' runs cancel --last {broken}"
    )
    assert subprocess.run(["sh", "-c", command], check=False, capture_output=True).returncode == 0
    assert registry.runs()[0].status == "cancelled"


def test_watching_a_run_that_has_ended(capsys: pytest.CaptureFixture[str], registry: Registry) -> None:
    ended = queued(registry)
    journal = Journal(run_folder(registry, ended.id))
    for event in (
        Preparing("loading"),
        Started(ended.id, 0, 7, "cpu", 3, 1, "gnome"),
        StepDone(7, 0.5, 0.1, 0.1, ended.id),
    ):
        journal.add(event)
    registry.update_run(ended.id, status="failed", step=7, message="out of paint")
    assert run(["runs", "watch", "--last"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "loading …" in captured.err
    assert "step 7/7" in captured.err
    assert f"run {ended.id} is failed: out of paint" in captured.err
    registry.update_run(ended.id, status="cancelled")
    assert run(["runs", "watch", "--last"]) == 130
