"""The fuzzing process: mutates files for some seconds under a memory limit, guided by the code that they reach.

The case being run lies in a file, so that a crash or a hang, which this process cannot report, leaves its cause.
"""

from __future__ import annotations

import json
import random
import resource
import sys
import time
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from tests.core.embeddings.samples import small_files
from tests.fuzz import guard
from tests.fuzz.mutations import mutate, random_pickle

MEMORY = 500 * 2**20
_PACKAGE = str(Path(__file__).parents[2] / "tiregistry" / "embeddings")


def main(folder: Path, seconds: float, seed: int, guided: bool) -> int:
    """Fuzz for `seconds`; write `result.json` into `folder` and return the number of failures."""
    guard.install()
    _limit_memory()
    rng = random.Random(seed)
    corpus = [*small_files().values(), *_more(folder)]
    case_file, failures, count = folder / "case.bin", [], 0
    reached = _Reached() if guided else None
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        data = (
            random_pickle(rng, rng.choice((5, 20, 100)))
            if rng.random() < 0.1
            else mutate(rng.choice(corpus), corpus, rng)
        )
        case_file.write_bytes(data)
        if reached is not None and count % 4 == 0:
            trouble = reached.run(data)
            if reached.new and len(data) < 100_000 and len(corpus) < 2000:
                corpus.append(data)
        else:
            trouble = guard.run(data)
        count += 1
        if trouble:
            name = f"failure-{len(failures)}.bin"
            (folder / name).write_bytes(data)
            failures.append({"file": name, "trouble": trouble})
            if len(failures) >= 20:
                break
    case_file.unlink(missing_ok=True)
    result = {"cases": count, "corpus": len(corpus), "failures": failures, "peak_mb": _peak()}
    (folder / "result.json").write_text(json.dumps(result))
    return len(failures)


def _more(folder: Path) -> list[bytes]:
    """Further seed files that the caller laid into `folder/seeds`."""
    seeds = folder / "seeds"
    return [path.read_bytes() for path in sorted(seeds.iterdir())] if seeds.is_dir() else []


def _limit_memory() -> None:
    """Let the address space grow by `MEMORY` and no further; a reader that wants more raises MemoryError."""
    used = (
        int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() if sys.platform == "linux" else 0
    )
    if used:
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))


def _peak() -> int:
    """Most memory this process has used, in MB; getrusage would count what its parent used before."""
    lines = Path("/proc/self/status").read_text().splitlines() if sys.platform == "linux" else []
    return next((int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM:")), 0)


class _Reached:
    """Which lines of the readers have been reached; tells whether a case reached a new one."""

    def __init__(self) -> None:
        self.lines: set[tuple[CodeType, int]] = set()
        self.new = False

    def run(self, data: bytes) -> str:
        before = len(self.lines)
        sys.settrace(self._call)
        try:
            return guard.run(data)
        finally:
            sys.settrace(None)
            self.new = len(self.lines) > before

    def _call(self, frame: FrameType, event: str, argument: Any) -> Any:
        return self._line if frame.f_code.co_filename.startswith(_PACKAGE) else None

    def _line(self, frame: FrameType, event: str, argument: Any) -> Any:
        self.lines.add((frame.f_code, frame.f_lineno))
        return self._line


if __name__ == "__main__":
    sys.exit(bool(main(Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), sys.argv[4] == "guided")))
