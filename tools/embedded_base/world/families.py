"""Families whose individuals come from continuous parameters in 0..1: creatures, toys, vases and free assemblies."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tools.embedded_base.world.assemblies import AssemblyShape, assembly
from tools.embedded_base.world.geometry import TURN, Figure, Part, bar, blob, box, ellipse, polygon, ribbon, spiral
from tools.embedded_base.world.palette import Role


class CreatureShape(NamedTuple):
    """An animal seen from the side."""

    width: float = 0.5
    height: float = 0.5
    head: float = 0.5
    horns: float = 0.0
    horn_length: float = 0.5
    ears: float = 0.0
    legs: float = 0.5
    leg_count: float = 1.0
    tail: float = 0.0
    wing: float = 0.0
    eye: float = 0.6
    eye_count: float = 1.0
    belly: float = 0.0
    squareness: float = 0.4


class ToyShape(NamedTuple):
    """An assembly: base, body, neck, head, and what may be fixed to them."""

    body_width: float = 0.5
    body_height: float = 0.5
    body_squareness: float = 0.5
    body_taper: float = 0.5
    badge: float = 0.0
    coil: float = 0.0
    stand: float = 0.0
    stand_size: float = 0.5
    neck: float = 0.0
    neck_width: float = 0.5
    head_offset: float = 0.5
    head_width: float = 0.5
    head_height: float = 0.5
    head_squareness: float = 0.5
    head_second: float = 0.0
    face: float = 1.0
    topping: float = 0.0
    arms: float = 0.0
    arm_raise: float = 0.5
    fin: float = 0.0


class VaseShape(NamedTuple):
    """A turned vessel: four radii from foot to mouth, and fittings."""

    foot_radius: float = 0.5
    belly_radius: float = 0.5
    shoulder_radius: float = 0.5
    mouth_radius: float = 0.5
    height: float = 0.5
    handles: float = 0.0
    spout: float = 0.0
    lid: float = 0.0
    foot: float = 0.0


def _eyes(x: float, y: float, spread: float, radius: float) -> Figure:
    white = [Part(ellipse(x + side * spread, y, radius, radius), Role.LIGHT) for side in (-1, 1)]
    black = [Part(ellipse(x + side * spread, y + 0.01, radius * 0.58, radius * 0.58), Role.DARK) for side in (-1, 1)]
    return white + black


def creature(shape: CreatureShape) -> Figure:
    """Limbs first, then body and head over them; features appear above a threshold and grow from there."""
    s = shape
    body_w, body_h, head_r, middle = 0.32 + 0.38 * s.width, 0.3 + 0.34 * s.height, 0.22 + 0.2 * s.head, 0.15
    head_x, head_y = -body_w * 0.55, middle - body_h - head_r * 0.4
    parts: Figure = []
    count = 2 if s.leg_count < 0.5 else 4
    for i in range(count):
        x = -body_w * 0.6 + body_w * 1.2 * i / (count - 1)
        parts.append(
            Part(bar(x, middle + body_h * 0.6, x, middle + body_h * 0.8 + 0.1 + 0.3 * s.legs, 0.16), Role.SHADED)
        )
    if s.tail > 0.35:
        reach, t = (s.tail - 0.35) / 0.65, np.linspace(0, 1, 9)
        curve = np.stack([body_w * 0.8 + (0.2 + 0.35 * reach) * t, middle + 0.1 - 0.7 * reach * t**2], 1)
        parts += ribbon(curve, 0.17, Role.SHADED, 0.08)
    if s.wing > 0.6:
        span = 0.4 + 0.6 * (s.wing - 0.6) / 0.4
        tip = (0.25, middle - 0.1 - body_h - 0.5 * span, 0.75 * span + 0.2, middle - 0.15 - body_h * 0.7)
        parts.append(Part(polygon(0, middle - 0.1, *tip, 0.35, middle), Role.SECOND))
    if s.horns > 0.4:
        length, spread = 0.18 + 0.35 * s.horn_length, 0.12 + 0.1 * s.head
        if s.horns < 0.7:
            for side in (-1, 1):
                x, y = head_x + side * spread, head_y - head_r * 0.6
                parts.append(Part(polygon(x - 0.09, y, x + 0.09, y, x + side * 0.12, y - length), Role.LIGHT))
        else:
            y = head_y - head_r * 0.75
            parts.append(Part(polygon(head_x - 0.1, y, head_x + 0.1, y, head_x, y - length * 1.2), Role.GLOW))
    if s.ears > 0.5:
        r = 0.14 + 0.2 * (s.ears - 0.5)
        parts += [
            Part(ellipse(head_x + side * head_r * 0.9, head_y - head_r * 0.5, r, r), Role.SECOND) for side in (-1, 1)
        ]
    parts.append(Part(blob(0, middle, body_w, body_h, 0.45 + 0.4 * s.squareness), Role.MAIN))
    if s.belly > 0.5:
        parts.append(Part(ellipse(0, middle + body_h * 0.25, body_w * 0.5, body_h * 0.55), Role.SECOND))
    parts.append(Part(ellipse(head_x, head_y, head_r, head_r), Role.PLAIN))
    r = 0.09 + 0.07 * s.eye
    if s.eye_count < 0.35:
        parts += [
            Part(ellipse(head_x, head_y, r * 1.5, r * 1.5), Role.LIGHT),
            Part(ellipse(head_x, head_y, r * 0.8, r * 0.8), Role.DARK),
        ]
    else:
        parts += _eyes(head_x, head_y - 0.02, head_r * 0.48, r)
    return parts


def _stand(kind: float, size: float, width: float, top: float) -> Figure:
    """What the toy stands on, from y = `top` down to about 0.95: nothing, wheels, two legs, a sole or a plinth."""
    bottom = 0.95
    if kind < 0.2:
        return []
    if kind < 0.4:
        r = 0.15 + 0.1 * size
        return [Part(ellipse(side * width * 0.7, bottom - r, r, r), Role.DARK) for side in (-1, 1)]
    if kind < 0.6:
        w = 0.16 + 0.12 * size
        return [
            Part(bar(side * width * 0.5, top - 0.2, side * width * 0.55, bottom, w), Role.SECOND) for side in (-1, 1)
        ]
    if kind < 0.8:
        w = min(0.95, width + 0.15 + 0.35 * size)
        return [Part(polygon(-w, bottom, -width * 0.7, top - 0.2, width * 0.7, top - 0.2, w, bottom), Role.PLAIN)]
    return [Part(box(-width * (0.3 + size), top - 0.1, width * (0.3 + size), bottom), Role.WOOD)]


def _topping(kind: float, x: float, y: float, width: float) -> Figure:
    """What sits on the head whose top is at (x, y): nothing, a pointed hat, a flat hat, an aerial, feelers or ears."""
    if kind < 0.3:
        return []
    if kind < 0.45:
        return [Part(polygon(x - width, y + 0.1, x + width, y + 0.1, x, y - 0.4), Role.SECOND)]
    if kind < 0.6:
        return [
            Part(box(x - width * 1.3, y - 0.04, x + width * 1.3, y + 0.1), Role.DARK),
            Part(box(x - width * 0.8, y - 0.32, x + width * 0.8, y), Role.DARK),
        ]
    if kind < 0.7:
        return [Part(bar(x, y + 0.1, x, y - 0.25, 0.09), Role.DARK), Part(ellipse(x, y - 0.27, 0.12, 0.12), Role.GLOW)]
    if kind < 0.85:
        tips = [(x + side * 0.2, y - 0.32) for side in (-1, 1)]
        return [Part(bar(x, y + 0.12, *tip, 0.09), Role.DARK) for tip in tips] + [
            Part(ellipse(*tip, 0.1, 0.1), Role.DARK) for tip in tips
        ]
    return [Part(ellipse(x + side * width * 0.7, y - 0.12, 0.13, 0.28), Role.PLAIN) for side in (-1, 1)]


def toy(shape: ToyShape) -> Figure:
    """From the ground up; a toy without a neck is one lump with a head, one with a thin neck and no face a guitar."""
    s = shape
    standing = s.stand >= 0.2
    body_w, body_h = 0.3 + 0.45 * s.body_width, 0.25 + 0.35 * s.body_height
    bottom = 0.72 if standing else 0.93
    body_y = bottom - body_h
    neck = 0.0 if s.neck < 0.35 else 0.1 + 0.6 * (s.neck - 0.35) / 0.65
    head_w, head_h = 0.14 + 0.34 * s.head_width, 0.12 + 0.26 * s.head_height
    head_x = (s.head_offset - 0.5) * 1.5 * body_w if abs(s.head_offset - 0.5) > 0.2 else 0.0
    head_y = max(body_y - body_h - neck - head_h * 0.7, -0.98 + head_h)
    parts = _stand(s.stand, s.stand_size, body_w, bottom)
    if s.fin > 0.65:
        parts.append(
            Part(polygon(body_w * 0.5, body_y, body_w + 0.32, body_y - 0.4, body_w + 0.32, body_y + 0.3), Role.SECOND)
        )
    if s.arms > 0.5:
        rise = (s.arm_raise - 0.4) * 0.9
        parts += [
            Part(
                bar(
                    side * body_w * 0.7,
                    body_y - body_h * 0.3,
                    side * min(body_w + 0.35, 0.98),
                    body_y - body_h * 0.3 - rise,
                    0.17,
                ),
                Role.SECOND,
            )
            for side in (-1, 1)
        ]
    parts += _topping(s.topping, head_x, head_y - head_h, head_w)
    if neck:
        parts.append(
            Part(
                bar(head_x * 0.5, body_y - body_h * 0.5, head_x, head_y, 0.14 + 0.22 * s.neck_width),
                Role.PLAIN if s.head_second < 0.5 else Role.WOOD,
            )
        )
    outline = blob(0, body_y, body_w, body_h, s.body_squareness)
    outline[:, 0] *= 1 + 0.9 * (s.body_taper - 0.5) * (outline[:, 1] - body_y) / body_h
    parts.append(Part(outline, Role.MAIN))
    if s.coil > 0.6:
        parts += spiral(0, body_y, min(body_w, body_h) * 0.85, 1.0 + 1.2 * (s.coil - 0.6) / 0.4, 0.12, Role.SECOND)
    elif s.badge > 0.5:
        size = 0.25 + 0.5 * (s.badge - 0.5)
        parts.append(
            Part(
                blob(0, body_y + body_h * 0.1, body_w * size, body_h * size, s.body_squareness),
                Role.LIGHT if s.badge < 0.75 else Role.SECOND,
            )
        )
    parts.append(
        Part(
            blob(head_x, head_y, head_w, head_h, s.head_squareness), Role.PLAIN if s.head_second < 0.5 else Role.SECOND
        )
    )
    if s.face > 0.35:
        parts += _eyes(head_x, head_y, head_w * 0.45, min(0.06 + 0.09 * s.face, head_w * 0.42))
    return parts


def vase(shape: VaseShape) -> Figure:
    """A smooth profile through the four radii, mirrored; handles and spout lie behind it."""
    s = shape
    half = 0.5 + 0.35 * s.height
    radii = np.array(
        [
            0.15 + 0.45 * s.foot_radius,
            0.2 + 0.5 * s.belly_radius,
            0.15 + 0.45 * s.shoulder_radius,
            0.12 + 0.4 * s.mouth_radius,
        ]
    )
    y = np.linspace(half, -half, 20)
    profile = np.interp(-y, np.linspace(-half, half, 4), radii)
    profile = np.convolve(np.pad(profile, 1, "edge"), [0.25, 0.5, 0.25], "valid")
    parts: Figure = []
    if s.handles > 0.4:
        for side in (1,) if s.handles < 0.7 else (-1, 1):
            x = side * max(radii[1:3]) * 0.9
            parts += [
                Part(ellipse(x, -0.1 * half, 0.29, 0.36), Role.SHADED),
                Part(ellipse(x, -0.1 * half, 0.15, 0.22), Role.HOLE),
            ]
    if s.spout > 0.6:
        tip = (-radii[1] - 0.35, -0.35 * half, -radii[1] - 0.18, -0.48 * half)
        parts.append(Part(polygon(-radii[1] * 0.6, 0.3 * half, *tip, -radii[2] * 0.5, -0.1 * half), Role.SHADED))
    parts.append(Part(np.concatenate([np.stack([profile, y], 1), np.stack([-profile[::-1], y[::-1]], 1)]), Role.MAIN))
    parts.append(Part(ellipse(0, -half, radii[3], 0.09), Role.SHADED))
    if s.lid > 0.6:
        parts += [
            Part(ellipse(0, -half, radii[3], 0.16, math.pi, TURN), Role.SECOND),
            Part(ellipse(0, -half - 0.18, 0.09, 0.09), Role.DARK),
        ]
    if s.foot > 0.6:
        parts.append(Part(box(-radii[0] * 1.15, half - 0.02, radii[0] * 1.15, half + 0.12), Role.SECOND))
    return parts


class Family(NamedTuple):
    """How to read the parameters of a family and how to draw an individual from them."""

    shape: type
    draw: Callable[..., Figure]
    size: int


FAMILIES: dict[str, Family] = {
    "creature": Family(CreatureShape, creature, len(CreatureShape._fields)),
    "toy": Family(ToyShape, toy, len(ToyShape._fields)),
    "vase": Family(VaseShape, vase, len(VaseShape._fields)),
    "object": Family(AssemblyShape, assembly, len(AssemblyShape._fields)),
}
