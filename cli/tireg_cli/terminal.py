"""Whether there is somebody to show a screen to; imports nothing, because the terminal UI starts with it."""

from __future__ import annotations

import os
import sys


def has_terminal() -> bool:
    """Whether keys can be read and a screen be drawn."""
    streams = (sys.stdin, sys.stdout, sys.stderr)
    return all(stream is not None and stream.isatty() for stream in streams) and os.environ.get("TERM") != "dumb"
