"""Captions and draws: the same for the same seed and step, and what each picture may be called."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tiregistry.captions import caption_with_word
from tiregistry.errors import InvalidConfig
from tiregistry.training.config import TrainingConfig
from tiregistry.training.dataset import EVALUATION, Latents, draw
from tiregistry.training.timesteps import UniformTimesteps
from tiregistry.training.wording import Wording

TIMES = UniformTimesteps(1000)


def latents(pictures: int = 3, views: int = 2) -> Latents:
    count = pictures * views
    mean = torch.arange(count, dtype=torch.float32).view(-1, 1, 1, 1).expand(-1, 4, 2, 2).contiguous()
    return Latents(mean, torch.zeros_like(mean), views)


def config(**settings: Any) -> TrainingConfig:
    return TrainingConfig(**({"batch_size": 6} | settings)).resolved()


def wording(settings: TrainingConfig, captions: list[str] | None = None) -> Wording:
    return Wording.build(settings, captions or [""] * 3, "<word>")


def test_a_step_draws_the_same_whatever_came_before() -> None:
    settings = config(seed=5)
    first = draw(latents(), wording(settings), settings, TIMES, 17)
    again = draw(latents(), wording(settings), settings, TIMES, 17)
    other = draw(latents(), wording(settings), settings, TIMES, 18)
    assert torch.equal(first.noise, again.noise)
    assert torch.equal(first.captions, again.captions)
    assert not torch.equal(first.noise, other.noise)
    assert not torch.equal(first.noise, draw(latents(), wording(settings), settings, TIMES, EVALUATION, 6).noise)


def test_pictures_are_dealt_without_repetition() -> None:
    settings = config()
    drawn = draw(latents(), wording(settings), settings, TIMES, 0).latents[:, 0, 0, 0]
    assert sorted(drawn.tolist()) == [0, 1, 2, 3, 4, 5]


def test_stratified_timesteps_fall_one_into_each_slice() -> None:
    settings = config(batch_size=10)
    for step in range(5):
        times = draw(latents(), wording(settings), settings, TIMES, step).timesteps
        assert sorted((times // 100).tolist()) == list(range(10))


@pytest.mark.parametrize("stratified", [True, False])
def test_the_timestep_range_is_kept(stratified: bool) -> None:
    settings = config(batch_size=50, min_timestep=200, max_timestep=300, stratified_timesteps=stratified)
    times = draw(latents(), wording(settings), settings, TIMES, 0).timesteps
    assert times.min() >= 200
    assert times.max() < 300


def test_offset_noise_shifts_whole_channels() -> None:
    plain = draw(latents(), wording(config()), config(), TIMES, 0).noise
    shifted = draw(latents(), wording(config()), config(noise_offset=0.5), TIMES, 0).noise
    shift = shifted - plain
    assert shift.abs().max() > 0.1
    assert torch.allclose(shift, shift[:, :, :1, :1].expand_as(shift), atol=1e-6)


def test_accumulation_draws_all_batches_of_a_step() -> None:
    settings = config(gradient_accumulation=3)
    assert len(draw(latents(), wording(settings), settings, TIMES, 0)) == 18


def test_a_picture_with_a_caption_gets_no_template() -> None:
    settings = config(batch_size=64)
    words = wording(settings, ["", "a {} on a table", "blue thing"])
    drawn = draw(latents(), words, settings, TIMES, 0)
    for picture, caption in zip(drawn.latents[:, 0, 0, 0] // 2, drawn.captions, strict=True):
        text = words.texts[int(caption)]
        if int(picture) == 1:
            assert text == "a {} on a table"
        elif int(picture) == 2:
            assert text == "a photo of {}, blue thing"
        else:
            assert text.endswith(" {}")


def test_a_quarter_of_the_captions_names_the_pictures_own_token() -> None:
    settings = config(batch_size=400, per_image_tokens=True)
    words = wording(settings)
    drawn = draw(latents(), words, settings, TIMES, 0)
    owners = torch.tensor([words.owners[int(caption)] for caption in drawn.captions])
    pictures = (drawn.latents[:, 0, 0, 0] // 2).long()
    assert torch.equal(owners[owners >= 0], pictures[owners >= 0])
    assert 0.15 < float((owners >= 0).float().mean()) < 0.35


@pytest.mark.parametrize(
    ("caption", "kind", "wanted"),
    [
        ("a <word> in the snow", "object", "a {} in the snow"),
        ("a {} in the snow", "object", "a {} in the snow"),
        ("a <Word> in the snow", "object", "a {} in the snow"),
        ("a <WORD@best> in the snow", "object", "a {} in the snow"),
        ("a <word@2> in the snow", "object", "a {} in the snow"),
        ("on  a\ntable", "object", "a photo of {}, on a table"),
        ("a house", "style", "a house, in the style of {}"),
    ],
)
def test_where_the_word_stands_in_a_caption(caption: str, kind: Any, wanted: str) -> None:
    assert caption_with_word(caption, "<word>", kind) == wanted


def test_a_caption_that_names_another_word() -> None:
    with pytest.raises(InvalidConfig, match=r"b\.png: the caption 'a <word> beside <mug>' names the word <mug>"):
        Wording.build(config(), ["", "a <word> beside <mug>"], "<word>", ["a.png", "b.png"])
    with pytest.raises(InvalidConfig, match="names the word <mug>"):
        Wording.build(config(caption_templates=("{} and <mug>",)), [""], "<word>")


def test_a_caption_that_names_the_word_twice() -> None:
    with pytest.raises(InvalidConfig, match="more than once"):
        caption_with_word("<word> beside <word>", "<word>", "object")
