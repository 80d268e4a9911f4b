"""The twelve colours of the world and the roles that the parts of a thing are painted in."""

from enum import IntEnum

import numpy as np

Rgb = np.ndarray
"""Three float32 values in 0..1."""

_NAMED = {
    "red": (208, 36, 40),
    "orange": (240, 130, 30),
    "yellow": (245, 210, 50),
    "green": (50, 150, 60),
    "blue": (40, 80, 200),
    "purple": (125, 55, 170),
    "pink": (245, 140, 180),
    "brown": (120, 75, 40),
    "black": (38, 38, 42),
    "white": (240, 240, 238),
    "gray": (140, 142, 148),
    "teal": (30, 160, 160),
}

COLOURS = tuple(_NAMED)
COLOUR_RGB = np.array([_NAMED[name] for name in COLOURS], np.float32) / 255
"""(12, 3) float32 in 0..1, in the order of `COLOURS`."""


class Role(IntEnum):
    """What a part is painted with. MAIN is the only role that carries the pattern."""

    HOLE = 0
    MAIN = 1
    SECOND = 2
    DARK = 3
    LIGHT = 4
    WOOD = 5
    GLOW = 6
    LEAF = 7
    SHADED = 8
    PLAIN = 9


def rgb(red: int, green: int, blue: int) -> Rgb:
    """A colour from three 8-bit numbers."""
    return np.array((red, green, blue), np.float32) / 255


def role_colours(main: Rgb, second: Rgb) -> np.ndarray:
    """(10, 3) float32: the colour of every role for a thing with these two colours."""
    table = np.zeros((len(Role), 3), np.float32)
    table[Role.MAIN] = table[Role.PLAIN] = main
    table[Role.SECOND] = second
    table[Role.SHADED] = main * 0.68
    table[Role.DARK] = rgb(34, 32, 36)
    table[Role.LIGHT] = rgb(245, 245, 242)
    table[Role.WOOD] = rgb(125, 82, 45)
    table[Role.GLOW] = rgb(250, 215, 95)
    table[Role.LEAF] = rgb(60, 140, 55)
    return table


def nearest_colour(value: Rgb) -> int:
    """Index into `COLOURS` of the named colour nearest to `value`."""
    return int(((COLOUR_RGB - value) ** 2).sum(1).argmin())


def colour_bins(value: Rgb, softness: float = 0.06) -> np.ndarray:
    """(12,) float32 that sums to 1: how much `value` is each named colour."""
    weight = np.exp(-((COLOUR_RGB - value) ** 2).sum(1) / softness)
    return (weight / weight.sum()).astype(np.float32)
