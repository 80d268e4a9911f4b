"""The last line of defence: no control character of any widget's text comes into a frame.

Widgets make foreign text safe themselves (`tiregistry.text.safe`), and readable. What one forgets, and what widgets of
Textual show as it is (an `Input` or a `TextArea` with pasted text), ends here.
"""

from __future__ import annotations

from rich.cells import get_character_cell_size
from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from tiregistry.text import is_unsafe


class SafeLines(LineFilter):
    """Takes out of every rendered line what a terminal would act on; the line keeps its width."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        if all(segment.text.isprintable() for segment in segments):  # nearly every line
            return segments
        return [s if s.control or s.text.isprintable() else Segment(_plain(s.text), s.style) for s in segments]


def _plain(text: str) -> str:
    return "".join("·" * get_character_cell_size(c) if is_unsafe(c) else c for c in text)
