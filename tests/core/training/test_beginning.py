"""What comes before the first step: the device is held, the run is listed, and what it begins with is kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.core.training.conftest import Build, finished
from tiregistry.errors import DiskFull, Interrupted, InvalidInput
from tiregistry.runs.control import remove
from tiregistry.training import beginning, vision_start
from tiregistry.training.checkpoint import FILE, load_checkpoint
from tiregistry.training.device_lock import device_lock
from tiregistry.training.events import Preparing, Started, StepDone
from tiregistry.training.run import resume, train, train_many
from tiregistry.training.run_state import run_folder


@pytest.fixture
def quick(request_for: Build, tiny: Callable[..., Path]) -> Any:
    request = request_for("whole", recipe="quick", warm_start_steps=3, stopping="none")
    return replace(request, base=str(tiny(vision=True)))


def test_a_warm_start_is_made_once_whatever_happens_before_the_first_checkpoint(
    registry: Any, quick: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, warm_start = [], vision_start.warm_start
    monkeypatch.setattr(vision_start, "warm_start", lambda *a: made.append(torch.get_num_threads()) or warm_start(*a))
    finished(train(registry, quick))
    events = train(registry, replace(quick, concept="part", placeholder_token="<part>"))
    next(event for event in events if isinstance(event, StepDone))
    events.close()  # type: ignore[attr-defined]  # as if its process had been killed
    run = registry.last_run()
    checkpoint = load_checkpoint(run_folder(registry, run.id) / FILE)
    assert checkpoint is not None
    assert (run.status, checkpoint.step, checkpoint.threads) == ("interrupted", 0, made[0])
    finished(resume(registry, run))
    assert len(made) == 2
    assert registry.version("part").embedding_digest == registry.version("whole").embedding_digest


def test_no_bar_of_a_library_is_written(registry: Any, quick: Any, capfd: pytest.CaptureFixture[str]) -> None:
    finished(train(registry, quick))
    captured = capfd.readouterr()
    assert captured.out + captured.err == ""


def test_the_device_is_held_and_the_run_is_listed_before_the_first_step(registry: Any, quick: Any) -> None:
    seen = []
    for event in train(registry, quick):
        if isinstance(event, Started):
            break
        assert isinstance(event, Preparing)
        with device_lock(registry.home, "cpu") as other:
            assert not other.acquired
        seen.append((event.what.split()[0], [run.status for run in registry.runs()]))
    assert seen == [("loading", []), ("encoding", ["running"]), ("fitting", ["running"])]


def test_a_run_that_fails_before_its_first_step_says_why(
    registry: Any, quick: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def misfit(*_: Any) -> None:
        raise InvalidInput("the vision tower does not fit", "use --recipe direction")

    monkeypatch.setattr(vision_start, "warm_start", misfit)
    with pytest.raises(InvalidInput) as caught:
        list(train(registry, quick))
    [run] = registry.runs()
    assert (run.status, run.step) == ("failed", 0)
    assert "does not fit" in run.message
    assert caught.value.__traceback__ is not None  # which keeps the training's frames alive
    remove(registry, run)  # nobody holds it any more


def test_a_pass_whose_pictures_cannot_be_kept_leaves_no_run_that_calls_itself_running(
    registry: Any, quick: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = beginning.keep_pictures

    def full(registry: Any, request: Any) -> Any:
        if request.concept == "second":
            raise DiskFull("no space left", "free some")
        return kept(registry, request)

    monkeypatch.setattr(beginning, "keep_pictures", full)
    second = replace(quick, concept="second", placeholder_token="<second>")
    with pytest.raises(DiskFull):
        list(train_many(registry, [quick, second]))
    assert not registry.runs(status="running")


def test_who_waits_for_the_device_loads_nothing_and_can_be_stopped(registry: Any, quick: Any) -> None:
    told: list[str] = []
    with device_lock(registry.home, "cpu") as other:
        assert other.acquired
        events = train(registry, quick, stop=lambda: bool(told))
        told.append(next(events).what)  # type: ignore[attr-defined]
        with pytest.raises(Interrupted, match="waiting for the device"):
            next(events)
    assert told == ["whole waits for another training on cpu to end"]
    assert registry.runs() == []
