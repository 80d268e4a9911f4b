"""The training form: checked as it is typed, the same command, a run in the queue."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from textual.pilot import Pilot
from textual.widget import Widget
from textual.widgets import Input, Select, Static

from tests.tui.conftest import app_of, drive, notices, screen_text, settle, still_said, until
from tireg_tui.input.training_draft import Draft, check, field_to_mend
from tireg_tui.screens.runs import Runs
from tireg_tui.screens.train import TrainForm
from tireg_tui.widgets.picture_strip import PictureStrip
from tiregistry.bases.device_facts import Device
from tiregistry.errors import DiskFull
from tiregistry.registry.registry import Registry
from tiregistry.runs import control, queue
from tiregistry.training.again import material_of


@pytest.mark.parametrize(
    ("draft", "problem"),
    [
        (Draft(), "what shall the word be called"),
        (Draft(name="teapot"), "give files or a folder"),
        (Draft(name="teapot", pictures="/nowhere"), "does not exist"),
        (Draft(name="teapot", pictures="'open"), "No closing quotation"),
        (Draft(name="teapot", pictures="PHOTOS", numbers={"max_steps": "many"}), "no number"),
        (Draft(name="teapot", pictures="PHOTOS", numbers={"max_steps": "0"}), "out of range"),
        (Draft(name="te ap", pictures="PHOTOS"), "concept name"),
        (Draft(name="te ap"), "concept name"),  # while the pictures are not named yet
        (Draft(name="gnome", pictures="PHOTOS", concept_type="style"), "type object"),
        (Draft(name="teapot", pictures="PHOTOS", token="<gnome>"), "already the placeholder"),
        (Draft(name="teapot", pictures="PHOTOS", base="nonesuch"), "nonesuch"),
    ],
)
def test_every_mistake_is_found_before_anything_heavy(home: Path, photos: Path, draft: Draft, problem: str) -> None:
    filled = replace(draft, pictures=draft.pictures.replace("PHOTOS", shlex.quote(str(photos))))
    with Registry.open(home) as registry:
        checked = check(registry, filled)
    assert checked.request is None
    assert any(problem in found for found in checked.problems)


def test_a_form_that_was_left_is_as_it_was_also_after_a_new_start(home: Path, photos: Path) -> None:
    def field(pilot: Pilot[None], name: str) -> str:
        return pilot.app.screen.query_one(f"#{name}", Input).value

    async def leave(pilot: Pilot[None]) -> None:
        await pilot.press("n")
        await pilot.pause()
        await pilot.press(*"mugg")
        pilot.app.screen.query_one("#pictures", Input).value = shlex.quote(str(photos))
        pilot.app.screen.query_one("#max_steps", Input).value = "33"
        await settle(pilot)
        await pilot.press("escape")
        await pilot.pause()
        assert not isinstance(pilot.app.screen, TrainForm)

    async def come_back(pilot: Pilot[None]) -> None:
        app_of(pilot).action_train("gnome")  # another version of a word: not what was begun
        await settle(pilot)
        assert field(pilot, "max_steps") == ""
        await pilot.press("escape", "n")
        await settle(pilot)
        assert (field(pilot, "name"), field(pilot, "max_steps")) == ("mugg", "33")
        assert str(photos) in field(pilot, "pictures")
        assert "F8 empties" in notices(pilot)
        await pilot.press("f8")
        await settle(pilot)
        assert (field(pilot, "name"), field(pilot, "max_steps")) == ("", "")
        await pilot.press("escape", "n")
        await settle(pilot)
        assert field(pilot, "name") == ""

    drive(home, leave)
    drive(home, come_back)


def test_enter_and_arrows_lead_from_field_to_field_and_keep_them_in_sight(home: Path) -> None:
    def is_seen(field: Widget | None) -> bool:
        assert field is not None
        return field.region.height > 0 and field.screen.query_one("#train-form").region.contains_region(field.region)

    async def story(pilot: Pilot[None]) -> None:
        def value(name: str) -> str:
            return pilot.app.screen.query_one(f"#{name}", Input).value

        await pilot.press("n", *"abc", "enter", *"def")
        assert (value("name"), value("pictures")) == ("abc", "def")
        await pilot.press("down", "down", *"ghi", "up", "up", *"!", "up", "end", *"d")
        assert (value("name"), value("pictures"), value("init")) == ("abcd", "def!", "ghi")
        passed = []
        for _ in range(15):
            await pilot.press("down")
            assert is_seen(pilot.app.focused)
            passed.append(pilot.app.focused.id)
        first, *others = [field.id for field in pilot.app.screen.focus_chain]
        assert passed == [*others, first], "once all the way round"
        for key, end in (("pagedown", "flip"), ("pageup", "name")):
            await pilot.press(key)
            assert is_seen(pilot.app.focused)
            await pilot.press(key, key)
            assert is_seen(pilot.app.focused)
            assert pilot.app.focused.id == end

    drive(home, story, size=(80, 24))


def test_a_list_that_is_open_keeps_its_arrows(home: Path) -> None:
    async def story(pilot: Pilot[None]) -> None:
        await pilot.press("n", "down", "down")
        kind = pilot.app.screen.query_one("#type", Select)
        assert pilot.app.focused is kind
        assert kind.value == "object"
        await pilot.press("enter", "down", "enter")
        await settle(pilot)
        assert pilot.app.focused is kind
        assert kind.value == "style"
        await pilot.press("up")
        assert pilot.app.focused is pilot.app.screen.query_one("#pictures")

    drive(home, story, size=(80, 24))


@pytest.mark.parametrize("text", ["", "no json", "[]", '{"name": 3}', '{"recipe": "none"}', '{"surprise": ""}'])
def test_an_unfinished_form_that_cannot_be_read_is_left_alone(text: str) -> None:
    assert Draft.from_json(text) is None


@pytest.mark.parametrize(("flip", "said"), [(None, []), (True, ["--flip"]), (False, ["--no-flip"])])
def test_mirroring_is_the_recipes_choice_until_one_is_made(
    home: Path, photos: Path, flip: bool | None, said: list[str]
) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await pilot.press("n")
        form = pilot.app.screen
        assert isinstance(form, TrainForm)
        form._fill(Draft(name="teapot", pictures=shlex.quote(str(photos)), flip=flip))
        await pilot.pause()
        assert form.draft.flip is flip
        assert Draft.from_json(form.draft.to_json()) == form.draft
        assert [word for word in form.draft.arguments() if "flip" in word] == said

    drive(home, steps)


def test_the_command_says_the_same(photos: Path) -> None:
    draft = Draft(
        name="teapot", pictures=shlex.quote(str(photos)), initializer="old pot", flip=False, numbers={"max_steps": "9"}
    )
    assert shlex.split(draft.command()) == [
        *("tireg", "train", "--detach", "teapot", str(photos)),
        *("--init", "old pot", "--max-steps", "9", "--no-flip"),
    ]


def test_typed_checked_and_queued(home: Path, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []
    # The queue is real; only the worker process, which would load torch, is not started.
    monkeypatch.setattr(control, "start", lambda registry, runs, executor=None: started.extend(r.id for r in runs))

    async def story(pilot: Pilot[None]) -> None:
        await pilot.press("n")
        await settle(pilot)
        screen = pilot.app.screen
        assert isinstance(screen, TrainForm)
        await pilot.press(*"teapot")
        screen.query_one("#pictures", Input).value = shlex.quote(str(photos))
        await settle(pilot)
        text = screen_text(pilot)
        assert "3 pictures" in text
        assert "<teapot>" in text
        assert "▀" in text
        await pilot.press("ctrl+y")
        assert "tireg train --detach teapot" in pilot.app.clipboard
        await pilot.press("ctrl+g")
        await settle(pilot)
        assert isinstance(pilot.app.screen, Runs)
        registry = app_of(pilot).registry
        assert registry is not None
        [run] = registry.runs()
        assert (run.concept, run.status, started) == ("teapot", "queued", [run.id])

    drive(home, story, size=(130, 40))


def test_a_word_is_trained_again_from_the_pictures_it_has(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "start", lambda registry, runs, executor=None: None)

    async def story(pilot: Pilot[None]) -> None:
        app_of(pilot).action_train("gnome")
        await settle(pilot)
        form = pilot.app.screen
        assert isinstance(form, TrainForm)
        form.query_one("#base", Input).value = "embedded"
        await settle(pilot)
        registry = app_of(pilot).registry
        assert registry is not None
        material = material_of(registry, "gnome")
        assert f"of {material.version.reference}" in screen_text(pilot)
        strip = form.query_one("#train-pictures", PictureStrip)
        assert len(strip.sources) == len(material.pictures) > 0
        assert "PICTURES" not in form.draft.command(again=form._checked.again)
        await pilot.press("ctrl+g")
        await until(pilot, lambda: bool(registry.runs()))
        [run] = registry.runs()
        assert [image["digest"] for image in run.config["images"]] == [i.digest for i in material.version.images]

    drive(home, story, size=(130, 40))


def test_the_form_stays_until_its_training_is_in_the_queue(
    home: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Registry.open(home) as registry:
        old = registry.create_run("gnome", {"base": {"name": "tiny"}}, 60, pid=1)
    monkeypatch.setattr(control, "start", lambda registry, runs, executor=None: None)
    enqueue = queue.enqueue

    def full(*_: object) -> None:
        raise DiskFull("no space left", "free some space and try again")

    async def story(pilot: Pilot[None]) -> None:
        await pilot.press("2")
        await settle(pilot)
        runs = pilot.app.screen
        assert isinstance(runs, Runs)
        assert runs.current is not None
        assert runs.current.id == old.id
        await pilot.press("n")
        await settle(pilot)
        form = pilot.app.screen
        await pilot.press(*"teapot")
        form.query_one("#pictures", Input).value = shlex.quote(str(photos))
        await settle(pilot)
        monkeypatch.setattr(queue, "enqueue", full)
        await pilot.press("ctrl+g")
        await until(pilot, lambda: "no space left" in notices(pilot))
        assert pilot.app.screen is form
        monkeypatch.setattr(queue, "enqueue", enqueue)
        await pilot.press("ctrl+g")
        await until(pilot, lambda: pilot.app.screen is runs)
        await until(pilot, lambda: runs.current is not None and runs.current.concept == "teapot")
        await settle(pilot)
        assert "teapot" in str(runs.query_one("#run-title", Static).content)

    drive(home, story, size=(130, 40))


def test_what_it_needs_is_said_before_it_starts(home: Path, photos: Path) -> None:
    Image.new("RGB", (40, 300)).save(photos / "long.png")

    async def story(pilot: Pilot[None]) -> None:
        app_of(pilot).devices._known["auto"] = Device("cpu", "CPU, 2 threads", "fp32", 10**8, 5e10)
        await pilot.press("n")
        await settle(pilot)
        screen = pilot.app.screen
        assert isinstance(screen, TrainForm)
        await pilot.press(*"teapot")
        screen.query_one("#pictures", Input).value = shlex.quote(str(photos))
        screen.query_one("#previews-of", Input).value = "{} at sea | a photo of {}"
        said = screen.query_one("#train-needs", Static)
        await until(pilot, lambda: "≈ about" in str(said.content))
        text = str(said.content)
        for expected in ("≈ on CPU, 2 threads", "of memory of 100 MB free", "100 MB is free", "reckoned for"):
            assert expected in text, expected
        captions = [source.caption for source in screen.query_one("#train-pictures", PictureStrip).sources]
        assert "smaller than 64" in captions[-1]
        assert "only its middle" in captions[-1]
        assert "--preview '{} at sea' --preview 'a photo of {}'" in screen.draft.command()

    drive(home, story, size=(150, 48))


def test_nothing_starts_while_something_is_wrong(home: Path) -> None:
    async def story(pilot: Pilot[None]) -> None:
        await pilot.press("n")
        await settle(pilot)
        await pilot.press(*"teapot", "tab", "tab", "ctrl+g")
        await settle(pilot)
        form = pilot.app.screen
        assert isinstance(form, TrainForm)
        assert form.focused is form.query_one("#pictures")
        assert "Not yet pictures: give files or a folder" in notices(pilot)
        assert still_said(pilot) == ["Not yet"]
        await pilot.press(*"photos")  # what is wrong now stands in the form, not below a message about what was
        await settle(pilot)
        assert still_said(pilot) == []
        await pilot.press("escape")
        await pilot.pause()
        registry = app_of(pilot).registry
        assert registry is not None
        assert registry.runs() == []

    drive(home, story)


@pytest.mark.parametrize(
    ("draft", "field"),
    [
        (Draft(), "name"),
        (Draft(name="teapot"), "pictures"),
        (Draft(name="teapot", pictures="PHOTOS 'open"), "pictures"),
        (Draft(name="teapot", pictures="PHOTOS /nowhere", token="no token"), "pictures"),
        (Draft(name="te ap", pictures="PHOTOS", numbers={"seed": "7"}), "name"),
        (Draft(name="gnome", pictures="PHOTOS", concept_type="style"), "type"),
        (Draft(name="gnome", pictures="PHOTOS", token="<other>"), "token"),
        (Draft(name="teapot", pictures="PHOTOS", token="<gnome>"), "token"),
        (Draft(name="teapot", pictures="PHOTOS", numbers={"seed": "7", "max_steps": "many"}), "max_steps"),
        (Draft(name="teapot", pictures="PHOTOS", numbers={"seed": "7", "resolution": "100"}), "resolution"),
        (Draft(name="teapot", pictures="PHOTOS", previews="a photo of it"), "previews-of"),
        (Draft(name="teapot", pictures="PHOTOS", initializer="gnome@77"), "init"),
        (Draft(name="teapot", pictures="PHOTOS", base="nonesuch"), "base"),
        (Draft(name="teapot", pictures="PHOTOS", base="nonesuch", initializer="gnome@77"), "init"),
    ],
)
def test_the_cursor_goes_to_what_is_to_be_mended(home: Path, photos: Path, draft: Draft, field: str) -> None:
    filled = replace(draft, pictures=draft.pictures.replace("PHOTOS", shlex.quote(str(photos))))
    with Registry.open(home) as registry:
        checked = check(registry, filled)
        assert checked.problems
        assert field_to_mend(registry, filled, checked) == field


def test_training_again_starts_from_what_is_known(home: Path) -> None:
    async def story(pilot: Pilot[None]) -> None:
        await pilot.press("enter")
        await settle(pilot)
        await pilot.press("n")
        await settle(pilot)
        screen = pilot.app.screen
        assert isinstance(screen, TrainForm)
        assert screen.draft.name == "gnome"
        assert screen.draft.initializer == "thing"
        pictures = screen.query_one("#pictures", Input)
        assert "when left empty" in pictures.placeholder
        screen.query_one("#name", Input).value = "gnomon"  # a new word has none
        await until(pilot, lambda: "when left empty" not in pictures.placeholder)
        screen.query_one("#name", Input).value = "mug"
        await until(pilot, lambda: "when left empty" in pictures.placeholder)

    drive(home, story)


def test_good_pictures_are_shown_beside_what_is_wrong_with_the_others(home: Path, photos: Path) -> None:
    (photos / "0.png").write_bytes(b"")
    (photos / "3.jpg").write_bytes(b"no picture")
    elsewhere = photos.parent / "nowhere"

    async def story(pilot: Pilot[None]) -> None:
        await pilot.press("n")
        await settle(pilot)
        form = pilot.app.screen
        assert isinstance(form, TrainForm)
        await pilot.press(*"teapot")
        form.query_one("#pictures", Input).value = shlex.join([str(photos), str(elsewhere)])
        await settle(pilot)
        strip = form.query_one(PictureStrip)
        assert [source.caption for source in strip.sources] == ["1.png · 64×64", "2.png · 64×64", "✗ 0.png", "✗ 3.jpg"]
        said = str(form.query_one("#train-check", Static).content)
        for expected in ("0.png is empty", "3.jpg is not a picture", "nowhere does not exist", "✓ 2 pictures"):
            assert expected in said
        strip.focus()
        await pilot.press("end", "enter")
        await until(pilot, lambda: "3.jpg is not a picture" in screen_text(pilot).partition("cannot be shown")[2])
        for number in range(10, 20):
            (photos / f"{number}.png").write_bytes(b"")
        form.query_one("#pictures", Input).value = str(photos).replace(" ", "\\ ")
        await settle(pilot)
        assert "and 7 more that cannot be used" in str(form.query_one("#train-check", Static).content)

    drive(home, story, size=(150, 44))
