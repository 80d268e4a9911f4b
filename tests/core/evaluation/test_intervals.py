"""The bootstrap: right on data whose spread is known, also with few pictures; pairs leave out what they share."""

from __future__ import annotations

import numpy as np
import pytest

from tiregistry.evaluation.intervals import interval_of, resampled_means, student


def interval(strata: list[np.ndarray], seed: int = 0) -> tuple[float, float, float]:
    found = interval_of(resampled_means(strata, seed=seed)[:, :, 0].mean(axis=1))
    return found.value, found.low, found.high


@pytest.mark.parametrize(("strata", "each"), [(1, 64), (8, 2), (1, 16), (1, 8), (1, 4), (1, 2)])
def test_nineteen_of_twenty_intervals_hold_the_truth(strata: int, each: int) -> None:
    source = np.random.default_rng(5)
    held = 0
    for _ in range(400):
        means = source.normal(size=(strata, 1)) * 3  # prompts differ far more than pictures of one prompt
        values = means + source.normal(size=(strata, each))
        draws = resampled_means(list(values), 500, degrees=[strata * (each - 1)] * strata)
        found = interval_of(draws[:, :, 0].mean(axis=1))
        held += found.low <= means.mean() <= found.high
    assert 0.91 <= held / 400 <= 0.99


def test_students_t_is_that_of_the_tables() -> None:
    table = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 7: 2.365, 10: 2.228, 30: 2.042, 10_000: 1.960}
    assert {degrees: student(degrees) for degrees in table} == pytest.approx(table, abs=0.004)


def test_the_value_is_the_mean_and_equal_pictures_have_no_spread() -> None:
    value, low, high = interval([np.array([0.2, 0.4]), np.array([0.9, 0.9])])
    assert value == pytest.approx(0.6)
    assert low < 0.6 < high
    assert interval([np.full(5, 0.25)]) == (0.25, 0.25, 0.25)


def test_pairs_leave_out_what_they_share() -> None:
    source = np.random.default_rng(6)
    noise = source.normal(size=200)
    a, b = noise + 0.1 + source.normal(size=200) * 0.01, noise + source.normal(size=200) * 0.01
    draws = resampled_means([np.stack([a, b], axis=1)])[:, 0]
    apart = interval_of(draws[:, 0] - draws[:, 1])
    assert apart.excludes_zero
    assert apart.high - apart.low < 0.01
    alone = interval_of(draws[:, 0])
    assert alone.high - alone.low > 0.1


def test_the_same_pictures_give_the_same_interval() -> None:
    values = [np.random.default_rng(1).normal(size=8)]
    assert interval(values) == interval(values)
    assert interval(values)[1:] != interval(values, seed=1)[1:]
