"""Runs that end before their end: what is kept, and that going on gives what would have come of it, bit for bit."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.core.training.conftest import Build, finished
from tiregistry.concepts import NewVersion
from tiregistry.embeddings.embedding import Embedding
from tiregistry.errors import (
    Conflict,
    Damaged,
    DiskFull,
    Interrupted,
    InvalidInput,
    InvalidPlaceholder,
    PlaceholderTaken,
)
from tiregistry.runs.control import relabel
from tiregistry.runs.queue import enqueue
from tiregistry.training.events import CheckpointSaved, Notice, Preparing, Shortened, Started, StepDone
from tiregistry.training.journal import JournalReader
from tiregistry.training.run import resume, resume_many, take_up, train
from tiregistry.training.run_state import STOP_FILE, RunState, run_folder


@pytest.mark.parametrize(
    "settings", [{"recipe": "direction"}, {"recipe": "direction", "preconditioning": True}, {"recipe": "classic"}]
)
def test_stopped_and_resumed_is_bit_identical(registry: Any, request_for: Build, settings: Any) -> None:
    request = request_for("whole", stopping="dvar", stop_every=2, **settings)
    finished(train(registry, request))
    taken = 0

    def stop() -> bool:
        return taken >= 3

    part = replace(request, concept="part", placeholder_token="<part>")
    for event in train(registry, part, stop=stop):
        taken += isinstance(event, StepDone)
    run = registry.last_run()
    assert (run.status, run.step) == ("interrupted", 3)
    assert finished(resume(registry, run)).reason == "finished"
    whole, resumed = registry.version("whole"), registry.version("part")
    assert resumed.embedding_digest == whole.embedding_digest
    assert registry.record(resumed)["loss"] == registry.record(whole)["loss"]
    with pytest.raises(Conflict, match="is finished"):
        list(resume(registry, registry.run(run.id)))


def test_runs_stopped_apart_go_on_in_one_pass(registry: Any, request_for: Build) -> None:
    whole = [request_for(name, seed=seed) for seed, name in enumerate(("one", "two"))]
    runs = []
    for steps, request in enumerate(whole, 1):
        finished(train(registry, request))
        stops = iter([False] * (steps - 1) + [True])
        part = replace(request, concept=f"{request.concept}-part", placeholder_token=f"<{request.concept}-part>")
        list(train(registry, part, stop=lambda stops=stops: next(stops)))
        runs.append(registry.last_run())
    assert [run.step for run in runs] == [1, 2]
    events = list(resume_many(registry, runs[::-1]))
    begun = [event.run_id for event in events if isinstance(event, Started)]
    assert begun == [run.id for run in runs]  # the order of the samples in a batch decides last digits
    assert len([event for event in events if isinstance(event, Preparing)]) == 1  # the base model is loaded once
    assert [registry.run(run.id).status for run in runs] == ["finished", "finished"]
    for request in whole:
        alone, together = (registry.version(request.concept + suffix) for suffix in ("", "-part"))
        for role, rows in registry.embedding(alone).tensors.items():
            np.testing.assert_allclose(registry.embedding(together).tensors[role], rows, rtol=1e-4, atol=1e-5)


def test_runs_that_cannot_share_a_pass_stay_as_they_were(registry: Any, request_for: Build) -> None:
    runs = []
    for name, resolution in (("one", 64), ("two", 32)):
        list(train(registry, request_for(name, resolution=resolution), stop=lambda: True))
        runs.append(registry.last_run())
    with pytest.raises(InvalidInput, match="one and two differ in their resolution"):
        list(resume_many(registry, runs))
    assert [registry.run(run.id) for run in runs] == runs


def test_a_course_that_is_brought_to_an_early_end_is_resumed_bit_identically(
    registry: Any, request_for: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tiregistry.training.stopping.STILL_FALLING", 2.0)
    settings: dict[str, Any] = {"stopping": "dvar", "stop_every": 1, "stop_window": 3, "stop_threshold": 1.0}
    request = request_for("whole", max_steps=30, **settings)
    events = list(train(registry, request))
    whole = finished(events)
    assert [event.last for event in events if isinstance(event, Shortened)] == [whole.step]
    assert (whole.reason, whole.step < 30) == ("converged", True)
    taken = 0

    def stop() -> bool:
        return taken >= whole.step - 2

    for event in train(registry, replace(request, concept="part", placeholder_token="<part>"), stop=stop):
        taken += isinstance(event, StepDone)
    part = finished(resume(registry, registry.last_run()))
    assert (part.reason, part.step, part.message) == (whole.reason, whole.step, whole.message)
    assert registry.version("part").embedding_digest == registry.version("whole").embedding_digest


def test_a_run_goes_on_with_the_threads_it_began_with(
    registry: Any, request_for: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tiregistry.bases import cpu_threads
    from tiregistry.bases.cpu_threads import BusyWatch, using_threads

    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    busy = 0.0
    monkeypatch.setattr(BusyWatch, "others", lambda _: busy)
    monkeypatch.setattr(cpu_threads, "_processors", lambda: 2)
    with using_threads(2):
        events = train(registry, request_for("pot"))
        next(event for event in events if isinstance(event, CheckpointSaved))
        events.close()
        busy = 100.0
        finished(train(registry, request_for("jug")))
        finished(resume(registry, next(run for run in registry.runs() if run.concept == "pot")))
    assert registry.record(registry.version("jug"))["threads"] == 1
    assert registry.record(registry.version("pot"))["threads"] == 2


def test_a_consumer_that_goes_away_leaves_a_run_to_resume(registry: Any, request_for: Build) -> None:
    finished(train(registry, request_for("whole")))
    events = train(registry, replace(request_for("part")))
    for event in events:
        if isinstance(event, StepDone) and event.step == 2:
            time.sleep(0.5)  # before a checkpoint
        if isinstance(event, StepDone) and event.step == 3:
            break
    events.close()
    run = registry.last_run()
    assert run.status == "interrupted"
    again = list(resume(registry, run))
    assert registry.version("part").embedding_digest == registry.version("whole").embedding_digest
    steps = sum(event.seconds for event in again if isinstance(event, StepDone))
    assert registry.record(registry.version("part"))["seconds"] > 0.5 + steps  # of both parts


def test_a_name_taken_while_training_costs_nothing(registry: Any, request_for: Build) -> None:
    """Registering fails in the end; the run keeps what it learned and is registered under another name."""
    request = replace(request_for("pot"), captions=["", "a <pot> here", ""])
    events = train(registry, request)
    next(event for event in events if isinstance(event, StepDone) and event.step == 2)
    registry.create_concept("other", "<pot>", "object")
    with pytest.raises(PlaceholderTaken) as caught:
        list(events)
    run = registry.last_run()
    assert f"tireg runs resume {run.id} --name" in caught.value.hint
    assert (run.status, run.step) == ("failed", 4)
    with pytest.raises(PlaceholderTaken, match="other"):
        next(resume(registry, run))  # said before the base model is loaded
    with pytest.raises(PlaceholderTaken):
        relabel(registry, run, placeholder_token="<POT>")
    with pytest.raises(Conflict, match="has the placeholder token <pot>"):
        relabel(registry, run, concept="other", placeholder_token="<vase>")
    with pytest.raises(InvalidPlaceholder):
        relabel(registry, run, placeholder_token="no brackets")
    assert registry.run(run.id) == run
    changed = relabel(registry, run, concept="vase")
    assert (changed.concept, changed.config["placeholder_token"]) == ("vase", "<vase>")
    rest = list(resume(registry, changed))
    assert not [event for event in rest if isinstance(event, StepDone)]  # everything was learned already
    version = registry.version("vase")
    assert [image.caption for image in version.images] == ["", "a <vase> here", ""]
    assert version.run_id == run.id
    alone = finished(train(registry, replace(request_for("urn"), captions=["", "a <urn> here", ""]))).reference
    assert registry.version(alone).embedding() == version.embedding()
    with pytest.raises(Conflict, match="is finished"):
        relabel(registry, registry.run(run.id), concept="jug")


def test_a_run_of_a_concept_that_was_renamed_goes_on_under_the_new_name(registry: Any, request_for: Build) -> None:
    registry.add_version(NewVersion("pot", "<pot>", "object", "imported"), Embedding({"clip_l": np.ones((1, 32))}))
    events = train(registry, request_for("pot"))
    for event in events:
        if isinstance(event, StepDone) and event.step == 2:
            break
    events.close()
    registry.rename("pot", "vase")
    assert finished(resume(registry, registry.last_run())).reference == "vase@2"


def test_cancelling_registers_nothing_and_keeps_the_checkpoint(registry: Any, request_for: Build) -> None:
    events = train(registry, request_for())
    next(event for event in events if isinstance(event, StepDone) and event.step == 2)
    (run_folder(registry, registry.last_run().id) / STOP_FILE).write_text("cancel")
    with pytest.raises(Interrupted, match="was cancelled"):
        list(events)
    run = registry.last_run()
    assert run.status == "cancelled"
    assert not registry.placeholders()
    assert finished(resume(registry, run)).step == 4


@pytest.mark.parametrize("wish", ["keep", "cancel"])
def test_a_stop_that_was_asked_for_while_the_base_model_was_loading_is_not_lost(
    registry: Any, request_for: Build, wish: str
) -> None:
    events = train(registry, request_for(max_steps=6, checkpoint_every=2))
    next(event for event in events if isinstance(event, CheckpointSaved))
    events.close()
    run = registry.last_run()
    again = resume(registry, run)
    assert isinstance(next(again), Preparing)  # it is held now, and loads
    (run_folder(registry, run.id) / STOP_FILE).write_text(wish)
    if wish == "keep":
        last = finished(again)
        assert (last.step, registry.version("pot").reference) == (2, "pot@1")
    else:
        with pytest.raises(Interrupted, match="was cancelled"):
            list(again)
        assert registry.last_run().status == "cancelled"
        assert finished(resume(registry, registry.last_run())).step == 6


def test_a_run_stopped_before_its_first_step_registers_nothing(registry: Any, request_for: Build) -> None:
    [run] = enqueue(registry, [request_for()])
    events = take_up(registry, [run])
    next(events)
    (run_folder(registry, run.id) / STOP_FILE).write_text("keep")
    with pytest.raises(Interrupted):
        list(events)
    assert registry.last_run().status == "cancelled"
    assert not registry.placeholders()


def test_a_run_without_a_checkpoint_says_that_it_begins_again(registry: Any, request_for: Build) -> None:
    [run] = enqueue(registry, [request_for()])
    run = registry.update_run(run.id, status="interrupted", step=2)  # as after kill -9 between two checkpoints
    told = list(resume(registry, run))
    assert any(isinstance(event, Notice) and "begins again" in event.what for event in told)
    assert finished(told).step == 4
    heard = list(JournalReader(run_folder(registry, run.id)).new())  # by whoever watches it
    assert [type(event) for event in heard] == [type(event) for event in told]


def test_a_disk_that_is_full_at_the_end_says_what_is_kept_and_how_to_go_on(
    registry: Any, request_for: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise DiskFull("no space left in a;b", kept="nothing was lost")

    with monkeypatch.context() as patched:
        patched.setattr(RunState, "register", full)
        with pytest.raises(DiskFull, match=r"pot is not registered at step 4: no space left in a;b \(free") as caught:
            list(train(registry, request_for()))
    run = registry.last_run()
    assert caught.value.hint == f"free some space; tireg runs resume {run.id} then goes on from step 4"
    assert run.status == "failed"
    assert finished(resume(registry, run)).step == 4
    assert registry.version("pot").reference == "pot@1"


def test_a_checkpoint_of_another_tiregistry_is_named(registry: Any, request_for: Build) -> None:
    from safetensors import safe_open
    from safetensors.torch import save_file

    events = train(registry, request_for())
    path = next(event.path for event in events if isinstance(event, CheckpointSaved))
    events.close()
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
        kept = {key: file.get_tensor(key) for key in file.keys() if "averaged" not in key}  # noqa: SIM118
    save_file(kept, path, metadata)
    with pytest.raises(Damaged, match="lacks 'averaged") as caught:
        list(resume(registry, registry.last_run()))
    assert str(path) in caught.value.hint
    path.unlink()
    assert finished(resume(registry, registry.last_run())).step == 4
