"""How many CPU threads a training gets: no more than there are processors that nobody else keeps busy.

torch gives every operation to all processors and waits for the slowest. Where another program holds one of them, each
of the thousands of operations of a step waits for that program's time slice, and two threads are slower than one.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

_SPINS = "1000"
"""How often a thread of OpenMP looks whether there is work before it sleeps. By default it looks for milliseconds, and
where another program wants the processor, takes it from the very thread that it waits for: beside one busy program a
training then took a third longer, and drawing twice as long. On an idle machine both take the same time with either."""


def wait_politely() -> None:
    """For our own programs as a whole, before torch is imported: spin little, unless the user says how to wait."""
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", _SPINS)


class BusyWatch:
    """Measures how many processors other programs keep busy, from when it is made."""

    def __init__(self) -> None:
        self._at = time.monotonic()
        self._before = _others_seconds()

    def others(self) -> float | None:
        """Mean number of processors that others kept busy since then; None where the system does not tell."""
        now, seconds = _others_seconds(), time.monotonic() - self._at
        if now is None or self._before is None or seconds <= 0:
            return None
        return max(0.0, (now - self._before) / seconds)


def threads_for(others: float | None, usual: int, processors: int) -> int:
    """The threads to use.

    Args:
        others: processors that other programs keep busy; None means unknown.
        usual: threads that torch uses when nobody says anything.
        processors: how many there are.
    """
    if others is None:
        return usual
    return max(1, min(usual, round(processors - others)))


def free_threads(watch: BusyWatch) -> int:
    """The threads to use now: torch's own number where the user has set one (`OMP_NUM_THREADS`), else what is free."""
    import torch

    usual = int(torch.get_num_threads())
    if os.environ.get("OMP_NUM_THREADS") or os.environ.get("MKL_NUM_THREADS"):
        return usual
    return threads_for(watch.others(), usual, _processors())


@contextmanager
def using_threads(count: int) -> Iterator[None]:
    """Within the block torch works with `count` threads."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _others_seconds() -> float | None:
    """CPU seconds that all other programs have used on this process's processors since the system started (Linux)."""
    try:
        mine = {f"cpu{number}" for number in os.sched_getaffinity(0)}
        with open("/proc/stat", encoding="ascii") as file:
            lines = [fields for line in file if (fields := line.split()) and fields[0] in mine]
        # user, nice, system, idle, iowait, irq, softirq, steal
        busy = sum(int(fields[i]) for fields in lines for i in (1, 2, 3, 6, 7, 8)) / os.sysconf("SC_CLK_TCK")
    except (OSError, AttributeError, ValueError, IndexError):
        return None
    own = os.times()
    return busy - own.user - own.system


def _processors() -> int:
    """Processors that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1
