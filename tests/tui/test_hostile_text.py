"""Hostile text on every screen: no control character reaches the terminal, and nothing in a name is markup."""

from __future__ import annotations

import contextlib
import fcntl
import importlib
import json
import os
import pkgutil
import pty
import select
import shlex
import struct
import sys
import termios
import time
from pathlib import Path

import pytest
from textual.events import Paste
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Input, TabbedContent, TabPane

import tireg_tui.screens
from tests.hostile import EVIL, EVIL_ARGUMENT, EVIL_NAME, check, evil_picture, fill
from tests.hub_server import Fault, HubServer
from tests.tui.conftest import app_of, drive, screen_text, settle
from tests.tui.test_hub import server, until
from tireg_tui.screens.choose import Choose
from tireg_tui.screens.compose import Compose
from tireg_tui.screens.export_word import ExportWord
from tireg_tui.screens.form import Form
from tireg_tui.screens.import_words import ImportWords
from tireg_tui.screens.keeping import KeepingDialog
from tireg_tui.screens.pick_pictures import PickPictures
from tireg_tui.screens.place import Place
from tireg_tui.screens.press_key import PressKey
from tireg_tui.screens.pull import PullDialog
from tireg_tui.screens.push import PushPage
from tireg_tui.screens.stop_run import StopRun
from tireg_tui.screens.trouble import Trouble
from tireg_tui.screens.type_name import TypeName
from tireg_tui.widgets.table import Table
from tiregistry.errors import TiregError
from tiregistry.graphics.terminal import Terminal
from tiregistry.registry.registry import Registry

__all__ = ["server"]  # a fixture

WITHOUT_PICTURES = Terminal("off")
"""Pictures hold no text, but drawing them takes time."""


class Watched:
    """What was looked at, and how."""

    def __init__(self) -> None:
        self.screens: set[str] = set()
        self.text = ""

    async def look(self, pilot: Pilot[None]) -> str:
        """Check everything that is on the screen now."""
        await settle(pilot)
        screen = pilot.app.screen
        self.screens.add(type(screen).__name__)
        lines = screen._compositor.render_strips()
        for line in lines:
            for segment in line:
                if not segment.control:
                    check(segment.text, allowed="")
                    meta = segment.style.meta if segment.style else {}
                    assert "app.quit" not in str(meta.get("@click", "")), "hostile text has become a link"
        self.text = "\n".join("".join(segment.text for segment in line) for line in lines)
        return self.text


@pytest.fixture
def evil(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a registry full of hostile text, also in what the app remembers and in the environment."""
    home = tmp_path / "home"
    with Registry.open(home) as registry:
        fill(registry, tmp_path)
        registry.tag("gnome", add=["garden"])
    remembered = {"filter": f'"gnome" {EVIL_ARGUMENT}', "prompt": EVIL, "concept": EVIL, "sort": EVIL}
    (home / "tui.json").write_text(json.dumps(remembered))
    for name in ("HF_ENDPOINT", "TERM_PROGRAM", "TMUX"):
        monkeypatch.setenv(name, EVIL_ARGUMENT)
    report = {"machine": {"facts": {EVIL: EVIL, "device": EVIL}, "problems": [EVIL]}}

    async def answer(*_: object) -> str:
        return json.dumps(report)

    monkeypatch.setattr("tireg_tui.screens.doctor.output_of", answer)
    return home


async def paste(pilot: Pilot[None], text: str) -> None:
    """What comes from the clipboard."""
    pilot.app.screen.post_message(Paste(text))
    await settle(pilot)


async def library_and_concept(pilot: Pilot[None], watched: Watched) -> None:
    assert "owned" in await watched.look(pilot)  # in the filter, which was remembered
    pilot.app.screen.query_one("#filter", Input).value = ""
    await pilot.press("escape")
    assert "<gnome>" in await watched.look(pilot)
    await pilot.press("slash")
    await paste(pilot, EVIL)
    await watched.look(pilot)
    await pilot.press("escape", "escape")
    await settle(pilot)
    for key in ("t", "D", "question_mark", "ctrl+p"):
        await pilot.press(key)
        await watched.look(pilot)
        await paste(pilot, EVIL)
        await watched.look(pilot)
        await pilot.press("escape")
        await settle(pilot)
    await pilot.press("enter")
    assert "owned" in await watched.look(pilot)
    for pane in pilot.app.screen.query(TabPane):
        pilot.app.screen.query_one(TabbedContent).active = str(pane.id)
        await watched.look(pilot)
    await pilot.press("equals_sign")
    assert "owned" in await watched.look(pilot)
    for key in ("e", "a", "t", "D"):
        await pilot.press(key)
        await watched.look(pilot)
        await pilot.press("escape")
        await settle(pilot)


async def training(pilot: Pilot[None], watched: Watched, photos: Path) -> None:
    await pilot.press("n")
    await watched.look(pilot)
    for field in ("name", "init", "token", "base", "pictures"):
        pilot.app.screen.query_one(f"#{field}", Input).value = str(photos) if field == "pictures" else EVIL
    assert "owned" in await watched.look(pilot)
    await pilot.press("ctrl+g")
    await watched.look(pilot)
    await pilot.press("escape", "escape")
    await settle(pilot)


async def runs(pilot: Pilot[None], watched: Watched) -> None:
    await pilot.press("2")
    assert "owned" in await watched.look(pilot)
    await pilot.press("X")  # it waits
    await watched.look(pilot)
    await pilot.press("escape")
    pilot.app.push_screen(StopRun(EVIL))  # as of one that is under way
    await settle(pilot)
    assert "owned" in await watched.look(pilot)
    await pilot.press("escape", "down")
    assert "owned" in await watched.look(pilot)
    await pilot.press("D")
    await watched.look(pilot)
    await pilot.press("escape")


async def composing(pilot: Pilot[None], watched: Watched) -> None:
    await pilot.press("3")
    assert "owned" in await watched.look(pilot)
    screen = pilot.app.screen
    assert isinstance(screen, Compose)
    screen.take_prompt(f"<{EVIL}> and <gnome@")
    await watched.look(pilot)
    screen.query_one("#negative", Input).value = EVIL
    screen.query_one("#seed", Input).value = EVIL
    await watched.look(pilot)
    await pilot.press("ctrl+g")
    await watched.look(pilot)
    history = screen.query_one("#history", Table)
    history.focus()
    for key in ("enter", "R", "y"):
        await pilot.press(key)
        await watched.look(pilot)


async def settings_and_queue(pilot: Pilot[None], watched: Watched) -> None:
    await pilot.press("escape", "5")
    assert "owned" in await watched.look(pilot)
    await pilot.press("6")
    await watched.look(pilot)
    for _ in range(4):
        await pilot.press("down", "enter")
        await watched.look(pilot)
        await pilot.press("escape")
        await settle(pilot)
        if pilot.app.screen.is_modal:
            await pilot.press("escape")


async def dialogs(pilot: Pilot[None], watched: Watched, folder: Path) -> None:
    """Those that are hard to come by otherwise."""
    for dialog in (
        Choose(EVIL, [EVIL, "other"], EVIL),
        PressKey(EVIL),
        TypeName(EVIL, EVIL, EVIL, "Push"),
        PickPictures(folder),
        ExportWord(EVIL, [EVIL], lambda path, format_id: []),
    ):
        await pilot.app.push_screen(dialog)
        assert "owned" in await watched.look(pilot)
        await pilot.press("j" if isinstance(dialog, PickPictures) else "down")
        await watched.look(pilot)
        await pilot.press("escape")
        await settle(pilot)


async def importing(pilot: Pilot[None], watched: Watched, folder: Path) -> None:
    registry = app_of(pilot).registry
    assert registry is not None
    for name in ("emb.safetensors", "emb.pt"):
        (folder / f"{EVIL_NAME}.{name}").write_bytes(b"no embedding")
    await pilot.app.push_screen(ImportWords(registry))
    pilot.app.screen.query_one(Input).value = shlex.quote(str(folder))
    assert "owned" in await watched.look(pilot)
    await pilot.press("escape")
    await settle(pilot)


async def messages(pilot: Pilot[None], watched: Watched) -> None:
    app = app_of(pilot)
    app.report(TiregError(EVIL, EVIL))
    app.report(OSError(2, EVIL, EVIL))
    app.say(EVIL, title="Said")
    assert "owned" in await watched.look(pilot)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_screen_shows_hostile_text_safely(evil: Path, tmp_path: Path) -> None:
    photos = tmp_path / EVIL_NAME
    photos.mkdir()
    (photos / f"{EVIL_NAME}.png").write_bytes(evil_picture())
    (photos / f"{EVIL_NAME}.jpg").write_bytes(b"no picture")
    watched = Watched()

    async def story(pilot: Pilot[None]) -> None:
        await library_and_concept(pilot, watched)
        await training(pilot, watched, photos)
        await runs(pilot, watched)
        await composing(pilot, watched)
        await settings_and_queue(pilot, watched)
        await pilot.press("escape", "7")
        await until(pilot, lambda: "owned" in screen_text(pilot))
        assert "owned" in await watched.look(pilot)
        await dialogs(pilot, watched, photos.parent)
        await importing(pilot, watched, photos)
        await messages(pilot, watched)

    drive(evil, story, terminal=WITHOUT_PICTURES)

    async def trouble(pilot: Pilot[None]) -> None:
        assert "owned" in await watched.look(pilot)
        assert isinstance(pilot.app.screen, Trouble)

    broken = tmp_path / "broken" / EVIL_NAME
    broken.mkdir(parents=True)
    (broken / "registry.db").write_bytes(b"no database")
    drive(broken, trouble)
    missing = {screen.__name__ for screen in all_screens()} - watched.screens - ON_THE_HUB
    assert not missing, f"nobody has looked at {missing} with hostile text: add a visit to this test"


ON_THE_HUB = {"HubScreen", "PullDialog", "PushPage"}
"""Looked at by the next test."""


@pytest.mark.slow
def test_the_hubs_screens_show_hostile_text_safely(evil: Path, server: HubServer) -> None:
    card = {"tags": ["textual_inversion", EVIL], "license": EVIL, "base_model": EVIL, "tireg": {"token": EVIL}}
    repo = server.repos["bob/lantern"]
    repo.put("README.md", f"---\n{json.dumps(card)}\n---\n# {EVIL}\n\n{EVIL}\n".encode())
    repo.commit("main", {**repo.head.files, f"{EVIL_NAME}.png": repo.head.files["README.md"]}, EVIL, EVIL)
    watched = Watched()

    async def story(pilot: Pilot[None]) -> None:
        app_of(pilot).action_go("hub")
        await watched.look(pilot)
        await pilot.press("slash")
        pilot.app.screen.query_one(Input).value = "lan"
        await pilot.press("enter")
        await until(pilot, lambda: "bob/lantern" in screen_text(pilot))
        await watched.look(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: "owned" in screen_text(pilot))
        await watched.look(pilot)
        await pilot.press("U")
        await until(pilot, lambda: isinstance(pilot.app.screen, PullDialog))
        await watched.look(pilot)
        await pilot.press("escape")
        app_of(pilot).push_word("gnome@2")
        await pilot.pause()
        page = pilot.app.screen
        assert isinstance(page, PushPage)
        await until(pilot, lambda: page._plan is not None)
        await watched.look(pilot)
        await pilot.press("escape")
        server.faults = [Fault.status("/api/", 403, error=EVIL, times=None)]
        pilot.app.screen.query_one(Input).value = "other"
        await pilot.press("slash", "enter")
        await until(pilot, lambda: "could not be asked" in screen_text(pilot))
        await watched.look(pilot)

    drive(evil, story, size=(150, 45), terminal=WITHOUT_PICTURES)
    assert watched.screens >= ON_THE_HUB


def all_screens() -> set[type[Screen[object]]]:
    """Every screen that the app has, without those that others are only made from."""
    found: set[type[Screen[object]]] = set()
    for module in pkgutil.iter_modules(tireg_tui.screens.__path__):
        members = vars(importlib.import_module(f"tireg_tui.screens.{module.name}")).values()
        found |= {m for m in members if isinstance(m, type) and issubclass(m, Screen) and "tireg_tui" in m.__module__}
    return found - {Place, Form, KeepingDialog}


def test_what_a_widget_forgets_is_caught_before_the_terminal(home: Path) -> None:
    """The last line: whatever a widget renders raw, its controls never come into a frame."""
    from textual.widgets import Label, Markdown, Static, TextArea

    watched = Watched()

    async def story(pilot: Pilot[None]) -> None:
        screen = pilot.app.screen
        hostile = EVIL.replace("[/nope]", "")
        for widget in (Static(hostile, markup=False), Label(hostile, markup=False), Markdown(hostile), Input(hostile)):
            await screen.mount(widget)
            await watched.look(pilot)
            await widget.remove()
        await screen.mount(TextArea(hostile))
        await watched.look(pilot)

    drive(home, story)


NEEDLES = (
    "\x1b]0;owned",
    "\x1b]8;;http://evil",
    "\x9b31m",
    "\u202e",
    "\u2066",
    "\u200b",
    "\ufeff",
    "\xad",
    "\U000e0041",
)
"""Parts of the hostile text that nothing else writes."""


@pytest.mark.slow
def test_what_a_real_terminal_is_sent(evil: Path) -> None:
    """Through a pseudo-terminal: frames, titles, messages, the clipboard, all that goes out."""
    child, terminal = pty.fork()
    if child == 0:
        os.environ |= {"TERM": "xterm-256color", "TIREG_HOME": str(evil), "PYTHONPATH": os.pathsep.join(PATHS)}
        os.execv(sys.executable, [sys.executable, "-m", "tireg_cli", "tui", "--images", "off"])
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    sent = read_until_quiet(terminal, first=60.0)
    for keys in (
        "\x1b",
        "\r",
        "=",
        "e",
        "\x1b",
        "\x1b",
        "2",
        "\x1b[B",
        "3",
        "\x1b",
        "4",
        "5",
        "6",
        "1",
        "y",
        "?",
        "\x1b",
        "q",
    ):
        os.write(terminal, keys.encode())
        sent += read_until_quiet(terminal)
    deadline = time.monotonic() + 120
    while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0):
        assert time.monotonic() < deadline
        for keys in ("\x1b", "q"):  # a busy machine may have taken a key for part of the one before
            with contextlib.suppress(OSError):
                os.write(terminal, keys.encode())
            sent += read_until_quiet(terminal, first=1.0)
    assert os.waitstatus_to_exitcode(ended[1]) == 0
    os.close(terminal)
    text = sent.decode("utf-8", "replace")
    assert "<gnome>" in text
    assert "owned" in text
    assert not [ascii(needle) for needle in NEEDLES if needle in text]


PATHS = [str(Path(__file__).parents[2] / folder) for folder in ("cli", "tui", ".")]


def read_until_quiet(terminal: int, *, first: float = 5.0, quiet: float = 0.4) -> bytes:
    """What comes until nothing has come for a while; `first` seconds are given for the first byte."""
    got = b""
    while select.select([terminal], [], [], quiet if got else first)[0]:
        try:
            piece = os.read(terminal, 100_000)
        except OSError:
            break
        if not piece:
            break
        got += piece
    return got
