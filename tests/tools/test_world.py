"""The rendered world: deterministic, and silent about what is held out."""

import hashlib

import numpy as np
import pytest

from tools.embedded_base.concepts import (
    MORE_STYLES,
    MORE_THINGS,
    TEST_STYLES,
    TEST_THINGS,
    style_pictures,
    thing_pictures,
)
from tools.embedded_base.dataset import ATTRIBUTES, scene_at, scene_labels
from tools.embedded_base.world.backgrounds import CONTEXTS
from tools.embedded_base.world.captions import THING_NAME, caption
from tools.embedded_base.world.media import MEDIA, Style, random_style
from tools.embedded_base.world.palette import COLOURS
from tools.embedded_base.world.scenes import UNNAMED, Scene, draw_scene, held_out, sample_scene
from tools.embedded_base.world.things import KINDS, name_size, name_vector, sample_thing


def picture(seed: int, index: int) -> np.ndarray:
    scene, rng = scene_at(seed, index)
    return draw_scene(scene, rng)


def test_the_same_seed_and_index_draw_the_same_picture():
    for index in range(12):
        first, second = picture(3, index), picture(3, index)
        assert first.shape == (64, 64, 3)
        assert first.dtype == np.uint8
        assert np.array_equal(first, second)


def test_pictures_differ_by_index_and_by_seed():
    digests = {hashlib.sha256(picture(seed, index).tobytes()).digest() for seed in (3, 4) for index in range(20)}
    assert len(digests) == 40


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_shows_in_every_context(kind):
    rng = np.random.default_rng(1)
    for context in CONTEXTS:
        scene = Scene(sample_thing(rng, kind), context, "photo", MEDIA["photo"])
        assert draw_scene(scene, rng).std() > 3


def test_held_out_combinations_are_never_sampled():
    rng = np.random.default_rng(2)
    for _ in range(2000):
        scene = sample_scene(rng)
        assert not held_out(scene.thing.kind, scene.thing.colour, scene.context)
    assert held_out(*next((t.kind, t.colour, c) for t, c, *_ in (sample_scene(rng, held=True) for _ in range(5))))


def test_about_fifteen_percent_of_combinations_are_held_out():
    held = [held_out(kind, colour, context) for kind in KINDS for colour in COLOURS for context in CONTEXTS]
    assert 0.12 < np.mean(held) < 0.18


def test_held_out_things_are_none_of_the_training_pictures():
    assert len(TEST_THINGS + MORE_THINGS) >= 24
    assert len(TEST_STYLES + MORE_STYLES) >= 6
    names = [held.name for held in TEST_THINGS + MORE_THINGS + TEST_STYLES + MORE_STYLES]
    assert len(set(names)) == len(names)
    for held in TEST_THINGS[:4]:
        assert thing_pictures(held).shape == (4, 64, 64, 3)
    for style in TEST_STYLES:
        assert style_pictures(style).shape == (4, 64, 64, 3)


def test_names_are_points_that_move_with_the_individual():
    rng = np.random.default_rng(5)
    thing = sample_thing(rng, "creature")
    assert name_vector(thing).shape == (name_size(),)
    assert not np.array_equal(name_vector(thing), name_vector(sample_thing(rng, "creature")))


def test_labels_are_answers_a_judge_can_give():
    for index in range(20):
        scene, _ = scene_at(1, index)
        for label, answers in zip(scene_labels(scene), ATTRIBUTES.values(), strict=True):
            assert 0 <= label < len(answers)


def test_captions_name_the_medium_and_use_names_only_when_asked():
    rng = np.random.default_rng(7)
    thing = sample_thing(rng, "mug")
    for medium in MEDIA:
        scene = Scene(thing, "beach", medium, MEDIA[medium])
        for _ in range(20):
            described = caption(scene, rng, named=False)
            assert THING_NAME not in described
            if medium != "photo":
                assert any(word in described for word in (medium.split()[0], "watercolour"))
        assert any(THING_NAME in caption(scene, rng, named=True) for _ in range(5))
    unnamed = Scene(thing, "beach", UNNAMED, random_style(rng))
    assert "<style>" in caption(unnamed, rng, named=False)


def test_described_captions_say_the_colour():
    rng = np.random.default_rng(8)
    for _ in range(50):
        thing = sample_thing(rng)
        words = caption(Scene(thing, "snow", "photo", MEDIA["photo"]), rng, named=False)
        assert thing.colour in words
        if thing.pattern != "solid":
            assert thing.second_colour in words


def test_random_styles_stay_in_range():
    rng = np.random.default_rng(9)
    for _ in range(50):
        style = random_style(rng)
        assert isinstance(style, Style)
        assert all(0 <= value <= 1 for value in style)
