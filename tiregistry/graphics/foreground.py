"""Whether this process is a shell's job in the foreground, which alone may draw on the terminal and change its mode."""

from __future__ import annotations

import os
import sys


def is_in_front(terminal: int) -> bool:
    """False for a background job, as after `tireg &`; True where there are no jobs."""
    if sys.platform == "win32":
        return True
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:  # it is nobody's controlling terminal
        return True
