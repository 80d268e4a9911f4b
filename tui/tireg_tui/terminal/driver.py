"""Textual's driver for terminals that answer late, cannot be read, or go away while the app runs."""

from __future__ import annotations

import codecs
import os
import re
import selectors
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, TextIO, cast

from textual._xterm_parser import XTermParser

from tireg_tui.messages import TerminalSaid
from tireg_tui.start.first_paint import ENTER_SCREEN, write_all
from tireg_tui.terminal.job_control import JobControl
from tireg_tui.terminal.replies import ReplyFilter

if TYPE_CHECKING:
    from tireg_tui.app import TiregApp

# Textual takes what most terminals send for Alt with a digit for what a Mac's Option key writes with it.
_ALT_DIGIT = re.compile(r"\x1b([0-9])")
_IDLE_SECONDS = 0.1
_SILENCE_SECONDS = 0.03
"""How long an Escape waits for the rest of what may be an answer; a person does not notice it."""


def _as_kitty_says(found: re.Match[str]) -> str:
    return f"\x1b[{ord(found[1])};3u"


class _Forgiving:
    """A stream that drops what can no longer be written: the terminal's window may have been closed.

    What is written goes to the terminal itself: with PYTHONUNBUFFERED Python's stream loses the rest of what a signal
    has interrupted.
    """

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, text: str) -> int:
        with suppress(OSError, ValueError):
            write_all(self._file.fileno(), text.encode(self._file.encoding, self._file.errors or "replace"))
        return len(text)

    def flush(self) -> None:
        try:
            self._file.flush()
        except (OSError, ValueError):
            return

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


class TerminalDriver(JobControl):
    """Reads keys and only keys, leaves no picture behind, and ends the app when its terminal is gone."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._is_in_alternate_screen = False
        # The thread that writes would die of an error, and its queue then block the app for ever.
        self._file = cast("Any", _Forgiving(cast("TextIO", self._file)))
        # Otherwise Rich is asked for the first frame's size, and it believes the environment too.
        self._size = self._size or self._get_terminal_size()

    def _get_terminal_size(self) -> tuple[int, int]:
        # COLUMNS and LINES in the environment are what a shell once exported: they do not follow the window.
        try:
            columns, lines = os.get_terminal_size(self.fileno)
        except OSError:
            return super()._get_terminal_size()
        return columns or 80, lines or 24

    def start_application_mode(self) -> None:
        paint = cast("TiregApp", self._app).first_paint
        self._is_in_alternate_screen = paint is not None and paint.hand_over()
        cast("Any", super()).start_application_mode()

    def write(self, data: str) -> None:
        # Some terminals clear a screen that is entered again, and with it the words that it shows.
        if self._is_in_alternate_screen and data == ENTER_SCREEN:
            self._is_in_alternate_screen = False
            return
        if self._writer_thread is not None and self._writer_thread.is_alive():
            super().write(data)

    def stop_application_mode(self) -> None:
        # Before the alternate screen is left: kitty keeps the pictures of each screen apart.
        self.write(cast("TiregApp", self._app).pixels.farewell())
        super().stop_application_mode()

    def run_input_thread(self) -> None:
        """As Textual's, but what the terminal says is no key, bytes that are no UTF-8 do no harm, and an end is one."""
        parser = XTermParser(self._debug)
        replies = ReplyFilter(lambda reply: self.send_message(TerminalSaid(reply)))
        decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        app = cast("TiregApp", self._app)
        early, app.typed_early = app.typed_early, b""
        with selectors.SelectSelector() as selector:
            selector.register(self.fileno, selectors.EVENT_READ)
            while not self.exit_event.is_set():
                typed = ""
                if early:
                    typed, early = replies.feed(decode(early)), b""
                elif selector.select(_SILENCE_SECONDS if replies.holds else _IDLE_SECONDS):
                    try:
                        data = os.read(self.fileno, 4096)
                    except OSError:
                        data = b""
                    if not data:
                        self._terminal_is_gone()
                        return
                    typed = replies.feed(decode(data))
                else:
                    typed = replies.flush()
                typed = _ALT_DIGIT.sub(_as_kitty_says, typed)
                for event in parser.feed(typed) if typed else ():
                    self.process_message(event)
                for event in parser.tick():
                    self.process_message(event)

    def _terminal_is_gone(self) -> None:
        """End the app. Where hang-ups are ignored (nohup), no signal does it."""
        leave = partial(self._app.exit, return_code=129)  # as after SIGHUP
        try:
            self._loop.call_soon_threadsafe(leave)
        except RuntimeError:  # it has ended already
            return
