"""What the terminal is and can do; imports next to nothing, because the terminal UI starts with it."""

from __future__ import annotations

import os
import sys


def is_live(stream: object) -> bool:
    """Whether what stands on `stream` can be drawn over: it is a terminal, and no dumb one."""
    isatty = getattr(stream, "isatty", lambda: False)
    return bool(isatty()) and os.environ.get("TERM") != "dumb"


def has_terminal() -> bool:
    """Whether keys can be read and a screen be drawn."""
    return all(map(is_live, (sys.stdin, sys.stdout, sys.stderr)))


def columns_of(stream: object) -> int:
    """Cells of a line of the terminal that `stream` is; `COLUMNS` overrides what it says, 80 is what is not known."""
    given = os.environ.get("COLUMNS", "")
    if given.isdecimal() and int(given) > 0:
        return int(given)
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80  # type: ignore[attr-defined]
    except (AttributeError, OSError, ValueError):
        return 80
