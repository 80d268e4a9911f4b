"""Takes the README's picture of the terminal UI: a real xterm on a virtual screen, with its pictures as sixel.

TIREG_HOME=~/words tireg demo                               # words to show, if there are none
python tools/make_screenshot.py ~/words                      # Compose; writes docs/images/tui.png
python tools/make_screenshot.py ~/words --keys 1 Return --to word.png

Needs Xvfb, xterm, xdotool and ImageMagick's `import`.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SIZE = (1200, 800)
TITLE = "tireg screenshot"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("home", type=Path, help="a registry with words and pictures")
    parser.add_argument("--keys", nargs="*", default=["3"], help="what is pressed first, as xdotool calls the keys")
    parser.add_argument("--to", type=Path, default=ROOT / "docs" / "images" / "tui.png")
    parser.add_argument("--wait", type=float, default=15.0, metavar="SECONDS", help="for the pictures; longer if busy")
    arguments = parser.parse_args()
    with screen() as display, terminal(display, arguments.home.resolve()) as environment:
        time.sleep(arguments.wait)
        window = subprocess.check_output(["xdotool", "search", "--name", TITLE], env=environment, text=True).split()[0]
        for key in arguments.keys:
            # A window without a window manager has the focus only when it is given it.
            press = ["xdotool", "windowfocus", "--sync", window, "key", "--delay", "200", key]
            subprocess.run(press, env=environment, check=True)
            time.sleep(1.0)
        time.sleep(arguments.wait)
        arguments.to.parent.mkdir(parents=True, exist_ok=True)
        command = [
            "import",
            "-silent",
            "-window",
            window,
            "-depth",
            "8",
            "+dither",
            "-colors",
            "255",
            str(arguments.to),
        ]
        subprocess.run(command, env=environment, check=True)


@contextmanager
def screen() -> Iterator[str]:
    """A virtual screen; its name."""
    read, write = os.pipe()
    command = ["Xvfb", "-displayfd", str(write), "-screen", "0", f"{SIZE[0]}x{SIZE[1]}x24", "-nolisten", "tcp"]
    server = subprocess.Popen(command, pass_fds=[write], stderr=subprocess.DEVNULL)
    os.close(write)
    try:
        yield f":{os.read(read, 16).decode().strip()}"
    finally:
        os.close(read)
        server.terminate()
        server.wait()


@contextmanager
def terminal(display: str, home: Path) -> Iterator[dict[str, str]]:
    """The UI in an xterm; the environment to reach it in."""
    environment = {
        name: value for name, value in os.environ.items() if name not in ("TMUX", "NO_COLOR", "TIREG_IMAGES")
    }
    # Over ssh the terminal is given more time to answer, which a busy machine needs too.
    environment |= {"DISPLAY": display, "TIREG_HOME": str(home), "LC_ALL": "C.UTF-8", "SSH_TTY": "/dev/pts/0"}
    environment["HOME"] = str(home.parent)  # the top line shows the registry's folder
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "cli"), str(ROOT / "tui")])
    command = [
        *("xterm", "-title", TITLE, "-xrm", "XTerm*allowTitleOps: false", "-ti", "vt340"),
        *("-geometry", "128x38+0+0", "-fa", "DejaVuSansMono", "-fs", "11", "-b", "0", "+sb"),
        *("-e", "env", "COLORTERM=truecolor", "TERM=xterm-256color", sys.executable, "-m", "tireg_cli", "tui"),
    ]
    window = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    try:
        yield environment
    finally:
        window.terminate()
        window.wait()


if __name__ == "__main__":
    main()
