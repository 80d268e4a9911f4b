"""The app as a whole: odd sizes, registries that cannot be opened, help, palette, mouse, what is imported."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from textual.binding import Binding
from textual.color import Color
from textual.events import Key
from textual.pilot import Pilot
from textual.widgets import Input, OptionList

from tests.tui.conftest import drive, notices, screen_text, settle, until
from tireg_tui.places import PLACES
from tireg_tui.screens import doctor
from tireg_tui.screens.ask_text import AskText
from tireg_tui.screens.compose import Compose
from tireg_tui.screens.concept import ConceptScreen
from tireg_tui.screens.help import Help
from tireg_tui.screens.library import Library
from tireg_tui.screens.runs import Runs
from tireg_tui.screens.trouble import Trouble
from tireg_tui.settings.remembered import Remembered
from tireg_tui.widgets.bar import TopBar
from tiregistry.graphics.terminal import Terminal


def test_no_size_is_too_odd(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing(*_: object) -> str:  # the doctor's own process would load torch for each size
        return "{}"

    monkeypatch.setattr(doctor, "output_of", nothing)

    async def story(pilot: Pilot[None]) -> None:
        for size in ((1, 1), (20, 5), (300, 100)):  # other tests press these keys at usual sizes
            await pilot.resize_terminal(*size)
            keys = "2 3 escape escape 4 escape 5 6 tab 7 1 n escape P escape I escape enter escape"
            for key in keys.split():
                await pilot.press(key)
            await settle(pilot)
        for width in range(30, 150, 20):  # a storm
            await pilot.resize_terminal(width, width // 3)
        await settle(pilot)
        assert "<gnome>" in screen_text(pilot)

    drive(home, story)


def test_narrow_terminals_show_the_table_alone(home: Path) -> None:
    async def story(pilot: Pilot[None]) -> str:
        assert not pilot.app.screen.query_one("#detail").display
        return screen_text(pilot)

    assert "<gnome>" in drive(home, story, size=(60, 20))


@pytest.mark.parametrize("kind", ["ascii", "off", "256"])
def test_terminals_without_colour_or_pictures(home: Path, kind: str) -> None:
    terminal = {"ascii": Terminal("ascii", "none"), "off": Terminal("off"), "256": Terminal("halfblocks", "256")}[kind]

    async def story(pilot: Pilot[None]) -> str:
        return screen_text(pilot)

    text = drive(home, story, terminal=terminal)
    assert "learned from yellow.png" in text
    assert ("▀" in text) is (kind == "256")


def damage(home: Path, how: str) -> None:
    database = home / "registry.db"
    for extra in home.glob("registry.db-*"):
        extra.unlink()
    if how == "newer":
        with sqlite3.connect(database) as connection:
            connection.execute("PRAGMA user_version = 9999")
    elif how == "damaged":
        database.write_bytes(b"this is no database " * 500)
    elif how == "folder":
        database.unlink()
        database.mkdir()


@pytest.mark.parametrize("how", ["newer", "damaged", "folder"])
def test_a_registry_that_cannot_be_opened_is_explained(home: Path, how: str) -> None:
    good = (home / "registry.db").read_bytes()
    damage(home, how)

    async def story(pilot: Pilot[None]) -> None:
        assert isinstance(pilot.app.screen, Trouble)
        assert "registry.db" in screen_text(pilot)
        for key in ("1", "2", "n", "u", "r"):
            await pilot.press(key)
            await settle(pilot)
        assert isinstance(pilot.app.screen, Trouble)
        if how != "folder":
            (home / "registry.db").write_bytes(good)
            await pilot.press("r")
            await settle(pilot)
            assert isinstance(pilot.app.screen, Library)
            assert "<gnome>" in screen_text(pilot)

    drive(home, story)


def test_a_picture_whose_file_is_gone_is_said_in_its_place(home: Path) -> None:
    for path in (home / "blobs").rglob("*"):
        if path.is_file():
            path.unlink()

    async def story(pilot: Pilot[None]) -> str:
        return screen_text(pilot)

    text = drive(home, story)
    assert "<gnome>" in text
    assert "cannot be shown" in text


def test_help_is_searched_and_closed(home: Path) -> None:
    async def story(pilot: Pilot[None]) -> None:
        await pilot.press("question_mark")
        await pilot.pause()
        assert isinstance(pilot.app.screen, Help)
        assert "Picture on/off" in screen_text(pilot)
        await pilot.press(*"undo")
        await pilot.pause()
        assert "Undo removal" in screen_text(pilot)
        assert "Picture on/off" not in screen_text(pilot)
        await pilot.press("escape")
        await pilot.pause()
        assert isinstance(pilot.app.screen, Library)

    drive(home, story, size=(120, 60))


@pytest.mark.parametrize(("keys", "own"), [(["1"], "Compose"), (["n"], "Next field"), (["6"], "Edit the file")])
def test_help_begins_with_the_keys_of_the_screen_also_where_there_is_little_room(
    home: Path, keys: list[str], own: str
) -> None:
    async def story(pilot: Pilot[None]) -> None:
        await pilot.press(*keys)
        await settle(pilot)
        await pilot.press("f1")
        await settle(pilot)
        text = screen_text(pilot)
        assert "this screen" in text
        assert own in text
        assert not any(usual in text for usual in ("Cursor up", "Scroll Left", "Page Left", "Move cursor left"))
        await pilot.press(*"page left")
        await settle(pilot)
        assert "Page Left" in screen_text(pilot), "what every program has is found, too"

    drive(home, story, size=(80, 24))


def test_long_help_is_paged(home: Path) -> None:
    async def story(pilot: Pilot[None]) -> None:
        await pilot.press("question_mark")
        await pilot.pause()
        shown = pilot.app.screen.query_one("#help-list")
        await pilot.press("pagedown")
        await pilot.pause()
        assert shown.scroll_y > 3
        await pilot.press("pageup")
        await pilot.pause()
        assert shown.scroll_y == 0

    drive(home, story, size=(80, 24))


def test_without_colour_cursors_are_told_by_how_their_text_is_set(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")

    def reversed_text(pilot: Pilot[None]) -> str:
        filters = pilot.app.get_line_filters()
        found = []
        for strip in pilot.app.screen._compositor.render_strips():
            segments = list(strip)
            for line_filter in filters:
                segments = line_filter.apply(segments, Color.parse("black"))
            found += [segment.text for segment in segments if segment.style and segment.style.reverse]
        return " ".join(found)

    async def story(pilot: Pilot[None]) -> None:
        first, second = "<gnome>", "<mug>"
        assert first in reversed_text(pilot)
        assert second not in reversed_text(pilot)
        await pilot.press("j")
        await settle(pilot)
        assert second in reversed_text(pilot)
        await pilot.press("D")
        await settle(pilot)
        assert "Cancel" in reversed_text(pilot)
        assert "Move" not in reversed_text(pilot)
        await pilot.press("right")
        await settle(pilot)
        assert "Move" in reversed_text(pilot)

    drive(home, story)


def test_places_by_digit_and_mouse(home: Path) -> None:
    async def story(pilot: Pilot[None]) -> None:
        await pilot.press("2")
        await settle(pilot)
        assert isinstance(pilot.app.screen, Runs)
        await pilot.click("TopBar", offset=(30, 0))
        await settle(pilot)
        assert isinstance(pilot.app.screen, Compose)

    drive(home, story)


def test_alt_with_a_digit_leads_out_of_a_field_and_types_nothing(home: Path) -> None:
    async def story(pilot: Pilot[None]) -> None:
        await pilot.press("slash", "g")
        field = pilot.app.screen.query_one("#filter", Input)
        for key in ("alt+x", "alt+2"):
            pilot.app.post_message(Key(key, key[-1]))  # as terminals send it
        await until(pilot, lambda: isinstance(pilot.app.screen, Runs))
        assert field.value == "g"
        pilot.app.set_keymap({"app.library": "f9"})
        await pilot.press("slash")
        pilot.app.post_message(Key("alt+1", "1"))
        await settle(pilot)
        assert isinstance(pilot.app.screen, Runs)

    drive(home, story)


@pytest.mark.parametrize("width", [7, 14, 20, 30, 79, 200])
def test_every_place_is_named_in_the_top_line(width: int) -> None:
    name, labels = TopBar._fitting(width)
    assert len(name + "".join(labels)) <= width
    assert [place.digit in label for place, label in zip(PLACES, labels, strict=True)] == [True] * 7


def test_the_palette_finds_acts_and_words(home: Path) -> None:
    def marked(pilot: Pilot[None]) -> str:
        """What Enter chooses: a list that is still being searched shows what fits the first letters, too."""
        options = pilot.app.screen.query_one(OptionList)
        option = options.highlighted_option
        return "" if option is None else str(option.prompt)

    async def story(pilot: Pilot[None]) -> None:
        await pilot.press("ctrl+p")
        await pilot.pause()
        options = pilot.app.screen.query_one(OptionList)
        await until(pilot, lambda: options.option_count > 15)
        await settle(pilot)
        said = [str(option.prompt).partition("\n")[0] for option in options.options]
        assert sorted(said) == sorted(set(said))
        assert {"Theme", "Quit", "Help", "Screenshot", *(place.label for place in PLACES)} <= set(said)
        await pilot.press(*"tags")
        await until(pilot, lambda: "key t" in marked(pilot))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, AskText))
        await pilot.press("escape", "ctrl+p")
        await pilot.pause()
        await pilot.press(*"inkw")
        await until(pilot, lambda: "Open the word inkwash" in marked(pilot))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, ConceptScreen))
        await settle(pilot)
        assert "<inkwash>" in screen_text(pilot)
        await pilot.press("escape", "2", "ctrl+p")
        await pilot.pause()
        await pilot.press(*"gnom")
        await until(pilot, lambda: "Open the word gnome" in marked(pilot))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, ConceptScreen))
        await settle(pilot)
        assert pilot.app.screen.query_one(TopBar).here == "runs"  # where Escape and its digit lead back to
        await pilot.press("right_square_bracket")
        await settle(pilot)
        assert "<mug>" in screen_text(pilot)  # the next one, as from the library
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, Runs))

    drive(home, story)


def test_what_is_typed_is_on_the_disk_before_the_window_is_closed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tireg_tui.app._LIFE_SIGN_SECONDS", 0.1)

    async def story(pilot: Pilot[None]) -> None:
        await pilot.press("3")
        await settle(pilot)
        await pilot.press(*"a fox")
        await until(pilot, lambda: Remembered(home).text("prompt") == "a fox")
        await pilot.press("escape", "escape", "n")
        await settle(pilot)
        await pilot.press(*"badger")
        await until(pilot, lambda: '"badger"' in Remembered(home).text("training"))
        written = (home / "tui.json").stat().st_mtime_ns
        await asyncio.sleep(0.4)
        assert (home / "tui.json").stat().st_mtime_ns == written  # nothing has changed

    drive(home, story)


def test_the_palette_finds_themes_the_plainest_first(home: Path) -> None:
    async def first(pilot: Pilot[None], word: str) -> None:
        await pilot.press(*word)
        await until(pilot, lambda: "ansi-light" in screen_text(pilot))
        await settle(pilot)
        options = pilot.app.screen.query_one(OptionList).options
        assert str(options[0].prompt).partition("\n")[0] == "light"
        await pilot.press("enter")
        await until(pilot, lambda: pilot.app.theme == "tireg-light")
        pilot.app.theme = "tireg-dark"

    async def story(pilot: Pilot[None]) -> None:
        await pilot.press("ctrl+p")
        await first(pilot, "light")
        pilot.app.search_themes()
        await pilot.pause()
        await first(pilot, "lig")

    drive(home, story)


def test_every_binding_can_be_remapped(home: Path) -> None:
    async def story(pilot: Pilot[None]) -> None:
        await settle(pilot)
        for node in {active.node for active in pilot.app.screen.active_bindings.values()}:
            if type(node).__module__.startswith("tireg_tui"):
                for binding in type(node).__dict__.get("BINDINGS", []):
                    assert isinstance(binding, Binding)
                    assert binding.id, binding
        pilot.app.set_keymap({"library.filter": "f"})
        await pilot.press("f")
        assert pilot.app.screen.query_one("#filter").has_focus

    drive(home, story)


def test_an_unknown_word_is_marked_and_a_begun_one_completed(home: Path) -> None:
    async def story(pilot: Pilot[None]) -> None:
        await pilot.press("p")
        await settle(pilot)
        screen = pilot.app.screen
        assert isinstance(screen, Compose)
        assert screen.prompt.value == "a photo of <gnome>"
        screen.prompt.value = "<gnom> and <mu"
        screen.prompt.cursor_position = len(screen.prompt.value)
        await settle(pilot)
        assert "<mug>" in screen_text(pilot)
        await pilot.press("tab")
        await settle(pilot)
        assert screen.prompt.value == "<gnom> and <mug>"
        assert "not in the registry: <gnom>" in screen_text(pilot)
        screen.query_one("#negative", Input).value = "<nobody>"
        await settle(pilot)
        assert "not in the registry: <gnom>, <nobody>" in screen_text(pilot)
        screen.query_one("#negative", Input).value = ""
        screen.prompt.value = "<gnome@"
        screen.prompt.cursor_position = 7
        await settle(pilot)
        assert "<gnome@best>" in screen_text(pilot)
        screen.prompt.value = "<gnome> at sea"
        await settle(pilot)
        await pilot.press("escape", "y")
        assert pilot.app.clipboard == "tireg gen '<gnome> at sea' -n 4"

    drive(home, story)


def test_nothing_heavy_is_imported(home: Path) -> None:
    code = (
        "import json, sys, asyncio\n"
        "sys.path[:0] = json.loads(sys.argv[1])\n"
        "from pathlib import Path\n"
        "from tireg_tui.app import TiregApp\n"
        "async def main():\n"
        "    async with TiregApp(home=Path(sys.argv[2])).run_test() as pilot:\n"
        "        for key in ('enter', 'escape', '2', '3', 'escape', '4', '5', '6', '1', 'P', 'escape', 'n'):\n"
        "            await pilot.press(key)\n"
        "            await pilot.pause(0.2)\n"
        "asyncio.run(main())\n"
        "print(json.dumps([m for m in ('torch', 'diffusers', 'transformers', 'tireg_cli') if m in sys.modules]))\n"
    )
    path = json.dumps([entry for entry in sys.path if entry])
    done = subprocess.run(
        [sys.executable, "-c", code, path, str(home)], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    assert json.loads(done.stdout.splitlines()[-1]) == []


def test_undo_without_removal_says_so(home: Path) -> None:
    async def story(pilot: Pilot[None]) -> str:
        await pilot.press("u")
        await settle(pilot)
        return notices(pilot)

    assert "Nothing was removed" in drive(home, story)
