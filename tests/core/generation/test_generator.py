"""Pictures from prompts: words, versions, weights, long prompts, and what never changes a picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.overrides import TorchFunctionMode

from tests.core.generation.conftest import QUICK, bytes_of
from tests.learned import register_word
from tiregistry.errors import (
    BaseModelNotFound,
    ConceptNotFound,
    InvalidConfig,
    InvalidInput,
    InvalidPrompt,
    InvalidReference,
    VersionNotFound,
    WrongBaseModel,
)
from tiregistry.generation import as_alone
from tiregistry.generation.as_alone import AsAlone
from tiregistry.generation.conditioning import PromptEncoder, mix
from tiregistry.generation.generator import Generator
from tiregistry.generation.prompts import names_in, parse_prompt
from tiregistry.generation.settings import SCHEDULERS
from tiregistry.generation.start import read_start
from tiregistry.generation.words import resolve_words
from tiregistry.registry.registry import Registry


def states(generator: Generator, prompt: str) -> torch.Tensor:
    item = generator.prepare(prompt, QUICK)
    with torch.no_grad():
        return generator._prompt_encoder().encode(item.tokens).states


def test_a_picture_depends_on_nothing_but_its_own_recipe(generator: Generator) -> None:
    prompts = ["a photo of <gnome>", "an (old:1.4) <imp> {red|blue}"]
    every = bytes_of(generator.generate(prompts, QUICK, seeds=[0, 1]))
    assert len(set(every)) == 6
    alone = bytes_of(generator.generate(prompts[0], QUICK, seeds=[1]))
    assert alone == [every[1]]
    turned = bytes_of(generator.generate([prompts[1], prompts[0]], QUICK, seeds=[1, 0]))
    assert sorted(turned) == sorted(every)
    fresh = Generator(generator.base, generator.registry)
    assert bytes_of(fresh.generate(prompts, QUICK, seeds=[0, 1])) == every


@pytest.mark.parametrize("scheduler", ["ddim", "euler-a", "unipc"])
@pytest.mark.parametrize("guidance", [1.0, 5.0])
def test_a_batch_changes_no_bit_on_a_cpu(generator: Generator, scheduler: str, guidance: float) -> None:
    settings = replace(QUICK, num_inference_steps=3, scheduler=scheduler, guidance_scale=guidance)
    one = bytes_of(generator.generate(["a <gnome>", "a <imp>"], settings, seeds=range(3)))
    for size in (2, 4):
        many = generator.generate(["a <gnome>", "a <imp>"], settings, seeds=range(3), batch_size=size)
        assert bytes_of(many) == one


@pytest.mark.parametrize("masked", [False, True])
def test_a_batch_from_a_picture_changes_no_bit_on_a_cpu(generator: Generator, tmp_path: Path, masked: bool) -> None:
    Image.effect_noise((64, 64), 80).convert("RGB").save(tmp_path / "start.png")
    Image.radial_gradient("L").resize((64, 64)).save(tmp_path / "mask.png")
    start = read_start(tmp_path / "start.png", strength=1, mask=tmp_path / "mask.png" if masked else None)
    one = bytes_of(generator.generate("a <gnome>", QUICK, seeds=range(3), start=start))
    assert bytes_of(generator.generate("a <gnome>", QUICK, seeds=range(3), start=start, batch_size=3)) == one


def test_operations_that_round_otherwise_in_a_batch_are_found_and_others_are_not_slowed() -> None:
    torch.manual_seed(0)
    known: dict[object, bool] = {}
    calls: list[int] = []

    class Counting(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if func is torch.conv2d:
                calls.append(args[0].shape[0])
                if (
                    args[0].shape[0] > 2 and args[0].shape[2] == 8
                ):  # as a library that adds up otherwise when there is more to do
                    return func(*args, **kwargs or {}) + 1e-7
            return func(*args, **kwargs or {})

    image, kernel = torch.randn(4, 3, 8, 8), torch.randn(5, 3, 3, 3)
    alone = torch.stack([torch.conv2d(image[[n, 2 + n]], kernel) for n in range(2)], 1).flatten(0, 1)
    with Counting():
        for _ in range(2):
            with AsAlone(2, known):
                assert torch.equal(torch.conv2d(image, kernel), alone)
    assert calls == [2, 2, 4, 2, 2]
    calls.clear()
    for _ in range(2):
        with Counting(), AsAlone(2, known):
            torch.conv2d(image[:, :, :4], kernel)
    assert calls == [2, 2, 4, 4]


def test_on_a_gpu_batches_are_equal_up_to_rounding_and_recorded(
    generator: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = list(generator.generate(["a <gnome>", "a <imp>"], QUICK, seeds=range(3)))
    monkeypatch.setattr(as_alone, "is_exact_in_batches", lambda device: False)
    many = list(generator.generate(["a <gnome>", "a <imp>"], QUICK, seeds=range(3), batch_size=4))
    assert [p.recipe | {"batch_size": 2} for p in one[4:]] == [p.recipe for p in many[4:]]
    assert many[0].recipe["batch_size"] == 4
    for left, right in zip(one, many, strict=True):
        difference = np.abs(np.asarray(left.image, dtype=int) - np.asarray(right.image, dtype=int))
        assert difference.max() <= 2


def test_two_versions_of_one_word_in_one_prompt(generator: Generator) -> None:
    item = generator.prepare("<gnome@1> beside <gnome@2> and <gnome>", QUICK)
    assert {name.text: version.reference for name, version in item.versions.items()} == {
        "<gnome@1>": "gnome@1",
        "<gnome@2>": "gnome@2",
        "<gnome>": "gnome@2",
    }
    ids = [token.id for token in item.tokens.chunks["clip_l"][0]]
    first = generator.base.towers[0].words.first_id
    assert [i - first for i in ids if i >= first] == [0, 1, 2, 3, 4, 5]
    assert torch.equal(item.tokens.rows["clip_l"][2:4], item.tokens.rows["clip_l"][4:6])


def test_a_word_is_its_vectors_not_its_letters(generator: Generator) -> None:
    assert not torch.equal(states(generator, "a <gnome>"), states(generator, "a \\<gnome\\>"))
    rows = generator.base.towers[0].words.table.weight[:5]
    generator.prepare("a <gnome>", QUICK)
    assert torch.equal(rows, generator.base.towers[0].words.table.weight[:5])


def test_weights(generator: Generator) -> None:
    plain = states(generator, "a red <gnome>")
    assert torch.equal(plain, states(generator, "a (red:1) (<gnome>:1.0)"))
    louder = states(generator, "a (red:1.5) <gnome>")
    silent = states(generator, "a (red:0) <gnome>")
    empty = states(generator, "")
    place = 2  # begin, a, red
    assert torch.equal(silent[0, place], empty[0, place])
    expected = empty[0, place] + 1.5 * (plain[0, place] - empty[0, place])
    assert torch.allclose(louder[0, place], expected, atol=1e-6)
    others = [i for i in range(plain.shape[1]) if i != place]
    assert torch.equal(louder[0, others], plain[0, others])


def test_long_prompts_are_chunked_and_said(generator: Generator) -> None:
    window = generator.base.towers[0].window
    long = "a red cat " * 60
    item = generator.prepare(long, replace(QUICK, negative_prompt="old"))
    assert [len(chunk) for chunk in item.tokens.chunks["clip_l"]] == [window - 2, window - 2, 180 - 2 * (window - 2)]
    assert item.notes == (
        f"the prompt has 180 tokens, the base model reads {window - 2} at a time: it is encoded in 3 pieces",
    )
    encoder = generator._prompt_encoder()
    with torch.no_grad():
        assert encoder.encode(item.tokens, {"clip_l": 3}).states.shape[1] == 3 * window
        assert encoder.encode(item.negative_tokens, {"clip_l": 3}).states.shape[1] == 3 * window
    (picture,) = generator.generate(long, replace(QUICK, negative_prompt="old"))
    assert picture.image.size == (64, 64)


def test_a_word_is_never_torn_apart_by_the_window(generator: Generator) -> None:
    window = generator.base.towers[0].window
    item = generator.prepare("red " * (window - 3) + "<gnome>", QUICK)
    assert [len(chunk) for chunk in item.tokens.chunks["clip_l"]] == [window - 3, 2]


def test_a_word_longer_than_the_window_is_refused(generator: Generator) -> None:
    register_word(generator.registry, generator.base, "huge", num_vectors=90)
    with pytest.raises(InvalidPrompt, match="a word of 90 vectors"):
        generator.prepare("<huge>", QUICK)


def test_encoded_chunks_are_remembered(generator: Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    item = generator.prepare("a <gnome>", QUICK)
    encoder = PromptEncoder(generator.base)
    with torch.no_grad():
        first = encoder.encode(item.tokens)
        monkeypatch.setattr(type(generator.base.towers[0]), "encode", lambda *_: pytest.fail("encoded twice"))
        assert encoder.encode(item.tokens).states is first.states


@pytest.mark.parametrize(
    ("prompt", "error", "message"),
    [
        ("a <gnom>", ConceptNotFound, "<gnom> at character 3"),
        ("a <gnome@7>", VersionNotFound, "gnome"),
        ("a <gnome@best>", VersionNotFound, "best"),
        ("a <gnome@{1|2}>", InvalidReference, "cannot be an? alias"),
        ("a <gnome", InvalidPrompt, "character 3"),
        ("{a|b}", InvalidPrompt, "several prompts"),
    ],
)
def test_what_is_wrong_is_said(generator: Generator, prompt: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        generator.prepare(prompt, QUICK)


def test_words_are_found_however_they_are_written(generator: Generator) -> None:
    registry = generator.registry
    register_word(registry, generator.base, "élan")
    for written in ("<élan>", "<e\u0301lan>", "<Élan>", "<ÉLAN@1>"):
        [version] = resolve_words(registry, names_in(parse_prompt(f"a {written}"))).values()
        assert version.concept == "élan"


def test_the_closest_words_are_named(generator: Generator) -> None:
    with pytest.raises(ConceptNotFound) as caught:
        generator.prepare("a <gnomes>", QUICK)
    assert "did you mean <gnome>" in caught.value.hint


def test_words_of_another_base_are_refused_naming_those_that_fit(
    generator: Generator, loaded: Callable[..., Any]
) -> None:
    other = loaded("sd1", 1)
    generator.registry.add_base(other.identity)
    register_word(generator.registry, other, "alien")
    with pytest.raises(WrongBaseModel) as caught:
        generator.prepare("a <alien>", QUICK)
    assert f"--base {other.identity.name}" in caught.value.hint


def test_a_compatible_word_is_taken_only_when_asked(generator: Generator) -> None:
    base = generator.base.identity
    cousin = replace(base, name="cousin", fingerprint=replace(base.fingerprint, denoiser="sha256:" + "0" * 64))
    register_word(generator.registry, generator.base, "cousins", identity=cousin)
    with pytest.raises(WrongBaseModel, match="cousins@1 was not learned on") as caught:
        generator.prepare("a <cousins>", QUICK)
    assert "--allow-compatible" in caught.value.hint
    willing = Generator(generator.base, generator.registry, allow_compatible=True)
    willing.prepare("a <cousins>", QUICK)
    assert willing.warnings == [f"cousins@1 was learned on cousin, not {base.name}"]


def test_mixing_turns_from_one_word_to_the_other(generator: Generator) -> None:
    one, two = (generator.registry.embedding(generator.registry.version(f"gnome@{n}")) for n in (1, 2))
    assert mix(one, two, 0) is one
    assert mix(one, two, 1) is two
    middle = mix(one, two, 0.5).tensors["clip_l"]
    a, b = one.tensors["clip_l"], two.tensors["clip_l"]
    assert np.allclose(np.linalg.norm(middle, axis=-1), 0.4, atol=1e-5)
    assert np.allclose((middle * a).sum(-1), (middle * b).sum(-1), atol=1e-5)
    assert np.allclose(mix(one, one, 0.3).tensors["clip_l"], a, atol=1e-6)
    ends = bytes_of(generator.generate("a <gnome@1~gnome@2~0>", QUICK))
    assert ends != bytes_of(generator.generate("a <gnome@1~gnome@2~0.5>", QUICK))
    with pytest.raises(WrongBaseModel, match="2 and 1 vectors cannot be mixed"):
        generator.prepare("<gnome~imp>", QUICK)


@pytest.mark.parametrize("scheduler", sorted(SCHEDULERS))
def test_every_scheduler_makes_the_same_picture_twice(generator: Generator, scheduler: str) -> None:
    settings = replace(QUICK, num_inference_steps=3, scheduler=scheduler)
    first = bytes_of(generator.generate("a <imp>", settings))
    assert first == bytes_of(generator.generate("a <imp>", settings))


@pytest.mark.parametrize(
    "wrong", [{"num_inference_steps": 0}, {"guidance_scale": -1.0}, {"scheduler": "dimm"}, {"width": 65}]
)
def test_settings_out_of_range(generator: Generator, wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidConfig):
        generator.prepare("a cat", replace(QUICK, **wrong))


def test_sizes_and_guidance_off(generator: Generator) -> None:
    (picture,) = generator.generate("a <imp>", replace(QUICK, width=64, height=96, guidance_scale=1.0))
    assert picture.image.size == (64, 96)
    assert (picture.recipe["width"], picture.recipe["height"]) == (64, 96)


def test_parts_of_the_negative_prompt_are_checked_too(generator: Generator) -> None:
    with pytest.raises(ConceptNotFound):
        generator.prepare("a", replace(QUICK, negative_prompt="<nobody>"))
    with pytest.raises(InvalidPrompt, match="the negative prompt holds"):
        generator.prepare("a", replace(QUICK, negative_prompt="{a|b}"))
    assert parse_prompt("") == ()


def test_a_generator_by_name_opens_the_users_own_registry(loaded: Callable[..., Any], registry: Registry) -> None:
    base = loaded()
    register_word(registry, base, "gnome")
    with Generator(base.identity.source) as generator:
        (picture,) = generator.generate("a <gnome>", QUICK)
        assert picture.recipe["words"][0]["reference"] == "gnome@1"
    with pytest.raises(BaseModelNotFound):
        Generator("nowhere")


def test_a_start_picture_like_a_ribbon_is_cut_only_where_a_size_is_asked_for(
    generator: Generator, tmp_path: Path
) -> None:
    Image.new("RGB", (900, 64), "red").save(tmp_path / "ribbon.png")
    start = read_start(tmp_path / "ribbon.png")
    with pytest.raises(InvalidInput, match="900x64, more than 8 times"):
        generator.prepare("a cat", QUICK, start=start)
    assert generator.prepare("a cat", replace(QUICK, width=64, height=64), start=start).settings.width == 64
