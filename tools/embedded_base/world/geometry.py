"""Outlines in a thing's own frame: x to the right and y downwards, both from -1 to 1."""

import math
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from tools.embedded_base.world.palette import Role

TURN = 2 * math.pi


class Part(NamedTuple):
    """One filled polygon, (n, 2) points, painted over the parts before it."""

    points: np.ndarray
    role: Role


Figure = list[Part]


def polygon(*coordinates: float) -> np.ndarray:
    """Points from a flat list x0, y0, x1, y1 ..."""
    return np.array(coordinates, float).reshape(-1, 2)


def ellipse(
    x: float, y: float, rx: float, ry: float, start: float = 0.0, end: float = TURN, count: int = 30
) -> np.ndarray:
    """An ellipse or, with `start` and `end` in radians, a segment of one."""
    angle = np.linspace(start, end, count)
    return np.stack([x + rx * np.cos(angle), y + ry * np.sin(angle)], 1)


def box(left: float, top: float, right: float, bottom: float) -> np.ndarray:
    """An upright rectangle."""
    return polygon(left, top, right, top, right, bottom, left, bottom)


def blob(x: float, y: float, rx: float, ry: float, squareness: float) -> np.ndarray:
    """A superellipse: 0 is a diamond, 0.5 an ellipse, 1 nearly a box, and everything between."""
    angle = np.linspace(0, TURN, 40)
    exponent = 2.0 * (1 - squareness) + 0.12
    cos, sin = np.cos(angle), np.sin(angle)
    return np.stack(
        [x + rx * np.sign(cos) * np.abs(cos) ** exponent, y + ry * np.sign(sin) * np.abs(sin) ** exponent], 1
    )


def bar(x0: float, y0: float, x1: float, y1: float, width: float, end_width: float | None = None) -> np.ndarray:
    """A straight limb from one point to another, tapering to `end_width`."""
    end = width if end_width is None else end_width
    dx, dy = x1 - x0, y1 - y0
    length = math.hypot(dx, dy) + 1e-6
    nx, ny = -dy / length / 2, dx / length / 2
    return polygon(
        x0 + nx * width,
        y0 + ny * width,
        x1 + nx * end,
        y1 + ny * end,
        x1 - nx * end,
        y1 - ny * end,
        x0 - nx * width,
        y0 - ny * width,
    )


def ribbon(points: np.ndarray, width: float, role: Role, end_width: float | None = None) -> Figure:
    """A bent limb along (n, 2) points, one bar per piece so that the outline stays simple."""
    widths = np.linspace(width, width if end_width is None else end_width, len(points))
    ends = zip(pairwise(points), pairwise(widths), strict=True)
    return [Part(bar(x0, y0, x1, y1, first, last), role) for ((x0, y0), (x1, y1)), (first, last) in ends]


def spiral(x: float, y: float, radius: float, turns: float, width: float, role: Role) -> Figure:
    """A spiral line from the centre outwards."""
    angle = np.linspace(0, turns * TURN, 48)
    r = radius * (0.06 + 0.94 * angle / angle[-1])
    return ribbon(np.stack([x + r * np.cos(angle), y + r * np.sin(angle)], 1), width, role)


def star(x: float, y: float, outer: float, inner: float, tips: int = 5) -> np.ndarray:
    """A star standing on two of its tips."""
    angle = np.arange(2 * tips) * math.pi / tips - math.pi / 2
    r = np.where(np.arange(2 * tips) % 2 == 0, outer, inner)
    return np.stack([x + r * np.cos(angle), y + r * np.sin(angle)], 1)


def dome(x: float, y: float, rx: float, ry: float, dip: float = 0.0) -> np.ndarray:
    """The upper half of an ellipse whose underside bulges downwards by `dip`."""
    under = ellipse(x, y, rx, max(dip, 1e-3), 0, math.pi, 12)
    return np.concatenate([ellipse(x, y, rx, ry, math.pi, TURN, 24), under])
