"""The TUI on a terminal double, and a registry with a picture for every screen."""

from __future__ import annotations

import io
import json
import os
import re
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from PIL import Image

from tests.terminal.double import Brand, TerminalDouble
from tests.tui.conftest import add_version, picture
from tiregistry.graphics.fitting import Box, scaled
from tiregistry.registry.registry import Registry
from tiregistry.training.events import PreviewMade, Started
from tiregistry.training.journal import Journal

PATH = "import json, sys\nsys.path[:0] = json.loads(sys.argv[1])\n"
START = "import sys\nfrom tireg_tui.launch import run\nsys.exit(run())\n"
LAUNCH = PATH + START
PATIENCE = 120.0


def launched(
    home: Path,
    brand: Brand,
    *,
    code: str = START,
    patience: float = PATIENCE,
    environment: Mapping[str, str] | None = None,
    delay: float = 0.0,
    size: tuple[int, int] = (120, 40),
    ignores_hangups: bool = False,
) -> TerminalDouble:
    """Start the TUI on a registry.

    Args:
        patience: seconds that detection waits for answers; by default as many as a busy machine may need.
    """
    patient = f"from tiregistry.graphics import asking\nasking.LOCAL_SECONDS = {patience}\n"
    command = [sys.executable, "-c", PATH + patient + code, json.dumps([entry for entry in sys.path if entry])]
    variables = {"TIREG_HOME": str(home)} | dict(environment or {})
    return TerminalDouble(command, brand, *size, environment=variables, delay=delay, ignores_hangups=ignores_hangups)


def await_that(terminal: TerminalDouble, condition: Callable[[], object], seconds: float = PATIENCE) -> bool:
    """Let the program run until something is so; whether it came to be."""
    end = time.monotonic() + seconds
    while not terminal.ended and time.monotonic() < end and not condition():
        terminal.pump(0.1)
    return bool(condition())


def out_of_the_field(terminal: TerminalDouble) -> bool:
    """Whether the keys are commands now: before, an Escape and a digit could still be taken for Alt with a digit."""
    return re.search(r"(?<!\^)q Quit", terminal.screen.text()) is not None


def expected(color: str, size: tuple[int, int]) -> Image.Image:
    """The picture of a colour as it must arrive in a box of pixels."""
    return scaled(Image.open(io.BytesIO(picture(color))), Box(1, 1, *size))


def one_word(folder: Path) -> Path:
    """A registry of one word with a red picture."""
    with Registry.open(folder) as registry:
        add_version(registry, "gnome", 1, color="red")
    return folder


def a_picture_for_every_screen(folder: Path) -> Path:
    """A registry whose word was learned from a red picture, drew a green one, and is trained with a blue preview."""
    with Registry.open(folder) as registry:
        add_version(registry, "gnome", 1, color="red")
        made = folder / "pictures" / "0001.png"
        made.parent.mkdir()
        made.write_bytes(picture("lime"))
        version = registry.version("gnome")
        registry.add_picture(made, "a <gnome>", {"prompt": "a <gnome>", "seed": 3}, words=[version.digest])
        run = registry.create_run("gnome", {"base": {"name": "tiny"}, "background": True}, 60, "cpu")
        now = time.time()
        registry.update_run(run.id, status="running", pid=os.getpid(), started_at=now, heartbeat_at=now + 3600, step=30)
        journal = Journal(registry.home / "runs" / run.id)
        journal.add(Started(run.id, 0, 60, "cpu", 3, 1))
        blob = registry.blobs.add(picture("blue"))
        journal.add(PreviewMade(30, "a photo of {}", 7, blob, "preview/0030.png", run.id))
    photos = folder.parent / "photos"
    photos.mkdir()
    (photos / "one.png").write_bytes(picture("yellow"))
    return folder
