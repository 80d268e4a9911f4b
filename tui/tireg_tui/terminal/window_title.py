"""The title of the terminal's window: what is under way, seen without looking at the window's inside."""

from __future__ import annotations

from tiregistry.text import safe

# The title that was there before is kept by the terminal itself (xterm's window operations 22 and 23).
SAVE, RESTORE = "\x1b[22;2t", "\x1b[23;2t"


def title(text: str) -> str:
    """What sets the title; control characters are taken out of the text."""
    return f"\x1b]2;{safe(text, limit=120)}\x07"
