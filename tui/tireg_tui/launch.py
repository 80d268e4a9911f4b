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
from typing import TYPE_CHECKING

from tireg_tui.first_paint import FirstPaint
from tireg_tui.registry_watch import RegistryWatch
from tireg_tui.silent_typing import SilentTyping
from tiregistry import settings

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

    app: TiregApp | None = None
    told = 0

    def leave(number: int, frame: FrameType | None) -> None:
        nonlocal told
        told = number
        if app is None:
            raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)
        # An event loop that waits for a key sleeps on after a signal; only this wakes it.
        leaving = partial(app.exit, return_code=128 + number)
        try:
            asyncio.get_running_loop().call_soon_threadsafe(leaving)
        except RuntimeError:  # it does not run yet, or no longer
            leaving()

    before = {number: signal.signal(number, leave) for number in _ENDINGS}
    if os.environ.get("NO_COLOR") == "":
        del os.environ["NO_COLOR"]  # by its definition an empty one asks for nothing; Textual takes it for a wish
    # Nothing that the start makes is garbage, and looking for it costs a seventh of the time to the first frame.
    gc.disable()
    silent = SilentTyping()
    asking = _Asking(images)
    # Textual reads the terminal from its start on, so all answers must have come before.
    asking.start()
    # The second processor, and the time that SQLite needs without Python, would else be idle during the imports.
    watch = RegistryWatch(reads_first_page=True)
    watch.start()
    paint = FirstPaint(silent)
    try:
        # Beside the imports it would take twice as long: both need the interpreter.
        # One that can only be read says so at the top, which no kept look does.
        if watch.wait_opened(_FIRST_PAINT_SECONDS) and watch.registry is not None and not watch.registry.readonly:
            asking.refuse()  # of settings that cannot be read it knows by now
            paint.show(settings.home(), watch.first_page)
        from textual import constants

        from tireg_tui.app import TiregApp

        terminal = asking.result()
        if terminal.protocol == "kitty":
            # A placeholder's colour is the picture's number, which fewer colours would round.
            setattr(constants, "COLOR_SYSTEM", "truecolor")  # noqa: B010  (it is declared final)
        if told:  # what a signal raises amid the end of an object's life is lost
            leave(told, None)
        app = TiregApp(terminal, driver_class=_driver(), watch=watch, paint=paint)
        app.run()
    finally:
        paint.leave()
        gc.enable()
        watch.stop()
        if app is None:  # nobody else waits for it
            watch.join(_ENDING_SECONDS)
        asking.join()
        silent.end()
        for number, handler in before.items():
            signal.signal(number, handler)
    code = app.return_code or 0
    if app.threads.are_left:  # the interpreter would wait for them
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code


def _driver() -> type | None:
    """The driver that is kind to terminals; None where Textual has another one (Windows)."""
    if sys.platform == "win32":
        return None
    from tireg_tui.terminal_driver import TerminalDriver

    return TerminalDriver
