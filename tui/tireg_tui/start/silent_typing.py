"""What is typed before the app draws is kept for it, and not written over what the terminal shows by then."""

from __future__ import annotations

import sys
from contextlib import suppress

from tiregistry.graphics.foreground import is_in_front


class SilentTyping:
    """The terminal echoes nothing from the beginning of this to its `end`."""

    def __init__(self) -> None:
        self._terminal, self._mode = -1, None
        try:
            import termios
        except ImportError:  # Windows
            return
        if sys.__stdin__ is None:
            return
        with suppress(OSError, ValueError, termios.error):
            terminal = sys.__stdin__.fileno()
            # Changing the terminal's mode from the background would stop the process.
            if not is_in_front(terminal):
                return
            mode = termios.tcgetattr(terminal)
            silent = [*mode]
            silent[3] &= ~termios.ECHO
            self._terminal, self._mode = terminal, mode
            termios.tcsetattr(terminal, termios.TCSANOW, silent)

    def end(self) -> None:
        """Give the terminal the mode back that it had. Whoever else changes it meanwhile must have done so by now."""
        if self._mode is None:
            return
        import termios

        with suppress(termios.error):
            termios.tcsetattr(self._terminal, termios.TCSANOW, self._mode)
        self._mode = None
