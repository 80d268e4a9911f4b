"""How numbers look to people: counts, sizes, durations and the course of many values; imports nothing heavy."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import isfinite

_UNITS = ("KB", "MB", "GB", "TB")
_BLOCKS = "▁▂▃▄▅▆▇█"


def count(number: int, noun: str) -> str:
    """`1 version`, `2 versions`, `1,200 versions`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def size(number: int) -> str:
    """Bytes in units of 1000: `812 B`, `3.2 KB`, `41.0 MB`, `640 MB`; tenths below a hundred."""
    if number < 1000:
        return f"{number} B"
    value = number / 1000
    for unit in _UNITS[:-1]:
        # Looked at as it will be written: 999,960 bytes are 1.0 MB, not 1000 KB.
        if round(value) < 1000:
            return f"{_rounded(value)} {unit}"
        value /= 1000
    return f"{_rounded(value)} {_UNITS[-1]}"


def _rounded(value: float) -> str:
    return f"{value:.1f}" if round(value, 1) < 100 else f"{value:.0f}"


def duration(seconds: float) -> str:
    """`45 s`, `3 min 20 s`, `1 h 05 min`; nothing below zero, and `unknown` what is no finite number."""
    if not _is_finite(seconds):
        return "unknown"
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = round(whole / 60)
    return f"{minutes // 60:,} h {minutes % 60:02d} min"


def _is_finite(value: object) -> bool:
    """Whether it is a number that a float can hold; foreign JSON has others."""
    try:
        return isinstance(value, int | float) and isfinite(value)
    except OverflowError:
        return False


def sparkline(values: Sequence[float], width: int) -> str:
    """The course of `values` as at most `width` block characters, each the mean of its share; what is no number is
    left out, and without any nothing is shown."""
    numbers = [float(value) for value in values if _is_finite(value)]
    columns = min(width, len(numbers))
    if columns < 1:
        return ""
    edges = [column * len(numbers) // columns for column in range(columns + 1)]
    means = [sum(numbers[first:last]) / (last - first) for first, last in pairwise(edges)]
    low, span = min(means), (max(means) - min(means)) or 1.0
    return "".join(_BLOCKS[round((mean - low) / span * (len(_BLOCKS) - 1))] for mean in means)
