"""Keeping what diffusers and transformers say to themselves off the terminal: what matters is said in our own lines."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator

_SILENT = {"DIFFUSERS_VERBOSITY": "critical", "TRANSFORMERS_VERBOSITY": "error", "TOKENIZERS_PARALLELISM": "false"}


def be_quiet() -> None:
    """For our own programs as a whole: set what the libraries read at their import, where the user has not."""
    for name, level in _SILENT.items():
        os.environ.setdefault(name, level)


class _Loudness:
    """How loud the libraries were before the first of all blocks that go on, in whatever threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._blocks = 0
        self._restore: Callable[[], None] = lambda: None

    def begin(self) -> None:
        with self._lock:
            self._blocks += 1
            if self._blocks == 1:
                self._restore = _silence()

    def end(self) -> None:
        with self._lock:
            self._blocks -= 1
            if not self._blocks:
                self._restore()


_loudness = _Loudness()


@contextlib.contextmanager
def quiet_libraries() -> Iterator[None]:
    """Within the block no progress bar and no advice is written; afterwards the libraries are as loud as before.

    A program that uses `Generator` and `train` may want to hear them.
    """
    _loudness.begin()
    try:
        yield
    finally:
        _loudness.end()


def _silence() -> Callable[[], None]:
    """Silence the libraries; returns what makes them as loud as they were."""
    import logging

    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    hub = logging.getLogger("huggingface_hub")
    loudness = diffusers_logging.get_verbosity(), transformers_logging.get_verbosity(), hub.level
    bars = [library for library in (diffusers_logging, transformers_logging) if library.is_progress_bar_enabled()]
    diffusers_logging.set_verbosity(diffusers_logging.CRITICAL)
    transformers_logging.set_verbosity_error()
    hub.setLevel(logging.ERROR)
    for library in bars:
        library.disable_progress_bar()

    def restore() -> None:
        diffusers_logging.set_verbosity(loudness[0])
        transformers_logging.set_verbosity(loudness[1])
        hub.setLevel(loudness[2])
        for library in bars:
            library.enable_progress_bar()

    return restore
