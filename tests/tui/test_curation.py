"""Words that are marked, tagged, removed and brought back in the library."""

from __future__ import annotations

from pathlib import Path

from textual.pilot import Pilot
from textual.widgets import Input

from tests.tui.conftest import app_of, drive, screen_text, settle, table, until
from tireg_tui.screens.confirm import Confirm


def test_the_last_match_can_be_brought_back(home: Path) -> None:
    async def story(pilot: Pilot[None]) -> None:
        await pilot.press("slash", *"mug", "enter")
        await settle(pilot)
        await pilot.press("D")
        await pilot.pause()
        await pilot.press("right", "enter")
        await until(pilot, lambda: not table(pilot).display)
        await pilot.press("u")  # no letter of the filter
        await until(pilot, lambda: table(pilot).names == ["mug"])
        await settle(pilot)
        assert table(pilot).has_focus

    drive(home, story)


def test_removal_asks_on_cancel_and_can_be_undone(home: Path) -> None:
    async def story(pilot: Pilot[None]) -> None:
        await pilot.press("D")
        await pilot.pause()
        assert isinstance(pilot.app.screen, Confirm)
        assert "3 versions" in screen_text(pilot)
        await pilot.press("enter")  # the cursor stands on Cancel
        await settle(pilot)
        assert len(table(pilot).names) == 3
        await pilot.press("D")
        await pilot.pause()
        await pilot.press("right", "enter")
        await settle(pilot)
        assert table(pilot).names == ["mug", "inkwash"]
        await pilot.press("u")
        await settle(pilot)
        assert sorted(table(pilot).names) == ["gnome", "inkwash", "mug"]
        for row in (1, 2):  # the cursor stays where it was, or goes up at the end
            table(pilot).move_cursor(row)
            names = table(pilot).names
            await pilot.press("D")
            await pilot.pause()
            await pilot.press("right", "enter")
            await settle(pilot)
            assert table(pilot).current == names[2 if row == 1 else 1]
            await pilot.press("u")
            await settle(pilot)
        await pilot.press("u")  # nothing left to bring back
        await pilot.pause()

    drive(home, story)


def test_marked_words_are_removed_and_tagged_together(home: Path) -> None:
    async def story(pilot: Pilot[None]) -> None:
        await pilot.press("space", "space")
        assert table(pilot).marked == {"gnome", "mug"}
        await pilot.pause()
        assert "2 marked" in screen_text(pilot)
        await pilot.press("t")
        await pilot.pause()
        await pilot.press(*"shelf", "enter")
        await settle(pilot)
        registry = app_of(pilot).registry
        assert registry is not None
        assert registry.concept("mug").tags == ("shelf",)
        assert registry.concept("gnome").tags == ("garden", "shelf")
        await pilot.press("D")
        await pilot.pause()
        assert "2 words" in screen_text(pilot)
        await pilot.press("right", "enter")
        await settle(pilot)
        assert table(pilot).names == ["inkwash"]

    drive(home, story)


def test_a_tag_that_cannot_be_is_mended_where_it_was_typed(home: Path) -> None:
    async def story(pilot: Pilot[None]) -> None:
        await pilot.press("space", "space", "t")
        await pilot.pause()
        await pilot.press(*"blue <b>", "enter")
        await settle(pilot)
        answer = pilot.app.screen.query_one("#answer", Input)
        assert answer.value == "blue <b>"
        assert "'<b>'" in screen_text(pilot)
        await pilot.press(*["backspace"] * 4, "enter")
        await settle(pilot)
        registry = app_of(pilot).registry
        assert registry is not None
        assert registry.concept("mug").tags == ("blue",)
        assert registry.concept("gnome").tags == ("blue", "garden")

    drive(home, story)
