"""What the `tireg` script runs: makes Ctrl-C quiet from the first instant, then starts the command."""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys
from types import FrameType


def _leave(signum: int, frame: FrameType | None) -> None:
    """Before any command has begun there is nothing to keep: say so and go."""
    os.write(2, b"tireg: interrupted\n")
    os._exit(130)


def _stand_in_for_closed_streams() -> None:
    """What is written to a stdout or stderr that the caller closed (`>&-`) goes nowhere.

    Their numbers are taken too: a file of the registry that got one would be what some library prints into.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number, which is this one
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115  (as long as the process)


def _run() -> int:
    """Run what the command line asks for."""
    from tireg_cli.terminal import has_terminal

    # Nothing to parse, and click takes a tenth of the time until words are on the screen.
    if sys.argv[1:] in ([], ["tui"]) and has_terminal() and "_TIREG_COMPLETE" not in os.environ:
        gc.disable()  # the UI turns it on again: nothing that a start makes is garbage
        from tireg_tui.launch import run as open_ui

        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            return open_ui()
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 (said as one line)
            from tireg_cli.messages import fail

            return fail(error)
    from tireg_cli.lost_signals import send_again
    from tireg_cli.main import run

    send_again()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    return run()


def main() -> None:
    """Run `tireg` and exit with its code."""
    signal.signal(signal.SIGINT, _leave)
    _stand_in_for_closed_streams()
    code = _run()
    # What is left is the interpreter taking modules apart: a Ctrl-C there must not print a traceback.
    signal.signal(signal.SIGINT, _leave)
    if code == 130:
        # A Ctrl-C inside an extension's import marks the interpreter, which would then end by the signal, not by the
        # code: run what was asked to run at the end, and leave directly.
        atexit._run_exitfuncs()
        sys.stdout.flush()
        os._exit(code)
    sys.exit(code)
