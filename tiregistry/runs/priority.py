"""A worker gives way to whoever sits at the machine: it takes the processors that nobody else wants.

A training keeps every processor busy for minutes or hours; beside it, at the same priority, a key waits for its turn.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

NICENESS = 5
"""The system then lets one have a quarter of a processor that another program wants too: keys hardly wait for it, and
on a machine that is always busy it still comes to its end."""
_AUTOGROUP = Path("/proc/self/autogroup")
_TRIES, _BETWEEN_SECONDS = 3, 0.15


def give_way(niceness: int = NICENESS) -> None:
    """Lower this process's priority, before it starts threads, which take theirs from it; never raises it.

    Nothing happens where the system has no such thing (Windows) or does not allow it.
    """
    lower_priority(0, niceness)
    # Linux may weigh whole sessions against each other first, each as heavy as the next, and niceness then counts
    # only within one (sched(7), autogroup). The group is ours to change only when the session is.
    if niceness > 0 and hasattr(os, "getsid") and os.getsid(0) == os.getpid():
        _lower_autogroup(niceness)


def lower_priority(pid: int, niceness: int = NICENESS) -> None:
    """The same from outside, within its session, for a process that has just been started; 0 is this one."""
    if not hasattr(os, "setpriority"):
        return
    with contextlib.suppress(OSError):
        if os.getpriority(os.PRIO_PROCESS, pid) < niceness:
            os.setpriority(os.PRIO_PROCESS, pid, niceness)


def _lower_autogroup(niceness: int) -> None:
    """The same for all processes of this session, as they are weighed against those of others."""
    for _ in range(_TRIES):
        try:
            _AUTOGROUP.write_text(str(niceness), encoding="ascii")
            return
        except BlockingIOError:  # the kernel takes one such change in a tenth of a second, whoever asks
            time.sleep(_BETWEEN_SECONDS)
        except OSError:  # no such file, none that may be written, or no groups
            return
