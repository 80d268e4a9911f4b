"""A change that waits for its turn, and can be dropped until it has begun."""

from __future__ import annotations

import threading


class Chance:
    """Between the thread that is about to make a change and the user who no longer wants it; one of them is first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.has_begun = self.is_dropped = False

    def begin(self) -> bool:
        """In the thread: whether the change is still wanted; from now on it cannot be dropped."""
        with self._lock:
            self.has_begun = not self.is_dropped
        return self.has_begun

    def drop(self) -> bool:
        """Whether the change had not begun, and never will."""
        with self._lock:
            self.is_dropped = not self.has_begun
        return self.is_dropped
