"""The threads that the app asks to read and to encode: the app ends without those that do not come to an end."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

_MOST = 8
_READING_SECONDS = 2.0
_CHANGING_SECONDS = 60.0


class Threads(ThreadPoolExecutor):
    """asyncio's executor, whose end is not waited for without limit.

    Whoever reads a folder on a dead disk may take for ever, and nobody needs what is read any more. What changes the
    registry is waited for longer; nothing of it is half done if even that is not enough.
    """

    def __init__(self) -> None:
        super().__init__(_MOST, thread_name_prefix="tireg")
        self.changing = 0
        """How many threads change the registry now."""

    @contextmanager
    def change(self) -> Iterator[None]:
        """What is done within the block, in whichever thread, changes the registry."""
        self.changing += 1  # by one thread at a time, each holding the interpreter
        try:
            yield
        finally:
            self.changing -= 1

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the threads; `wait` waits for a while."""
        began = time.monotonic()
        super().shutdown(wait=False, cancel_futures=True)
        while wait and self.are_left:
            if time.monotonic() - began > (_CHANGING_SECONDS if self.changing else _READING_SECONDS):
                return
            time.sleep(0.01)

    @property
    def are_left(self) -> bool:
        """Whether a thread is still at work; the process must then end without it."""
        return any(thread.is_alive() for thread in self._threads)
