"""Queued runs: what they record, who may claim them, and what happens to those whose process died."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.core.runs.conftest import until
from tiregistry.errors import Conflict, InvalidInput, RunNotFound
from tiregistry.registry.registry import Registry
from tiregistry.runs import worker
from tiregistry.runs.control import cancel, queue_again, remove, watch
from tiregistry.runs.executor import start_worker
from tiregistry.runs.liveness import (
    PATIENCE_SECONDS,
    SILENT_SECONDS,
    adopt_dead_runs,
    is_dead,
    standing_of,
    standings_of,
)
from tiregistry.runs.priority import NICENESS
from tiregistry.runs.queue import enqueue
from tiregistry.settings import FILE
from tiregistry.training.events import Notice, Preparing, Started, StepDone
from tiregistry.training.journal import Journal, JournalReader
from tiregistry.training.request import TrainingRequest, request_of
from tiregistry.training.run_lock import RunLock, is_carried_out
from tiregistry.training.run_state import STOP_FILE, run_folder

Build = Callable[..., TrainingRequest]


@pytest.fixture
def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_queued_run_can_be_carried_elsewhere(registry: Registry, request_for: Build, tmp_path: Path) -> None:
    (run,) = enqueue(registry, [request_for()])
    assert (run.status, run.pid, run.device, run.step) == ("queued", None, "cpu", 0)
    text = json.dumps(run.config)
    assert str(tmp_path) not in text
    assert str(registry.home) not in text
    request, images = request_of(registry, run)
    assert [image.digest for image in images] == [picture.digest for picture in request_for().pictures]
    assert request.config == request_for().config.resolved(embedded=False)
    assert registry.base(run.config["base"]["name"]).fingerprint.as_dict() == run.config["base"]["fingerprint"]


def test_queueing_loads_no_torch(registry: Registry, request_for: Build, base: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from tiregistry.images import read_pictures\n"
        "from tiregistry.registry.registry import Registry\n"
        "from tiregistry.runs.queue import enqueue\n"
        "from tiregistry.training.request import TrainingRequest\n"
        f"pictures, _ = read_pictures([Path({str(tmp_path / 'pictures')!r})])\n"
        f"enqueue(Registry.open(), [TrainingRequest('x', pictures, base={str(base)!r})])\n"
        "print(sorted({'torch', 'diffusers', 'transformers'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=_environment())
    assert done.stdout.strip() == "[]"


def _environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def test_claiming(registry: Registry, request_for: Build) -> None:
    first, second = enqueue(registry, [request_for("one"), request_for("two")])
    assert first.config["group"] == second.config["group"] != ""
    own = registry.create_run("mine", {}, 1, pid=os.getpid())
    assert registry.claim_run(device="cuda:0", pid=1) is None
    claimed = registry.claim_run(device="cpu", pid=1)
    assert claimed is not None
    assert claimed.id == first.id
    assert registry.claim_run(device="cpu", pid=1, run_id=second.id) is not None
    assert registry.claim_run(device="cpu", pid=1) is None
    assert registry.run(own.id).status == "queued"
    anywhere = registry.create_run("any", {}, 1)
    assert registry.claim_run(device="cpu", pid=1, any_device=False) is None
    assert registry.claim_run(device="cpu", pid=1) is not None
    assert registry.run(anywhere.id).status == "running"


def test_bad_requests_leave_nothing(registry: Registry, request_for: Build) -> None:
    with pytest.raises(InvalidInput):
        enqueue(registry, [request_for("one"), request_for("one")])
    assert not registry.runs()


def test_who_is_dead(registry: Registry, dead_pid: int) -> None:
    waiting = registry.create_run("waiting", {}, 1)
    assert not is_dead(registry, waiting)
    run = registry.create_run("x", {}, 1)
    gone = registry.update_run(run.id, status="running", pid=dead_pid, heartbeat_at=time.time())
    assert is_dead(registry, gone)
    lock = RunLock(run_folder(registry, run.id))
    assert lock.acquire()
    assert is_carried_out(run_folder(registry, run.id))
    assert not is_dead(registry, gone)  # somebody holds it, whatever the row says
    lock.release()
    silent = registry.update_run(run.id, pid=os.getpid(), heartbeat_at=time.time() - SILENT_SECONDS - 1)
    assert is_dead(registry, silent)  # the process id belongs to somebody else by now
    assert not is_dead(registry, registry.update_run(run.id, heartbeat_at=time.time()))


def test_how_runs_really_stand(registry: Registry, dead_pid: int) -> None:
    new, old, held, gone, taken, done = (
        registry.create_run(name, {}, 1).id for name in ("new", "old", "held", "gone", "taken", "done")
    )
    long_ago = time.time() - PATIENCE_SECONDS - 1
    registry.database.connection.execute("UPDATE runs SET created_at = ? WHERE concept != 'new'", (long_ago,))
    registry.update_run(held, held=True)
    registry.update_run(gone, status="running", pid=dead_pid, heartbeat_at=time.time())
    registry.update_run(taken, pid=dead_pid)  # and its process was gone before it began
    registry.update_run(done, status="finished")
    expected = {new: "queued", old: "in vain", held: "held", gone: "dead", taken: "dead", done: "finished"}
    assert standings_of(registry, registry.runs()) == expected
    assert {run_id: standing_of(registry, registry.run(run_id)) for run_id in expected} == expected
    busy = registry.create_run("busy", {}, 1)
    registry.update_run(busy.id, status="running", pid=os.getpid(), heartbeat_at=time.time())
    assert standings_of(registry, registry.runs()) == expected | {old: "queued", busy.id: "running"}


@pytest.mark.skipif(os.name == "nt", reason="process ids are not asked there")
def test_a_worker_that_is_killed_is_gone_for_its_parent_too(registry: Registry) -> None:
    started = start_worker(registry.home, "cpu")
    os.kill(started, signal.SIGSTOP)  # or it might end by itself before the kill
    run = registry.create_run("x", {}, 1)
    run = registry.update_run(run.id, status="running", pid=started, heartbeat_at=time.time())
    assert not is_dead(registry, run)
    os.kill(started, signal.SIGKILL)
    until(lambda: is_dead(registry, run))


@pytest.mark.skipif(not hasattr(os, "getpriority"), reason="there is no niceness")
@pytest.mark.parametrize(
    ("settings", "niceness"),
    [("", NICENESS), ('niceness = "15"', 15), ("no = settings", NICENESS)],
)
def test_a_worker_gives_way(registry: Registry, settings: str, niceness: int) -> None:
    (registry.home / FILE).write_text(settings)
    wanted = max(niceness, os.getpriority(os.PRIO_PROCESS, 0))
    with worker._device_lock(registry.home, "cpu"):  # or it would end by itself, with nothing to do
        started = start_worker(registry.home, "cpu")
        try:
            until(lambda: os.getpriority(os.PRIO_PROCESS, started) == wanted)
        finally:
            os.kill(started, signal.SIGKILL)


def test_a_look_at_a_run_does_not_keep_it_from_being_carried_out(registry: Registry) -> None:
    folder = run_folder(registry, "x")
    looks = threading.Event()

    def look() -> None:
        lock = RunLock(folder)
        assert lock.acquire(patience=0)
        looks.set()
        time.sleep(0.2)
        lock.release()

    looking = threading.Thread(target=look)
    looking.start()
    assert looks.wait(20)
    carrying = RunLock(folder)
    assert carrying.acquire()
    carrying.release()
    looking.join()


def test_dead_background_runs_are_queued_again_once_without_progress(registry: Registry, dead_pid: int) -> None:
    run = registry.create_run("x", {"background": True}, 9)
    foreground = registry.create_run("y", {}, 9)
    for each in (run, foreground):
        registry.update_run(each.id, status="running", pid=dead_pid, step=4)
    assert len(adopt_dead_runs(registry)) == 2
    assert (registry.run(run.id).status, registry.run(run.id).pid) == ("queued", None)
    assert registry.run(foreground.id).status == "interrupted"
    registry.update_run(run.id, status="running", pid=dead_pid, step=6)
    adopt_dead_runs(registry)
    assert registry.run(run.id).status == "queued"
    registry.update_run(run.id, status="running", pid=dead_pid)
    adopt_dead_runs(registry)
    assert registry.run(run.id).status == "failed"
    assert "died twice at step 6" in registry.run(run.id).message


def test_a_dead_run_that_another_worker_took_up_meanwhile_stays_with_it(
    registry: Registry, dead_pid: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = registry.create_run("x", {"background": True}, 9)
    stale = registry.update_run(run.id, status="running", pid=dead_pid, step=4)
    with Registry.open() as other:
        adopt_dead_runs(other)
        claimed = other.claim_run(device="cpu", pid=os.getpid())
        assert claimed is not None
    # The late worker's list is from before.
    monkeypatch.setattr(registry, "runs", lambda status: [stale] if status == "running" else [])
    assert is_dead(registry, stale)
    assert adopt_dead_runs(registry) == []
    assert (registry.run(run.id).status, registry.run(run.id).pid) == ("running", os.getpid())
    assert registry.claim_run(device="cpu", pid=1) is None
    registry.remove_run(run.id)
    assert adopt_dead_runs(registry) == []


def test_cancel_resume_and_remove(registry: Registry, request_for: Build) -> None:
    (run,) = enqueue(registry, [request_for()])
    assert cancel(registry, run) == "cancelled"
    with pytest.raises(Conflict, match="is cancelled already"):
        cancel(registry, run)
    assert queue_again(registry, registry.run(run.id)).status == "queued"
    place = registry.run(run.id).queue_place
    registry.update_run(run.id, held=True)
    waiting = queue_again(registry, registry.run(run.id))  # whose worker may have died
    assert (waiting.status, waiting.held, waiting.queue_place) == ("queued", False, place)
    lock = RunLock(run_folder(registry, run.id))
    lock.acquire()
    registry.update_run(run.id, status="running", pid=os.getpid(), heartbeat_at=time.time())
    assert cancel(registry, run, keep=True) == "stopping"
    assert (run_folder(registry, run.id) / STOP_FILE).read_text() == "keep"
    with pytest.raises(Conflict, match="is being carried out"):
        remove(registry, registry.run(run.id))
    lock.release()
    registry.update_run(run.id, status="interrupted", pid=None)
    remove(registry, registry.run(run.id))
    assert not run_folder(registry, run.id).exists()
    with pytest.raises(RunNotFound):
        registry.run(run.id)


def test_a_dead_run_that_was_to_be_cancelled_is_not_taken_up(
    registry: Registry, request_for: Build, dead_pid: int
) -> None:
    (run,) = enqueue(registry, [request_for()])
    registry.update_run(run.id, status="running", pid=dead_pid, step=3)
    folder = run_folder(registry, run.id)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / STOP_FILE).write_text("cancel")
    adopt_dead_runs(registry)
    assert registry.run(run.id).status == "cancelled"
    assert queue_again(registry, registry.run(run.id)).status == "queued"
    assert not (folder / STOP_FILE).exists()


def test_watching_sees_every_event_once(registry: Registry) -> None:
    run = registry.create_run("x", {}, 2, pid=os.getpid())
    journal = Journal(run_folder(registry, run.id))
    journal.add(Preparing("loading"))
    seen: list[Any] = []
    for event in watch(registry, run.id, poll=0.01):
        seen.append(event)
        if isinstance(event, Preparing):
            registry.update_run(run.id, status="finished")
            journal.add(StepDone(1, 0.5, 0.1, 0.2, run.id))
    assert [type(event).__name__ for event in seen] in (["Preparing"], ["Preparing", "StepDone"])
    assert len(list(JournalReader(run_folder(registry, run.id)).new())) == 2


def test_watching_a_run_that_was_taken_up_again_begins_there(registry: Registry) -> None:
    run = registry.create_run("x", {}, 9)
    journal = Journal(run_folder(registry, run.id))
    start = Started(run.id, 0, 9, "cpu", 1, 1, "x")
    for event in (Preparing("loading"), start, StepDone(1, 0.5, 0.1, 0.2, run.id), Notice("busy")):
        journal.add(event)
    assert list(watch(registry, run.id, over=lambda: True)) == []  # it waits to be taken up again
    again = [Preparing("loading again"), Notice("few threads"), replace(start, first_step=1)]
    for event in again:
        journal.add(event)
    registry.update_run(run.id, status="finished")
    assert list(watch(registry, run.id)) == [Notice("busy"), *again]


def test_a_journal_with_half_a_line_and_strangers(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.add(Preparing("loading"))
    with open(journal.path, "a", encoding="ascii") as file:
        file.write('{"event": "Unknown"}\nnot json\n[1]\n{"event": "StepDone", "st')
    reader = JournalReader(tmp_path)
    assert list(reader.new()) == [Preparing("loading")]
    assert list(reader.new()) == []


def test_a_worker_looks_once_more_when_it_has_let_the_device_go(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[str] = []

    def work(opened: Registry, device: str, *_: object, **__: object) -> bool:
        looks.append(device)
        if len(looks) == 1:  # queued after the last look; the worker that was started for it has lost patience
            opened.create_run("late", {}, 1, device)
        else:
            opened.claim_run(device=device, pid=1)
        return True

    monkeypatch.setattr(worker, "_work", work)
    monkeypatch.setattr(worker, "give_way", lambda _: None)  # that would be this process
    assert worker.main(["--device", "cpu"]) == 0
    assert looks == ["cpu", "cpu"]
