"""Paths in the training form and the import: picked from a tree, dropped, completed."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from textual.events import Paste
from textual.pilot import Pilot
from textual.widgets import Input, Static

from tests.tui.conftest import drive, screen_text, settle, until
from tireg_tui.input.path_line import path_in, paths_in, with_added
from tireg_tui.input.path_suggester import completed
from tireg_tui.input.training_draft import Draft
from tireg_tui.screens.pick_pictures import PickPictures


def test_pictures_are_picked_from_a_tree(home: Path, photos: Path) -> None:
    (photos / "notes.txt").write_text("not a picture")

    async def story(pilot: Pilot[None]) -> None:
        await pilot.press("n")
        await settle(pilot)
        form = pilot.app.screen
        form.query_one("#pictures", Input).value = shlex.quote(str(photos))
        await pilot.press("ctrl+o")
        await until(pilot, lambda: "2.png" in screen_text(pilot))
        assert isinstance(pilot.app.screen, PickPictures)
        assert "notes.txt" not in screen_text(pilot)
        await pilot.press("j", "space", "space")
        await pilot.pause()
        assert "2 marked: 0.png, 1.png" in screen_text(pilot)
        await pilot.press("ctrl+g")
        await settle(pilot)
        assert pilot.app.screen is form
        value = form.query_one("#pictures", Input).value
        assert shlex.split(value) == [str(photos / "0.png"), str(photos / "1.png")]  # instead of all in the folder
        await pilot.press("ctrl+o")
        await until(pilot, lambda: "2.png" in screen_text(pilot))
        await pilot.press("j", "j", "j", "ctrl+g")
        await settle(pilot)
        value = form.query_one("#pictures", Input).value
        assert shlex.split(value) == [str(photos / f"{number}.png") for number in range(3)]

    drive(home, story, size=(130, 40))


@pytest.mark.parametrize(
    ("line", "picked", "whole"),
    [
        ("", ["/new a"], "'/new a'"),
        ("~/old '/o b' ", ["/new"], "~/old '/o b' /new"),
        ("/old /ne", ["/new/1.png"], "/old /new/1.png"),  # it was half typed
        ("/old '/n b", ["/new"], "/old '/n b' /new"),
        ("/old /new/1.png", ["/new/1.png", "/new/2.png"], "/old /new/1.png /new/2.png"),
        ("/old /new", ["/new/1.png"], "/old /new/1.png"),
    ],
)
def test_what_is_picked_is_added_to_what_is_named(line: str, picked: list[str], whole: str) -> None:
    assert with_added(line, map(Path, picked)) == whole


def test_addresses_of_files_are_paths(photos: Path) -> None:
    address = photos.as_uri()
    assert "%20" in address
    assert paths_in(f"{address}/0.png ~ file://localhost{photos.parent}") == [
        *(photos / "0.png", Path.home(), photos.parent)
    ]
    assert Draft(name="pot", pictures=address).arguments()[-1] == str(photos)
    assert paths_in("file://other/x") == [Path("file://other/x")]
    assert path_in(address) == photos
    assert path_in(f"{photos}/new.pt") == photos / "new.pt"  # a blank that nothing quotes


def test_files_can_be_dropped_on_the_form_and_on_the_import(home: Path, photos: Path) -> None:
    pasted = "".join(f"{path.as_uri()}\r\n" for path in sorted(photos.iterdir())[:2])

    async def story(pilot: Pilot[None]) -> None:
        await pilot.press("n")
        await settle(pilot)
        form = pilot.app.screen
        field = form.query_one("#pictures", Input)
        field.focus()
        field.value = "/old "
        pilot.app.post_message(Paste(pasted))
        await until(pilot, lambda: field.value != "/old ")
        assert shlex.split(field.value) == ["/old", str(photos / "0.png"), str(photos / "1.png")]
        field.value = photos.as_uri()
        await until(pilot, lambda: "✓ 3 pictures" in str(form.query_one("#train-check", Static).content))
        await pilot.press("escape", "I")
        await pilot.pause()
        pilot.app.screen.query_one(Input).value = photos.as_uri()
        await until(pilot, lambda: "no embedding is in there" in screen_text(pilot))

    drive(home, story)


def test_paths_are_completed(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "my photos" / "it's.png").touch()
    assert completed(f"{tmp_path}/my") == f"{tmp_path}/my\\ photos/"
    assert completed(f"x.png '{tmp_path}/my photos/0") == f"x.png '{tmp_path}/my photos/0.png"
    assert completed(f"'{tmp_path}/my photos/i") is None  # a quote inside quotes
    assert completed(f"{tmp_path}/my\\ photos/i") == f"{tmp_path}/my\\ photos/it\\'s.png"
    assert completed("/nowhere/at/all") is None
    assert completed("") is None


def test_tab_completes_half_a_path_and_leaves_a_whole_one(home: Path, photos: Path) -> None:
    folder = photos.parent / "a-name-that-is-longer-than-the-field-in-which-it-stands"
    photos.rename(folder)

    async def story(pilot: Pilot[None]) -> None:
        await pilot.press("n")
        await settle(pilot)
        field = pilot.app.screen.query_one("#pictures", Input)
        field.focus()
        field.value = str(folder)[:-20]
        field.cursor_position = len(field.value)
        await pilot.press("tab")
        await settle(pilot)
        assert field.value == f"{folder}/"
        assert field.has_focus
        assert "in-which-it-stands/" in screen_text(pilot)  # its end, where the cursor is
        line = screen_text(pilot).splitlines()[-1]
        assert "Quit" not in line or "^q" in line  # q is a letter here
        assert "Help" in line
        await pilot.press("tab")
        await settle(pilot)
        assert not field.has_focus

    drive(home, story)
