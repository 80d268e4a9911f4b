"""What the TUI remembers between two starts: theme, filter, sort order, last prompt, and what is being typed.

Several windows may be open on one registry, and share one file. Each writes only what it has changed itself, over what
stands in the file by then: of two that type into the same form the one that typed last is remembered, and nothing else
is touched.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tiregistry.whole_files import write_whole

_FILE = "tui.json"
_LOCK = Path("locks", "tui.lock")
_PATIENCE = 0.2
"""Seconds to wait for another window that is writing, which takes milliseconds; keys wait meanwhile."""


class Remembered:
    """A small JSON file beside the registry; one that cannot be read or written is as good as none."""

    def __init__(self, home: Path) -> None:
        self._home, self._path = home, home / _FILE
        self._signature: tuple[int, int, int] | None = None
        self._values: dict[str, Any] = {}
        """As the file was read last, with what was changed here since."""
        self._changed: dict[str, str] = {}
        """What was changed here and is not written yet; empty: it is to be forgotten."""
        self._known: dict[str, str] = {}
        """What of the file this window has written, or was asked for: nothing else is ever forgotten by it."""
        self._read()

    def text(self, key: str, default: str = "") -> str:
        """A remembered text, also one that another window has written meanwhile."""
        self._read()
        value = self._values.get(key)
        if not isinstance(value, str):
            return default
        if not self._changed.get(key):
            self._changed.pop(key, None)  # what is shown here is what the next drop is about
            self._known[key] = value
        return value

    def set(self, key: str, value: str) -> None:
        """Remember a text until the next start; an empty one is as good as none."""
        if value == self._values.get(key, ""):
            return
        self._changed[key] = value
        self._values[key] = value
        if not value:
            del self._values[key]

    def save(self, patience: float = _PATIENCE) -> None:
        """Write what was changed here, whole or not at all.

        Args:
            patience: seconds to wait for another window; when it takes longer, the next call writes.
        """
        if not self._changed:
            return
        with contextlib.suppress(OSError), self._alone(patience):
            self._signature = None  # files written within one tick of the clock may look alike
            before = self._loaded()
            now = self._with_changes(before)
            if now != before:
                write_whole(self._path, json.dumps(now, indent=1).encode(), durable=False)
            self._known.update((key, value) for key, value in self._changed.items() if value)
            self._values, self._changed = now, {}

    @contextlib.contextmanager
    def _alone(self, patience: float) -> Iterator[None]:
        """Reading and writing are one act.

        Raises:
            OSError: another window is at it, or nothing can be written there.
        """
        from filelock import FileLock

        lock = self._home / _LOCK
        lock.parent.mkdir(exist_ok=True)  # never the registry's folder itself, which may have been taken out
        with contextlib.ExitStack() as stack:
            with contextlib.suppress(NotImplementedError):  # a file system without locks
                stack.enter_context(FileLock(lock, timeout=patience))
            yield

    def _read(self) -> None:
        """Read what others have written, where the file is another than before; what was changed here stays."""
        try:
            status = os.stat(self._path)
        except OSError:
            return
        signature = (status.st_ino, status.st_mtime_ns, status.st_size)
        if signature != self._signature:
            self._signature = signature
            self._values = self._with_changes(self._loaded())

    def _with_changes(self, before: Mapping[str, Any]) -> dict[str, Any]:
        now = dict(before)
        for key, value in self._changed.items():
            if value:
                now[key] = value
            elif now.get(key) == self._known.get(key):  # else another window has typed since
                now.pop(key, None)
        return now

    def _loaded(self) -> dict[str, Any]:
        with contextlib.suppress(OSError, ValueError):
            loaded = json.loads(self._path.read_text(encoding="utf-8"))
            if isinstance(loaded, dict):
                return loaded
        return {}
