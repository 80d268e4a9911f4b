"""Outlines of eighteen things that the world has no kind for; they are drawn for measuring only, never for training."""

import numpy as np

from tools.embedded_base.world.geometry import Figure, Part, bar, box, dome, ellipse, polygon, ribbon, spiral
from tools.embedded_base.world.palette import Role


def snail() -> Figure:
    return [
        Part(polygon(-0.95, 0.75, -0.6, 0.35, 0.6, 0.4, 0.95, 0.75), Role.PLAIN),
        Part(bar(-0.72, 0.55, -0.82, -0.1, 0.2), Role.PLAIN),
        *(Part(bar(-0.8, -0.0, x, -0.42, 0.09), Role.DARK) for x in (-0.96, -0.66)),
        *(Part(ellipse(x, -0.44, 0.1, 0.1), Role.DARK) for x in (-0.96, -0.66)),
        Part(ellipse(0.15, -0.02, 0.6, 0.6), Role.MAIN),
        *spiral(0.15, -0.02, 0.5, 1.8, 0.12, Role.SECOND),
    ]


def guitar() -> Figure:
    return [
        Part(box(-0.1, -0.95, 0.1, 0.1), Role.WOOD),
        Part(box(-0.18, -0.98, 0.18, -0.75), Role.DARK),
        Part(ellipse(0, 0.52, 0.52, 0.43), Role.MAIN),
        Part(ellipse(0, 0.02, 0.38, 0.32), Role.MAIN),
        Part(ellipse(0, 0.25, 0.16, 0.16), Role.DARK),
        Part(box(-0.22, 0.58, 0.22, 0.67), Role.LIGHT),
    ]


def robot() -> Figure:
    return [
        Part(bar(0, -1, 0, -0.7, 0.1), Role.DARK),
        Part(ellipse(0, -0.96, 0.12, 0.12), Role.GLOW),
        Part(box(-0.4, -0.78, 0.4, -0.2), Role.SECOND),
        *(Part(ellipse(x, -0.52, 0.13, 0.13), Role.GLOW) for x in (-0.19, 0.19)),
        Part(box(-0.25, -0.35, 0.25, -0.27), Role.DARK),
        Part(box(-0.52, -0.17, 0.52, 0.5), Role.MAIN),
        Part(box(-0.22, 0.0, 0.22, 0.27), Role.LIGHT),
        *(Part(box(min(x, x * 0.72), -0.12, max(x, x * 0.72), 0.4), Role.SECOND) for x in (-0.8, 0.8)),
        *(Part(box(x - 0.15, 0.48, x + 0.15, 0.95), Role.SECOND) for x in (-0.27, 0.27)),
    ]


def cactus() -> Figure:
    return [
        Part(polygon(-0.4, 0.5, 0.4, 0.5, 0.3, 0.95, -0.3, 0.95), Role.SECOND),
        *ribbon(np.array([[-0.15, 0.2], [-0.6, 0.15], [-0.62, -0.3]]), 0.24, Role.MAIN),
        *ribbon(np.array([[0.15, 0.0], [0.6, -0.05], [0.62, -0.5]]), 0.24, Role.MAIN),
        *(
            Part(ellipse(x, y, 0.12, 0.12), Role.MAIN)
            for x, y in ((-0.6, 0.15), (-0.62, -0.32), (0.6, -0.05), (0.62, -0.52))
        ),
        Part(box(-0.22, -0.65, 0.22, 0.5), Role.MAIN),
        Part(ellipse(0, -0.65, 0.22, 0.25), Role.MAIN),
        Part(ellipse(0, -0.88, 0.15, 0.12), Role.GLOW),
    ]


def snowman() -> Figure:
    return [
        Part(ellipse(0, 0.48, 0.52, 0.48), Role.LIGHT),
        Part(ellipse(0, -0.2, 0.38, 0.36), Role.LIGHT),
        Part(box(-0.45, -0.06, 0.45, 0.1), Role.MAIN),
        Part(box(0.12, 0.0, 0.3, 0.42), Role.MAIN),
        Part(box(-0.42, -0.58, 0.42, -0.46), Role.SECOND),
        Part(box(-0.27, -0.95, 0.27, -0.5), Role.SECOND),
        *(Part(ellipse(x, -0.3, 0.06, 0.06), Role.DARK) for x in (-0.14, 0.14)),
        Part(polygon(0, -0.24, 0.32, -0.16, 0, -0.12), Role.GLOW),
    ]


def penguin() -> Figure:
    return [
        *(Part(ellipse(x, 0.88, 0.22, 0.1), Role.GLOW) for x in (-0.22, 0.22)),
        Part(polygon(-0.42, -0.15, -0.85, 0.45, -0.4, 0.4), Role.MAIN),
        Part(polygon(0.42, -0.15, 0.85, 0.45, 0.4, 0.4), Role.MAIN),
        Part(ellipse(0, 0.25, 0.52, 0.65), Role.MAIN),
        Part(ellipse(0, -0.52, 0.36, 0.36), Role.MAIN),
        Part(ellipse(0, 0.33, 0.34, 0.48), Role.LIGHT),
        *(Part(ellipse(x, -0.58, 0.11, 0.11), Role.LIGHT) for x in (-0.15, 0.15)),
        *(Part(ellipse(x, -0.57, 0.06, 0.06), Role.DARK) for x in (-0.15, 0.15)),
        Part(polygon(-0.13, -0.45, 0.13, -0.45, 0, -0.26), Role.GLOW),
        Part(box(-0.4, -0.24, 0.4, -0.1), Role.SECOND),
    ]


def lighthouse() -> Figure:
    return [
        Part(polygon(-0.28, -0.4, 0.28, -0.4, 0.45, 0.9, -0.45, 0.9), Role.MAIN),
        Part(polygon(-0.31, -0.15, 0.31, -0.15, 0.36, 0.15, -0.36, 0.15), Role.LIGHT),
        Part(polygon(-0.4, 0.45, 0.4, 0.45, 0.44, 0.72, -0.44, 0.72), Role.LIGHT),
        Part(box(-0.38, -0.48, 0.38, -0.38), Role.DARK),
        Part(box(-0.22, -0.72, 0.22, -0.46), Role.GLOW),
        Part(polygon(-0.32, -0.7, 0.32, -0.7, 0, -0.98), Role.SECOND),
    ]


def ice_cream() -> Figure:
    return [
        Part(polygon(-0.42, 0.05, 0.42, 0.05, 0, 0.98), Role.WOOD),
        Part(ellipse(0, -0.05, 0.5, 0.36), Role.MAIN),
        Part(ellipse(0, -0.5, 0.38, 0.34), Role.SECOND),
        Part(ellipse(0.05, -0.86, 0.13, 0.13), Role.GLOW),
    ]


def key() -> Figure:
    return [
        Part(ellipse(-0.5, 0, 0.45, 0.45), Role.MAIN),
        Part(ellipse(-0.5, 0, 0.2, 0.2), Role.HOLE),
        Part(box(-0.1, -0.13, 0.95, 0.13), Role.MAIN),
        Part(box(0.45, 0.1, 0.62, 0.45), Role.MAIN),
        Part(box(0.75, 0.1, 0.93, 0.52), Role.MAIN),
    ]


def butterfly() -> Figure:
    return [
        *(Part(ellipse(x, -0.3, 0.42, 0.45), Role.MAIN) for x in (-0.48, 0.48)),
        *(Part(ellipse(x, 0.42, 0.33, 0.36), Role.SECOND) for x in (-0.38, 0.38)),
        *(Part(ellipse(x, -0.32, 0.18, 0.2), Role.SECOND) for x in (-0.5, 0.5)),
        *(Part(bar(0, -0.5, x, -0.92, 0.08), Role.DARK) for x in (-0.22, 0.22)),
        Part(ellipse(0, 0.05, 0.13, 0.65), Role.DARK),
    ]


def turtle() -> Figure:
    return [
        *(Part(bar(x, 0.3, x * 1.15, 0.75, 0.24), Role.SECOND) for x in (-0.45, 0.45)),
        Part(ellipse(-0.78, 0.12, 0.24, 0.21), Role.SECOND),
        Part(ellipse(-0.85, 0.06, 0.07, 0.07), Role.DARK),
        Part(dome(0, 0.35, 0.72, 0.8, 0.1), Role.MAIN),
        *(Part(ellipse(x, y, 0.15, 0.13), Role.SECOND) for x, y in ((-0.32, 0.08), (0.32, 0.08), (0, -0.22))),
    ]


def crown() -> Figure:
    tips = polygon(-0.8, 0.3, -0.9, -0.5, -0.42, -0.08, 0, -0.75, 0.42, -0.08, 0.9, -0.5, 0.8, 0.3)
    return [
        Part(tips, Role.MAIN),
        Part(box(-0.8, 0.28, 0.8, 0.62), Role.SECOND),
        *(Part(ellipse(x, y, 0.12, 0.12), Role.SECOND) for x, y in ((-0.88, -0.52), (0, -0.77), (0.88, -0.52))),
        *(Part(ellipse(x, 0.45, 0.1, 0.1), Role.LIGHT) for x in (-0.45, 0, 0.45)),
    ]


def windmill() -> Figure:
    blades = [bar(0, -0.3, 0.85 * x, -0.3 + 0.62 * y, 0.1, 0.32) for x, y in ((1, 1), (-1, 1), (1, -1), (-1, -1))]
    return [
        Part(polygon(-0.25, -0.3, 0.25, -0.3, 0.42, 0.95, -0.42, 0.95), Role.MAIN),
        *(Part(b, Role.SECOND) for b in blades),
        Part(ellipse(0, -0.3, 0.14, 0.14), Role.DARK),
    ]


def train() -> Figure:
    return [
        Part(box(-0.9, -0.2, 0.35, 0.4), Role.MAIN),
        Part(box(0.2, -0.7, 0.85, 0.4), Role.SECOND),
        Part(box(0.36, -0.52, 0.7, -0.2), Role.LIGHT),
        Part(polygon(-0.75, -0.2, -0.85, -0.65, -0.4, -0.65, -0.5, -0.2), Role.DARK),
        *(Part(ellipse(x, 0.5, 0.23, 0.23), Role.DARK) for x in (-0.6, -0.05, 0.55)),
    ]


def hourglass() -> Figure:
    return [
        Part(polygon(-0.5, -0.8, 0.5, -0.8, 0.08, 0, 0.5, 0.8, -0.5, 0.8, -0.08, 0), Role.LIGHT),
        Part(polygon(-0.3, -0.4, 0.3, -0.4, 0.06, 0, -0.06, 0), Role.MAIN),
        Part(polygon(-0.45, 0.75, 0, 0.3, 0.45, 0.75), Role.MAIN),
        Part(box(-0.62, -0.95, 0.62, -0.76), Role.SECOND),
        Part(box(-0.62, 0.76, 0.62, 0.95), Role.SECOND),
    ]


def bell() -> Figure:
    return [
        Part(ellipse(0, 0.68, 0.2, 0.2), Role.DARK),
        Part(polygon(-0.28, -0.6, 0.28, -0.6, 0.5, 0.3, 0.85, 0.6, -0.85, 0.6, -0.5, 0.3), Role.MAIN),
        Part(ellipse(0, -0.58, 0.29, 0.22), Role.MAIN),
        Part(ellipse(0, -0.84, 0.14, 0.14), Role.SECOND),
    ]


def sword() -> Figure:
    return [
        Part(polygon(-0.12, 0.35, -0.12, -0.75, 0, -0.98, 0.12, -0.75, 0.12, 0.35), Role.MAIN),
        Part(box(-0.5, 0.3, 0.5, 0.48), Role.SECOND),
        Part(box(-0.1, 0.45, 0.1, 0.85), Role.WOOD),
        Part(ellipse(0, 0.87, 0.14, 0.12), Role.SECOND),
    ]


def balloon() -> Figure:
    return [
        *(Part(bar(x, 0.1, x * 0.5, 0.65, 0.06), Role.DARK) for x in (-0.4, 0.4)),
        Part(ellipse(0, -0.3, 0.65, 0.66), Role.MAIN),
        Part(ellipse(0, -0.3, 0.24, 0.66), Role.SECOND),
        Part(box(-0.24, 0.6, 0.24, 0.95), Role.WOOD),
    ]
