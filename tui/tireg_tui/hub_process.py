"""Asking the Hub from another process, so that one that stalls holds nothing up and can be given up at any moment."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tireg_tui.processes import ChildFailed, end, environment, last_line
from tiregistry.errors import Conflict

Progress = Callable[[str, int, int], None]


class HubRefused(Conflict):
    """The core's own error, as the other process told it; of a conflict with both sides, where they are known.

    Attributes:
        kind: name of the error's class: `HeadMoved`, `AlreadyExists` …
    """

    def __init__(self, message: str, hint: str, kind: str, theirs: str = "", ours: str = "") -> None:
        super().__init__(message, hint, theirs, ours)
        self.kind = kind


class HubProcess:
    """One process that asks the Hub, started with the first question and kept for the next.

    Args:
        home: the registry's folder.
    """

    def __init__(self, home: Path) -> None:
        self._home = home
        self._process: asyncio.subprocess.Process | None = None
        self._talk: asyncio.Task[bytes] | None = None
        self._number = 0
        self._one_at_a_time = asyncio.Lock()

    async def ask(self, do: str, progress: Progress | None = None, **request: Any) -> Any:
        """Ask, and wait for the answer; giving up the wait ends the process.

        Args:
            do: one of `hub_worker.ACTS`.
            progress: told what is being done, steps done and steps in all.

        Raises:
            HubRefused: the core's error.
            ChildFailed: the process ended.
            OSError: no process started.
        """
        async with self._one_at_a_time:
            process = await self._running()
            assert process.stdin is not None
            assert process.stdout is not None
            self._number += 1
            answered = False
            try:
                process.stdin.write(json.dumps({"id": self._number, "do": do, **request}).encode() + b"\n")
                await process.stdin.drain()
                while True:
                    line = await process.stdout.readline()
                    if not line:
                        raise ChildFailed(await self._last_words())
                    entry = json.loads(line)
                    if entry.get("id") != self._number:
                        continue
                    if "answer" in entry:
                        answered = True
                        return entry["answer"]
                    if "error" in entry:
                        answered = True
                        sides = str(entry.get("theirs", "")), str(entry.get("ours", ""))
                        raise HubRefused(str(entry["error"]), str(entry["hint"]), str(entry["kind"]), *sides)
                    if progress is not None and "progress" in entry:
                        what, done, total = entry["progress"]
                        progress(str(what), int(done), int(total))
                    elif progress is not None and "waiting" in entry:
                        progress(f"the Hub asks to wait, {entry['waiting']:.0f} s left", 0, 0)
            except (BrokenPipeError, ConnectionResetError):
                raise ChildFailed(await self._last_words()) from None
            finally:
                if not answered:
                    await self.stop()

    async def stop(self) -> None:
        """End the process, if there is one."""
        process, self._process = self._process, None
        if self._talk is not None:
            self._talk.cancel()
            self._talk = None
        if process is not None:
            await end(process)

    async def _running(self) -> asyncio.subprocess.Process:
        if self._process is not None and self._process.returncode is None:
            return self._process
        self._process = process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tireg_tui.hub_worker",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environment(self._home),
            limit=1 << 26,
        )
        assert process.stderr is not None
        self._talk = asyncio.create_task(process.stderr.read())
        return process

    async def _last_words(self) -> str:
        said = b""
        if self._talk is not None:
            with contextlib.suppress(TimeoutError, asyncio.CancelledError):
                said = await asyncio.wait_for(asyncio.shield(self._talk), 2)
        return last_line(said.decode("utf-8", "replace"))
