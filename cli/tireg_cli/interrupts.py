"""Ctrl-C with manners: the first one asks long work to stop and keep what it has, the second one stops at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from tireg_cli.messages import say

_HANG_UP = getattr(signal, "SIGHUP", None)


class StopRequest:
    """Callable that answers whether the user asked to stop; `armed` says whether asking politely is possible."""

    def __init__(self, notice: str) -> None:
        self.armed = False
        self.asked = False
        self._notice = notice

    def __call__(self) -> bool:
        return self.asked

    def handle(self, signum: int, frame: FrameType | None) -> None:
        """Signal handler: note the wish when armed, else interrupt."""
        if self.asked and signum == _HANG_UP:  # shell and kernel both tell of a window that was closed
            return
        if self.armed and not self.asked:
            self.asked = True
            say(self._notice)
            return
        raise KeyboardInterrupt


@contextmanager
def polite_stop(notice: str) -> Iterator[StopRequest]:
    """Within the block SIGINT, SIGTERM and SIGHUP go to the yielded `StopRequest`; what nohup ignores stays so."""
    request = StopRequest(notice)
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    numbers = [signal.SIGINT, signal.SIGTERM]
    if _HANG_UP is not None and signal.getsignal(_HANG_UP) is not signal.SIG_IGN:
        numbers.append(_HANG_UP)
    before = {number: signal.signal(number, request.handle) for number in numbers}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
