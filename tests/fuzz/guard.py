"""Runs one case and says what was wrong: an error that is no `TiregError`, too much time, or an attempt to act."""

from __future__ import annotations

import sys
import time
import traceback
from typing import Any

from tiregistry.embeddings.reading import read_embedding
from tiregistry.errors import TiregError

SECONDS = 2.0
"""Longest time that one file of at most a megabyte may take, in CPU seconds: the machine may be busy elsewhere."""

_watching = False
_acts: list[str] = []
_FORBIDDEN = ("os.", "subprocess.", "socket.", "shutil.", "ctypes.", "exec", "compile", "pty.", "pickle.", "marshal.")


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    """Note what a reader must never do: start programs, compile code, open files to write, import by name."""
    if not _watching:
        return
    if event.startswith(_FORBIDDEN) and event not in ("os.listdir", "os.scandir"):
        _acts.append(f"{event}{str(arguments)[:100]}")
    elif event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
        _acts.append(f"open for writing {arguments[0]!r}")


def install() -> None:
    """Start watching this process (an audit hook cannot be removed), and load everything a reader loads late."""
    from PIL import Image

    from tests.core.embeddings.samples import small_files

    Image.init()
    for data in small_files().values():
        run(data)
    sys.addaudithook(_audit)


def run(data: bytes) -> str:
    """Read `data` as a file; return what was wrong, or an empty string."""
    global _watching
    _acts.clear()
    started = time.thread_time()
    _watching = True
    try:
        found = read_embedding(data, filename="case.bin")
        for item in found:
            item.as_dict()
    except TiregError as error:
        if not error.message:
            return "an error without a message"
    except BaseException:
        return f"escaped: {traceback.format_exc()}"
    finally:
        _watching = False
    seconds = time.thread_time() - started
    if _acts:
        return f"acted: {_acts[:3]}"
    if seconds > SECONDS:
        return f"took {seconds:.1f} s"
    return ""
