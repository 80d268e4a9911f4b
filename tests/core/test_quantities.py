"""Numbers for people, above all where one unit ends and the next begins."""

from __future__ import annotations

import math

import pytest

from tiregistry.quantities import count, duration, size, sparkline


def test_counts() -> None:
    assert [count(n, "word") for n in (0, 1, 2, 1200)] == ["0 words", "1 word", "2 words", "1,200 words"]


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 KB"),
        (99_949, "99.9 KB"),
        (99_951, "100 KB"),
        (999_499, "999 KB"),
        (999_501, "1.0 MB"),
        (999_960, "1.0 MB"),
        (41_200_000, "41.2 MB"),
        (999_999_999, "1.0 GB"),
        (25_400_000_000, "25.4 GB"),
        (640 * 10**9, "640 GB"),
        (10**12, "1.0 TB"),
        (5 * 10**15, "5000 TB"),
    ],
)
def test_sizes(number: int, text: str) -> None:
    assert size(number) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3, "0 s"),
        (0.4, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (200, "3 min 20 s"),
        (3599.4, "59 min 59 s"),
        (3599.6, "1 h 00 min"),
        (7169, "1 h 59 min"),
        (7171, "2 h 00 min"),
        (360_000, "100 h 00 min"),
        (math.inf, "unknown"),
        (math.nan, "unknown"),
        (10**400, "unknown"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_sparklines() -> None:
    assert sparkline([], 9) == sparkline([1.0, 2.0], 0) == sparkline([math.nan, math.inf, 10**400], 9) == ""
    assert sparkline([1, 0], 9) == "█▁"
    assert sparkline([2.0, math.nan, 1.0, math.inf, 0.0], 9) == "█▅▁"
    assert sparkline([1.0] * 500, 40) == "▁" * 40
    assert sparkline([0.0, 0.0, 7.0, 7.0], 2) == "▁█"
