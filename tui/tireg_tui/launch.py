"""Starting the TUI: terminal and registry are asked while Textual is imported; the terminal is left clean always."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import threading
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, Self

from tireg_tui.registry.watch import RegistryWatch
from tireg_tui.start.first_paint import FirstPaint
from tireg_tui.start.silent_typing import SilentTyping
from tiregistry import settings
from tiregistry.graphics.terminal import colors_of
from tiregistry.graphics.terminfo import colors_in_terminfo

if TYPE_CHECKING:
    from tireg_tui.app import TiregApp
    from tiregistry.graphics.terminal import Terminal


_ENDING_SECONDS = 1.0
_FIRST_PAINT_SECONDS = 0.2
"""Longest wait for the first words, which take a tenth of that, before Textual is imported."""
_ENDINGS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


class _Asking(threading.Thread):
    """Detection beside the imports, which take longer than a terminal that answers."""

    def __init__(self, images: str) -> None:
        super().__init__(name="tireg-detection")
        self._images = images
        self._found: Terminal | None = None
        self._error: BaseException | None = None

    def run(self) -> None:
        from tiregistry.graphics.detection import detect

        try:
            self._found = detect(self._images, in_ui=True)
        except BaseException as error:  # noqa: BLE001 (`refuse` raises it, in the thread that waits)
            self._error = error

    def refuse(self) -> None:
        """Raise what detection has raised by now."""
        if self._error is not None:
            raise self._error

    def result(self) -> Terminal:
        """What was found out; raises what detection raised."""
        self.join()
        self.refuse()
        assert self._found is not None
        return self._found


class _Endings:
    """Signals that end the app instead of the process, so that the terminal is left clean; as before afterwards."""

    def __init__(self) -> None:
        self.app: TiregApp | None = None
        """What a signal ends; while there is none, it raises."""
        self._told = 0

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._leave) for number in _ENDINGS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def raise_lost(self) -> None:
        """Raise again for a signal that came already: what one raises amid the end of an object's life is lost."""
        if self._told:
            self._leave(self._told, None)

    def _leave(self, number: int, frame: FrameType | None) -> None:
        self._told = number
        if self.app is None:
            raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)
        # An event loop that waits for a key sleeps on after a signal; only this wakes it.
        leaving = partial(self.app.exit, return_code=128 + number)
        try:
            asyncio.get_running_loop().call_soon_threadsafe(leaving)
        except RuntimeError:  # it does not run yet, or no longer
            leaving()


class _Start:
    """What runs beside the imports, which take longest: the terminal is asked and the registry opened.

    The terminal echoes nothing until the app has ended.
    """

    def __init__(self, images: str) -> None:
        self._images = images
        self.has_app = False
        """The app waits for the registry's thread; nobody else does."""

    def __enter__(self) -> Self:
        # Nothing that the start makes is garbage, and looking for it costs a seventh of the time to the first frame.
        gc.disable()
        self._silent = SilentTyping()
        # Textual reads the terminal from its start on, so all answers must have come before.
        self.asking = _Asking(self._images)
        self.asking.start()
        # The second processor, and the time that SQLite needs without Python, would else be idle during the imports.
        self.watch = RegistryWatch(reads_first_page=True)
        self.watch.start()
        self.paint = FirstPaint(self._silent)
        return self

    def __exit__(self, *_: object) -> None:
        self.paint.leave()
        gc.enable()
        self.watch.stop()
        if not self.has_app:
            self.watch.join(_ENDING_SECONDS)
        self.asking.join()
        self._silent.end()

    def show_first_page(self) -> None:
        """Paint the first words, before the imports: beside them it would take twice as long, as both need Python.

        A registry that can only be read says so at the top, which no kept look does.
        """
        watch = self.watch
        if watch.wait_opened(_FIRST_PAINT_SECONDS) and watch.registry is not None and not watch.registry.readonly:
            self.asking.refuse()  # of settings that cannot be read it knows by now
            self.paint.show(settings.home(), watch.first_page)


def run(images: str = "") -> int:
    """Open the TUI on this process's terminal and return the exit code.

    Args:
        images: how to show pictures, as `--images` takes it; wins over `TIREG_IMAGES` and the settings.

    Raises:
        InvalidConfig: `images`, `TIREG_IMAGES` or the settings name no way to show pictures.
    """
    if images or os.environ.get("TIREG_IMAGES"):
        from tiregistry.graphics.detection import wish

        wish(images)  # refused at once, before anything is loaded and the terminal is asked

    if os.environ.get("NO_COLOR") == "":
        del os.environ["NO_COLOR"]  # by its definition an empty one asks for nothing; Textual takes it for a wish
    if "TERM" in os.environ and colors_of(os.environ) == "none":
        os.environ["NO_COLOR"] = "1"  # what a terminal without colour asks for, too
    with _Endings() as endings, _Start(images) as start:
        start.show_first_page()
        from textual import constants

        from tireg_tui.app import TiregApp

        terminal = start.asking.result()
        if colors := _color_system(terminal):
            setattr(constants, "COLOR_SYSTEM", colors)  # noqa: B010  (it is declared final)
        endings.raise_lost()
        app = TiregApp(terminal, driver_class=_driver(), watch=start.watch, paint=start.paint)
        endings.app, start.has_app = app, True
        app.run()
    code = app.return_code or 0
    if app.threads.are_left:  # the interpreter would wait for them
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code


def _color_system(terminal: Terminal) -> str:
    """The colours that the terminal has, by their name in Rich; empty where Rich finds out, which knows fewer kinds."""
    if terminal.protocol == "kitty":
        return "truecolor"  # a placeholder's colour is the picture's number, which fewer colours would round
    if "TEXTUAL_COLOR_SYSTEM" in os.environ:
        return ""
    if colors_of(os.environ) == "truecolor":
        return "truecolor"
    return "256" if (colors_in_terminfo(os.environ) or 0) >= 256 else ""


def _driver() -> type | None:
    """The driver that is kind to terminals; None where Textual has another one (Windows)."""
    if sys.platform == "win32":
        return None
    from tireg_tui.terminal.driver import TerminalDriver

    return TerminalDriver
