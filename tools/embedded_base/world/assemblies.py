"""The most general family: a body, three parts fixed to it anywhere, and a mark on its front, all from parameters.

A word is learned by walking the space of names, so that space must hold more shapes than the drawn kinds do.
"""

import math
from typing import NamedTuple

import numpy as np

from tools.embedded_base.world.geometry import TURN, Figure, Part, blob
from tools.embedded_base.world.palette import Role

_ROLES = (Role.DARK, Role.SECOND, Role.SECOND, Role.PLAIN, Role.PLAIN, Role.LIGHT, Role.WOOD, Role.GLOW)
"""What a part's `role` in 0..1 means, from left to right."""
_LIMIT = 0.98


class AssemblyShape(NamedTuple):
    """Body; then for each of three parts where it is fixed, its outline and colour; then the mark."""

    body_x: float = 0.5
    body_y: float = 0.5
    body_width: float = 0.5
    body_height: float = 0.5
    body_squareness: float = 0.5
    body_taper: float = 0.5
    a_presence: float = 0.0
    a_angle: float = 0.5
    a_reach: float = 0.5
    a_width: float = 0.5
    a_height: float = 0.5
    a_squareness: float = 0.5
    a_taper: float = 0.5
    a_lean: float = 0.5
    a_pair: float = 0.0
    a_role: float = 0.5
    a_front: float = 0.0
    b_presence: float = 0.0
    b_angle: float = 0.5
    b_reach: float = 0.5
    b_width: float = 0.5
    b_height: float = 0.5
    b_squareness: float = 0.5
    b_taper: float = 0.5
    b_lean: float = 0.5
    b_pair: float = 0.0
    b_role: float = 0.5
    b_front: float = 0.0
    c_presence: float = 0.0
    c_angle: float = 0.5
    c_reach: float = 0.5
    c_width: float = 0.5
    c_height: float = 0.5
    c_squareness: float = 0.5
    c_taper: float = 0.5
    c_lean: float = 0.5
    c_pair: float = 0.0
    c_role: float = 0.5
    c_front: float = 0.0
    mark_presence: float = 0.0
    mark_x: float = 0.5
    mark_y: float = 0.5
    mark_width: float = 0.5
    mark_height: float = 0.5
    mark_squareness: float = 0.5
    mark_role: float = 0.5


class _PartShape(NamedTuple):
    presence: float
    angle: float
    reach: float
    width: float
    height: float
    squareness: float
    taper: float
    lean: float
    pair: float
    role: float
    front: float


PART_PRESENCE = 0.25
PAIRED = 0.6


def part_shapes(shape: AssemblyShape) -> list[_PartShape]:
    """The three parts that may be fixed to the body, whether present or not."""
    first, size = 6, len(_PartShape._fields)
    return [_PartShape(*shape[first + i * size : first + (i + 1) * size]) for i in range(3)]


def _role(value: float) -> Role:
    return _ROLES[min(int(value * len(_ROLES)), len(_ROLES) - 1)]


def _outline(
    x: float, y: float, half_width: float, half_height: float, squareness: float, taper: float, lean: float
) -> np.ndarray:
    """A superellipse, wider above (`taper` > 0.5) or below, turned by at most 45 degrees, kept in the frame."""
    points = blob(0, 0, half_width, half_height, squareness)
    points[:, 0] *= 1 + 1.5 * (taper - 0.5) * -points[:, 1] / half_height
    angle = (lean - 0.5) * math.pi / 2
    cos, sin = math.cos(angle), math.sin(angle)
    turned = points @ np.array([[cos, sin], [-sin, cos]])
    return (turned + np.array([x, y])).clip(-_LIMIT, _LIMIT)


def assembly(shape: AssemblyShape) -> Figure:
    """Parts behind the body, the body, its mark, parts in front; a pair is one part on either side."""
    s = shape
    x, y = 0.5 * (s.body_x - 0.5), 0.08 + 0.8 * (s.body_y - 0.5)
    if abs(s.body_x - 0.5) < 0.25:
        x = 0.0  # half of them stand in the middle, as most things do
    width, height = 0.26 + 0.5 * s.body_width, 0.26 + 0.5 * s.body_height
    behind: Figure = []
    front: Figure = []
    for part in part_shapes(s):
        if part.presence < PART_PRESENCE:
            continue
        angle = part.angle * TURN  # from straight below, clockwise
        reach = 0.55 + 0.65 * part.reach
        across, down = math.sin(angle) * width * reach, math.cos(angle) * height * reach
        if abs(across) < 0.12 * width:
            across = 0.0
        half_width, half_height = 0.09 + 0.33 * part.width**1.5, 0.09 + 0.36 * part.height**1.5
        layer = front if part.front > 0.5 else behind
        for side in (1, -1) if part.pair > PAIRED and across else (1,):
            lean = 0.5 + side * (part.lean - 0.5)
            outline = _outline(x - side * across, y + down, half_width, half_height, part.squareness, part.taper, lean)
            layer.append(Part(outline, _role(part.role)))
    parts = [*behind, Part(_outline(x, y, width, height, s.body_squareness, s.body_taper, 0.5), Role.MAIN)]
    if s.mark_presence > 0.5:
        half_width, half_height = width * (0.15 + 0.6 * s.mark_width), height * (0.12 + 0.5 * s.mark_height)
        mark = _outline(
            x + (s.mark_x - 0.5) * 0.8 * width,
            y + (s.mark_y - 0.5) * 0.9 * height,
            half_width,
            half_height,
            s.mark_squareness,
            0.5,
            0.5,
        )
        parts.append(Part(mark, _role(s.mark_role)))
    return [*parts, *front]
