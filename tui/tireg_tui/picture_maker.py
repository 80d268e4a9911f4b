"""One `tireg gen -` process that keeps the base model loaded: prompts go in as lines of JSON, pictures come out."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tireg_tui.processes import ChildFailed, command_line, end, environment, last_line


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
        self._home, self._folder = home, folder
        self._process: asyncio.subprocess.Process | None = None
        self._talk: asyncio.Task[bytes] | None = None
        self._base = ""
        self._lines = 0

    @property
    def is_warm(self) -> bool:
        """Whether a process with a loaded model waits for prompts."""
        return self._process is not None and self._process.returncode is None

    async def make(self, base: str, requests: Sequence[Mapping[str, Any]]) -> AsyncIterator[Made | Refused]:
        """Make pictures, yielding each as soon as it is saved; leaving the loop early ends the process.

        Args:
            base: the base model; another than the last one starts another process.
            requests: one JSON request of `tireg gen -` for each picture.

        Raises:
            ChildFailed: the process ended with an error.
            OSError: no process started.
        """
        if base != self._base or not self.is_warm:
            await self.stop()
            await self._start(base)
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        finished = False
        try:
            waiting = set()
            for request in requests:
                self._lines += 1
                waiting.add(self._lines)
                process.stdin.write(json.dumps(request).encode() + b"\n")
            await process.stdin.drain()
            while waiting:
                line = await process.stdout.readline()
                if not line:
                    raise ChildFailed(await self._last_words())
                entry = json.loads(line)
                waiting.discard(entry.get("line"))
                yield _read(entry)
            finished = True
        except (BrokenPipeError, ConnectionResetError):
            raise ChildFailed(await self._last_words()) from None
        finally:
            if not finished:
                await self.stop()

    async def stop(self) -> None:
        """End the process, if there is one."""
        process, self._process = self._process, None
        if self._talk is not None:
            self._talk.cancel()
            self._talk = None
        if process is not None:
            await end(process)

    async def _start(self, base: str) -> None:
        options = ["gen", "-", "--out", str(self._folder), *(["--base", base] if base else [])]
        self._process = await asyncio.create_subprocess_exec(
            *command_line(options),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environment(self._home),
            limit=1 << 24,
        )
        assert self._process.stderr is not None
        self._talk = asyncio.create_task(self._process.stderr.read())
        self._base, self._lines = base, 0

    async def _last_words(self) -> str:
        said = b""
        if self._talk is not None:
            with contextlib.suppress(TimeoutError, asyncio.CancelledError):
                said = await asyncio.wait_for(asyncio.shield(self._talk), 2)
        return last_line(said.decode("utf-8", "replace"))


def _read(entry: dict[str, Any]) -> Made | Refused:
    if "error" in entry:
        return Refused(str(entry["error"]), str(entry.get("hint", "")))
    return Made(Path(entry["path"]), str(entry["prompt"]), int(entry["seed"]), entry["recipe"])
