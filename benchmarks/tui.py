"""How fast the terminal UI is: first frame by size of the registry, key to paint, bytes and time per picture.

python benchmarks/tui.py                  # everything; some minutes
python benchmarks/tui.py frames keys      # parts: frames, keys, pictures
python benchmarks/tui.py frames --repeats 9

`frames` and `keys` start `tireg tui` on a pseudo-terminal that answers as xterm does, and read what it writes.
Seconds depend on what else the machine does, so the load average and CPU seconds stand beside them.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import pty
import select
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "cli"), str(ROOT / "tui")]

COLUMNS, ROWS, CELL = 120, 40, (9, 18)
PATIENCE = 120.0
QUIET_SECONDS, MOST_SECONDS = 0.4, 5.0
ANSWERS = {
    b"\x1b[c": b"\x1b[?62;4;22c",
    b"\x1b[>0q": b"\x1bP>|XTerm(379)\x1b\\",
    b"\x1b[16t": b"\x1b[6;%d;%dt" % (CELL[1], CELL[0]),
}
"""What a terminal with sixel answers to which question."""
EMPTY_APP = """
import gc
gc.disable()
from textual.app import App
from textual.widgets import Label

class Empty(App[None]):
    def compose(self):
        yield Label("word-00000")

Empty().run()
"""
TAKEN_OVER = b"\x1b[?1004h"
"""What Textual turns on when it takes the terminal over; what comes after it, the app draws."""
FIRST_WORD, PICTURES = "word-00000", ROOT / "tests" / "data" / "concepts" / "objects" / "robot"


class Watched:
    """The TUI, or another command of Python, on a pseudo-terminal, and when it wrote what."""

    def __init__(self, home: Path, *command: str) -> None:
        environment = {**os.environ, "TIREG_HOME": str(home), "TERM": "xterm-256color", "COLORTERM": "truecolor"}
        environment["PYTHONPATH"] = os.pathsep.join(sys.path[:3])
        for name in ("NO_COLOR", "TMUX", "TIREG_IMAGES", "PYTHONDONTWRITEBYTECODE"):
            environment.pop(name, None)
        self.written = b""
        self.began = time.perf_counter()
        self.pid, self._terminal = pty.fork()
        if self.pid == 0:
            os.execve(sys.executable, [sys.executable, *(command or ("-m", "tireg_cli", "tui"))], environment)
        size = struct.pack("HHHH", ROWS, COLUMNS, COLUMNS * CELL[0], ROWS * CELL[1])
        fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, size)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.kill(self.pid, signal.SIGTERM)
        self.read(lambda: False)  # who does not read keeps it from ending
        os.waitpid(self.pid, 0)
        os.close(self._terminal)

    def read(self, until: Callable[[], bool], seconds: float = PATIENCE) -> float:
        """Read and answer until something is so, or nothing more can come; seconds since the start."""
        end = time.monotonic() + seconds
        while not until() and time.monotonic() < end:
            if not select.select([self._terminal], [], [], 0.05)[0]:
                continue
            try:
                data = os.read(self._terminal, 1 << 16)
            except OSError:  # it has ended
                break
            for question, answer in ANSWERS.items():
                os.write(self._terminal, answer * data.count(question))
            self.written += data
        return time.perf_counter() - self.began

    def type(self, keys: str) -> None:
        """Press keys, and wait until what they do has been shown: until nothing more is, for a moment."""
        os.write(self._terminal, keys.encode())
        end = time.monotonic() + MOST_SECONDS
        before = -1
        while len(self.written) != before and time.monotonic() < end:
            before = len(self.written)
            self.read(lambda: False, QUIET_SECONDS)

    def cpu_seconds(self) -> float:
        """What the process itself has used so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def press(self, key: str, painted: bytes) -> float:
        """Press a key; milliseconds until the terminal has been told what it changes."""
        self.written = b""
        before = time.perf_counter()
        os.write(self._terminal, key.encode())
        self.read(lambda: painted in self.written)
        if painted not in self.written:
            raise SystemExit(f"{key} did not show {painted.decode()}; the last that was shown: {self.written[-300:]!r}")
        return (time.perf_counter() - before) * 1e3


def registry_of(folder: Path, count: int) -> Path:
    """A registry of `count` concepts."""
    from tiregistry.registry.registry import Registry

    with Registry.open(folder) as registry, registry.database.write():
        for number in reversed(range(count)):
            registry.create_concept(f"word-{number:05d}", f"<word-{number:05d}>", "object")
    return folder


def frames(folder: Path, repeats: int) -> None:
    """From the start of the process to its first words, and to the app's own first frame; all kinds take turns."""
    homes = {count: registry_of(folder / str(count), count) for count in (10, 1000, 10000)}
    kinds: dict[str, tuple[Path, tuple[str, ...]]] = {
        f"{count:>7,} concepts": (home, ()) for count, home in homes.items()
    }
    kinds["  nothing but Textual"] = (homes[10], ("-c", EMPTY_APP))
    found: dict[str, list[tuple[float, float, float]]] = {kind: [] for kind in kinds}
    for number in range(repeats + 1):
        for kind, (home, command) in kinds.items():
            with Watched(home, *command) as tui:
                words = tui.read(partial(_is_written, tui))
                app = tui.read(partial(_is_written, tui, TAKEN_OVER))
                if number:
                    found[kind].append((words, app, tui.cpu_seconds()))
                elif not command:
                    # The first reads the code from the disk, and takes the look that the others begin with.
                    tui.read((home / "tui-look.json").exists)
    print(f"from the start of the process, best and median of {repeats} starts, in seconds:")
    print(f"{'':<21}  {'first words':>13}  {'app draws them':>14}  {'CPU of that':>13}")
    for kind, starts in found.items():
        cells = (f"{min(times):.2f}  {statistics.median(times):.2f}" for times in zip(*starts, strict=True))
        first, drawn, cpu = cells
        print(f"{kind:<21}  {first:>13}  {drawn:>14}  {cpu:>13}")


def _is_written(tui: Watched, after: bytes = b"") -> bool:
    """Whether the first word is on the terminal, counted from where `after` was written."""
    return FIRST_WORD.encode() in (tui.written.partition(after)[2] if after else tui.written)


def keys(folder: Path, repeats: int) -> None:
    """From a key to the frame that shows what it did: alone, and beside trainings on the embedded base."""
    home = registry_of(folder / "keys", 1000)
    print(f"key to paint, cursor down and up among 1,000 words, {repeats * 10} keys:")
    _keys("alone", home, repeats)
    for what, options in {"beside a queued training": ["--detach"], "beside one in a terminal": []}.items():
        with _training(home, options):
            _keys(what, home, repeats)


@contextmanager
def _training(home: Path, options: list[str]) -> Iterator[None]:
    """A training that is at work within the block."""
    from tiregistry.registry.registry import Registry
    from tiregistry.runs.control import cancel

    command = [sys.executable, "-m", "tireg_cli", "train", "robot", str(PICTURES), "--no-stop", "--max-steps", "5000"]
    environment = {**os.environ, "TIREG_HOME": str(home), "PYTHONPATH": os.pathsep.join(sys.path[:3])}
    # A session of its own, as each terminal has one: processors are shared out among sessions first.
    process = subprocess.Popen(
        [*command, *options],
        env=environment,
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    with Registry.open(home) as registry:
        end = time.monotonic() + PATIENCE * 3
        while not (runs := registry.runs(status="running", limit=1)) or runs[0].step < 3:
            if process.poll() or time.monotonic() > end:
                raise SystemExit("the training did not begin")
            time.sleep(0.5)
        try:
            yield
        finally:
            cancel(registry, runs[0])
            while registry.run(runs[0].id).status == "running":
                time.sleep(0.2)
            registry.remove_run(runs[0].id)
            process.wait()


def _keys(what: str, home: Path, repeats: int) -> None:
    found = []
    with Watched(home) as tui:
        tui.read(lambda: FIRST_WORD.encode() in tui.written)
        # Away from the word in training, which is first and changes; a filter of before is cleared (Ctrl+U).
        for keys in ("/", "\x15", "word-", "\r", "g"):
            tui.type(keys)
        for key, number in (("j", 1), ("k", 0)):  # not counted: the cursor is where it is expected
            tui.press(key, f"word-{number:05d}".encode())
        at = 0
        for number in range(repeats * 10):
            down = number % 20 < 10
            at += 1 if down else -1
            found.append(tui.press("j" if down else "k", f"word-{at:05d}".encode()))
            tui.read(lambda: False, 0.15)  # as fast as someone looks through a list
    found.sort()
    late = found[int(len(found) * 0.95)]
    print(f"  {what:<26} median {statistics.median(found):.0f} ms, 95 % {late:.0f} ms, most {found[-1]:.0f} ms")


def pictures(repeats: int) -> None:
    """Bytes and time for one picture of 512 x 512 pixels, of every way to draw it."""
    from PIL import Image

    from tiregistry.graphics import kitty
    from tiregistry.graphics.halfblocks import halfblocks
    from tiregistry.graphics.sixel import sixel

    ramp = Image.linear_gradient("L").resize((512, 512))
    noise = Image.effect_noise((512, 512), 40)
    image = Image.merge("RGB", (ramp, ramp.rotate(90), noise))
    robot = Image.open(next(PICTURES.glob("*.png"))).convert("RGB").resize((512, 512), Image.Resampling.BICUBIC)
    print("one picture of 512 x 512 pixels: of a thing, and noise over a gradient (the worst case):")
    ways: dict[str, Callable[[Image.Image], str]] = {
        "kitty": lambda picture: "".join(kitty.transmit(kitty.encode(picture), 1)),
        "sixel, 256 colours": sixel,
        "sixel, 64 colours": lambda picture: sixel(picture, 64),
        "half blocks, 64 x 32 cells": lambda picture: "\n".join(halfblocks(picture, 64, 32)),
        "half blocks, 256 colours": lambda picture: "\n".join(halfblocks(picture, 64, 32, "256")),
    }
    for name, encode in ways.items():
        line = f"  {name:<28}"
        for picture in (robot, image):
            seconds = []
            for _ in range(repeats):
                before = time.perf_counter()
                data = encode(picture)
                seconds.append(time.perf_counter() - before)
            line += f" {len(data.encode()) / 1024:6.0f} KiB {min(seconds) * 1e3:6.1f} ms"
        print(line)


def main() -> None:
    """Print what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=["frames", "keys", "pictures", []], help="default: all")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    with tempfile.TemporaryDirectory() as folder:
        for part in options.parts or ["frames", "keys", "pictures"]:
            if part == "frames":
                frames(Path(folder), options.repeats)
            elif part == "keys":
                keys(Path(folder), options.repeats)
            else:
                pictures(options.repeats)


if __name__ == "__main__":
    main()
