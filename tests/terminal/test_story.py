"""The whole story by its keys alone: an empty registry, pictures, a training on the embedded base, drawing, the Hub."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from tests.hub_server import HubServer
from tests.terminal import double
from tests.terminal.double import TerminalDouble
from tests.terminal.running import PATIENCE, await_that, launched, out_of_the_field
from tireg_tui.places import PLACES
from tiregistry.graphics.fitting import Box, scaled
from tiregistry.registry.registry import Registry

ROBOT = Path(__file__).parents[1] / "data" / "concepts" / "objects" / "robot"
MODEL_SECONDS = 240.0
"""Until a process has loaded the embedded model and done a little with it, on a busy machine."""
TAB, CTRL_G, ESCAPE = "\t", "\x07", "\x1b"


def digit(place: str) -> str:
    """The key that leads to a place."""
    return next(known.digit for known in PLACES if known.id == place)


def shows(terminal: TerminalDouble, picture: Path) -> bool:
    """Whether a picture on the screen is, pixel for pixel, that of a file."""
    with Image.open(picture) as source:
        original = source.convert("RGB")
    return any(
        shown.whole and shown.image.tobytes() == scaled(original, Box(1, 1, *shown.image.size)).tobytes()
        for shown in terminal.screen.shown()
    )


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_from_nothing_to_the_hub(tmp_path: Path) -> None:
    home = tmp_path / "home"
    environment = {"TIREG_HUB_TOKEN": "alices-word", "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1"}
    environment |= {"OMP_NUM_THREADS": "1", "HF_HOME": str(tmp_path / "hf"), "HF_TOKEN": ""}
    with (
        HubServer() as hub,
        launched(home, double.KITTY, size=(150, 50), environment={**environment, "HF_ENDPOINT": hub.url}) as terminal,
    ):

        def expect(*texts: str, seconds: float = PATIENCE) -> None:
            found = await_that(terminal, lambda: all(text in terminal.screen.text() for text in texts), seconds)
            assert found, f"{texts} on\n{terminal.screen.text()}"

        expect("No words yet")
        terminal.type("n")
        expect("mirror")
        # After the pictures the type, after the initializer base, token, recipe and vectors, after the steps four more.
        terminal.type(f"robot{TAB}{ROBOT}{TAB}{TAB}robot{TAB * 5}4{TAB * 5}a photo of {{}}")
        expect("4 pictures", "Ctrl+G starts")
        assert await_that(terminal, lambda: shows(terminal, min(ROBOT.glob("*.png"))))
        terminal.type(CTRL_G)
        expect("robot", "finished", seconds=MODEL_SECONDS)
        with Registry.open(home) as registry:
            version = registry.version("robot")
            assert version.record()["steps"] == 4
            assert len(version.images) == 4

        terminal.type("o")
        expect("robot@1", "Learned from")
        terminal.type("p")
        expect("a photo of <robot>")
        for keys in (TAB, TAB, "1", TAB, "7", TAB, "2", CTRL_G):  # negative; one picture, seed 7, two steps
            terminal.type(keys)
            terminal.pump(0.2)
        pictures = home / "pictures"
        assert await_that(terminal, lambda: any(pictures.glob("*.png")), MODEL_SECONDS), terminal.screen.text()
        assert await_that(terminal, lambda: shows(terminal, next(pictures.glob("*.png")))), terminal.screen.text()

        terminal.type(ESCAPE)
        assert await_that(terminal, lambda: out_of_the_field(terminal))
        terminal.type(digit("library"))
        expect("1 word")
        terminal.type("P")
        expect("alice/robot will be created", "learned_embeds.safetensors", seconds=MODEL_SECONDS)
        terminal.type(CTRL_G)
        expect("Create and push")
        terminal.type("\x1b[C\r")
        assert await_that(terminal, lambda: "alice/robot" in hub.repos, MODEL_SECONDS), terminal.screen.text()
        assert await_that(terminal, lambda: any("learned_embeds" in path for path in files_of(hub))), files_of(hub)
        terminal.type(digit("queue"))
        expect("push robot@1 to alice/robot", "✓ done", seconds=MODEL_SECONDS)  # or leaving would ask
        terminal.type("q")
        await_that(terminal, lambda: terminal.ended)
        assert terminal.close() == 0


def files_of(hub: HubServer) -> list[str]:
    """What is in the repository now."""
    commit = hub.repos["alice/robot"].resolve("main")
    return sorted(commit.files) if commit is not None else []
