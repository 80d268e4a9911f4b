"""The training form: checked as it is typed, the same command, a run in the queue."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from tests.tui.conftest import app_of, drive, picture, screen_text, settle
from tireg_tui.drafts import Draft, check
from tireg_tui.screens.runs import Runs
from tireg_tui.screens.train import TrainForm
from tiregistry.registry.registry import Registry
from tiregistry.runs import control


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "my photos"
    folder.mkdir()
    for number, color in enumerate(("red", "green", "blue")):
        (folder / f"{number}.png").write_bytes(picture(color))
    return folder


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
        (Draft(name="gnome", pictures="PHOTOS", concept_type="style"), "type object"),
        (Draft(name="teapot", pictures="PHOTOS", token="<gnome>"), "already the placeholder"),
        (Draft(name="teapot", pictures="PHOTOS", base="nonesuch"), "nonesuch"),
    ],
)
def test_every_mistake_is_found_before_anything_heavy(home: Path, photos: Path, draft: Draft, problem: str) -> None:
    from dataclasses import replace

    filled = replace(draft, pictures=draft.pictures.replace("PHOTOS", shlex.quote(str(photos))))
    with Registry.open(home) as registry:
        checked = check(registry, filled)
    assert checked.request is None
    assert any(problem in found for found in checked.problems)


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


def test_nothing_starts_while_something_is_wrong(home: Path) -> None:
    async def story(pilot: Pilot[None]) -> None:
        await pilot.press("n")
        await settle(pilot)
        await pilot.press("ctrl+g")
        await settle(pilot)
        assert isinstance(pilot.app.screen, TrainForm)
        await pilot.press("escape")
        await pilot.pause()
        registry = app_of(pilot).registry
        assert registry is not None
        assert registry.runs() == []

    drive(home, story)


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

    drive(home, story)
