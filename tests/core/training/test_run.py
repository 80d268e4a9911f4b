"""From a request to a version: what is recorded, what is refused before anything heavy, what interruptions leave."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tiregistry.concepts import NewVersion
from tiregistry.embeddings.embedding import Embedding
from tiregistry.errors import (
    Conflict,
    Damaged,
    DiskFull,
    Interrupted,
    InvalidConfig,
    InvalidInput,
    InvalidPlaceholder,
    PlaceholderTaken,
    TiregError,
    TrainingDiverged,
    VersionNotFound,
    WrongBaseModel,
)
from tiregistry.images import read_pictures
from tiregistry.runs.control import relabel
from tiregistry.runs.queue import enqueue
from tiregistry.training.config import TrainingConfig
from tiregistry.training.events import CheckpointSaved, Finished, Notice, Preparing, PreviewMade, Shortened, StepDone
from tiregistry.training.gathering import gather
from tiregistry.training.journal import JournalReader
from tiregistry.training.run import TrainingRequest, check_request, resume, take_up, train, train_many
from tiregistry.training.run_state import STOP_FILE, RunState, run_folder


@pytest.fixture
def request_for(tiny: Callable[..., Path], pictures: Path) -> Callable[..., TrainingRequest]:
    def build(name: str = "pot", *, base: Path | None = None, **settings: Any) -> TrainingRequest:
        usual = {"max_steps": 4, "batch_size": 2, "initializer": "teapot", "stopping": "none", "checkpoint_every": 2}
        config = TrainingConfig(**(usual | settings))
        return TrainingRequest(name, read_pictures([pictures])[0], config, base=str(base or tiny()))

    return build


Build = Callable[..., TrainingRequest]


def finished(events: Any) -> Finished:
    last = list(events)[-1]
    assert isinstance(last, Finished)
    return last


def test_other_base_models_than_the_embedded_one_take_a_longer_and_gentler_course(
    registry: Any, request_for: Build
) -> None:
    left_open = request_for(max_steps=None, stopping=None)
    elsewhere = check_request(registry, left_open).config
    assert (elsewhere.max_steps, elsewhere.learning_rate) == (400, 0.1)
    for named in ("embedded", ""):  # the default is the embedded one
        here = check_request(registry, replace(left_open, base=named)).config
        assert (here.max_steps, here.learning_rate) == (100, 0.3)
    assert check_request(registry, request_for(max_steps=7, learning_rate=0.2)).config.max_steps == 7


def test_what_only_the_longer_course_allows_is_refused_on_the_embedded_base_model(
    registry: Any, request_for: Build
) -> None:
    warm = request_for(max_steps=None, warmup_steps=150)
    assert check_request(registry, warm).config.warmup_steps == 150
    with pytest.raises(InvalidConfig, match="leaves no step of max_steps 100"):
        check_request(registry, replace(warm, base="embedded"))


def test_a_version_records_all_that_made_it(registry: Any, request_for: Build) -> None:
    request = replace(
        request_for(preview_prompts=("a {}", "a {} on the beach"), preview_every=2), captions=["", "a {}", ""]
    )
    events = list(train(registry, request))
    version = registry.version("pot")
    assert version.origin == "trained"
    assert [image.caption for image in version.images] == ["", "a {}", ""]
    assert version.manifest["training"] == request.config.resolved(embedded=False).as_dict()
    record = registry.record(version)
    assert len(record["loss"]) == record["steps"] == 4
    assert set(registry.attachments(version)) == {
        "preview/0002.png",
        "preview/0002-2.png",
        "preview/0004.png",
        "preview/0004-2.png",
    }
    made = [event for event in events if isinstance(event, PreviewMade)]
    assert registry.blobs.read(made[0].digest).startswith(b"\x89PNG")
    run = registry.last_run()
    assert (run.status, run.step, run.version_id) == ("finished", 4, version.id)
    sizes = [event.path.stat().st_size for event in events if isinstance(event, CheckpointSaved)]
    assert max(sizes) < 64 * 1024
    assert str(registry.home) not in json.dumps(run.config)


def test_the_same_training_gives_the_same_version(registry: Any, request_for: Build) -> None:
    first, second = (finished(train(registry, request_for())) for _ in range(2))
    assert first.reference == second.reference


@pytest.mark.parametrize("recipe", ["direction", "classic"])
def test_stopped_and_resumed_is_bit_identical(registry: Any, request_for: Build, recipe: Any) -> None:
    request = request_for("whole", recipe=recipe, stopping="dvar", stop_every=2)
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
    from tiregistry.bases.cpu_threads import BusyWatch, using_threads

    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    busy = 0.0
    monkeypatch.setattr(BusyWatch, "others", lambda _: busy)
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


def test_two_words_in_one_pass_become_two_runs_and_two_versions(registry: Any, request_for: Build) -> None:
    single = finished(train(registry, request_for("alone", seed=3)))
    requests = [request_for("one", seed=3), request_for("two", seed=4, max_steps=6)]
    ends = [event for event in train_many(registry, requests) if isinstance(event, Finished)]
    assert [event.reference for event in ends] == ["one@1", "two@1"]
    assert {run.config["group"] for run in registry.runs()[:2]} != {""}
    alone, together = (registry.embedding(registry.version(name)).tensors["clip_l"] for name in ("alone", "one"))
    assert abs(alone - together).max() < 1e-5
    assert single.step == 4


def test_what_cannot_share_a_pass(registry: Any, request_for: Build) -> None:
    with pytest.raises(InvalidInput, match="named twice"):
        list(train_many(registry, [request_for("one"), request_for("One")]))
    with pytest.raises(InvalidInput, match="resolution"):
        list(train_many(registry, [request_for("one"), request_for("two", resolution=128)]))


def test_nan_registers_the_last_good_vectors(
    registry: Any, request_for: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tiregistry.training.model_pass import ModelPass

    gradients = ModelPass.gradients
    calls = 0

    def sometimes(self: Any, *rest: Any) -> list[float]:
        nonlocal calls
        calls += 1
        losses = gradients(self, *rest)
        return [float("nan")] * len(losses) if calls == 3 else losses

    monkeypatch.setattr(ModelPass, "gradients", sometimes)
    with pytest.raises(TrainingDiverged, match="what was learned before is pot@1"):
        list(train(registry, request_for()))
    run = registry.last_run()
    assert (run.status, run.step) == ("failed", 2)
    assert registry.record(registry.version("pot"))["stop_reason"] == "diverged"


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
        raise DiskFull("no space left in there; nothing was lost", "free some space and try again")

    with monkeypatch.context() as patched:
        patched.setattr(RunState, "register", full)
        with pytest.raises(DiskFull, match=r"pot is not registered at step 4: no space left in there") as caught:
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


def test_a_full_disk_costs_a_checkpoint_and_not_the_training(
    registry: Any, request_for: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tiregistry.training.checkpoint as module

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "save_checkpoint", full)
    events = list(train(registry, request_for()))
    assert any(isinstance(event, Notice) and "No space left" in event.what for event in events)
    assert isinstance(events[-1], Finished)


def test_continuing_a_version(registry: Any, request_for: Build, tiny: Callable[..., Path]) -> None:
    finished(train(registry, request_for(num_vectors=2)))
    first = registry.version("pot@1")
    finished(train(registry, request_for("more", initializer="pot@1", learning_rate=1e-9, num_vectors=None)))
    second = registry.version("more")
    assert [(parent.digest, parent.relation) for parent in second.parents] == [(first.digest, "continued")]
    old, new = (registry.embedding(version).tensors["clip_l"] for version in (first, second))
    assert abs(old - new).max() < 1e-5
    with pytest.raises(InvalidConfig, match="has 2 vectors, more than 1"):
        check_request(registry, request_for("other", initializer="<pot>", num_vectors=1))
    with pytest.raises(VersionNotFound):
        check_request(registry, request_for("other", initializer="pot@9"))
    with pytest.raises(WrongBaseModel, match="was learned on"):
        list(train(registry, request_for("other", initializer="pot@1", num_vectors=None, base=tiny("sdxl"))))


def test_continuing_on_a_base_of_another_width_is_refused_before_it_is_read(
    registry: Any, request_for: Build, tiny: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished(train(registry, request_for()))
    wider = tmp_path / "wider"
    shutil.copytree(tiny("sd1"), wider)
    path = wider / "text_encoder" / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps(config | {"hidden_size": config["hidden_size"] + 8}))
    monkeypatch.setattr("tiregistry.training.run.open_base", lambda *_, **__: pytest.fail("the model was read"))
    with pytest.raises(WrongBaseModel, match=r"pot@1 has vectors of width \d+ for clip_l, and .* needs width"):
        list(train(registry, request_for("other", initializer="pot@1", num_vectors=None, base=wider)))


def test_a_phrase_that_is_also_a_word_of_the_registry_is_told(registry: Any, request_for: Build) -> None:
    finished(train(registry, request_for("teapot", max_steps=1)))
    again = list(train(registry, request_for("other", max_steps=1)))
    assert any(isinstance(e, Notice) and "--init teapot@latest goes on from your own" in e.what for e in again)
    finished(train(registry, request_for("pot", max_steps=1)))
    with pytest.raises(InvalidConfig, match="--init pot@latest goes on from your word pot"):
        list(train(registry, request_for("another", initializer="pot")))


def test_masks_are_kept_and_change_what_is_learned(
    registry: Any, request_for: Build, pictures: Path, tmp_path: Path
) -> None:
    masks = tmp_path / "masks"
    masks.mkdir()
    for file in pictures.iterdir():
        mask = Image.new("L", (80, 64), 0)
        mask.paste(255, (20, 10, 50, 40))
        mask.save(masks / file.name)
    found = gather([pictures], masks=masks)
    masked = replace(request_for("masked", base=None), masks=found.masks)
    finished(train(registry, request_for("plain")))
    finished(train(registry, masked))
    version = registry.version("masked")
    assert len([role for role in registry.attachments(version) if role.startswith("mask/")]) == 3
    assert len(version.manifest["training"]["masks"]) == 3
    assert version.embedding_digest != registry.version("plain").embedding_digest
    list(resume_from_start(registry, registry.last_run()))


def resume_from_start(registry: Any, run: Any) -> Any:
    """Read a run's record back as a worker would, without training it again."""
    from tiregistry.training.request import request_of

    request, images = request_of(registry, run)
    assert len(request.masks) == len(images)
    return images


def test_transparency_as_mask(registry: Any, tiny: Callable[..., Path], tmp_path: Path) -> None:
    image = Image.new("RGBA", (64, 64), (200, 30, 30, 255))
    image.paste((0, 0, 0, 0), (0, 0, 64, 30))
    image.save(tmp_path / "cut.png")
    config = TrainingConfig(max_steps=1, batch_size=1, use_alpha=True)
    request = TrainingRequest("cut", read_pictures([tmp_path / "cut.png"])[0], config, base=str(tiny()))
    finished(train(registry, request))
    empty = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    empty.save(tmp_path / "nothing.png")
    nothing = replace(
        request, concept="no", placeholder_token="", pictures=read_pictures([tmp_path / "nothing.png"])[0]
    )
    with pytest.raises(InvalidInput, match=r"the mask of nothing.png leaves nothing"):
        check_request(registry, nothing)


def test_quick_starts_in_clip_space(registry: Any, request_for: Build, tiny: Callable[..., Path]) -> None:
    with pytest.raises(InvalidInput, match="needs a vision tower"):
        list(train(registry, request_for(recipe="quick")))
    base = tiny(vision=True)
    warm = finished(
        train(registry, request_for("warm", recipe="quick", learning_rate=1e-9, warm_start_steps=5, base=base))
    )
    cold = finished(train(registry, request_for("cold", learning_rate=1e-9, base=base)))
    one, other = (registry.embedding(registry.version(end.reference)).tensors["clip_l"] for end in (warm, cold))
    assert abs(one - other).max() > 1e-3


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"concept": "latest/x"}, InvalidInput, "latest/x"),
        ({"placeholder_token": "pot"}, InvalidInput, "angle brackets"),
        ({"placeholder_token": "<"}, InvalidInput, "placeholder"),
        ({"pictures": []}, InvalidInput, "no pictures"),
        ({"captions": ["one"]}, InvalidInput, "1 captions for 3 pictures"),
        ({"captions": ["<pot> <pot>", "", ""]}, InvalidConfig, "more than once"),
    ],
)
def test_bad_requests(registry: Any, request_for: Build, change: dict[str, Any], error: Any, said: str) -> None:
    with pytest.raises(error, match=said):
        check_request(registry, replace(request_for(), **change))


def test_the_base_model_is_looked_at_before_it_is_loaded(
    registry: Any, request_for: Build, tiny: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    import tiregistry.training.run as module

    monkeypatch.setattr(module, "_open", lambda *_: pytest.fail("the base model was loaded"))
    broken = tmp_path / "broken"
    shutil.copytree(tiny(), broken)
    (broken / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    named = tmp_path / "named"
    shutil.copytree(tiny(), named)
    vocabulary = json.loads((named / "tokenizer" / "vocab.json").read_text())
    (named / "tokenizer" / "vocab.json").write_text(json.dumps({**vocabulary, "<cat></w>": len(vocabulary)}))
    other = tmp_path / "other"
    other.mkdir()
    (other / "model_index.json").write_text(
        json.dumps({"_class_name": "PixArtAlphaPipeline", "transformer": ["diffusers", "PixArtTransformer2DModel"]})
    )
    long = ("a photo of the very very very very very very very very very very very very very very {}",)
    cases: list[tuple[TrainingRequest, type[TiregError], str]] = [
        (request_for(num_vectors=64, caption_templates=long), InvalidConfig, "need 82 tokens, 75 fit"),
        (request_for(base=other), InvalidInput, "no family known here"),
        (request_for(base=broken), InvalidInput, "no weights in its folder unet"),
        (replace(request_for(base=named), placeholder_token="<cat>"), PlaceholderTaken, "vocabulary"),
    ]
    for request, error, said in cases:
        with pytest.raises(error, match=said):
            list(train(registry, request))
    assert not registry.runs()
