"""What the TUI remembers between two starts: theme, filter, sort order, last prompt. A convenience, never needed."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

from tiregistry.whole_files import write_whole

_FILE = "tui.json"


class Remembered:
    """A small JSON file beside the registry; one that cannot be read or written is as good as none."""

    def __init__(self, home: Path) -> None:
        self._path = home / _FILE
        self._values: dict[str, Any] = {}
        with contextlib.suppress(OSError, ValueError):
            loaded = json.loads(self._path.read_text(encoding="utf-8"))
            if isinstance(loaded, dict):
                self._values = loaded
        self._saved = dict(self._values)

    def text(self, key: str, default: str = "") -> str:
        """A remembered text."""
        value = self._values.get(key, default)
        return value if isinstance(value, str) else default

    def set(self, key: str, value: str) -> None:
        """Remember a text until the next start; an empty one is as good as none."""
        self._values[key] = value
        if not value:
            del self._values[key]

    def save(self) -> None:
        """Write the file, whole or not at all, where something has changed."""
        if self._values == self._saved:
            return
        with contextlib.suppress(OSError):
            write_whole(self._path, json.dumps(self._values, indent=1).encode(), durable=False)
            self._saved = dict(self._values)
