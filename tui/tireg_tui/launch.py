"""Starting the TUI: the terminal is asked first, then Textual is imported, and the terminal is left clean whatever
happens."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType


def run(images: str = "") -> int:
    """Open the TUI on this process's terminal and return the exit code.

    Args:
        images: how to show pictures, as `--images` takes it; wins over `TIREG_IMAGES` and the settings.

    Raises:
        InvalidConfig: `images`, `TIREG_IMAGES` or the settings name no way to show pictures.
    """
    from tiregistry.graphics.detection import detect

    # Textual reads the terminal from its start on, so all questions must be asked before.
    terminal = detect(images)
    if terminal.protocol == "kitty":
        # A placeholder's colour is the picture's number, which fewer colours would round; Textual reads this when it
        # is imported.
        os.environ["TEXTUAL_COLOR_SYSTEM"] = "truecolor"
    from tireg_tui.app import TiregApp
    from tireg_tui.terminal_replies import swallow_replies

    swallow_replies()
    app = TiregApp(terminal)

    def leave(number: int, frame: FrameType | None) -> None:
        app.exit(return_code=128 + number)

    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        app.run()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        farewell = app.pixels.farewell()
        if farewell and sys.__stderr__ is not None:
            sys.__stderr__.write(farewell)
            sys.__stderr__.flush()
    return app.return_code or 0
