"""The user's own editor, while the app steps aside."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from textual.app import App, SuspendNotSupported

from tiregistry.errors import InvalidInput


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Ctrl-C is the editor's. A handler, not SIG_IGN, which the editor would inherit."""
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def edited(app: App[Any], text: str, suffix: str) -> str | None:
    """A text as the user leaves it in `$VISUAL` or `$EDITOR`; None when there is none, or it ended with an error.

    Raises:
        InvalidInput: the variable names no program, or the terminal cannot be lent to one.
        OSError: no temporary file.
    """
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    if not editor:
        return None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"note{suffix}"
        path.write_text(text, encoding="utf-8")
        try:
            with app.suspend(), _deaf_to_interrupts():
                done = subprocess.run([*shlex.split(editor), str(path)], check=False)
            return path.read_text(encoding="utf-8-sig") if done.returncode == 0 else None
        except (SuspendNotSupported, ValueError, FileNotFoundError, PermissionError, UnicodeDecodeError) as error:
            raise InvalidInput(f"the editor {editor!r} could not be used: {error}", "set VISUAL or EDITOR") from None
