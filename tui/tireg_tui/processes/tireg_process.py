"""`tireg` as a child process: what needs torch happens there, so keys are answered here and a crash stays there."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tiregistry.errors import TiregError
from tiregistry.text import safe

_LOOK_SECONDS = 0.02


class ChildFailed(TiregError):
    """A child process ended with an error; its message is the child's own."""


def command_line(arguments: Sequence[str]) -> list[str]:
    """The command that runs `tireg` with the Python and the code that run here."""
    return [sys.executable, "-m", "tireg_cli", *arguments]


def environment(home: Path) -> dict[str, str]:
    """The environment of a child: the same registry and the same code, no colour, no picture on its stderr."""
    path = os.pathsep.join(entry for entry in sys.path if entry)
    return {**os.environ, "TIREG_HOME": str(home), "PYTHONPATH": path, "NO_COLOR": "1", "TIREG_IMAGES": "off"}


def last_line(text: str) -> str:
    """What a failed `tireg` said: its last line, without the program's name."""
    lines = [line for line in text.splitlines() if line.strip()]
    return safe(lines[-1].removeprefix("tireg: "), limit=600) if lines else "its process ended without a word"


def failure(said: str, status: int | None) -> ChildFailed:
    """The error of a child that ended.

    Args:
        said: what it wrote on stderr.
        status: its exit status, or minus the signal that ended it; None while it still runs.
    """
    if status is None or status >= 0:
        return ChildFailed(last_line(said))
    name = signal.Signals(-status).name if -status in set(signal.Signals) else f"signal {-status}"
    if name == "SIGKILL":
        # What it said before has nothing to do with its end.
        hint = "the system kills so when memory runs out: close other programs, then try again"
        return ChildFailed(f"its process was killed ({name})", hint)
    return ChildFailed(f"its process was ended by {name}", "try again")


async def output_of(arguments: Sequence[str], home: Path) -> str:
    """All that `tireg` prints on stdout; a cancelled wait ends it.

    Raises:
        ChildFailed: it ended with an error.
        OSError: no process started.
    """
    return await output_of_command(command_line(arguments), home)


async def output_of_command(command: Sequence[str], home: Path) -> str:
    """The same for any command that runs with our Python and our code.

    Raises:
        ChildFailed, OSError: as `output_of`.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment(home),
    )
    try:
        out, talk = await process.communicate()
    finally:
        await end(process)
    if process.returncode:
        raise failure(talk.decode("utf-8", "replace"), process.returncode)
    return out.decode("utf-8", "replace")


async def end(process: asyncio.subprocess.Process, patience: float = 3.0) -> None:
    """End a child that still runs, wait until it is gone, and close its pipes."""
    try:
        with contextlib.suppress(ProcessLookupError):
            if process.returncode is None:
                process.terminate()
            if not await is_gone(process, patience):
                process.kill()
                await is_gone(process, patience)
    finally:
        # What the child has started itself may hold the pipes' other ends open, and they would outlive the event
        # loop. asyncio has no public way to close them all.
        transport: asyncio.SubprocessTransport | None = getattr(process, "_transport", None)
        if transport is not None:
            transport.close()


async def is_gone(process: asyncio.subprocess.Process, patience: float) -> bool:
    """Whether it ends in time. `process.wait()` also waits until nobody holds its pipes."""
    until = time.monotonic() + patience
    while process.returncode is None and time.monotonic() < until:  # noqa: ASYNC110 (nobody tells)
        await asyncio.sleep(_LOOK_SECONDS)
    return process.returncode is not None
