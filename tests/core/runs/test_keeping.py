"""What a run that stopped had learned at its checkpoint can be registered without training on."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from tiregistry.concepts import Run
from tiregistry.errors import Conflict, DiskFull, InvalidInput, RegistryReadOnly
from tiregistry.registry.registry import Registry
from tiregistry.runs.control import keep_checkpoint
from tiregistry.training.beginning import ended_before_its_first_step
from tiregistry.training.checkpoint import FILE, load_checkpoint
from tiregistry.training.device_lock import device_lock
from tiregistry.training.events import Finished, StepDone
from tiregistry.training.request import TrainingRequest
from tiregistry.training.run import resume, train
from tiregistry.training.run_lock import RunLock, is_carried_out
from tiregistry.training.run_state import run_folder

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
    registry.update_run(run.id, status="queued")  # as after `resume --detach`: no worker may take it meanwhile
    events = list(keep_checkpoint(registry, registry.run(run.id)))
    assert not any(isinstance(event, StepDone) for event in events)
    assert isinstance(events[-1], Finished)
    assert (events[-1].reference, events[-1].step) == ("pot@1", 6)
    ended = registry.run(run.id)
    assert (ended.status, ended.step) == ("interrupted", 6)
    direction = torch.from_numpy(registry.embedding(registry.version("pot")).tensors["clip_l"].copy())
    kept = checkpoint.state["direction.clip_l"]
    assert torch.nn.functional.cosine_similarity(direction, kept).min() > 0.99999
    with pytest.raises(Conflict, match="has registered what it learned already"):
        list(keep_checkpoint(registry, ended))
    assert isinstance(list(resume(registry, ended))[-1], Finished)  # it can still go on
    assert registry.run(run.id).status == "finished"


def test_what_has_learned_nothing_cannot_be_kept(registry: Registry, request_for: Build) -> None:
    run = broken_off(registry, request_for(), at=1)
    with pytest.raises(Conflict, match="no checkpoint: it has learned nothing to keep"):
        list(keep_checkpoint(registry, run))
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
