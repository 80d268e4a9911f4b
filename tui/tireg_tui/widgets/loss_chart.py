"""The course of the loss: a smooth line over the single steps, as high and wide as there is room."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from rich.style import Style
from rich.text import Text
from textual.reactive import reactive
from textual.widget import Widget

from tireg_tui.settings.themes import ink
from tireg_tui.texts.braille import Canvas

_LABEL = 9
_SMOOTHED_OVER = 12
"""The line at a step is the mean of a twelfth of all steps around it: single losses are mostly noise."""


class LossChart(Widget):
    """Draws `values`: single steps as faint dots, their moving mean as a line."""

    DEFAULT_CSS = "LossChart { height: 8; color: $primary; }"

    values: reactive[tuple[float, ...]] = reactive[tuple[float, ...]](())
    logarithmic: reactive[bool] = reactive(False)
    last: reactive[int] = reactive(0)
    """The step of the last value; 0 where there is one for every step."""

    def render(self) -> Text:
        width, height = self.content_size
        values = [value for value in self.values if math.isfinite(value)]
        lost = len(self.values) - len(values)
        if lost:
            return Text(f"{lost} of {len(self.values)} losses are not numbers: the training has diverged", style="bold")
        if len(values) < 2 or width < _LABEL + 6 or height < 2:
            return Text("" if len(values) < 2 else f"loss {values[-1]:.4f}")
        scaled = [math.log10(max(value, 1e-9)) for value in values] if self.logarithmic else values
        smooth = smoothed(scaled)
        low, high = _range(scaled, smooth)
        columns, rows = width - _LABEL, height - 1
        faint, line = Canvas(columns, rows), Canvas(columns, rows)
        for x, value in enumerate(_sampled(scaled, 2 * columns)):
            faint.dot(x, round((value - low) / (high - low) * (4 * rows - 1)))
        line.curve([(value - low) / (high - low) for value in _sampled(smooth, 2 * columns)])
        return self._drawn(faint, line, (low, high), values)

    def _drawn(self, faint: Canvas, line: Canvas, ends: tuple[float, float], values: list[float]) -> Text:
        dim, strong, bright = Style(dim=True), ink(self.app, "primary"), ink(self.app, "accent", bold=True)
        quiet = ink(self.app, "foreground") + dim  # numbers; a dim colour can hardly be read
        text = Text(no_wrap=True)
        for row in range(line.height):
            label = {0: ends[1], line.height - 1: ends[0]}.get(row)
            shown = "" if label is None else f"{10**label if self.logarithmic else label:.4f}"
            text.append(f"{shown:>8} ", style=quiet)
            for over, under in zip(line.row(row), faint.row(row), strict=True):
                text.append(over if over != " " else under, style=strong if over != " " else dim)
            text.append("\n")
        tail = values[-max(1, len(values) // 10) :]
        last = f"step {self.last or len(values)}"
        mean = f" mean {sum(tail) / len(tail):.4f}" + (" log" if self.logarithmic else "")
        gap = max(1, line.width - 1 - len(last) - len(mean))
        text.append(f"{'':>{_LABEL}}1{' ' * gap}", style=quiet)
        text.append(last, style=quiet).append(mean, style=bright)
        return text


def smoothed(values: Sequence[float]) -> list[float]:
    """The moving mean, with windows that become smaller towards both ends."""
    reach = max(1, len(values) // _SMOOTHED_OVER // 2)
    sums = [0.0]
    for value in values:
        sums.append(sums[-1] + value)
    out = []
    for at in range(len(values)):
        first, last = max(0, at - reach), min(len(values), at + reach + 1)
        out.append((sums[last] - sums[first]) / (last - first))
    return out


def _range(values: Sequence[float], smooth: Sequence[float]) -> tuple[float, float]:
    """What the chart reaches from and to: nine of ten single steps and the whole line."""
    ordered = sorted(values)
    edge = len(ordered) // 20
    low, high = min(ordered[edge], *smooth), max(ordered[-edge - 1], *smooth)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _sampled(values: Sequence[float], count: int) -> list[float]:
    """`count` values along the course: means where there are more, the nearest where there are fewer."""
    if len(values) <= count:
        return [values[min(len(values) - 1, at * len(values) // count)] for at in range(count)]
    edges = [at * len(values) // count for at in range(count + 1)]
    return [sum(values[a:b]) / (b - a) for a, b in pairwise(edges)]
