"""The statistics of the paper's experiments: the training is the unit, and one training tells nothing of the spread."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks.paper.trials import Row, Trial, difference, mean, spread, spread_of_pictures

SEEDS, THINGS = 3, ("amphora", "rover", "griffin")


def trials(source: np.random.Generator, sd: float, shift: float = 0.0) -> dict[Trial, dict[str, float]]:
    return {
        (name, seed): {"image_alignment": 0.2 * number + shift + float(source.normal()) * sd}
        for number, name in enumerate(THINGS)
        for seed in range(SEEDS)
    }


def test_nineteen_of_twenty_intervals_hold_the_truth_however_things_differ() -> None:
    source = np.random.default_rng(1)
    held = 0
    for _ in range(400):
        found = mean(Row("x", trials=trials(source, 0.03)), "image_alignment")
        held += found.low <= 0.2 <= found.high
    assert 0.92 <= held / 400 <= 0.98


def test_two_equal_ways_of_learning_are_seldom_told_apart() -> None:
    source = np.random.default_rng(2)
    rows = [Row("x", trials=trials(source, 0.03)) for _ in range(400)]
    found = [difference(one, two, "image_alignment") for one, two in zip(rows[::2], rows[1::2], strict=True)]
    stars = sum(apart is not None and apart.excludes_zero for apart in found)
    assert stars <= 20  # of 200


def test_one_training_tells_nothing_of_the_spread() -> None:
    found = spread({("amphora", 0): 0.7, ("rover", 0): 0.5})
    assert found.value == pytest.approx(0.6)
    assert (found.low, found.high) == (-math.inf, math.inf)
    assert not found.excludes_zero


def test_only_trials_of_both_are_compared() -> None:
    one = Row("one", trials={("amphora", 0): {"m": 0.5}, ("amphora", 1): {"m": 0.7}, ("rover", 0): {"m": 9.0}})
    two = Row("two", trials={("amphora", 0): {"m": 0.4}, ("amphora", 1): {"m": 0.6}})
    apart = difference(one, two, "m")
    assert apart is not None
    assert (apart.value, apart.low, apart.high) == pytest.approx((0.1, 0.1, 0.1))
    assert difference(one, Row("nothing"), "m") is None


def test_spreads_are_told_apart() -> None:
    source = np.random.default_rng(3)
    shared = source.normal(size=(200, 8))
    plain, other = Row("plain"), Row("other")
    for seed in range(200):
        for row in (plain, other):
            trained = source.normal() * 0.5  # what one training has of its own, in all of its pictures
            row.pictures["amphora", seed] = {"m": shared[seed] + source.normal(size=8) * 0.1 + trained}
    found = spread_of_pictures([plain, other], plain, "m")
    assert found.alone == pytest.approx(1, abs=0.1)
    assert found.of_pairs == pytest.approx(0.1 * math.sqrt(2), abs=0.02)
    assert found.of_trainings == pytest.approx(math.sqrt(0.25 + 1.01 / 8), abs=0.08)
    assert (found.words, found.pairs) == (400, 200)
