"""The eighteen named kinds, one function per outline, each drawn from a few thick parts."""

import math
from collections.abc import Callable

import numpy as np

from tools.embedded_base.world.geometry import TURN, Figure, Part, bar, box, ellipse, polygon, star
from tools.embedded_base.world.palette import Role


def mug() -> Figure:
    return [
        Part(ellipse(0.62, 0.0, 0.36, 0.42), Role.SHADED),
        Part(ellipse(0.62, 0.0, 0.20, 0.25), Role.HOLE),
        Part(box(-0.6, -0.62, 0.55, 0.62), Role.MAIN),
        Part(ellipse(-0.025, 0.62, 0.575, 0.16), Role.MAIN),
        Part(ellipse(-0.025, -0.62, 0.575, 0.17), Role.SHADED),
    ]


def car() -> Figure:
    body = polygon(-0.95, 0.3, -0.95, -0.05, -0.55, -0.12, -0.3, -0.5, 0.35, -0.5, 0.6, -0.1, 0.95, 0, 0.95, 0.3)
    return [
        Part(body, Role.MAIN),
        Part(polygon(-0.42, -0.12, -0.24, -0.4, 0.0, -0.4, 0.0, -0.12), Role.LIGHT),
        Part(polygon(0.08, -0.12, 0.08, -0.4, 0.3, -0.4, 0.46, -0.12), Role.LIGHT),
        *(Part(ellipse(x, 0.32, 0.23, 0.23), Role.DARK) for x in (-0.52, 0.52)),
        *(Part(ellipse(x, 0.32, 0.10, 0.10), Role.LIGHT) for x in (-0.52, 0.52)),
    ]


def house() -> Figure:
    return [
        Part(box(-0.65, -0.1, 0.65, 0.8), Role.MAIN),
        Part(polygon(-0.88, -0.08, 0, -0.88, 0.88, -0.08), Role.SECOND),
        Part(box(-0.16, 0.28, 0.16, 0.8), Role.WOOD),
        Part(box(-0.52, 0.1, -0.25, 0.37), Role.GLOW),
        Part(box(0.25, 0.1, 0.52, 0.37), Role.GLOW),
    ]


def tree() -> Figure:
    return [
        Part(box(-0.14, 0.3, 0.14, 0.95), Role.WOOD),
        Part(ellipse(0, -0.3, 0.55, 0.5), Role.MAIN),
        Part(ellipse(-0.4, 0.05, 0.4, 0.36), Role.MAIN),
        Part(ellipse(0.4, 0.05, 0.4, 0.36), Role.MAIN),
    ]


def fish() -> Figure:
    return [
        Part(polygon(0.45, 0, 0.95, -0.45, 0.95, 0.45), Role.SHADED),
        Part(polygon(-0.1, -0.3, 0.3, -0.68, 0.38, -0.2), Role.SHADED),
        Part(ellipse(-0.1, 0, 0.76, 0.45), Role.MAIN),
        Part(ellipse(-0.5, -0.08, 0.14, 0.14), Role.LIGHT),
        Part(ellipse(-0.52, -0.08, 0.08, 0.08), Role.DARK),
    ]


def five_pointed_star() -> Figure:
    return [Part(star(0, 0, 0.95, 0.42), Role.MAIN)]


def cat() -> Figure:
    return [
        Part(polygon(-0.7, -0.2, -0.72, -0.95, -0.15, -0.5), Role.MAIN),
        Part(polygon(0.7, -0.2, 0.72, -0.95, 0.15, -0.5), Role.MAIN),
        Part(ellipse(0, 0.08, 0.75, 0.66), Role.MAIN),
        *(Part(ellipse(x, -0.05, 0.17, 0.19), Role.LIGHT) for x in (-0.3, 0.3)),
        *(Part(ellipse(x, -0.03, 0.08, 0.14), Role.DARK) for x in (-0.3, 0.3)),
        Part(polygon(-0.13, 0.2, 0.13, 0.2, 0, 0.36), Role.DARK),
        Part(bar(-0.85, 0.34, -0.32, 0.32, 0.07), Role.DARK),
        Part(bar(0.85, 0.34, 0.32, 0.32, 0.07), Role.DARK),
    ]


def flower() -> Figure:
    return [
        Part(bar(0, 0, 0, 0.95, 0.12), Role.LEAF),
        Part(ellipse(0.24, 0.62, 0.24, 0.11), Role.LEAF),
        *(
            Part(ellipse(0.42 * math.cos(a), -0.3 + 0.42 * math.sin(a), 0.28, 0.28), Role.MAIN)
            for a in np.arange(6) * TURN / 6
        ),
        Part(ellipse(0, -0.3, 0.25, 0.25), Role.GLOW),
    ]


def boat() -> Figure:
    return [
        Part(polygon(-0.9, 0.3, 0.9, 0.3, 0.55, 0.75, -0.6, 0.75), Role.MAIN),
        Part(bar(0, 0.3, 0, -0.9, 0.1), Role.WOOD),
        Part(polygon(0.07, -0.85, 0.07, 0.18, 0.7, 0.18), Role.LIGHT),
        Part(polygon(-0.07, -0.6, -0.07, 0.18, -0.52, 0.18), Role.SECOND),
    ]


def lamp() -> Figure:
    return [
        Part(box(-0.07, -0.1, 0.07, 0.75), Role.DARK),
        Part(ellipse(0, 0.8, 0.42, 0.15), Role.DARK),
        Part(polygon(-0.32, -0.85, 0.32, -0.85, 0.65, -0.05, -0.65, -0.05), Role.MAIN),
        Part(ellipse(0, -0.05, 0.65, 0.11), Role.GLOW),
    ]


def chair() -> Figure:
    return [
        Part(box(-0.5, -0.9, -0.34, 0.9), Role.WOOD),
        Part(box(0.4, 0.2, 0.56, 0.9), Role.WOOD),
        Part(box(-0.5, -0.85, -0.2, 0.15), Role.MAIN),
        Part(box(-0.5, 0.03, 0.62, 0.32), Role.MAIN),
    ]


def teapot() -> Figure:
    return [
        Part(ellipse(0.68, 0.05, 0.30, 0.36), Role.SHADED),
        Part(ellipse(0.68, 0.05, 0.16, 0.21), Role.HOLE),
        Part(polygon(-0.5, 0.3, -0.55, -0.02, -0.97, -0.38, -0.8, -0.46, -0.3, -0.1), Role.SHADED),
        Part(ellipse(0, 0.12, 0.62, 0.52), Role.MAIN),
        Part(ellipse(0, -0.38, 0.32, 0.11), Role.SHADED),
        Part(ellipse(0, -0.54, 0.12, 0.12), Role.SECOND),
    ]


def bird() -> Figure:
    return [
        Part(polygon(0.45, -0.05, 0.95, -0.35, 0.95, 0.1), Role.SHADED),
        Part(ellipse(0.05, 0.1, 0.58, 0.42), Role.MAIN),
        Part(ellipse(-0.45, -0.28, 0.33, 0.31), Role.MAIN),
        Part(polygon(-0.7, -0.38, -1, -0.22, -0.7, -0.12), Role.GLOW),
        Part(ellipse(-0.5, -0.35, 0.09, 0.09), Role.DARK),
        Part(ellipse(0.15, 0.02, 0.32, 0.2), Role.SECOND),
        Part(bar(-0.05, 0.5, -0.05, 0.88, 0.09), Role.DARK),
        Part(bar(0.2, 0.5, 0.2, 0.88, 0.09), Role.DARK),
    ]


def mushroom() -> Figure:
    cap = np.concatenate(
        [ellipse(0, 0.05, 0.85, 0.8, math.pi, TURN), polygon(0.85, 0.05, 0.6, 0.15, -0.6, 0.15, -0.85, 0.05)]
    )
    return [Part(polygon(-0.22, 0, 0.22, 0, 0.3, 0.85, -0.3, 0.85), Role.LIGHT), Part(cap, Role.MAIN)]


def umbrella() -> Figure:
    scallops = polygon(0.63, -0.15, 0.32, 0, 0, -0.15, -0.32, 0, -0.63, -0.15)
    return [
        Part(bar(0, -0.1, 0, 0.8, 0.1), Role.DARK),
        Part(ellipse(0.13, 0.78, 0.18, 0.15), Role.DARK),
        Part(ellipse(0.13, 0.74, 0.08, 0.08), Role.HOLE),
        Part(np.concatenate([ellipse(0, 0, 0.95, 0.85, math.pi, TURN), scallops]), Role.MAIN),
    ]


def rocket() -> Figure:
    hull = polygon(0, -0.95, 0.25, -0.6, 0.32, -0.1, 0.3, 0.65, -0.3, 0.65, -0.32, -0.1, -0.25, -0.6)
    return [
        Part(polygon(-0.3, 0.3, -0.68, 0.8, -0.3, 0.65), Role.SECOND),
        Part(polygon(0.3, 0.3, 0.68, 0.8, 0.3, 0.65), Role.SECOND),
        Part(polygon(-0.17, 0.65, 0.17, 0.65, 0, 1.0), Role.GLOW),
        Part(hull, Role.MAIN),
        Part(ellipse(0, -0.25, 0.17, 0.17), Role.LIGHT),
    ]


def ball() -> Figure:
    return [Part(ellipse(0, 0, 0.78, 0.78, count=40), Role.MAIN)]


def heart() -> Figure:
    t = np.linspace(0, TURN, 40)
    y = -(13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t))
    return [Part(np.stack([16 * np.sin(t) ** 3, y], 1) / 18, Role.MAIN)]


NAMED_KINDS: dict[str, Callable[[], Figure]] = {
    "mug": mug,
    "car": car,
    "house": house,
    "tree": tree,
    "fish": fish,
    "star": five_pointed_star,
    "cat": cat,
    "flower": flower,
    "boat": boat,
    "lamp": lamp,
    "chair": chair,
    "teapot": teapot,
    "bird": bird,
    "mushroom": mushroom,
    "umbrella": umbrella,
    "rocket": rocket,
    "ball": ball,
    "heart": heart,
}

TWO_COLOURED_KINDS = frozenset({"house", "boat", "teapot", "bird", "rocket"})
"""Named kinds of which one part always wears the second colour."""
