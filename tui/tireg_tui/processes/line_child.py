"""A child process that is asked, and answers, in lines of JSON; it can be given up at any moment."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tireg_tui.processes.tireg_process import ChildFailed, end, environment, failure, is_gone
from tiregistry.runs.priority import lower_priority
from tiregistry.text import safe

_LONGEST_LINE = 1 << 26
_LAST_WORDS_SECONDS = 2.0


class LineChild:
    """One process at a time: started when it is needed, kept for the next question.

    Args:
        home: the registry's folder.
    """

    def __init__(self, home: Path) -> None:
        self._home = home
        self._process: asyncio.subprocess.Process | None = None
        self._talk: asyncio.Task[bytes] | None = None

    @property
    def is_alive(self) -> bool:
        """Whether there is a process that can be asked."""
        return self._process is not None and self._process.returncode is None

    async def start(self, command: Sequence[str], *, gives_way: bool = False) -> None:
        """Start the process; one from before is ended.

        Args:
            gives_way: it keeps processors busy, which keys shall not wait for.

        Raises:
            OSError: no process started.
        """
        await self.stop()
        self._process = process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environment(self._home),
            limit=_LONGEST_LINE,
        )
        if gives_way:
            lower_priority(process.pid)
        assert process.stderr is not None
        # Nobody else empties that pipe, and a child that talks much would wait for room in it.
        self._talk = asyncio.create_task(process.stderr.read())

    async def send(self, *entries: Mapping[str, Any]) -> None:
        """Send lines.

        Raises:
            ChildFailed: the process has ended; its message is the last thing that it said.
        """
        process = self._process
        assert process is not None
        assert process.stdin is not None
        try:
            process.stdin.writelines(json.dumps(entry).encode() + b"\n" for entry in entries)
            await process.stdin.drain()
        except (BrokenPipeError, ConnectionResetError):
            raise await self._failure() from None

    async def receive(self) -> dict[str, Any]:
        """The next line.

        Raises:
            ChildFailed: the process has ended, or what it wrote is no such line.
        """
        process = self._process
        assert process is not None
        assert process.stdout is not None
        try:
            line = await process.stdout.readline()
        except (ConnectionResetError, ValueError):  # ValueError: a line that never ends
            line = b""
        if not line:
            raise await self._failure()
        with contextlib.suppress(ValueError):
            entry = json.loads(line)
            if isinstance(entry, dict):
                return entry
        raise ChildFailed(f"its process wrote what cannot be read: {safe(line.decode('utf-8', 'replace'), limit=80)}")

    async def stop(self) -> None:
        """End the process, if there is one."""
        process, self._process = self._process, None
        if self._talk is not None:
            self._talk.cancel()
            self._talk = None
        if process is not None:
            await end(process)

    async def _failure(self) -> ChildFailed:
        """Why the process has ended."""
        said = b""
        if self._talk is not None:
            with contextlib.suppress(TimeoutError, asyncio.CancelledError):
                said = await asyncio.wait_for(asyncio.shield(self._talk), _LAST_WORDS_SECONDS)
        if self._process is not None:
            await is_gone(self._process, _LAST_WORDS_SECONDS)
        return failure(said.decode("utf-8", "replace"), self._process.returncode if self._process else None)
