"""A real registry with pictures, versions, tags and losses, and a pilot that presses real keys."""

from __future__ import annotations

import asyncio
import inspect
import io
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
from PIL import Image
from textual.pilot import Pilot

from tireg_tui.app import TiregApp
from tireg_tui.registry import follower
from tireg_tui.widgets.concept_table import ConceptTable
from tiregistry.concepts import Fingerprint, NewVersion, SourceImage
from tiregistry.embeddings.embedding import Embedding
from tiregistry.graphics.terminal import Terminal
from tiregistry.registry.registry import Registry
from tiregistry.training.events import Notice, PreviewMade, Started, StepDone
from tiregistry.training.journal import Journal

BASE = Fingerprint("sd1", "sha256:" + "a" * 64, "sha256:" + "b" * 64, "sha256:" + "c" * 64)
T = TypeVar("T")
Story = Callable[[Pilot[None]], Awaitable[T]]


def picture(color: str) -> bytes:
    """A PNG with a square of a colour on a gradient."""
    ramp = Image.linear_gradient("L").resize((64, 64))
    image = Image.merge("RGB", (ramp, ramp, ramp))
    image.paste(color, (16, 16, 48, 48))
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def add_version(registry: Registry, name: str, seed: int, *, color: str = "", concept_type: str = "object") -> None:
    """Register a version, with a picture when a colour is given."""
    images = ()
    if color:
        images = (SourceImage(registry.blobs.add(picture(color)), f"{color}.png", 64, 64),)
    values = np.random.default_rng(seed).normal(size=(1, 16)).astype("float32")
    new = NewVersion(
        name,
        f"<{name}>",
        "style" if concept_type == "style" else "object",
        "trained",
        BASE,
        "tiny",
        images=images,
        training={"initializer": "thing", "recipe": "direction", "seed": seed},
        record={"loss": [1 / (step + 1) for step in range(60)], "seconds": 12.5, "steps": 60},
    )
    registry.add_version(new, Embedding({"clip_l": values}))


def add_three_words(registry: Registry) -> None:
    """gnome with three versions, mug, inkwash."""
    add_version(registry, "inkwash", 1, concept_type="style")
    add_version(registry, "mug", 2, color="blue")
    for seed, color in enumerate(("red", "green", "yellow")):
        add_version(registry, "gnome", 10 + seed, color=color)
    registry.tag("gnome", add=["garden"])
    registry.set_alias("gnome@2", "best")


def add_run_at_work(registry: Registry) -> str:
    """A run that says it is at work in this very process, at step 30 of 60; its id."""
    run = registry.create_run("gnome", {"base": {"name": "tiny"}, "background": True}, 60, "cpu")
    now = time.time()
    registry.update_run(run.id, status="running", pid=os.getpid(), started_at=now, heartbeat_at=now + 3600, step=30)
    journal = Journal(registry.home / "runs" / run.id)
    journal.add(Started(run.id, 0, 60, "cpu", 3, 1))
    for step in range(1, 31):
        journal.add(StepDone(step, 1 / step, 0.01, 2.0, run.id))
    blob = registry.blobs.add(picture("red"))
    journal.add(PreviewMade(30, "a photo of {}", 7, blob, "preview/0030.png", run.id))
    journal.add(Notice("memory is short: halved the batch"))
    return run.id


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A registry of three words: gnome with three versions, mug, inkwash."""
    folder = tmp_path / "home"
    with Registry.open(folder) as registry:
        add_three_words(registry)
    return folder


@pytest.fixture(autouse=True)
def in_24_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Colours are those of the themes, whatever terminal the tests are started in."""
    monkeypatch.setenv("COLORTERM", "truecolor")


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine opening a registry may take longer than a user is left without a word about it."""
    monkeypatch.setattr(follower, "_OPENING_SECONDS", 60.0)
    monkeypatch.setattr(follower, "_ENDING_SECONDS", 60.0)


class Talkative(TiregApp):
    """Keeps what it says: a message goes after seconds, and a busy machine takes longer to look."""

    CSS_PATH = Path(inspect.getfile(TiregApp)).with_name("styles.tcss")

    def __init__(self, terminal: Terminal, home: Path) -> None:
        self.said: list[str] = []
        super().__init__(terminal, home)

    def notify(self, message: str, **options: Any) -> None:
        self.said.append(f"{options.get('title', '')} {message}")
        super().notify(message, **options)


def drive(home: Path, story: Story[T], *, size: tuple[int, int] = (120, 36), terminal: Terminal | None = None) -> T:
    """Run the app on a registry and tell it a story."""

    async def run() -> T:
        app = Talkative(terminal or Terminal("halfblocks"), home)
        async with app.run_test(size=size) as pilot:
            await settle(pilot)
            return await story(pilot)

    return asyncio.run(run())


async def settle(pilot: Pilot[None]) -> None:
    """Wait until no work is under way and everything is drawn."""
    for _ in range(3):
        await pilot.pause()
        while any(not worker.is_finished for worker in pilot.app.workers if worker.group not in _LONG):
            await asyncio.sleep(0.005)
    await pilot.pause()


async def until(pilot: Pilot[None], condition: Callable[[], object], seconds: float = 60.0) -> None:
    """Wait until something is so; fail when it does not come to be."""
    found = await comes_to_be(pilot, condition, seconds)
    assert found, f"it did not come to be; on the screen:\n{screen_text(pilot)}"


async def comes_to_be(pilot: Pilot[None], condition: Callable[[], object], seconds: float = 20.0) -> bool:
    """Wait until something is so; whether it came to be."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        await pilot.pause(0.05)
    await pilot.pause()
    return True


_LONG = ("make", "doctor", "needs", "hub", "transfer", "_loader")
"""Groups of workers that wait for other processes, and that of a tree of folders, which waits for the next folder."""


def app_of(pilot: Pilot[None]) -> TiregApp:
    """The app, by its own type."""
    assert isinstance(pilot.app, TiregApp)
    return pilot.app


def table(pilot: Pilot[None]) -> ConceptTable:
    """The library's words."""
    return pilot.app.screen.query_one(ConceptTable)


def screen_text(pilot: Pilot[None]) -> str:
    """Everything on the screen as text."""
    screen = pilot.app.screen
    lines = screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in line) for line in lines)


def notices(pilot: Pilot[None]) -> str:
    """Everything that was said in messages, also what is no longer shown."""
    app = pilot.app
    return "\n".join(app.said) if isinstance(app, Talkative) else ""


def still_said(pilot: Pilot[None]) -> list[str]:
    """The titles of the messages that stand there now."""
    return [notification.title for notification in pilot.app._notifications]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "my photos"
    folder.mkdir()
    for number, color in enumerate(("red", "green", "blue")):
        (folder / f"{number}.png").write_bytes(picture(color))
    return folder
