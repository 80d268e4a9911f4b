"""Labelled points in a plane as a picture: maps of words, measures against each other. Pillow only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from tiregistry.graphics.lettering import font, legible

if TYPE_CHECKING:
    from PIL.Image import Image

Shape = Literal["dot", "ring", "square", "star"]
Box = tuple[float, float, float, float]
INK, PAPER, PALE = (30, 30, 34), (250, 250, 248), (205, 205, 200)
COLORS = ((0, 100, 170), (200, 80, 20), (0, 130, 90), (160, 60, 140), (120, 120, 116))
"""Told apart also without seeing red and green (after Okabe and Ito 2008)."""
_PLACES = ((1, -0.5), (-1, -0.5), (0, -1.6), (0, 0.6), (1, -1.4), (1, 0.4), (-1, -1.4), (-1, 0.4))


@dataclass(frozen=True, slots=True)
class Mark:
    """One point.

    Attributes:
        color: number into `COLORS`.
        x_span, y_span: ends of an interval around the point, drawn as a thin cross, or None.
    """

    x: float
    y: float
    label: str = ""
    color: int = 0
    shape: Shape = "dot"
    x_span: tuple[float, float] | None = None
    y_span: tuple[float, float] | None = None


def scatter(
    marks: Sequence[Mark],
    *,
    size: tuple[int, int] = (960, 720),
    title: str = "",
    x_label: str = "",
    y_label: str = "",
    lines: Sequence[tuple[int, int]] = (),
    square: bool = False,
) -> Image:
    """An RGB picture of the points, every label where it covers least of the others.

    Args:
        marks: one or more.
        x_label, y_label: names of the axes; axes with numbers are drawn where one is given.
        lines: pairs of numbers of marks that a line joins.
        square: one unit is as long down as across (distances mean something).
    """
    from PIL import Image as Pillow
    from PIL import ImageDraw

    width, height = size
    texts = [title, *(mark.label for mark in marks)]
    letters, small = font(15, texts), font(13)
    marks = [replace(mark, label=legible(mark.label, letters)) for mark in marks]
    sheet = Pillow.new("RGB", size, PAPER)
    ink = ImageDraw.Draw(sheet)
    has_axes = bool(x_label or y_label)
    left, top, right, bottom = (86, 46, 30, 62) if has_axes else (24, 46 if title else 24, 24, 24)
    area = (left, top, width - right, height - bottom)
    plane = _Plane(marks, area, square=square)
    if title:
        ink.text((width / 2, 14), legible(title, letters), fill=INK, font=letters, anchor="ma")
    if has_axes:
        _axes(ink, plane, area, legible(x_label), legible(y_label), letters, small)
    for a, b in lines:
        ink.line([plane.at(marks[a].x, marks[a].y), plane.at(marks[b].x, marks[b].y)], fill=PALE, width=2)
    for mark in marks:
        color = COLORS[mark.color % len(COLORS)]
        if mark.x_span:
            ink.line([plane.at(mark.x_span[0], mark.y), plane.at(mark.x_span[1], mark.y)], fill=color)
        if mark.y_span:
            ink.line([plane.at(mark.x, mark.y_span[0]), plane.at(mark.x, mark.y_span[1])], fill=color)
    for mark in marks:
        _draw(ink, mark, plane.at(mark.x, mark.y))
    for (x, y), mark in zip(_places(marks, plane, letters, size), marks, strict=True):
        if mark.label:
            ink.text((x, y), mark.label, fill=COLORS[mark.color % len(COLORS)], font=letters)
    return sheet


class _Plane:
    """From values to pixels."""

    def __init__(self, marks: Sequence[Mark], area: tuple[int, int, int, int], *, square: bool) -> None:
        xs = [v for m in marks for v in (m.x, *(m.x_span or ()))]
        ys = [v for m in marks for v in (m.y, *(m.y_span or ()))]
        left, top, right, bottom = area
        self.x, self.y = _widened(xs), _widened(ys)
        if square:
            scale = max((self.x[1] - self.x[0]) / (right - left), (self.y[1] - self.y[0]) / (bottom - top))
            self.x = _around(self.x, scale * (right - left))
            self.y = _around(self.y, scale * (bottom - top))
        self._area = area

    def at(self, x: float, y: float) -> tuple[float, float]:
        left, top, right, bottom = self._area
        across = (x - self.x[0]) / (self.x[1] - self.x[0])
        up = (y - self.y[0]) / (self.y[1] - self.y[0])
        return left + across * (right - left), bottom - up * (bottom - top)


def _widened(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    margin = 0.08 * (high - low) or max(abs(low), 1.0) * 0.1
    return low - margin, high + margin


def _around(ends: tuple[float, float], length: float) -> tuple[float, float]:
    middle = (ends[0] + ends[1]) / 2
    return middle - length / 2, middle + length / 2


def _draw(ink: Any, mark: Mark, at: tuple[float, float]) -> None:
    x, y = at
    color = COLORS[mark.color % len(COLORS)]
    if mark.shape == "ring":
        ink.ellipse((x - 6, y - 6, x + 6, y + 6), outline=color, width=2)
    elif mark.shape == "square":
        ink.rectangle((x - 5, y - 5, x + 5, y + 5), fill=color)
    elif mark.shape == "star":
        corners = [
            (x + r * math.sin(n * math.pi / 5), y - r * math.cos(n * math.pi / 5)) for n, r in enumerate((10, 4.5) * 5)
        ]
        ink.polygon(corners, fill=color)
    else:
        ink.ellipse((x - 4, y - 4, x + 4, y + 4), fill=color)


def _places(marks: Sequence[Mark], plane: _Plane, letters: Any, size: tuple[int, int]) -> list[tuple[float, float]]:
    """Upper left corner of each mark's label: of a few places around the mark, the one that covers least."""
    points = [plane.at(mark.x, mark.y) for mark in marks]
    taken: list[Box] = [(x - 6, y - 6, x + 6, y + 6) for x, y in points]
    found = []
    for mark, (x, y) in zip(marks, points, strict=True):
        wide, high = letters.getlength(mark.label), 18.0
        options = []
        for across, down in _PLACES:
            at = (x + (9 if across > 0 else -9 - wide if across < 0 else -wide / 2), y + down * high)
            box = (at[0], at[1], at[0] + wide, at[1] + high)
            outside = max(0, -box[0], -box[1], box[2] - size[0], box[3] - size[1])
            options.append((sum(_overlap(box, other) for other in taken) + 1000 * outside, box))
        best = min(options, key=lambda option: option[0])[1]
        if mark.label:
            taken.append(best)
        found.append((best[0], best[1]))
    return found


def _overlap(a: Box, b: Box) -> float:
    return max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))


def _axes(
    ink: Any, plane: _Plane, area: tuple[int, int, int, int], x_label: str, y_label: str, letters: Any, small: Any
) -> None:
    from PIL import Image as Pillow
    from PIL import ImageDraw

    left, top, right, bottom = area
    for value in _ticks(*plane.x):
        x, _ = plane.at(value, plane.y[0])
        ink.line([(x, top), (x, bottom)], fill=(232, 232, 228))
        ink.text((x, bottom + 6), f"{value:g}", fill=INK, font=small, anchor="ma")
    for value in _ticks(*plane.y):
        _, y = plane.at(plane.x[0], value)
        ink.line([(left, y), (right, y)], fill=(232, 232, 228))
        ink.text((left - 8, y), f"{value:g}", fill=INK, font=small, anchor="rm")
    ink.rectangle(area, outline=PALE)
    ink.text(((left + right) / 2, bottom + 30), x_label, fill=INK, font=letters, anchor="ma")
    strip = Pillow.new("RGB", (bottom - top, 22), PAPER)
    ImageDraw.Draw(strip).text(((bottom - top) / 2, 2), y_label, fill=INK, font=letters, anchor="ma")
    ink._image.paste(strip.transpose(Pillow.Transpose.ROTATE_90), (8, top))


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers within the ends, about five of them."""
    step = 10 ** math.floor(math.log10((high - low) / 4))
    step *= next(f for f in (1, 2, 5, 10) if (high - low) / (step * f) <= 6)
    first = math.ceil(low / step)
    return [round(n * step, 12) for n in range(first, math.floor(high / step) + 1)]
