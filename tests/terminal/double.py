"""A terminal double: runs a program on a pty, answers what a chosen terminal answers, and turns what it was sent into
pixels again."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import io
import os
import pty
import re
import select
import signal
import struct
import termios
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Self

import numpy as np
from PIL import Image

from tests.terminal.screen import Screen


@dataclass(frozen=True)
class Brand:
    """How a terminal answers; an empty answer is silence."""

    attributes: bytes = b"\x1b[?62;c"
    name: bytes = b""
    kitty: bool = False
    placeholders: bool = False
    cell_reports: bool = True


KITTY = Brand(name=b"kitty(0.41.1)", kitty=True, placeholders=True)
OLD_KITTY = Brand(name=b"kitty(0.26.5)", kitty=True)
XTERM_SIXEL = Brand(b"\x1b[?63;1;2;4;6;9;15;16;22;28c", b"XTerm(379)", cell_reports=False)
KONSOLE = Brand(b"\x1b[?62;1;4c", b"Konsole 22.12.3", kitty=True, placeholders=True)
PLAIN = Brand(b"\x1b[?64;1;2c")
MUTE = Brand(b"")

_QUESTIONS = re.compile(
    rb"\x1b\[0?c|\x1b\[>0?q|\x1b_G(?P<keys>[^;\x1b]*a=q[^;\x1b]*);[^\x1b]*\x1b\\|\x1b\[16t|\x1b\[\?(?P<mode>\d+)\$p"
)

# What would make the program believe in another terminal, or in another size of it.
_NOT_INHERITED = ("TMUX", "NO_COLOR", "TIREG_IMAGES", "SSH_TTY", "SSH_CONNECTION", "CI", "COLUMNS", "LINES")


@dataclass
class TerminalDouble:
    """A running program and the terminal it believes to be on."""

    command: Sequence[str]
    brand: Brand = PLAIN
    columns: int = 120
    rows: int = 40
    cell: tuple[int, int] = (9, 18)
    environment: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    """Seconds before each answer, as over a slow line."""
    ignores_hangups: bool = False
    """As under nohup."""

    def __post_init__(self) -> None:
        self.received = b""
        self.screen = Screen(self.columns, self.rows, self.cell)
        self.ended = False
        self._status: int | None = None
        self._closed = False
        self._answered_to = 0
        self._due: list[tuple[float, bytes]] = []
        is_sized, tell_sized = os.pipe()
        self.pid, self._handle = pty.fork()
        if self.pid == 0:  # pragma: no cover (the child)
            try:
                os.close(tell_sized)
                os.read(is_sized, 1)  # however late the size is set, the program finds it there
                os.close(is_sized)
                for name in _NOT_INHERITED:
                    os.environ.pop(name, None)
                os.environ.update({"TERM": "xterm-256color", "COLORTERM": "truecolor", **self.environment})
                signal.signal(signal.SIGHUP, signal.SIG_IGN if self.ignores_hangups else signal.SIG_DFL)
                # With an environment of our own: readline, which pytest imports, sets COLUMNS behind os.environ's back.
                os.execvpe(self.command[0], list(self.command), dict(os.environ))
            finally:
                os._exit(127)  # or a second pytest would go on from here
        os.close(is_sized)
        try:
            self.resize(self.columns, self.rows)
        finally:
            os.close(tell_sized)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def resize(self, columns: int, rows: int, cell: tuple[int, int] | None = None) -> None:
        """Change the window's size, or the font's; the program gets SIGWINCH."""
        self.columns, self.rows, self.cell = columns, rows, cell or self.cell
        self.screen.cell = self.cell
        self.screen.resize(columns, rows)
        size = struct.pack("HHHH", rows, columns, columns * self.cell[0], rows * self.cell[1])
        fcntl.ioctl(self._handle, termios.TIOCSWINSZ, size)

    def type(self, keys: str) -> None:
        """Send keys."""
        os.write(self._handle, keys.encode())

    def send(self, data: bytes) -> None:
        """Send what is no key."""
        os.write(self._handle, data)

    def pump(self, seconds: float, *, until: bytes | None = None) -> bool:
        """Receive and answer for some time, or until the output holds `until` (as text, without escapes).

        Returns:
            Whether `until` was found (True when there is none to look for).
        """
        start = len(self.received) if until is None else 0
        end = time.monotonic() + seconds
        while not self.ended and time.monotonic() < end:
            self._answer()
            if until is not None and until in self.text(start):
                return True
            if not select.select([self._handle], [], [], 0.02)[0]:
                continue
            try:
                data = os.read(self._handle, 1 << 16)
            except OSError:
                data = b""
            if not data:
                self.ended = True
            self.receive(data)
        return until is None or until in self.text(start)

    def receive(self, data: bytes) -> None:
        """Take what the program wrote."""
        self.received += data
        self.screen.feed(data)

    def text(self, start: int = 0) -> bytes:
        """What was received since `start`, without escape sequences."""
        return re.sub(
            rb"\x1b[P_][^\x1b]*(?:\x1b\\)|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b\[[0-9;?<>=$ ]*[A-Za-z~]|\x1b[78=>]",
            b"",
            self.received[start:],
        )

    def hang_up(self) -> None:
        """Close the window: the program's terminal is gone."""
        os.close(self._handle)
        self._handle = -1

    def wait(self, seconds: float) -> int | None:
        """Wait for the program to end by itself; its exit status (or minus the signal), None when it goes on."""
        end = time.monotonic() + seconds
        while self._status is None and time.monotonic() < end:
            if self._handle >= 0 and not self.ended:
                self.pump(0.05)
            else:
                time.sleep(0.02)
            done, status = os.waitpid(self.pid, os.WNOHANG)
            if done:
                self._status = os.waitstatus_to_exitcode(status)
                if self._handle >= 0:
                    self.pump(0.5)  # its last words may have come after the last look
        return self._status

    def close(self) -> int:
        """End the program and whatever it left in its session, and return its exit status (or minus the signal).

        Raises:
            AssertionError: it ended by itself and left children behind.
        """
        if self._closed:
            assert self._status is not None
            return self._status
        self._closed = True
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self.wait(0.02) is not None:
                break
            os.kill(self.pid, number)
            self.wait(120.0)
        if self._handle >= 0:
            self.hang_up()
        left = self._end_group()
        assert self._status is not None
        assert not left or self._status == -signal.SIGKILL, "children outlived the program"
        return self._status

    def _end_group(self) -> bool:
        """Kill what is left of the program's process group after a moment of grace; whether there was anything."""
        end = time.monotonic() + 60
        with contextlib.suppress(ProcessLookupError):
            while time.monotonic() < end:
                os.killpg(self.pid, 0)
                time.sleep(0.02)
            os.killpg(self.pid, signal.SIGKILL)
            return True
        return False

    def _answer(self) -> None:
        for match in _QUESTIONS.finditer(self.received, self._answered_to):
            answer = self._answer_to(match)
            if answer:
                self._due.append((time.monotonic() + self.delay, answer))
            self._answered_to = match.end()
        while self._due and self._due[0][0] <= time.monotonic():
            os.write(self._handle, self._due.pop(0)[1])

    def _answer_to(self, match: re.Match[bytes]) -> bytes:
        question, brand = match.group(), self.brand
        if match["keys"] is not None:
            wanted = brand.placeholders if b"U=1" in match["keys"] else brand.kitty
            number = re.search(rb"i=(\d+)", match["keys"])
            return b"\x1b_Gi=%s;OK\x1b\\" % number.group(1) if wanted and number else b""
        if match["mode"] is not None:
            return b"\x1b[?%s;0$y" % match["mode"] if brand.attributes else b""
        if question.endswith(b"c"):
            return brand.attributes
        if question.endswith(b"q"):
            return b"\x1bP>|%s\x1b\\" % brand.name if brand.name else b""
        return b"\x1b[6;%d;%dt" % (self.cell[1], self.cell[0]) if brand.cell_reports and brand.attributes else b""


def _kitty_sequences(data: bytes) -> list[tuple[dict[str, str], bytes]]:
    found = []
    for match in re.finditer(rb"\x1b_G([^;\x1b]*)(?:;([^\x1b]*))?\x1b\\", data):
        keys = dict(part.split("=", 1) for part in match.group(1).decode().split(",") if "=" in part)
        found.append((keys, match.group(2) or b""))
    return found


def kitty_pictures(data: bytes) -> list[tuple[int, Image.Image]]:
    """The pictures in a byte stream with their ids."""
    pictures: list[tuple[int, Image.Image]] = []
    payload, number, open_picture = b"", 0, False
    for keys, part in _kitty_sequences(data):
        if not open_picture:
            if keys.get("a") not in ("t", "T"):
                continue
            payload, number = b"", int(keys.get("i", "0"))
        payload += part
        open_picture = keys.get("m") == "1"
        if not open_picture:
            pictures.append((number, Image.open(io.BytesIO(base64.standard_b64decode(payload))).convert("RGB")))
    return pictures


def sixel_size(sequence: bytes) -> tuple[int, int]:
    """Width and height of one sixel sequence's picture, in pixels."""
    size = re.match(rb'[^q]*q"\d+;\d+;(\d+);(\d+)', sequence)
    assert size is not None, "no raster attributes"
    return int(size.group(1)), int(size.group(2))


@lru_cache(maxsize=64)
def decode_sixel(sequence: bytes) -> Image.Image:
    """The picture of one sixel sequence, as a terminal draws it."""
    width, height = sixel_size(sequence)
    pixels = np.zeros((height, width, 3), np.uint8)
    palette: dict[int, tuple[int, int, int]] = {}
    for top, band in enumerate(sequence[sequence.index(b"q") + 1 : -2].split(b"-")):
        for line in band.split(b"$"):
            x = 0
            for match in _COLOR.finditer(line):
                number = int(match.group(1))
                if match.group(2):
                    red, green, blue = (round(int(match.group(i)) * 255 / 100) for i in (2, 3, 4))
                    palette[number] = (red, green, blue)
                    continue
                bits = np.frombuffer(_RUN.sub(_repeated, match.group(5)), np.uint8) - 63
                for row in range(6):
                    where = np.nonzero(bits >> row & 1)[0] + x
                    if len(where):
                        pixels[6 * top + row, where] = palette[number]
                x += len(bits)
    return Image.fromarray(pixels)


_COLOR = re.compile(rb"#(\d+)(?:;2;(\d+);(\d+);(\d+)|([!\d?-~]*))")
_RUN = re.compile(rb"!(\d+)([?-~])")


def _repeated(match: re.Match[bytes]) -> bytes:
    return match.group(2) * int(match.group(1))
