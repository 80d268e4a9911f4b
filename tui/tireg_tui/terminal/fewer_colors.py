"""Themes and frames for terminals that have 256 or 16 colours.

Rich takes a colour of low saturation for a grey and every other one for one of the 6x6x6 cube, whose darkest blue is a
loud navy: quiet surfaces would come out in colour. Here the nearest of cube and grey ramp is taken.
"""

from __future__ import annotations

from bisect import bisect
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise

from rich.color import Color as RichColor
from rich.color_triplet import ColorTriplet
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.filter import LineFilter
from textual.theme import Theme

from tireg_tui.settings.themes import ANSI, DARK_256, LIGHT_256

_STEPS = (0, 95, 135, 175, 215, 255)
_BETWEEN = [(lower + upper) / 2 for lower, upper in pairwise(_STEPS)]
_VARIANTS = {theme.name: theme for theme in (DARK_256, LIGHT_256)}


def theme_within(theme: Theme, color_system: str | None) -> Theme:
    """What a theme looks like in the colours that there are.

    Args:
        color_system: the console's, as Rich names it: `truecolor`, `256`, `standard`, `windows`.
    """
    if color_system == "256":
        return _VARIANTS.get(theme.name, theme)
    if color_system in ("standard", "windows") and not theme.ansi:
        # Of sixteen colours nobody knows how the user has set them, surfaces that differ a little are one and the same.
        return replace(ANSI, name=theme.name)
    return theme


class Nearest256(LineFilter):
    """Takes for every 24-bit colour of a rendered line the nearest of the 256."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [Segment(text, _within_256(style) if style else style, control) for text, style, control in segments]


@lru_cache(maxsize=4096)
def _within_256(style: Style) -> Style:
    front, back = (
        nearest_256(color.triplet) if color is not None and color.triplet is not None else None
        for color in (style.color, style.bgcolor)
    )
    return style + Style(color=front, bgcolor=back) if front or back else style


@lru_cache(maxsize=4096)
def nearest_256(wanted: ColorTriplet) -> RichColor:
    """The colour of xterm's cube or grey ramp that looks most like another one."""
    cube = [bisect(_BETWEEN, value) for value in wanted]
    grey = max(0, min(23, round((sum(wanted) / 3 - 8) / 10)))
    in_cube = ColorTriplet(*(_STEPS[step] for step in cube))
    in_ramp = ColorTriplet(*[8 + 10 * grey] * 3)
    if _distance(wanted, in_ramp) < _distance(wanted, in_cube):
        number = 232 + grey
    else:
        number = 16 + 36 * cube[0] + 6 * cube[1] + cube[2]
    return RichColor.from_ansi(number)


def _distance(one: ColorTriplet, other: ColorTriplet) -> float:
    """How far apart two colours look, squared; the eye sees green best, and red better the more there is of it.

    Source: the "redmean" approximation of Thiadmer Riemersma, https://www.compuphase.com/cmetric.htm.
    """
    red, green, blue = (a - b for a, b in zip(one, other, strict=True))
    mean = (one.red + other.red) / 512
    return (2 + mean) * red**2 + 4 * green**2 + (3 - mean) * blue**2
