"""Stopping and going on as a shell's job: the terminal is put away before, and drawn whole again after.

Textual's driver starts its application mode once more at every SIGCONT, also where it never ended it: after SIGSTOP
there would be two threads that read the keys, and no way to leave.
"""

from __future__ import annotations

import contextlib
import os
import signal
import termios
from typing import TYPE_CHECKING, Any, cast

from textual.drivers.linux_driver import LinuxDriver

from tireg_tui.start.first_paint import ENTER_SCREEN
from tiregistry.graphics.foreground import is_in_front

if TYPE_CHECKING:
    from tireg_tui.app import TiregApp

# Whatever of it is on already stays as it is; keyboard protocol and reports of the size outlast a stop.
_APPLICATION = f"{ENTER_SCREEN}\x1b[?25l\x1b[?1004h\x1b[?2004h\x1b[?7l"


class JobControl(LinuxDriver):
    """A driver that a shell, or any other process, can stop and continue at any time."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._is_put_away = self._is_starting = False
        self._mode: list[Any] | None = None
        """The terminal's mode while the app draws on it; None while it does not."""

    def start_application_mode(self) -> None:
        self._is_put_away = True
        if self._is_starting:  # continued amid this
            return
        self._is_starting = True
        try:
            while self._is_put_away:
                cast("Any", super()).start_application_mode()
                if self._key_thread is not None and self._key_thread.is_alive():
                    self._is_put_away = False
                    with contextlib.suppress(termios.error):
                        self._mode = termios.tcgetattr(self.fileno)
                elif not is_in_front(self.fileno):  # it comes here again when it is
                    return
        finally:
            self._is_starting = False

    def stop_application_mode(self) -> None:
        self._mode = None
        super().stop_application_mode()

    def _sigtstp_application(self, *_: object) -> None:
        draws = self._auto_restart and self._mode is not None
        if draws:
            self.suspend_application_mode()
            self._is_put_away = self._must_signal_resume = True
        # As the terminal itself does it: to the whole job, with whatever has started this process, or the shell would
        # go on waiting. Where no shell could continue it, the kernel stops nothing.
        before = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(0 if draws else os.getpid(), signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, before)
        self._come_back()

    def _sigcont_application(self, *_: object) -> None:
        if self._is_put_away:
            self._come_back()
        elif self._auto_restart and self._mode is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._show_again)

    def _come_back(self) -> None:
        """Take the terminal again; from the background the process stops instead, and comes here once more."""
        if self._is_put_away:
            self.resume_application_mode()
            if not self._is_put_away:
                self._app.call_later(self._app.refresh, layout=True)

    def _show_again(self) -> None:
        """Draw everything anew: stopped without a word, nobody knows what stands on the terminal by now."""
        if self._mode is None or self._app._exit:
            return
        try:
            # From the background this stops the process until it is in front again.
            termios.tcsetattr(self.fileno, termios.TCSANOW, self._mode)
        except termios.error:
            return
        self.write(cast("TiregApp", self._app).pixels.farewell() + _APPLICATION)
        self._enable_mouse_support()
        self.flush()
        self._app.call_later(self._app.refresh, layout=True)
