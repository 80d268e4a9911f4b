"""Composing: pictures as they come from another process, compared, repeated, stopped, remembered."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from textual.events import Paste
from textual.pilot import Pilot
from textual.widgets import Input

from tests.tui.conftest import BASE, app_of, drive, notices, screen_text, settle, until
from tireg_tui.input.drawing_requests import pictures_folder
from tireg_tui.input.pasted import in_one_line
from tireg_tui.processes import picture_maker
from tireg_tui.screens.choose import Choose
from tireg_tui.screens.compose import Compose
from tireg_tui.widgets.captioned import Captioned
from tiregistry.concepts import BaseModel, NewVersion
from tiregistry.embeddings.embedding import Embedding
from tiregistry.registry.registry import Registry

# Speaks as `tireg gen -` does and draws one colour for each seed, so that no model is needed; slow when asked to be.
PAINTER = """
import json, sys, time
from pathlib import Path
from PIL import Image
folder = Path(sys.argv[sys.argv.index("--out") + 1])
folder.mkdir(parents=True, exist_ok=True)
for number, line in enumerate(sys.stdin, 1):
    request = json.loads(line)
    if "slow" in request["prompt"] and request["seed"]:
        time.sleep(600)
    while "held" in request["prompt"] and request["seed"] == 1 and not (folder.parent / "go-on").exists():
        time.sleep(0.02)
    if "bad" in request["prompt"]:
        answer = {"line": number, "error": "no such thing", "hint": "say something else"}
    else:
        path = folder / f"{number}.png"
        Image.new("RGB", (64, 64), (request["seed"] * 40 % 256, 80, 120)).save(path)
        answer = {"line": number, "path": str(path), "recipe": request} | {k: request[k] for k in ("prompt", "seed")}
    print(json.dumps(answer), flush=True)
"""


@pytest.fixture(autouse=True)
def painter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture_maker, "command_line", lambda options: [sys.executable, "-c", PAINTER, *options])


async def composing(pilot: Pilot[None], prompt: str) -> Compose:
    await pilot.press("3")
    await settle(pilot)
    screen = pilot.app.screen
    assert isinstance(screen, Compose)
    screen.take_prompt(prompt)
    await pilot.pause()
    return screen


def test_pictures_come_and_everything_is_remembered(home: Path) -> None:
    async def story(pilot: Pilot[None]) -> None:
        screen = await composing(pilot, "<gnome> at sea")
        screen.query_one("#count", Input).value = "3"
        screen.query_one("#size", Input).value = "128x64"
        screen.query_one("#negative", Input).value = "fog"
        await pilot.press("ctrl+g")
        await until(pilot, lambda: not app_of(pilot).jobs.at_work)
        assert [source.caption for source in screen.strip.sources] == [f"<gnome> at sea · seed {n}" for n in range(3)]
        assert screen.strip.sources[0].path is not None
        recipe = json.loads(json.dumps(screen.fields.request()))
        assert recipe == {"seed": 0, "steps": 30, "guidance": 5.0, "size": "128x64"}
        assert app_of(pilot).jobs.all[0].state == "done"
        await pilot.press("escape", "y")
        assert pilot.app.clipboard == "tireg gen '<gnome> at sea' -n 3 --size 128x64 --negative fog"
        await pilot.press("N")
        await until(pilot, lambda: len(app_of(pilot).jobs.all) == 2 and not app_of(pilot).jobs.at_work)
        assert screen.strip.sources[0].caption.endswith("seed 3")

    drive(home, story)

    async def again(pilot: Pilot[None]) -> None:
        screen = pilot.app.screen  # one comes back to where one was
        assert isinstance(screen, Compose)
        assert screen.prompt.value == "<gnome> at sea"
        assert (screen.fields.text("count"), screen.fields.text("seed")) == ("3", "3")
        assert screen.query_one("#negative", Input).value == "fog"

    drive(home, again)


def test_what_is_refused_and_what_is_no_number_is_said(home: Path) -> None:
    async def story(pilot: Pilot[None]) -> None:
        screen = await composing(pilot, "a bad <gnome>")
        await pilot.press("ctrl+g")
        await until(pilot, lambda: not app_of(pilot).jobs.at_work)
        assert "no such thing" in notices(pilot)
        for field, value, said in (
            ("steps", "10c", "steps: '10c' is no whole number"),
            ("guidance", "nan", "guidance: 'nan' is no number"),
            ("count", "many", "pictures: 'many' is no whole number"),
            ("size", "large", "not a size"),
        ):
            entry = screen.query_one(f"#{field}", Input)
            entry.value = value
            await settle(pilot)
            assert entry.has_class("-wrong")
            assert said in screen_text(pilot)  # as it is typed
            await pilot.press("ctrl+g")
            await settle(pilot)
            assert said in notices(pilot)
            entry.value = ""
            await settle(pilot)
            assert not entry.has_class("-wrong")
        screen.prompt.value = ""
        await pilot.press("ctrl+g")
        await settle(pilot)
        assert "Write a prompt first" in notices(pilot)

    drive(home, story)


def test_vectors_that_are_gone_are_said_before_anything_heavy(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture_maker, "command_line", lambda _: pytest.fail("a model would be loaded"))
    for path in (home / "blobs").rglob("*"):
        if path.is_file():
            path.unlink()

    async def story(pilot: Pilot[None]) -> None:
        await composing(pilot, "a <gnome>")
        await pilot.press("ctrl+g")
        await until(pilot, lambda: "tireg verify" in notices(pilot))
        assert app_of(pilot).jobs.all[0].state == "failed"

    drive(home, story)


def test_drawing_is_stopped(home: Path) -> None:
    async def story(pilot: Pilot[None]) -> None:
        screen = await composing(pilot, "a slow <gnome>")
        await pilot.press("ctrl+g")
        await until(pilot, lambda: len(screen.strip.sources) == 1)
        assert "1 of 4 · Esc leaves the field, then stops" in screen_text(pilot)
        await pilot.press("escape")
        await until(pilot, lambda: "1 of 4 · Esc stops" in screen_text(pilot))
        assert app_of(pilot).jobs.at_work
        await pilot.press("escape")
        await until(pilot, lambda: not app_of(pilot).jobs.at_work)
        assert app_of(pilot).jobs.all[0].state == "cancelled"
        assert screen._maker is not None
        assert not screen._maker.is_warm  # its process is gone
        assert pilot.app.screen is screen

    drive(home, story)


def test_escape_goes_back_one_thing_at_a_time(home: Path) -> None:
    async def story(pilot: Pilot[None]) -> None:
        screen = await composing(pilot, "<gnome>")
        screen.strip.focus()
        await pilot.press("ctrl+g")
        await until(pilot, lambda: not app_of(pilot).jobs.at_work)
        screen._ended += 60  # a busy machine takes longer to come here
        await pilot.press("escape")  # a moment too late to stop it
        await settle(pilot)
        assert pilot.app.screen is screen
        screen._ended -= 120
        await pilot.press("enter")
        await settle(pilot)
        assert len(screen.strip.query(Captioned)) == 1
        await pilot.press("escape")
        await settle(pilot)
        assert len(screen.strip.query(Captioned)) == 4
        assert len({shown.view.size for shown in screen.strip.query(Captioned)}) == 1  # 116 columns are no 4 times any
        await pilot.click(list(screen.strip.query(Captioned))[2])
        await settle(pilot)
        assert screen.strip.index == 2
        for at, shown in ((2, 1), (0, 4)):  # the one that is taken already becomes large, and small again
            await pilot.click(list(screen.strip.query(Captioned))[at])
            await settle(pilot)
            assert len(screen.strip.query(Captioned)) == shown
        await pilot.press("escape")
        await settle(pilot)
        assert pilot.app.screen is not screen

    drive(home, story)


def test_what_is_typed_is_seen_where_there_is_hardly_any_room(home: Path) -> None:
    async def story(pilot: Pilot[None]) -> None:
        await pilot.press("3")
        await settle(pilot)
        await pilot.press(*"a red mug now")
        await settle(pilot)
        assert "a red mug now" in screen_text(pilot)

    drive(home, story, size=(20, 8))


def test_words_are_completed_wherever_the_cursor_stands(home: Path) -> None:
    async def story(pilot: Pilot[None]) -> None:
        screen = await composing(pilot, "<gnome> at sea")
        screen.prompt.cursor_position = len("<gnome>")
        await pilot.press("at")
        await until(pilot, lambda: "Tab: <gnome@best>  <gnome@3>" in screen_text(pilot))
        await pilot.press("2", "tab")
        assert screen.prompt.value == "<gnome@2> at sea"
        screen.prompt.cursor_position = len("<gn")
        await pilot.press("x", "backspace", "delete", "tab")
        assert screen.prompt.value == "<gnome> at sea"

    drive(home, story)


def test_words_that_do_not_fit_are_said_as_they_are_typed(home: Path) -> None:
    other = replace(BASE, token_embedding="sha256:" + "d" * 64)
    with Registry.open(home) as registry:
        registry.add_base(BaseModel("tiny", "tiny", BASE))
        registry.add_base(BaseModel("large", "large", other))
        values = np.ones((1, 16), dtype="float32")
        new = NewVersion("kite", "<kite>", "object", "trained", other, "large")
        registry.add_version(new, Embedding({"clip_l": values}))

    async def story(pilot: Pilot[None]) -> None:
        screen = await composing(pilot, "<gnome> and ")
        await pilot.press(*"<kite>")
        await until(pilot, lambda: "kite@1 was not learned on tiny · it fits: --base large" in screen_text(pilot))
        screen.query_one("#count", Input).value = "2"  # as one goes on
        await settle(pilot)
        assert "kite@1 was not learned on tiny" in screen_text(pilot)
        screen.prompt.value = "<gnmoe>"
        await until(pilot, lambda: "<gnmoe> · did you mean <gnome>?" in screen_text(pilot))
        screen.prompt.value = "<gnome@7>"
        await until(pilot, lambda: "there is no version gnome@7" in screen_text(pilot))
        screen.prompt.value = "<kite>"
        await until(pilot, lambda: "Ctrl+G makes the pictures" in screen_text(pilot))

    drive(home, story)


def test_a_version_behind_its_word_is_asked_about(home: Path) -> None:
    async def story(pilot: Pilot[None]) -> None:
        await pilot.press("3")
        await settle(pilot)
        await pilot.press(*"a <gnome>")
        await settle(pilot)
        await pilot.press(*"@best at sea")
        await until(pilot, lambda: "<gnome>@best holds the text @best" in screen_text(pilot))
        assert "<gnome@best>" in screen_text(pilot)
        await pilot.press(*["backspace"] * len("@best at sea"), *"@dawn at sea")
        await until(pilot, lambda: "holds the text" not in screen_text(pilot))

    drive(home, story)


def test_two_versions_side_by_side(home: Path) -> None:
    async def story(pilot: Pilot[None]) -> None:
        screen = await composing(pilot, "<gnome> at sea")
        screen.query_one("#count", Input).value = "2"
        screen.strip.focus()
        await pilot.press("c")
        await pilot.pause()
        assert isinstance(pilot.app.screen, Choose)  # three versions: with which?
        await pilot.press("enter")
        await until(pilot, lambda: not app_of(pilot).jobs.at_work and bool(app_of(pilot).jobs.all))
        captions = [source.caption for source in screen.strip.sources]
        assert captions == [f"<gnome@{v}> · seed {seed}" for seed in (0, 1) for v in (3, 2)]
        assert screen.strip.pairs
        await pilot.press("right")
        await pilot.pause()
        assert screen.strip.index == 2  # both scrub together
        await pilot.press("right")
        await pilot.pause()
        assert screen.strip.index == 2

    drive(home, story, size=(150, 44))


def test_an_earlier_picture_is_repeated(home: Path, tmp_path: Path) -> None:
    recipe = {"seed": 41, "num_inference_steps": 12, "guidance_scale": 3.5, "negative_prompt": "fog", "width": 96}
    recipe |= {"height": 64, "scheduler": "euler", "prompt": "<mug> in snow"}
    with Registry.open(home) as registry:
        registry.add_picture(str(tmp_path / "gone.png"), "<mug> in snow", recipe)

    async def story(pilot: Pilot[None]) -> None:
        screen = await composing(pilot, "")
        assert "<mug> in snow" in screen_text(pilot)
        screen.strip.focus()
        await pilot.press("R")
        await settle(pilot)
        assert screen.prompt.value == "<mug> in snow"
        expected = {"seed": 41, "steps": 12, "guidance": 3.5, "size": "96x64", "scheduler": "euler"}
        assert screen.fields.request() == expected
        assert screen.query_one("#negative", Input).value == "fog"

    drive(home, story)


def test_alternatives_are_drawn_one_by_one(home: Path) -> None:
    (home / "wildcards").mkdir()
    (home / "wildcards" / "place.txt").write_text("sea\nmoon\n")

    async def story(pilot: Pilot[None]) -> None:
        screen = await composing(pilot, "a {red|blue} <gnome> at __place__")
        screen.query_one("#count", Input).value = "2"
        await pilot.press("ctrl+g")
        await until(pilot, lambda: app_of(pilot).jobs.all and not app_of(pilot).jobs.at_work)
        captions = [source.caption for source in screen.strip.sources]
        assert len(captions) == 8
        assert captions[0] == "a red <gnome> at sea · seed 0"
        assert captions[-1] == "a blue <gnome> at moon · seed 1"
        screen.query_one("#count", Input).value = "20"
        await pilot.press("ctrl+g")
        await until(pilot, lambda: any("more than 64 pictures" in said for said in app_of(pilot).said))
        screen.take_prompt("a {red|blue")
        await pilot.press("ctrl+g")
        await until(pilot, lambda: any("not closed" in said for said in app_of(pilot).said))

    drive(home, story)


def test_what_is_pasted_in_several_lines_is_one_prompt(home: Path) -> None:
    async def story(pilot: Pilot[None]) -> None:
        screen = await composing(pilot, "")
        pilot.app.post_message(Paste("a photo of\n<gnome>\r\n\r\non the beach\n"))
        await settle(pilot)
        assert screen.prompt.value == "a photo of <gnome> on the beach"

    drive(home, story)


def test_pasted_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my photo.png").touch()
    monkeypatch.chdir(tmp_path)
    assert in_one_line("my photo.png\nb.png\n", as_paths=True) == "'my photo.png' b.png"
    assert in_one_line("a.png c d.png", as_paths=True) == "a.png c d.png"  # typed as two


def test_a_registry_that_can_only_be_read_is_drawn_with(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = home.parent / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    with Registry.open(home, readonly=True) as registry:
        assert pictures_folder(registry) == elsewhere / "pictures"
    with Registry.open(home) as registry:
        assert pictures_folder(registry) == home / "pictures"
