"""What a run that stopped had learned at its checkpoint can be registered without training on."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tiregistry.concepts import Run
from tiregistry.errors import Conflict, Damaged, DiskFull, InvalidInput, RegistryReadOnly
from tiregistry.registry.registry import Registry
from tiregistry.runs.keeping import keep_checkpoint
from tiregistry.training.beginning import ended_before_its_first_step
from tiregistry.training.checkpoint import FILE, load_checkpoint
from tiregistry.training.device_lock import device_lock
from tiregistry.training.events import Finished, StepDone
from tiregistry.training.request import TrainingRequest
from tiregistry.training.run import resume, train
from tiregistry.training.run_lock import RunLock, is_carried_out
from tiregistry.training.run_state import run_folder
from tiregistry.training.trail import trail

Build = Callable[..., TrainingRequest]


def broken_off(registry: Registry, request: TrainingRequest, at: int) -> Run:
    """A run whose listener went away after a step, as by a second Ctrl-C."""
    events = train(registry, request)
    for event in events:
        if isinstance(event, StepDone) and event.step == at:
            break
    events.close()  # type: ignore[attr-defined]
    return registry.runs()[0]


def test_the_checkpoint_becomes_a_version(registry: Registry, request_for: Build) -> None:
    run = broken_off(registry, request_for(), at=8)
    assert (run.status, run.version_id) == ("interrupted", None)
    checkpoint = load_checkpoint(run_folder(registry, run.id) / FILE)
    assert checkpoint is not None
    assert checkpoint.step == 6
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    registry.update_run(run.id, status="running", pid=gone.pid)  # as after kill -9
    kept = keep_checkpoint(registry, registry.run(run.id))
    assert (kept.reference, kept.step, kept.reason) == ("pot@1", 6, "interrupted")
    ended = registry.run(run.id)
    assert (ended.status, ended.step) == ("interrupted", 6)
    direction = torch.from_numpy(registry.embedding(registry.version("pot")).tensors["clip_l"].copy())
    learned = checkpoint.state["direction.clip_l"]
    assert torch.nn.functional.cosine_similarity(direction, learned).min() > 0.99999
    with pytest.raises(Conflict, match="has registered what it learned already"):
        keep_checkpoint(registry, ended)
    assert isinstance(list(resume(registry, ended))[-1], Finished)  # it can still go on
    assert registry.run(run.id).status == "finished"


@pytest.mark.parametrize("stopping", ["none", "dvar"])
@pytest.mark.parametrize("recipe", ["direction", "classic"])
def test_it_is_what_its_process_would_have_registered(
    tmp_path: Path, registry: Registry, request_for: Build, recipe: str, stopping: str
) -> None:
    """The same vectors, settings and record: a version proves itself, whoever registers it."""
    request = request_for(recipe=recipe, stopping=stopping, max_steps=12, checkpoint_every=8, stop_every=3)
    run = broken_off(registry, request, at=9)
    kept = registry.version(keep_checkpoint(registry, run).reference)
    with Registry.open(tmp_path / "other") as other:
        looks = iter(range(100))
        list(train(other, request, stop=lambda: next(looks) == 7))  # asked once after every step
        asked = other.version("pot")
        assert kept.digest == asked.digest
        mine, theirs = registry.record(kept), other.record(asked)
    assert mine.keys() == theirs.keys()
    differ = {key for key in mine if mine[key] != theirs[key]}
    assert differ <= {"seconds"}


def test_another_run_of_its_pass_is_not_waited_for(registry: Registry, request_for: Build) -> None:
    """Nor is the base model needed: the device may be busy, and the model gone."""
    run = broken_off(registry, request_for(), at=8)
    with device_lock(registry.home, "cpu") as busy:
        assert busy.acquired
        assert keep_checkpoint(registry, run).reference == "pot@1"


def test_vectors_that_are_gone_are_said_to_be(registry: Registry, request_for: Build) -> None:
    run = broken_off(registry, request_for(), at=8)
    for point in trail(run_folder(registry, run.id)):
        point.path.unlink()
    with pytest.raises(Damaged, match="vectors of step 6"):
        keep_checkpoint(registry, run)
    assert isinstance(list(resume(registry, run))[-1], Finished)


def test_what_has_learned_nothing_cannot_be_kept(registry: Registry, request_for: Build) -> None:
    run = broken_off(registry, request_for(), at=1)
    with pytest.raises(Conflict, match="no checkpoint: it has learned nothing to keep"):
        keep_checkpoint(registry, run)
    assert registry.run(run.id).status == "interrupted"


def test_an_end_that_cannot_be_recorded_hides_no_reason(
    registry: Registry, request_for: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = broken_off(registry, request_for(), at=1)
    registry.update_run(run.id, status="running")

    def full(*_: object, **__: object) -> None:
        raise DiskFull("no space left in the registry")

    monkeypatch.setattr(registry, "update_run", full)
    with pytest.raises(InvalidInput, match="the real reason"), ended_before_its_first_step(registry, [run]):
        raise InvalidInput("the real reason")


def test_locks_in_a_folder_that_cannot_be_written(
    registry: Registry, request_for: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = broken_off(registry, request_for(), at=1)
    folder = run_folder(registry, run.id)

    def refuse(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("filelock.FileLock.acquire", refuse)
    assert not is_carried_out(folder)
    with pytest.raises(RegistryReadOnly, match="cannot be written"):
        RunLock(folder).acquire()
    with pytest.raises(RegistryReadOnly, match="locks cannot be written"), device_lock(registry.home, "cpu"):
        pass
