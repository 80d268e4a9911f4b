"""From a request to a version: what is recorded, and what is refused before anything heavy."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from safetensors.torch import load_file, save_file

from tests.core.training.conftest import Build, finished
from tiregistry.errors import (
    InvalidConfig,
    InvalidInput,
    PlaceholderTaken,
    TiregError,
    TrainingDiverged,
    VersionNotFound,
    WrongBaseModel,
)
from tiregistry.images import read_pictures
from tiregistry.runs.queue import enqueue
from tiregistry.training.config import TrainingConfig
from tiregistry.training.events import CheckpointSaved, Finished, Notice, PreviewMade
from tiregistry.training.gathering import gather
from tiregistry.training.notes import notes_before
from tiregistry.training.run import TrainingRequest, check_request, take_up, train, train_many


def test_other_base_models_than_the_embedded_one_take_a_longer_and_gentler_course(
    registry: Any, request_for: Build
) -> None:
    left_open = request_for(max_steps=None, stopping=None)
    elsewhere = check_request(registry, left_open).config
    assert (elsewhere.max_steps, elsewhere.learning_rate) == (400, 0.1)
    for named in ("embedded", "Embedded", ""):  # names know no case, and the default is the embedded one
        here = check_request(registry, replace(left_open, base=named))
        assert (here.base, here.config.max_steps, here.config.learning_rate) == ("embedded", 100, 0.4)
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
    assert (first.started_from(), second.started_from()) == ("teapot", "pot@1")
    assert [each.reference for each in second.ancestors()] == ["pot@1"]
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
    for part, name in (("text_encoder", "hidden_size"), ("unet", "cross_attention_dim")):
        path = wider / part / "config.json"
        config = json.loads(path.read_text())
        path.write_text(json.dumps(config | {name: config[name] + 8}))
    monkeypatch.setattr("tiregistry.training.beginning.open_base", lambda *_, **__: pytest.fail("the model was read"))
    with pytest.raises(WrongBaseModel, match=r"pot@1 has vectors of width \d+ for clip_l, and .* needs width"):
        list(train(registry, request_for("other", initializer="pot@1", num_vectors=None, base=wider)))


def test_continuing_on_a_base_of_another_vocabulary_is_refused_before_it_is_read(
    registry: Any, request_for: Build, tiny: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished(train(registry, request_for()))
    other = tmp_path / "other"
    shutil.copytree(tiny("sd1"), other)
    weights = other / "text_encoder" / "model.safetensors"
    tensors = load_file(weights)
    save_file({name: tensor + (0.1 if "token_embedding" in name else 0.0) for name, tensor in tensors.items()}, weights)
    monkeypatch.setattr("tiregistry.training.beginning.open_base", lambda *_, **__: pytest.fail("the model was read"))
    with pytest.raises(WrongBaseModel, match=r"pot@1 was learned on .*, not on other"):
        list(train(registry, request_for("other", initializer="pot@1", num_vectors=None, base=other)))


def test_a_word_that_goes_on_from_a_version_records_no_magnitude(registry: Any, request_for: Build) -> None:
    finished(train(registry, request_for(recipe="direction", magnitude=3.0)))
    for recipe in ("direction", "classic"):
        request = request_for(f"{recipe}-more", initializer="pot@1", num_vectors=None, recipe=recipe)
        version = registry.version(finished(train(registry, request)).reference)
        assert (version.manifest["training"]["magnitude"], version.num_vectors) == (None, 1)


@pytest.mark.parametrize("recipe", ["direction", "thorough", "classic"])
def test_whether_at_once_or_from_the_queue_it_is_the_same_version(
    registry: Any, request_for: Build, recipe: Any
) -> None:
    request = request_for("pot", recipe=recipe, max_steps=2)
    now = finished(train(registry, request))
    (run,) = enqueue(registry, [request])
    later = finished(take_up(registry, [run]))
    assert later.reference == now.reference == "pot@1"
    assert len(registry.versions("pot")) == 1


def test_a_phrase_that_is_longer_than_the_word_is_told(registry: Any, request_for: Build) -> None:
    events = list(train(registry, request_for("pot", initializer="old teapot", num_vectors=1, max_steps=1)))
    said = [event.what for event in events if isinstance(event, Notice)]
    assert "pot: 1 vector has no room for all of 'old teapot': starting from 'teapot'" in said


def test_going_on_from_a_word_is_proposed_only_where_it_may_be_meant(registry: Any, request_for: Build) -> None:
    request = request_for("teapot", max_steps=1)
    finished(train(registry, request))

    def told(name: str, **changes: Any) -> list[str]:
        return notes_before(registry, [check_request(registry, replace(request, concept=name, **changes))])

    proposal = "starting from the vocabulary's word teapot; --init teapot@latest goes on from your own"
    assert proposal in told("Teapot", pictures=request.pictures[:2])
    assert proposal not in told("teapot", config=replace(request.config, seed=5))  # the same once more
    assert told("other") == told("other", pictures=request.pictures[:2]) == []
    finished(train(registry, request_for("pot", max_steps=1)))
    with pytest.raises(InvalidConfig, match="--init pot@latest goes on from your word pot"):
        list(train(registry, request_for("another", initializer="pot")))


def test_photos_that_go_to_the_embedded_model_unasked_are_told_once(registry: Any, tmp_path: Path) -> None:
    for name, side in (("large", 300), ("small", 200)):
        (tmp_path / name).mkdir()
        for number, colour in enumerate(("red", "green")):
            Image.new("RGB", (side, side + number), colour).save(tmp_path / name / f"{number}.png")
    large, small = (read_pictures([tmp_path / name])[0] for name in ("large", "small"))

    def told(*requests: TrainingRequest) -> list[str]:
        notes = notes_before(registry, [check_request(registry, request) for request in requests])
        return [note for note in notes if "--base" in note]

    says = "learned at 64 px on the small built-in model; for real photos name a Stable Diffusion model with --base"
    assert told(TrainingRequest("pot", large), TrainingRequest("mug", large)) == [says]
    assert told(TrainingRequest("pot", large, base="embedded")) == []
    assert told(TrainingRequest("pot", small)) == told(TrainingRequest("pot", [*large, *small])) == []
    again = check_request(registry, check_request(registry, TrainingRequest("pot", large)))
    assert again.takes_default_base


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
        ({"config": TrainingConfig(masks=("x", "", ""))}, InvalidConfig, "masks cannot be set"),
        ({"captions": ["one"]}, InvalidInput, "1 captions for 3 pictures"),
        (
            {"captions": ["", "<pot> <pot>", ""]},
            InvalidConfig,
            r"^1\.png: the caption '<pot> <pot>' names .* than once",
        ),
    ],
)
def test_bad_requests(registry: Any, request_for: Build, change: dict[str, Any], error: Any, said: str) -> None:
    with pytest.raises(error, match=said):
        check_request(registry, replace(request_for(), **change))


def test_the_base_model_is_looked_at_before_it_is_loaded(
    registry: Any, request_for: Build, tiny: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    monkeypatch.setattr(
        "tiregistry.training.beginning.open_base", lambda *_, **__: pytest.fail("the base model was loaded")
    )
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
    endless = tmp_path / "endless"
    shutil.copytree(tiny(), endless)
    (endless / "scheduler" / "scheduler_config.json").write_text('{"num_train_timesteps": "many"}')
    pruned = tmp_path / "pruned"
    shutil.copytree(tiny(), pruned)
    (pruned / "vae" / "diffusion_pytorch_model.safetensors").unlink()
    (pruned / "vae" / "diffusion_pytorch_model.safetensors").symlink_to(tmp_path / "gone")
    long = ("a photo of the very very very very very very very very very very very very very very {}",)
    cases: list[tuple[TrainingRequest, type[TiregError], str]] = [
        (request_for(num_vectors=64, caption_templates=long), InvalidConfig, "need 82 tokens, 75 fit"),
        (
            replace(request_for(), captions=["", "", "an ox " * 50]),
            InvalidConfig,
            r"' of 2\.png need 104 tokens, 75 fit",
        ),
        (request_for(base=other), InvalidInput, "no family known here"),
        (request_for(base=broken), InvalidInput, "no weights in its folder unet"),
        (request_for(base=endless), InvalidInput, "no number of timesteps"),
        (request_for(base=pruned), InvalidInput, "no weights in its folder vae|cannot be read"),
        (replace(request_for(base=named), placeholder_token="<cat>"), PlaceholderTaken, "vocabulary"),
    ]
    for request, error, said in cases:
        with pytest.raises(error, match=said):
            list(train(registry, request))
    assert not registry.runs()
