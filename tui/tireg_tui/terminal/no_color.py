"""Frames without any colour, for `NO_COLOR`. Textual's own filter turns colours into greys, which are colours, too."""

from __future__ import annotations

from functools import lru_cache

from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.filter import LineFilter

_MIDDLE = 0.5


class WithoutColor(LineFilter):
    """Takes colours out of every rendered line; what lay on a background that stood out is reversed instead."""

    def __init__(self) -> None:
        super().__init__()
        self.dark = True
        """Whether the theme's background is dark, and bright ones stand out."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        dark = self.dark
        return [Segment(text, _plain(style, dark) if style else None, control) for text, style, control in segments]


@lru_cache(maxsize=4096)
def _plain(style: Style, dark: bool) -> Style:
    plain = style.without_color
    if style.meta:
        plain += Style(meta=style.meta)
    back = style.bgcolor
    stands_out = back is not None and not back.is_default and (Color.from_rich_color(back).brightness > _MIDDLE) is dark
    return plain + Style(reverse=True) if stands_out and not style.reverse else plain
