"""What the `tireg` script runs: makes Ctrl-C quiet from the first instant, then starts the command."""

from __future__ import annotations

import atexit
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
    if code == 130:
        # A Ctrl-C inside an extension's import marks the interpreter, which would then end by the signal, not by the
        # code: run what was asked to run at the end, and leave directly.
        atexit._run_exitfuncs()
        sys.stdout.flush()
        os._exit(code)
    sys.exit(code)
