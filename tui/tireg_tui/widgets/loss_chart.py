"""The course of the loss: a filled curve with its ends, as high and wide as there is room."""

from __future__ import annotations

import math
from itertools import pairwise

from rich.text import Text
from textual.reactive import reactive
from textual.widget import Widget

_EIGHTHS = " ▁▂▃▄▅▆▇█"


class LossChart(Widget):
    """Draws `values`; several steps that fall into one column are shown by their mean."""

    DEFAULT_CSS = "LossChart { height: 8; color: $primary; }"

    values: reactive[tuple[float, ...]] = reactive[tuple[float, ...]](())
    logarithmic: reactive[bool] = reactive(False)

    def render(self) -> Text:
        width, height = self.content_size
        values = [value for value in self.values if math.isfinite(value)]
        lost = len(self.values) - len(values)
        if lost:
            return Text(f"{lost} of {len(self.values)} losses are not numbers: the training has diverged", style="bold")
        if len(values) < 2 or width < 12 or height < 2:
            return Text("" if len(values) < 2 else f"loss {values[-1]:.4f}")
        room = width - 9
        means = _columns(values, room)
        if self.logarithmic:
            means = [math.log10(max(mean, 1e-9)) for mean in means]
        low, high = min(means), max(means)
        span = high - low or 1.0
        rows = height - 1
        lines = []
        for row in range(rows, 0, -1):
            label = high if row == rows else low if row == 1 else None
            shown = "" if label is None else f"{10**label if self.logarithmic else label:.4f}"
            cells = []
            for mean in means:
                filled = (mean - low) / span * (rows * 8 - 1) + 1 - (row - 1) * 8
                cells.append(_EIGHTHS[max(0, min(8, round(filled)))])
            lines.append(f"{shown:>8} {''.join(cells)}")
        last = f"step {len(values)}"
        lines.append(f"{'':>9}1{last:>{max(1, len(means) - 1)}}" + (" log" if self.logarithmic else ""))
        return Text("\n".join(lines), no_wrap=True)


def _columns(values: list[float], width: int) -> list[float]:
    count = min(width, len(values))
    edges = [column * len(values) // count for column in range(count + 1)]
    return [sum(values[a:b]) / (b - a) for a, b in pairwise(edges)]
