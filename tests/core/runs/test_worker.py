"""Real worker processes: killed in the middle, taken over by the next, bit for bit the same result."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.core.runs.conftest import until
from tiregistry.registry.filesystem import process_exists
from tiregistry.registry.registry import Registry
from tiregistry.runs.control import cancel
from tiregistry.runs.executor import start_worker
from tiregistry.runs.liveness import is_dead
from tiregistry.runs.queue import enqueue
from tiregistry.runs.worker import LOG
from tiregistry.settings import FILE
from tiregistry.training.events import StepDone
from tiregistry.training.journal import JournalReader
from tiregistry.training.request import TrainingRequest
from tiregistry.training.run import train
from tiregistry.training.run_state import run_folder

Build = Callable[..., TrainingRequest]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    torch.set_num_threads(1)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture(autouse=True)
def not_nice(registry: Registry) -> None:
    """On a machine that is busy with other tests, a worker that gives way would be waited for too long."""
    (registry.home / FILE).write_text('niceness = "0"\n')


def steps(registry: Registry, run_id: str) -> int:
    return sum(isinstance(event, StepDone) for event in JournalReader(run_folder(registry, run_id)).new())


def wait_for(pid: int) -> None:
    """Wait until a worker is gone, also for the system."""
    until(lambda: not process_exists(pid))


def test_a_killed_worker_is_taken_over_bit_exactly(registry: Registry, request_for: Build) -> None:
    # More steps than are taken before the kill, however late; at a constant rate no step depends on how many follow.
    settings = {"lr_scheduler": "constant", "max_steps": 5000}
    (run,) = enqueue(registry, [request_for("part", **settings)])
    first = start_worker(registry.home, "cpu")
    until(lambda: steps(registry, run.id) >= 5)
    assert registry.run(run.id).pid == first
    if hasattr(os, "getsid"):
        assert os.getsid(first) != os.getsid(0)  # it outlives this terminal
    os.kill(first, signal.SIGKILL)
    wait_for(first)
    killed = registry.run(run.id)
    assert is_dead(registry, killed)
    last = steps(registry, run.id) + 4
    config = killed.config | {"training": killed.config["training"] | {"max_steps": last}}
    registry.update_run(run.id, config=config, max_steps=last)
    list(train(registry, request_for("whole", **settings | {"max_steps": last})))
    second = start_worker(registry.home, "cpu")
    wait_for(second)
    ended = registry.run(run.id)
    assert (ended.status, ended.step) == ("finished", last), ended.message
    assert registry.version("part").embedding_digest == registry.version("whole").embedding_digest
    assert len(registry.record(registry.version("part"))["loss"]) == last
    log = (run_folder(registry, run.id) / LOG).read_text()
    assert str(first) in log
    assert str(second) in log
    assert f"finished after {last} steps · part@1" in log
    assert "Started(" not in log


def test_one_worker_trains_a_group_in_one_pass_and_can_be_cancelled(registry: Registry, request_for: Build) -> None:
    runs = enqueue(registry, [request_for("one", max_steps=4), request_for("two", max_steps=5000)])
    worker = start_worker(registry.home, "cpu")
    until(lambda: registry.run(runs[0].id).status == "finished")
    assert registry.run(runs[1].id).status == "running"
    assert cancel(registry, registry.run(runs[1].id), keep=True) == "stopping"
    wait_for(worker)
    assert registry.run(runs[1].id).status == "interrupted"
    assert registry.version("two").number == 1


def test_a_run_that_cannot_begin_fails_and_says_so(registry: Registry, request_for: Build, base: Path) -> None:
    (run,) = enqueue(registry, [request_for()])
    registry.remove_base(run.config["base"]["name"])
    done = subprocess.run(
        [sys.executable, "-m", "tiregistry.runs.worker", "--device", "cpu"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        check=False,
    )
    assert done.returncode == 0
    ended = registry.run(run.id)
    assert ended.status == "failed"
    assert "no base model" in ended.message
