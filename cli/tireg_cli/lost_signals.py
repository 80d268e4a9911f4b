"""A Ctrl-C that comes while Python tidies an object up is not lost.

What is raised in a `__del__` is printed and forgotten, and a large program tidies up often: the library regex, which
tokenizers use, has such objects by the hundred.
"""

from __future__ import annotations

import _thread
import os
import signal
import sys

_AGAIN_SECONDS = 0.02


def send_again() -> None:
    """From now on, send SIGINT once more where the exception it raised was forgotten, until it is heard."""
    before = sys.unraisablehook

    def hook(unraisable: sys.UnraisableHookArgs) -> None:
        if not isinstance(unraisable.exc_value, KeyboardInterrupt):
            before(unraisable)
            return
        import threading

        # Later: whatever is raised in here is forgotten as well.
        timer = threading.Timer(_AGAIN_SECONDS, _interrupt)
        timer.daemon = True
        timer.start()

    sys.unraisablehook = hook


def _interrupt() -> None:
    if sys.platform == "win32":
        _thread.interrupt_main()  # os.kill would end the process there
    else:
        os.kill(os.getpid(), signal.SIGINT)  # which also ends a wait that the main thread is in
