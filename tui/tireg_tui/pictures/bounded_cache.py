"""A cache that is bounded by the bytes it holds, for pictures that come back: a cursor goes up and down."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class BoundedCache(Generic[T]):
    """The results used last; usable from several threads.

    Args:
        limit: bytes that all results together may take.
        size: bytes that one result takes.
    """

    def __init__(self, limit: int, size: Callable[[T], int]) -> None:
        self._limit, self._size = limit, size
        self._held = 0
        self._results: OrderedDict[Hashable, T] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """The result for `key`, made now where it is not held; what `make` raises is not remembered."""
        with self._lock:
            if key in self._results:
                self._results.move_to_end(key)
                return self._results[key]
        result = make()
        with self._lock:
            if key not in self._results:
                self._results[key] = result
                self._held += self._size(result)
            while self._held > self._limit and len(self._results) > 1:
                _, old = self._results.popitem(last=False)
                self._held -= self._size(old)
        return result
