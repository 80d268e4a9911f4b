"""One `tireg gen -` process that keeps the base model loaded: prompts go in as lines of JSON, pictures come out."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tireg_tui.processes.line_child import LineChild
from tireg_tui.processes.tireg_process import command_line


@dataclass(frozen=True)
class Made:
    """A picture that is on the disk."""

    path: Path
    prompt: str
    seed: int
    recipe: Mapping[str, Any]


@dataclass(frozen=True)
class Refused:
    """A prompt that could not be used."""

    message: str
    hint: str


class PictureMaker:
    """Makes pictures in another process.

    Args:
        home: the registry's folder.
        folder: where pictures are saved.
    """

    def __init__(self, home: Path, folder: Path) -> None:
        self._folder = folder
        self._child = LineChild(home)
        self._base = ""
        self._lines = 0

    @property
    def is_warm(self) -> bool:
        """Whether a process with a loaded model waits for prompts."""
        return self._child.is_alive

    async def make(self, base: str, requests: Sequence[Mapping[str, Any]]) -> AsyncGenerator[Made | Refused, None]:
        """Make pictures, yielding each as soon as it is saved; leaving the loop early ends the process.

        Args:
            base: the base model; another than the last one starts another process.
            requests: one JSON request of `tireg gen -` for each picture.

        Raises:
            ChildFailed: the process ended with an error.
            OSError: no process started.
        """
        if base != self._base or not self.is_warm:
            options = ["gen", "-", "--out", str(self._folder), *(["--base", base] if base else [])]
            await self._child.start(command_line(options), gives_way=True)
            self._base, self._lines = base, 0
        waiting = set(range(self._lines + 1, self._lines + 1 + len(requests)))
        self._lines += len(requests)
        finished = False
        try:
            await self._child.send(*requests)
            while waiting:
                entry = await self._child.receive()
                waiting.discard(entry.get("line"))
                yield _read(entry)
            finished = True
        finally:
            if not finished:
                await self.stop()

    async def stop(self) -> None:
        """End the process, if there is one."""
        await self._child.stop()


def _read(entry: dict[str, Any]) -> Made | Refused:
    if "error" in entry:
        return Refused(str(entry["error"]), str(entry.get("hint", "")))
    return Made(Path(entry["path"]), str(entry["prompt"]), int(entry["seed"]), entry["recipe"])
