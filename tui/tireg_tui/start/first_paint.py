"""The library's words on the screen before Textual is imported, which takes longer than all that is needed for them.

They are where Textual draws them a moment later, in the look of the last time (`first_look`). Keys that are pressed
meanwhile wait in the terminal and are then taken as any others.
"""

from __future__ import annotations

import contextlib
import os
import sys
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from tireg_tui.start.first_look import FirstLook, keep_look, key_of, read_look
from tireg_tui.start.first_page import FirstPage, status_text
from tireg_tui.start.silent_typing import SilentTyping
from tireg_tui.texts.concept_cells import Column, cells_of, columns_within
from tireg_tui.texts.fixed_width import fitted, in_column
from tiregistry.graphics.foreground import is_in_front

if TYPE_CHECKING:
    from tiregistry.concepts import Concept

ENTER_SCREEN = "\x1b[?1049h"
"""Change to the alternate screen."""
_BEGIN, _END = "\x1b[?2026h", "\x1b[?2026l"
_PLAIN = "\x1b[m"
_ENTER = f"{ENTER_SCREEN}\x1b[?25l\x1b[?7l\x1b[2J"
# Right wherever the frame broke off.
_LEAVE = f"{_PLAIN}{_END}\x1b[?7h\x1b[?25h\x1b[?1049l"


class FirstPaint:
    """What stands on the terminal (stderr, as Textual's) before the app, and the look that it takes.

    Args:
        silent: ends when the app takes the terminal over.
    """

    def __init__(self, silent: SilentTyping) -> None:
        self._silent = silent
        self._look: FirstLook | None = None
        self._key = ""
        self.query = ""
        """The filter that the words match."""
        self._is_shown = False

    def show(self, home: Path, page: FirstPage | None) -> None:
        """Paint the words, where it is known how the library looks on this terminal."""
        stream = sys.__stderr__
        if stream is None or not stream.isatty() or page is None or not page.concepts:
            return
        if not is_in_front(stream.fileno()):
            return
        if stream.encoding.lower() not in ("utf-8", "utf8") or os.environ.get("TERM", "dumb") in ("dumb", "unknown"):
            return
        try:
            columns, rows = os.get_terminal_size(stream.fileno())
            self.query = page.query
            self._key = key_of(home, columns, rows, page.query)
            self._look = read_look(home, self._key)
            if self._look is not None and self._look.scrolls == (len(page.concepts) > self._look.rows.height):
                text = f"{_BEGIN}{_ENTER}{painted(self._look, page)}{_END}"
                self._is_shown = True  # from the first byte on: a signal may come between two
                write_all(stream.fileno(), text.encode())
        except OSError:  # Textual will tell of a terminal that is gone
            return

    def hand_over(self) -> bool:
        """The app draws from now on; whether the terminal shows its alternate screen already."""
        self._silent.end()
        return self._is_there_no_longer()

    def _is_there_no_longer(self) -> bool:
        is_shown, self._is_shown = self._is_shown, False
        return is_shown

    def leave(self) -> None:
        """Give the screen back, where no app has taken it over."""
        if self._is_there_no_longer() and sys.__stderr__ is not None:
            with contextlib.suppress(OSError):
                write_all(sys.__stderr__.fileno(), _LEAVE.encode())

    def keep(self, home: Path, columns: int, rows: int, look: FirstLook) -> None:
        """Keep how the library really looks on a screen of this size, where that is news."""
        if not self._key:
            return
        key = key_of(home, columns, rows, self.query)  # size or settings may be others than at the start
        if (key, look) != (self._key, self._look):
            keep_look(home, key, look)


def painted(look: FirstLook, page: FirstPage) -> str:
    """The whole frame as text with cursor positions and SGR sequences."""
    plain, dim, cursor, cursor_dim, status = look.styles
    parts = []
    box, row = look.rows, page.cursor
    columns = columns_within(box.width)
    top = max(0, row - box.height + 1)
    for line in range(box.height):
        parts.append(_at(box.x, box.y + line))
        if top + line < len(page.concepts):
            styles = (cursor, cursor_dim) if top + line == row else (plain, dim)
            parts.append(_row(page.concepts[top + line], columns, box.width, styles))
        else:
            parts.append(f"{plain}{' ' * box.width}{_PLAIN}")
    told = status_text(page.total, page.order)
    parts.append(f"{_at(look.status.x, look.status.y)}{status}{fitted(told, look.status.width)}{_PLAIN}")
    # A scroll bar lies over the rows.
    parts += (f"{_at(piece.x, piece.y)}{piece.paint}{_PLAIN}" for piece in look.pieces)
    return "".join(parts)


def _row(concept: Concept, columns: list[Column], width: int, styles: tuple[str, str]) -> str:
    cells = [
        (in_column(text, column.cells), is_dim)
        for (text, is_dim), column in zip(cells_of(concept, columns), columns, strict=True)
    ]
    used = sum(column.cells + 2 for column in columns)
    cells.append((" " * (width - used), False))
    runs = ((styles[is_dim], "".join(text for text, _ in run)) for is_dim, run in groupby(cells, lambda cell: cell[1]))
    return "".join(f"{style}{text}{_PLAIN}" for style, text in runs)


def write_all(terminal: int, data: bytes) -> None:
    """Write all of it; mostly in one call, which the kernel does not mix with what another thread asks the terminal."""
    while data:
        data = data[os.write(terminal, data) :]


def _at(x: int, y: int) -> str:
    return f"\x1b[{y + 1};{x + 1}H"
