"""Notes: what is typed and not kept comes back, and what others write meanwhile is not replaced."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import TextArea

from tests.tui.conftest import Talkative, app_of, drive, notices, screen_text, settle, until
from tireg_tui.app import TiregApp
from tireg_tui.input.note_drafts import ELSEWHERE, NoteDraft, draft_of, remember
from tireg_tui.screens.concept import ConceptScreen
from tireg_tui.screens.write_note import WriteNote
from tireg_tui.settings.remembered import Remembered
from tiregistry.concepts import Concept
from tiregistry.registry.registry import Registry


def concept(home: Path) -> Concept:
    with Registry.open(home) as registry:
        return registry.concept("gnome")


def note_of(home: Path) -> str:
    with Registry.open(home) as registry:
        return registry.concept("gnome").notes


async def at_the_word(pilot: Pilot[None]) -> None:
    await pilot.press("enter")
    await settle(pilot)
    assert isinstance(pilot.app.screen, ConceptScreen)


async def writing(pilot: Pilot[None]) -> TextArea:
    """The note as it stands in the dialog, which `e` opens."""
    await pilot.press("e")
    await pilot.pause()
    assert isinstance(pilot.app.screen, WriteNote)
    return pilot.app.screen.query_one(TextArea)


async def kept(pilot: Pilot[None]) -> None:
    await pilot.press("ctrl+s")
    await until(pilot, lambda: isinstance(pilot.app.screen, ConceptScreen))
    await settle(pilot)


def write_elsewhere(home: Path, notes: str) -> None:
    with Registry.open(home) as other:
        other.describe("gnome", notes=notes)


@pytest.mark.parametrize(
    ("mine", "seen", "now", "both"),
    [
        ("mine", "", "", "mine"),
        ("mine", "old", "mine", "mine"),
        ("old, mine", "old", "", "old, mine"),
        ("old, mine", "old", "old\nand theirs", f"old, mine\n\n{ELSEWHERE}\nand theirs"),
        ("mine", "", "theirs", f"mine\n\n{ELSEWHERE}\ntheirs"),
        ("old, mine", "old", "new", f"old, mine\n\n{ELSEWHERE}\nnew"),
    ],
)
def test_of_two_who_write_a_note_neither_is_lost(mine: str, seen: str, now: str, both: str) -> None:
    assert NoteDraft(mine, seen).over(now) == NoteDraft(both, now)


@pytest.mark.parametrize("text", ["no json", "[]", '{"text": 3, "seen": ""}', '{"text": ""}'])
def test_a_draft_that_cannot_be_read_is_none(home: Path, text: str) -> None:
    remembered, gnome = Remembered(home), concept(home)
    remember(remembered, gnome, NoteDraft("a", "b"))
    assert draft_of(remembered, gnome) == NoteDraft("a", "b")
    (key,) = remembered._values
    remembered.set(key, text)
    assert draft_of(remembered, gnome) is None


def test_a_draft_goes_with_its_word_and_not_with_a_name(home: Path) -> None:
    remembered = Remembered(home)
    remember(remembered, concept(home), NoteDraft("a", "b"))
    with Registry.open(home) as registry:
        registry.rename("gnome", "dwarf")
        assert draft_of(remembered, registry.concept("dwarf")) == NoteDraft("a", "b")
        registry.remove("dwarf")
        registry.purge(["dwarf"])
        another = registry.create_concept("dwarf", "<dwarf>", "object")
        assert draft_of(remembered, another) is None


def test_a_note_is_written_on_where_it_ends(home: Path) -> None:
    write_elsewhere(home, "red hat\nby the pond \U0001f468\u200d\U0001f33e")  # one sign, joined by what is not seen

    async def story(pilot: Pilot[None]) -> None:
        await at_the_word(pilot)
        await writing(pilot)
        await pilot.press("exclamation_mark")
        await kept(pilot)

    drive(home, story)
    assert note_of(home) == "red hat\nby the pond \U0001f468\u200d\U0001f33e!"


def test_a_note_that_was_left_comes_back_also_after_a_new_start(home: Path) -> None:
    write_elsewhere(home, "old")

    async def leave(pilot: Pilot[None]) -> None:
        await at_the_word(pilot)
        await writing(pilot)
        await pilot.press("escape")
        await pilot.pause()
        assert draft_of(app_of(pilot).remembered, concept(home)) is None  # nothing was typed
        await writing(pilot)
        await pilot.press(*"er", "escape")
        await pilot.pause()
        assert isinstance(pilot.app.screen, ConceptScreen)

    async def come_back(pilot: Pilot[None]) -> None:
        await at_the_word(pilot)
        area = await writing(pilot)
        assert area.text == "older"
        assert "F8 drops it" in screen_text(pilot)
        await pilot.press("f8")
        await pilot.pause()
        assert area.text == "old"
        await pilot.press("escape")
        area = await writing(pilot)
        assert area.text == "old"
        await pilot.press(*"est")
        await kept(pilot)
        assert (await writing(pilot)).text == "oldest"

    drive(home, leave)
    assert note_of(home) == "old"
    drive(home, come_back)
    assert note_of(home) == "oldest"
    assert draft_of(Remembered(home), concept(home)) is None


def test_what_another_program_writes_meanwhile_stands_below(home: Path) -> None:
    async def story(pilot: Pilot[None]) -> None:
        await at_the_word(pilot)
        area = await writing(pilot)
        await pilot.press(*"mine")
        write_elsewhere(home, "theirs")
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "changed elsewhere meanwhile" in screen_text(pilot))
        assert note_of(home) == "theirs"
        both = f"mine\n\n{ELSEWHERE}\ntheirs"
        assert area.text == both
        await pilot.press("escape")
        assert (await writing(pilot)).text == both
        write_elsewhere(home, "theirs and more")
        await pilot.press("escape")
        await until(pilot, lambda: "more" in str(pilot.app.screen.query_one("#notes").render()))
        assert (await writing(pilot)).text == f"{both}\n\n{ELSEWHERE}\n and more"
        await kept(pilot)

    drive(home, story)
    assert note_of(home) == f"mine\n\n{ELSEWHERE}\ntheirs\n\n{ELSEWHERE}\n and more"


def test_what_the_editor_cannot_keep_comes_back(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[str] = []

    def edit(_: TiregApp, text: str, suffix: str = ".md") -> str:
        begun.append(text)
        if len(begun) == 1:
            write_elsewhere(home, "theirs")
            return "mine"
        return f"{text}!"

    monkeypatch.setattr(Talkative, "edit_text", edit)

    async def story(pilot: Pilot[None]) -> None:
        await at_the_word(pilot)
        await pilot.press("E")
        await until(pilot, lambda: "comes back" in notices(pilot))
        assert note_of(home) == "theirs"
        await until(pilot, lambda: "theirs" in str(pilot.app.screen.query_one("#notes").render()))
        await pilot.press("E")
        await until(pilot, lambda: note_of(home).endswith("!"))

    drive(home, story)
    assert begun == ["", f"mine\n\n{ELSEWHERE}\ntheirs"]
    assert note_of(home) == f"{begun[1]}!"
