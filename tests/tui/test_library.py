"""The library: rows, filter, sort, following other processes, pages."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from tests.tui.conftest import add_version, app_of, drive, notices, screen_text, settle, table, until
from tireg_tui.screens.concept import ConceptScreen
from tireg_tui.screens.library import Library
from tireg_tui.widgets.concept_table import PAGE
from tiregistry.errors import NotFound
from tiregistry.registry.registry import Registry


def test_words_and_the_one_under_the_cursor(home: Path) -> None:
    async def story(pilot: Pilot[None]) -> None:
        assert isinstance(pilot.app.screen, Library)
        assert table(pilot).names == ["gnome", "mug", "inkwash"]
        text = screen_text(pilot)
        assert "<gnome>" in text
        assert "gnome@3" in text
        assert "▀" in text
        await pilot.press("j", "j")
        await settle(pilot)
        assert "inkwash@1" in screen_text(pilot)
        await pilot.press("g")
        assert table(pilot).current == "gnome"
        await pilot.press("G")
        await settle(pilot)
        assert table(pilot).current == "inkwash"
        await pilot.press("k")
        assert table(pilot).current == "mug"

    drive(home, story)


def test_a_name_that_the_token_does_not_tell_is_shown_and_removals_are_told_by_it(home: Path) -> None:
    with Registry.open(home) as registry:
        registry.rename("mug", "猫のぬいぐるみ")

    async def story(pilot: Pilot[None]) -> None:
        rows = screen_text(pilot).splitlines()
        assert any("猫のぬいぐるみ <mug>  " in row for row in rows)
        assert any(row.strip().startswith("<gnome>") for row in rows), "a name that the token tells is not told twice"
        for name in ("猫のぬいぐるみ", "gnome"):
            while table(pilot).current != name:
                await pilot.press("j")
            await pilot.press("D")
            await settle(pilot)
            assert f"Move {name} to the trash?" in screen_text(pilot)
            await pilot.press("right", "enter")
            await until(pilot, lambda told=name: f"In the trash {told} ·" in notices(pilot))
            await settle(pilot)
            await pilot.press("g")

    drive(home, story)


@pytest.mark.parametrize(
    ("typed", "names"),
    [("gno", ["gnome"]), ("tag:garden", ["gnome"]), ("type:style", ["inkwash"]), ("zebra", []), ('"', [])],
)
def test_filter_as_one_types(home: Path, typed: str, names: list[str]) -> None:
    async def story(pilot: Pilot[None]) -> None:
        await pilot.press("slash")
        field = pilot.app.screen.query_one("#filter", Input)
        assert field.has_focus
        for character in typed:
            field.insert_text_at_cursor(character)
            await pilot.pause()
        await settle(pilot)
        assert table(pilot).names == names
        await pilot.press("escape")
        await settle(pilot)
        assert len(table(pilot).names) == 3
        await pilot.press("escape")
        assert table(pilot).has_focus

    drive(home, story)


def test_who_types_a_name_has_the_cursor_on_the_word_of_that_name(home: Path) -> None:
    with Registry.open(home) as registry:
        registry.describe("gnome", notes="stands beside the mug")

    async def story(pilot: Pilot[None]) -> None:
        table(pilot).move_cursor(table(pilot).names.index("gnome"))
        await pilot.press("slash", *"mug", "enter")
        await settle(pilot)
        assert table(pilot).names == ["mug", "gnome"]
        assert table(pilot).current == "mug"
        await pilot.press("j")
        await pilot.press("slash", "escape")
        await settle(pilot)
        assert table(pilot).current == "gnome"  # without a filter it stays where it is

    drive(home, story)


def test_a_filter_that_matches_nothing_can_be_mended(home: Path) -> None:
    async def story(pilot: Pilot[None]) -> None:
        await pilot.press("slash", "z", "z")
        await settle(pilot)
        assert "Nothing matches" in screen_text(pilot)
        await pilot.press("backspace", "backspace")
        await settle(pilot)
        assert len(table(pilot).names) == 3
        await pilot.press(*"since:bogus")  # as commands these letters would sort, hide, train …
        await settle(pilot)
        assert isinstance(pilot.app.screen, Library)
        assert pilot.app.screen.query_one("#filter", Input).value == "since:bogus"
        said = " ".join(screen_text(pilot).replace("│", " ").split())
        assert said.count("since:bogus is no date · write since:2026-01-31, since:yesterday or since:7d") == 2
        assert "^q Quit" in said.rpartition("7d")[2]
        assert "/ Filter" not in said  # a letter like all others now

    drive(home, story)


def test_a_cursor_that_moves_while_the_words_are_read_again_stays_where_it_was_moved(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(pilot: Pilot[None]) -> None:
        registry = app_of(pilot).registry
        assert registry is not None
        reading, go_on, read = threading.Event(), threading.Event(), registry.concepts

        def slowly(*arguments: Any, **options: Any) -> Any:
            reading.set()
            go_on.wait(20)
            return read(*arguments, **options)

        monkeypatch.setattr(registry, "concepts", slowly)
        await pilot.press("r")
        await until(pilot, reading.is_set)
        await pilot.press("j", "j")
        await pilot.pause()
        moved_to = table(pilot).current
        assert moved_to == table(pilot).names[2]
        go_on.set()
        await settle(pilot)
        assert table(pilot).current == moved_to

    drive(home, story)


def test_an_unknown_date_is_said_and_nothing_breaks(home: Path) -> None:
    async def story(pilot: Pilot[None]) -> None:
        pilot.app.screen.query_one("#filter", Input).value = "since:never"
        await settle(pilot)
        assert "never" in screen_text(pilot)

    drive(home, story)


def test_sort(home: Path) -> None:
    async def story(pilot: Pilot[None]) -> list[list[str]]:
        seen = []
        for _ in range(4):
            await pilot.press("s")
            await settle(pilot)
            seen.append(table(pilot).names)
        return seen

    by_name, by_created, by_versions, by_updated = drive(home, story)
    assert by_name == ["gnome", "inkwash", "mug"]
    assert by_created == ["gnome", "mug", "inkwash"]
    assert by_versions[0] == "gnome"
    assert by_updated == ["gnome", "mug", "inkwash"]


def test_changes_of_another_process_are_followed(home: Path) -> None:
    async def story(pilot: Pilot[None]) -> None:
        await pilot.press("j")
        assert table(pilot).current == "mug"
        with Registry.open(home) as other:
            add_version(other, "teapot", 50)
            other.remove("inkwash")
        await until(pilot, lambda: table(pilot).names == ["teapot", "gnome", "mug"])
        await settle(pilot)
        assert table(pilot).current == "mug"  # the cursor stays on its word

    drive(home, story)


def test_enter_opens_and_escape_comes_back(home: Path) -> None:
    async def story(pilot: Pilot[None]) -> None:
        await pilot.press("enter")
        await settle(pilot)
        assert isinstance(pilot.app.screen, ConceptScreen)
        await pilot.press("escape")
        await pilot.pause()
        assert isinstance(pilot.app.screen, Library)

    drive(home, story)


def test_copy_and_picture_pane(home: Path) -> None:
    async def story(pilot: Pilot[None]) -> None:
        await pilot.press("y")
        assert pilot.app.clipboard == "<gnome>"
        assert pilot.app.screen.query_one("#detail").display
        await pilot.press("i")
        assert not pilot.app.screen.query_one("#detail").display
        await pilot.press("i")
        await settle(pilot)
        assert "gnome@3" in screen_text(pilot)

    drive(home, story)


def test_an_empty_registry_says_what_to_do(tmp_path: Path) -> None:
    async def story(pilot: Pilot[None]) -> str:
        for key in ("enter", "space", "D", "t", "y", "p", "escape", "s", "G"):
            await pilot.press(key)
            await settle(pilot)
            if not isinstance(pilot.app.screen, Library):
                app_of(pilot).action_go("library")
                await settle(pilot)
        return screen_text(pilot)

    assert "tireg demo" in drive(tmp_path / "new", story)


def test_pages_are_loaded_as_needed(tmp_path: Path) -> None:
    folder = tmp_path / "many"
    with Registry.open(folder) as registry, registry.database.write():
        for number in range(3 * PAGE):
            registry.create_concept(f"c{number:04d}", f"<c{number:04d}>", "object")

    async def story(pilot: Pilot[None]) -> None:
        assert len(table(pilot).names) <= 2 * PAGE
        await pilot.press("G")
        await settle(pilot)
        assert len(table(pilot).names) == 3 * PAGE == len(set(table(pilot).names))
        assert table(pilot).cursor_row == 3 * PAGE - 1
        await pilot.press("g")
        assert table(pilot).cursor_row == 0
        assert "300 words" in screen_text(pilot)

    drive(folder, story)


def test_names_are_shown_as_they_are_not_as_markup(home: Path) -> None:
    with Registry.open(home) as registry:
        registry.describe("gnome", notes="[red]not markup[/] \x1b[31m and \u202e no escape", description="[b]plain[/b]")

    async def story(pilot: Pilot[None]) -> str:
        return screen_text(pilot)

    text = drive(home, story, size=(150, 50))
    assert "[red]not markup[/]" in text
    assert "[b]plain[/b]" in text
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_a_concept_that_vanishes_under_the_cursor(home: Path) -> None:
    async def story(pilot: Pilot[None]) -> str:
        with Registry.open(home) as other:
            other.remove("gnome")
            with pytest.raises(NotFound):
                other.concept("gnome")
        await pilot.press("enter")
        await settle(pilot)
        return screen_text(pilot)

    assert "mug" in drive(home, story)


def test_what_was_set_is_there_at_the_next_start(home: Path) -> None:
    async def first(pilot: Pilot[None]) -> None:
        await pilot.press("s", "slash")
        pilot.app.screen.query_one("#filter", Input).value = "gn"
        await settle(pilot)
        pilot.app.theme = "tireg-light"

    async def second(pilot: Pilot[None]) -> tuple[str, list[str], str]:
        return table(pilot).order, table(pilot).names, pilot.app.theme

    drive(home, first)
    assert drive(home, second) == ("name", ["gnome"], "tireg-light")


def test_a_click_takes_a_row_and_another_opens_it(home: Path) -> None:
    async def story(pilot: Pilot[None]) -> None:
        await pilot.click(table(pilot), offset=(6, 2))
        assert table(pilot).current == "mug"
        await pilot.click(table(pilot), offset=(6, 0))  # the heading is no row
        await pilot.click(table(pilot), offset=(6, 9))
        assert table(pilot).current == "mug"
        assert isinstance(pilot.app.screen, Library)
        await pilot.click(table(pilot), offset=(6, 2))
        await settle(pilot)
        assert isinstance(pilot.app.screen, ConceptScreen)

    drive(home, story)


def test_rows_beyond_the_first_screen(home: Path) -> None:
    """Pages, both ends, and a window that becomes small keep the cursor in view."""
    with Registry.open(home) as registry, registry.database.write():
        for number in range(60):
            registry.create_concept(f"many-{number:02d}", f"<many-{number:02d}>", "object")

    async def story(pilot: Pilot[None]) -> None:
        await pilot.press("pagedown")
        rows = table(pilot).size.height - 1
        assert table(pilot).cursor_row == rows
        await pilot.press("pagedown", "pageup", "end")
        assert table(pilot).cursor_row == 62
        for size in ((60, 9), (120, 36)):
            await pilot.resize_terminal(*size)
            await settle(pilot)
            assert f"<{table(pilot).current}>" in screen_text(pilot)
        await pilot.press("home")
        assert table(pilot).scroll_offset.y == table(pilot).cursor_row == 0

    drive(home, story)
