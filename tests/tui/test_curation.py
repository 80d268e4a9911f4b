"""Words that are marked, tagged, removed and brought back in the library."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path
from typing import NoReturn

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, Static, TextArea

from tests.tui.conftest import app_of, drive, notices, screen_text, settle, still_said, table, until
from tireg_tui.screens import keeping
from tireg_tui.screens.concept import ConceptScreen
from tireg_tui.screens.confirm import Confirm
from tireg_tui.screens.keeping import KeepingDialog
from tiregistry.errors import DiskFull
from tiregistry.registry.registry import Registry


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


def test_marked_words_are_named_before_they_are_removed_also_those_out_of_sight(home: Path) -> None:
    async def filtered(pilot: Pilot[None], query: str) -> None:
        pilot.app.screen.query_one("#filter", Input).value = query
        await settle(pilot)

    async def question(pilot: Pilot[None]) -> str:
        await pilot.press("D")
        await pilot.pause()
        assert isinstance(pilot.app.screen, Confirm)
        said = [str(pilot.app.screen.query_one(part, Static).content) for part in (".dialog-title", ".dialog-text")]
        await pilot.press("escape")
        return " ".join(said)

    with Registry.open(home) as registry:
        registry.tag("mug", add=["garden"])
        for number in range(120):
            registry.create_concept(f"word-{number:03d}", f"<word-{number:03d}>", "object")

    async def story(pilot: Pilot[None]) -> None:
        await filtered(pilot, "tag:garden")
        await pilot.press("space", "space")
        said = await question(pilot)
        assert "Move 2 words to the trash? gnome, mug, with 4 versions. Nothing" in said
        await filtered(pilot, "")  # the first hundred, without those two
        assert "gnome, mug, with 4 versions. They are not shown at present." in await question(pilot)
        table(pilot).move_cursor(0)
        await pilot.press("space")
        assert table(pilot).current != (newest := max(table(pilot).marked))
        said = await question(pilot)
        assert f"3 words to the trash? gnome, mug, {newest}, with 4 versions. 2 of them are not shown" in said
        await pilot.press(*["space"] * 8)
        assert "and 3 more, with 4 versions" in await question(pilot)

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


def test_what_cannot_be_kept_on_a_full_disk_stays_where_it_was_typed(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> NoReturn:
        raise DiskFull("no space left here")

    async def story(pilot: Pilot[None]) -> None:
        registry = app_of(pilot).registry
        assert registry is not None
        await pilot.press("enter")
        await settle(pilot)
        for key, act, keep, text in (
            ("e", "describe", "ctrl+s", "old one"),
            ("t", "tag", "enter", "old"),
            ("a", "set_alias", "enter", "old"),
        ):
            with monkeypatch.context() as patched:
                patched.setattr(Registry, act, full)
                await pilot.press(key)
                await pilot.pause()
                dialog = pilot.app.screen
                assert isinstance(dialog, KeepingDialog)
                field = dialog.query_one("#answer", TextArea if key == "e" else Input)
                field.clear()
                await pilot.press(*("space" if letter == " " else letter for letter in text), keep)
                await until(pilot, lambda: "no space left here" in screen_text(pilot))
                assert pilot.app.screen is dialog
                assert dialog.typed == text
            await pilot.press(keep)
            await until(pilot, lambda dialog=dialog: pilot.app.screen is not dialog)
        concept = registry.concept("gnome")
        assert (concept.notes, concept.tags, concept.aliases["old"]) == ("old one", ("old",), 3)

    drive(home, story)


def test_a_note_that_is_too_long_is_mended_where_it_was_typed(home: Path) -> None:
    async def story(pilot: Pilot[None]) -> None:
        await pilot.press("enter")
        await settle(pilot)
        await pilot.press("e")
        await pilot.pause()
        area = pilot.app.screen.query_one(TextArea)
        area.text = "x" * 100_001
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "longer than 100,000 characters" in screen_text(pilot))
        assert len(area.text) == 100_001
        await pilot.press("delete", "ctrl+s")
        await until(pilot, lambda: isinstance(pilot.app.screen, ConceptScreen))
        registry = app_of(pilot).registry
        assert registry is not None
        assert len(registry.concept("gnome").notes) == 100_000

    drive(home, story)


def test_what_is_typed_behind_an_answer_is_for_the_screen_beneath(home: Path) -> None:
    async def story(pilot: Pilot[None]) -> None:
        await pilot.press("enter")
        await settle(pilot)
        await pilot.press("t", "space", *"old", "enter", "escape")  # Escape leaves the word, not the dialog
        await until(pilot, lambda: len(pilot.app.screen_stack) == 1)
        registry = app_of(pilot).registry
        assert registry is not None
        await until(pilot, lambda: registry.concept("gnome").tags == ("garden", "old"))

    drive(home, story)


def test_a_dialog_whose_answer_waits_can_be_typed_in(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "_MOMENT", 0.05)

    async def story(pilot: Pilot[None]) -> None:
        registry = app_of(pilot).registry
        assert registry is not None
        writer = sqlite3.connect(home / "registry.db", isolation_level=None)
        writer.execute("BEGIN IMMEDIATE")
        await pilot.press("t", "space", *"first", "enter")
        dialog = pilot.app.screen
        assert isinstance(dialog, KeepingDialog)
        await pilot.press("space", "x")
        writer.rollback()
        writer.close()
        await until(pilot, lambda: "first" in registry.concept("gnome").tags)
        await settle(pilot)
        assert pilot.app.screen is dialog
        assert "what you have typed since is not" in screen_text(pilot)
        assert str(dialog.typed).endswith("first x")
        await pilot.press("escape")
        assert len(pilot.app.screen_stack) == 1
        assert "did not work" not in notices(pilot)
        assert "Dropped" not in notices(pilot)

    drive(home, story)


async def remove_marked(pilot: Pilot[None]) -> None:
    await pilot.press("D")
    await pilot.pause()
    assert isinstance(pilot.app.screen, Confirm)
    await pilot.press("right", "enter")
    await settle(pilot)


def test_a_word_that_others_have_removed_keeps_none_of_the_marked_ones_here(home: Path) -> None:
    async def story(pilot: Pilot[None]) -> None:
        registry = app_of(pilot).registry
        assert registry is not None
        await pilot.press("space", "space", "space")
        await pilot.press("D")
        await pilot.pause()
        with Registry.open(home) as other:
            other.remove("inkwash")
        await pilot.press("right", "enter")
        await until(pilot, lambda: "u brings it back" in notices(pilot))
        assert "gnome, mug · u brings it back\ninkwash: removed elsewhere already" in notices(pilot)
        assert sorted(item.reference for item in registry.trash()) == ["gnome", "inkwash", "mug"]
        with Registry.open(home) as other:
            other.restore("gnome")
        await pilot.press("u")
        await until(pilot, lambda: "Brought back" in notices(pilot))
        assert {"gnome", "mug"} <= {concept.name for concept in registry.concepts()}
        await settle(pilot)
        assert still_said(pilot) == ["Brought back"]  # "In the trash" no longer holds
        await pilot.press("u")
        await settle(pilot)
        assert "Nothing was removed here" in notices(pilot)

    drive(home, story)


def test_a_word_that_cannot_come_back_is_said_and_can_be_tried_again(home: Path) -> None:
    async def story(pilot: Pilot[None]) -> None:
        registry = app_of(pilot).registry
        assert registry is not None
        await pilot.press("space", "space")
        await remove_marked(pilot)
        registry.create_concept("gnome", "<other>", "object")  # has its name now
        await pilot.press("u")
        await until(pilot, lambda: "1 of 2 brought back, 1 not" in notices(pilot))
        assert "gnome: " in notices(pilot)
        assert "tireg restore gnome --as OTHER-NAME" in notices(pilot)
        registry.concept("mug")
        registry.rename("gnome", "troll")
        await pilot.press("u")
        await until(pilot, lambda: "Brought back gnome" in notices(pilot))
        assert registry.concept("gnome").num_versions == 3

    drive(home, story)


def test_what_was_moved_before_the_disk_was_full_comes_back(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remove = Registry.remove

    def until_full(registry: Registry, reference: str) -> str:
        if reference != "gnome":
            raise DiskFull("no space left", kept="nothing was lost")
        return remove(registry, reference)

    async def story(pilot: Pilot[None]) -> None:
        registry = app_of(pilot).registry
        assert registry is not None
        await pilot.press("space", "space", "space")
        await remove_marked(pilot)
        await until(pilot, lambda: "1 of 3 in the trash, 2 not" in notices(pilot))
        assert "inkwash, mug: no space left" in notices(pilot)
        assert table(pilot).marked == {"inkwash", "mug"}  # to be tried again
        await pilot.press("u")
        await until(pilot, lambda: "Brought back gnome" in notices(pilot))

    monkeypatch.setattr(Registry, "remove", until_full)
    drive(home, story)


def test_marks_of_words_that_have_gone_keep_none_from_being_removed(home: Path) -> None:
    async def story(pilot: Pilot[None]) -> None:
        registry = app_of(pilot).registry
        assert registry is not None
        await pilot.press("space", "space")
        registry.remove("mug")  # nobody has been told yet
        await remove_marked(pilot)
        await until(pilot, lambda: "In the trash gnome" in notices(pilot))

    drive(home, story)


@pytest.mark.parametrize("keys", [("t", "shelf", "enter"), ("e", "a note", "ctrl+s"), ("a", "old", "enter")])
def test_leaving_a_dialog_that_waits_for_another_writer_drops_what_it_asks_for(
    home: Path, keys: tuple[str, str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "_MOMENT", 0.1)

    async def story(pilot: Pilot[None]) -> None:
        registry = app_of(pilot).registry
        assert registry is not None
        await pilot.press("enter")
        await settle(pilot)
        before = registry.concept("gnome")
        writer = sqlite3.connect(home / "registry.db", isolation_level=None)
        writer.execute("BEGIN EXCLUSIVE")
        await pilot.press(keys[0])
        await pilot.pause()
        await pilot.press(*keys[1], keys[2])
        await until(pilot, lambda: "Esc drops it" in notices(pilot))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, ConceptScreen))
        assert still_said(pilot) == ["Dropped"]
        writer.rollback()
        writer.close()
        await settle(pilot)
        after = registry.concept("gnome")
        assert (after.tags, after.notes, after.aliases) == (before.tags, before.notes, before.aliases)
        assert app_of(pilot).threads.changing == 0
        await pilot.press("t")  # the next one is kept
        await pilot.pause()
        await pilot.press(*" moss", "enter")
        await until(pilot, lambda: "moss" in registry.concept("gnome").tags)

    drive(home, story)


def test_leaving_a_dialog_whose_change_has_begun_says_that_it_is_still_made(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "_MOMENT", 0.1)
    begun, go_on = threading.Event(), threading.Event()
    tag = Registry.tag

    def slowly(registry: Registry, name: str, **changes: list[str]) -> None:
        begun.set()
        go_on.wait(60)
        tag(registry, name, **changes)

    monkeypatch.setattr(Registry, "tag", slowly)

    async def story(pilot: Pilot[None]) -> None:
        registry = app_of(pilot).registry
        assert registry is not None
        await pilot.press("t")
        await pilot.pause()
        await pilot.press(*" moss", "enter")
        await until(pilot, begun.is_set)
        await pilot.press("escape")
        await until(pilot, lambda: "It has begun, and is still done" in notices(pilot))
        go_on.set()
        await until(pilot, lambda: "moss" in registry.concept("gnome").tags)

    drive(home, story)
