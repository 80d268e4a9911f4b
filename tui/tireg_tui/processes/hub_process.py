"""Asking the Hub from another process, so that one that stalls holds nothing up and can be given up at any moment."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

from tireg_tui.processes.line_child import LineChild
from tiregistry.errors import Conflict
from tiregistry.progress import Progress


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
        self._child = LineChild(home)
        self._number = 0
        self._one_at_a_time = asyncio.Lock()

    @property
    def is_alive(self) -> bool:
        """Whether there is a process."""
        return self._child.is_alive

    async def ask(self, do: str, progress: Progress | None = None, **request: Any) -> Any:
        """Ask, and wait for the answer; giving up the wait ends the process.

        Args:
            do: one of `hub_worker.ACTS`.
            progress: told how far it is; a total of 0 is a wait that the Hub asks for.

        Raises:
            HubRefused: the core's error.
            ChildFailed: the process ended.
            OSError: no process started.
        """
        async with self._one_at_a_time:
            if not self._child.is_alive:
                await self._child.start([sys.executable, "-m", "tireg_tui.processes.hub_worker"])
            self._number += 1
            answered = False
            try:
                await self._child.send({"id": self._number, "do": do, **request})
                while True:
                    entry = await self._child.receive()
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
                        done, total, what = entry["progress"]
                        progress(int(done), int(total), str(what))
                    elif progress is not None and "waiting" in entry:
                        progress(0, 0, f"the Hub asks to wait, {entry['waiting']:.0f} s left")
            finally:
                if not answered:
                    await self.stop()

    async def stop(self) -> None:
        """End the process, if there is one."""
        await self._child.stop()
