"""How certain a mean is: bootstrap intervals over the pictures of each prompt, alone and for differences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import pi, sqrt, tan
from statistics import NormalDist
from typing import Any

import numpy as np

Values = np.ndarray[Any, np.dtype[np.float64]]
"""Float64 `[n]` or `[n, columns]`: one row per picture."""

RESAMPLES = 2000
COVERAGE = 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """A value and the ends of its 95 % bootstrap interval."""

    value: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Of a difference: whether it is clear at this number of pictures."""
        return self.low > 0 or self.high < 0

    def within(self, lowest: float, highest: float) -> Interval:
        """The part of it that a value from `lowest` to `highest` can be in."""
        return Interval(*(min(max(one, lowest), highest) for one in (self.value, self.low, self.high)))


def resampled_means(
    strata: Sequence[Values], resamples: int = RESAMPLES, seed: int = 0, degrees: Sequence[int] | None = None
) -> Values:
    """Means of every prompt's pictures, as measured and as they could as well have come out.

    Prompts are part of the protocol and stay; pictures are drawn anew, with replacement, within each prompt (a
    stratified bootstrap: Efron and Tibshirani 1993, chapter 8). Deviations from a prompt's mean are stretched by
    sqrt(n / (n - 1)), without which the spread of few pictures comes out too small, and as Student's t is wider than
    the normal distribution, without which the interval of few pictures holds the truth too rarely.

    Args:
        strata: per prompt `[n]` or `[n, columns]` with at least two rows; columns of a row belong together (two words'
            pictures from the same noise) and are drawn together.
        degrees: per prompt, degrees of freedom of the mean it goes into; None: its own pictures less one. A mean over
            prompts has those of all of them together.

    Returns:
        `[1 + resamples, strata, columns]`; row 0 holds the measured means.
    """
    source = np.random.default_rng(seed)
    means = []
    normal = NormalDist().inv_cdf((1 + COVERAGE) / 2)
    for number, values in enumerate(strata):
        rows = values.reshape(len(values), -1).astype(np.float64)
        centre = rows.mean(axis=0)
        stretched = (rows - centre) * np.sqrt(len(rows) / max(1, len(rows) - 1))
        stretched *= student(max(1, degrees[number] if degrees is not None else len(rows) - 1)) / normal
        drawn = source.integers(len(rows), size=(resamples, len(rows)))
        means.append(np.concatenate([centre[None], centre + stretched[drawn].mean(axis=1)]))
    return np.stack(means, axis=1)


def student(degrees: int) -> float:
    """Student's t: how many standard errors a 95 % interval reaches to each side, for degrees of freedom from 1.

    Exact for 1 and 2, from 3 on Fisher's expansion about the normal quantile (Fisher and Cornish 1960; Abramowitz and
    Stegun 26.7.5), which is within 0.004 of the exact value.
    """
    z = NormalDist().inv_cdf((1 + COVERAGE) / 2)
    if degrees == 1:
        return tan(pi * COVERAGE / 2)
    if degrees == 2:
        return COVERAGE * sqrt(2 / (1 - COVERAGE**2))
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / float(degrees) ** power for power, term in enumerate(terms, 1))


def interval_of(draws: Values) -> Interval:
    """The interval of a statistic from its values on the rows of `resampled_means`.

    Args:
        draws: `[1 + resamples]`, the measured value first.
    """
    tail = 100 * (1 - COVERAGE) / 2
    low, high = np.percentile(draws[1:], [tail, 100 - tail])
    return Interval(float(draws[0]), float(low), float(high))
