"""Kinds of pictures: texts of a prompt, the nearest of them, and how various the pictures are."""

from __future__ import annotations

import numpy as np
import pytest

from tiregistry.errors import InvalidConfig, InvalidPrompt
from tiregistry.evaluation.kinds import KindsFound, nearest, read_kinds, variety_difference

TEXTS = ("red", "blue", "green")


def found(*taken: int) -> KindsFound:
    return KindsFound(TEXTS, np.array(taken))


def test_texts_are_written_as_prompts() -> None:
    assert read_kinds("a {red|blue} flower") == ("a red flower", "a blue flower")
    assert read_kinds("{a|b }  x\\<") == ("a x<", "b x<")
    with pytest.raises(InvalidPrompt, match="not closed"):
        read_kinds("a {red|blue flower")


@pytest.mark.parametrize("text", ["a flower", "{a|a} b", "{|a}", "{" + "|".join(map(str, range(101))) + "}", "{a|<b>}"])
def test_what_cannot_be_told_apart_is_refused(text: str) -> None:
    with pytest.raises(InvalidConfig, match="kind"):
        read_kinds(text)


def test_each_picture_is_taken_for_the_nearest_text() -> None:
    texts = np.eye(3, dtype=np.float32)
    pictures = np.array([[0.1, 0.9, 0.2], [0.8, 0.1, 0.1], [0, -0.5, -0.2]], dtype=np.float32)
    assert list(nearest(pictures, texts)) == [1, 0, 0]


def test_variety_is_the_chance_that_two_pictures_differ() -> None:
    assert found(0, 0, 0, 0).variety().value == 0
    few, many = found(*[0] * 4).variety().high, found(*[0] * 64).variety().high
    assert 0.4 < few <= 0.5  # four alike pictures are no certainty
    assert 0.05 < many < 0.1
    assert found(0, 1, 2).variety().value == 1
    some = found(0, 0, 1, 2)
    assert some.counts == [2, 1, 1]
    pairs = [(a, b) for a in range(4) for b in range(4) if a != b]
    assert some.variety().value == pytest.approx(np.mean([some.taken[a] != some.taken[b] for a, b in pairs]))


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    source, hits = np.random.default_rng(1), 0
    for _ in range(100):
        interval = KindsFound(TEXTS, source.choice(3, size=30, p=[0.6, 0.3, 0.1])).variety()
        hits += interval.low <= 1 - (0.36 + 0.09 + 0.01) <= interval.high
    assert 84 <= hits <= 100


def test_a_word_that_gives_all_kinds_is_clearly_more_various_than_one_that_does_not() -> None:
    mixed, narrow = found(*[0, 1, 2] * 8), found(*[0] * 22, 1, 2)
    assert variety_difference(mixed, narrow).excludes_zero
    assert variety_difference(mixed, mixed).value == 0
    assert not variety_difference(mixed, found(*[2, 1, 0] * 8)).excludes_zero
