"""The library's words before Textual is there: the same frame that it draws then, and a terminal left clean."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest

from tests.terminal import double
from tests.terminal.double import TerminalDouble
from tests.terminal.running import START, await_that, launched
from tests.terminal.screen import Screen
from tireg_tui.start.first_look import Box, FirstLook, Piece, keep_look, key_of, read_look
from tireg_tui.start.first_page import FirstPage
from tireg_tui.start.first_paint import ENTER_SCREEN, painted
from tiregistry.concepts import Concept
from tiregistry.registry.registry import Registry

DAY = 86400
# What Textual turns on when it takes the terminal over.
TAKEN_OVER = b"\x1b[?1004h"
SAYS_SOMETHING = """
from tireg_tui.app import TiregApp
ready, over = TiregApp.on_ready, TiregApp._start_is_over
TiregApp.on_ready = lambda app: (app.say("look at this"), ready(app))
TiregApp._start_is_over = lambda app: (over(app), app.write_to_terminal("\\x1b]2;start is over\\x07"))
sys.exit(run())
"""
# However busy the machine is, the words are waited for.
PATIENT = START.replace("import sys", "import sys, tireg_tui.launch\ntireg_tui.launch._FIRST_PAINT_SECONDS = 60")
BEGIN_OF_FRAME, END_OF_FRAME = b"\x1b[?2026h", b"\x1b[?2026l"
LOOK = FirstLook((Piece(0, 0, "\x1b[1mtireg\x1b[0m"),), Box(0, 2, 40, 3), Box(0, 5, 40, 1), False, ("", "", "", "", ""))


def words(folder: Path, count: int) -> Path:
    """A registry of words that were last changed ten days ago, so that their times stand still."""
    with Registry.open(folder) as registry:
        for number in range(count):
            registry.create_concept(f"word-{number:02d}", f"<word-{number:02d}>", "object")
        with registry.database.write() as connection:
            connection.execute("update concepts set updated_at = ? - id", [time.time() - 10 * DAY])
    return folder


def look_taken(home: Path) -> Path:
    """The same registry, after the library was opened once on such a terminal."""
    with launched(home, double.PLAIN, code=PATIENT) as terminal:
        assert await_that(terminal, (home / "tui-look.json").is_file)
        terminal.type("q")  # a process that is killed may leave a registry that the next must recover first
        assert terminal.wait(60) == 0
    return home


def before_the_app(terminal: TerminalDouble) -> Screen:
    """What stood on the screen when Textual took it over; however late that is looked at."""
    assert await_that(terminal, lambda: TAKEN_OVER in terminal.received)
    screen = Screen(terminal.columns, terminal.rows, terminal.cell)
    screen.feed(terminal.received[: terminal.received.index(TAKEN_OVER)])
    return screen


def diagnosis(home: Path, terminal: TerminalDouble) -> str:
    """What a first paint depends on, for when there was none."""
    looks = json.loads((home / "tui-look.json").read_text(encoding="utf-8"))
    scrolls = {key: look["scrolls"] for key, look in looks.items()}
    with Registry.open(home) as registry:
        readonly = registry.readonly
    size = os.get_terminal_size(terminal._handle)
    return f"looks {scrolls}, read-only {readonly}, size {size}, files {sorted(os.listdir(home))}"


def left_of_the_detail(screen: Screen) -> list[list[tuple[str, str, str]]]:
    lines = screen.looks()
    edge = next(x for x, cell in enumerate(lines[2]) if cell[0] == "│")
    lines[0] = lines[0][:60]  # what the terminal has answered stands at its end
    # The colour of what would be written on a blank cannot be seen.
    return [[(text, "" if text == " " else color, ground) for text, color, ground in line[:edge]] for line in lines]


@pytest.mark.parametrize("count", [3, 150])
def test_words_are_there_before_textual_which_then_draws_the_same(tmp_path: Path, count: int) -> None:
    home = look_taken(words(tmp_path / "home", count))
    with launched(home, double.PLAIN, code=PATIENT) as terminal:
        first = before_the_app(terminal)
        assert "<word-02>" in first.text()
        assert f"{count} words" in first.text()
        taken_over = terminal.received.index(TAKEN_OVER)
        assert await_that(terminal, lambda: b"<word-02>" in terminal.received[taken_over:])
        assert await_that(terminal, lambda: left_of_the_detail(terminal.screen) == left_of_the_detail(first))
        assert terminal.received.count(ENTER_SCREEN.encode()) == 1
        for frame in terminal.received[taken_over:].split(END_OF_FRAME):
            first.feed(frame)
            assert "<word-02>" in first.text(), "the words went away again"
        terminal.type("q")
        assert terminal.wait(60) == 0
        assert not terminal.screen.in_alternate


def test_what_changed_since_is_what_is_shown(tmp_path: Path) -> None:
    home = look_taken(words(tmp_path / "home", 4))
    with Registry.open(home) as registry:
        registry.remove("word-01")
    with launched(home, double.PLAIN, code=PATIENT) as terminal:
        text = before_the_app(terminal).text()
        assert "3 words" in text
        assert "<word-01>" not in text


def test_a_start_that_fails_gives_the_screen_back(tmp_path: Path) -> None:
    home = look_taken(words(tmp_path / "home", 3))
    failing = PATIENT.replace("from tireg_tui", "sys.modules['textual'] = None\nfrom tireg_tui")
    with launched(home, double.PLAIN, code=failing) as terminal:
        assert terminal.wait(60) != 0
        assert b"<word-02>" in terminal.received
        assert not terminal.screen.in_alternate
        assert b"\x1b[?25h" in terminal.received


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_amid_the_first_words_gives_the_screen_back(tmp_path: Path, number: int) -> None:
    home = look_taken(words(tmp_path / "home", 150))
    with launched(home, double.PLAIN, code=PATIENT) as terminal:
        # A terminal that takes a part of the frame and then rests, as at the end of a slow line.
        received = b""
        while b"<word-00>" not in received:
            received += os.read(terminal._handle, 256)
        assert BEGIN_OF_FRAME in received, f"Textual drew them: {diagnosis(home, terminal)}"
        os.kill(terminal.pid, number)
        terminal.receive(received)
        assert terminal.pump(60, until=b"never") is False
        assert terminal.ended
        assert terminal.received.rindex(b"\x1b[?1049l") > terminal.received.index(b"\x1b[?1049h")
        assert terminal.received.rindex(END_OF_FRAME) > terminal.received.index(BEGIN_OF_FRAME)
        assert b"\x1b[?25h" in terminal.received


def test_what_is_typed_early_is_taken_and_not_echoed(tmp_path: Path) -> None:
    home = look_taken(words(tmp_path / "home", 9))
    with launched(home, double.PLAIN, code=PATIENT) as terminal:
        assert await_that(terminal, lambda: END_OF_FRAME in terminal.received)
        terminal.type("j")
        first = Screen(terminal.columns, terminal.rows, terminal.cell)
        first.feed(terminal.received[: terminal.received.index(END_OF_FRAME)])
        assert before_the_app(terminal).text() == first.text()
        assert await_that(terminal, lambda: terminal.screen.text().count("word-01") > 2)  # the detail shows it


@pytest.mark.parametrize("delay", [0.0, 0.5])
def test_keys_that_are_pressed_while_the_terminal_is_asked_are_kept(tmp_path: Path, delay: float) -> None:
    home = words(tmp_path / "home", 9)
    with launched(home, double.KITTY, delay=delay) as terminal:
        while b"\x1b[>0q" not in terminal.received:
            terminal.receive(os.read(terminal._handle, 1 << 16))
        terminal.type("/word-07\r")
        assert await_that(terminal, lambda: "1 word " in terminal.screen.text())
        assert "<word-07>" in terminal.screen.text()


def test_alt_with_a_digit_is_that_key_as_most_terminals_send_it(tmp_path: Path) -> None:
    with launched(words(tmp_path / "home", 2), double.PLAIN) as terminal:
        assert await_that(terminal, lambda: "2 words" in terminal.screen.text())
        terminal.type("/w")
        assert await_that(terminal, lambda: "type to filter" not in terminal.screen.text())
        terminal.type("\x1b2")
        assert await_that(terminal, lambda: "No runs yet" in terminal.screen.text())


def test_a_message_is_not_part_of_the_look(tmp_path: Path) -> None:
    home = words(tmp_path / "home", 3)
    with launched(home, double.PLAIN, code=START.replace("sys.exit(run())", SAYS_SOMETHING)) as terminal:
        assert await_that(terminal, lambda: b"start is over" in terminal.received)
        assert "look at this" in terminal.screen.text()
    assert not (home / "tui-look.json").exists()


def test_a_look_is_found_where_nothing_differs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = key_of(tmp_path, 80, 24, "")
    keep_look(tmp_path, key, LOOK)
    assert read_look(tmp_path, key) == LOOK
    keys = {key, key_of(tmp_path, 81, 24, ""), key_of(tmp_path, 80, 24, "tag:a"), key_of(tmp_path / "b", 80, 24, "")}
    (tmp_path / "settings.toml").write_text('theme = "light"\n')
    keys.add(key_of(tmp_path, 80, 24, ""))
    monkeypatch.setenv("COLORTERM", "no")
    keys.add(key_of(tmp_path, 80, 24, ""))
    assert len(keys) == 6


def test_only_the_newest_looks_are_kept(tmp_path: Path) -> None:
    for number in range(9):
        keep_look(tmp_path, f"key-{number}", LOOK)
    assert [number for number in range(9) if read_look(tmp_path, f"key-{number}")] == [3, 4, 5, 6, 7, 8]


@pytest.mark.parametrize(
    "content",
    [
        "{broken",
        "[]",
        '{"key": 3}',
        json.dumps({"key": {"pieces": [[0, 0, "\x1b]52;c;AAAA\x07"]], "rows": [0, 2, 40, 3], "status": [0, 5, 40, 1]}}),
        "x" * 300_000,
    ],
)
def test_a_look_that_cannot_be_believed_is_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "tui-look.json").write_text(content)
    assert read_look(tmp_path, "key") is None
    keep_look(tmp_path, "key", LOOK)
    assert read_look(tmp_path, "key") == LOOK


@pytest.mark.parametrize("height", ["1000000000", "-1", "Infinity", "1e999"])
def test_a_look_of_no_screens_size_is_none(tmp_path: Path, height: str) -> None:
    keep_look(tmp_path, "key", LOOK)
    path = tmp_path / "tui-look.json"
    path.write_text(path.read_text().replace("[0, 2, 40, 3]", f"[0, 2, 40, {height}]"))
    assert read_look(tmp_path, "key") is None


@pytest.mark.parametrize("evil", ["\x1b]52;c;AAAA\x07", "\x1b[2J", "\x9b2J", "a\nb"])
def test_nothing_but_text_and_colours_is_painted(tmp_path: Path, evil: str) -> None:
    keep_look(tmp_path, "key", LOOK)
    kept = json.loads((tmp_path / "tui-look.json").read_text())
    kept["key"]["pieces"][0][2] = evil
    (tmp_path / "tui-look.json").write_text(json.dumps(kept))
    assert read_look(tmp_path, "key") is None


def test_the_word_of_the_last_time_is_in_view(tmp_path: Path) -> None:
    with Registry.open(words(tmp_path, 9)) as registry:
        concepts: list[Concept] = registry.concepts(sort="name")
    screen = Screen(40, 8, (9, 18))
    screen.feed(painted(LOOK, FirstPage("", "name", concepts, 9, "word-05")).encode())
    lines = screen.text().splitlines()
    assert [line.split()[0] for line in lines[2:5]] == ["<word-03>", "<word-04>", "<word-05>"]
    assert lines[0].startswith("tireg")
    assert lines[5].strip() == "9 words · by name"
