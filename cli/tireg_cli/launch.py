"""What the `tireg` script runs: makes Ctrl-C quiet from the first instant, then starts the command."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType


def _leave(signum: int, frame: FrameType | None) -> None:
    """Before any command has begun there is nothing to keep: say so and go."""
    os.write(2, b"tireg: interrupted\n")
    os._exit(130)


def main() -> None:
    """Run `tireg` and exit with its code."""
    signal.signal(signal.SIGINT, _leave)
    from tireg_cli.main import run

    signal.signal(signal.SIGINT, signal.default_int_handler)
    code = run()
    # What is left is the interpreter taking modules apart: a Ctrl-C there must not print a traceback.
    signal.signal(signal.SIGINT, _leave)
    sys.exit(code)
