"""Settings that stay, keys that are remapped, the queue's order, and what is told of work under way."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from tests.tui.conftest import app_of, drive, notices, screen_text, settle, until
from tireg_tui.background.announcer import Announcer
from tireg_tui.background.jobs import Job, Jobs
from tireg_tui.screens.choose import Choose
from tireg_tui.screens.confirm import Confirm
from tireg_tui.screens.library import Library
from tireg_tui.screens.press_key import PressKey
from tireg_tui.screens.queue import Queue
from tireg_tui.screens.settings import SettingsScreen
from tireg_tui.settings import keymap
from tireg_tui.terminal.window_title import title
from tiregistry.concepts import RunStatus
from tiregistry.registry.registry import Registry
from tiregistry.runs import control
from tiregistry.settings import Settings


async def at_settings(pilot: Pilot[None]) -> SettingsScreen:
    await pilot.press("comma")
    await settle(pilot)
    screen = pilot.app.screen
    assert isinstance(screen, SettingsScreen)
    return screen


def test_a_theme_is_seen_while_it_is_chosen_and_kept(home: Path) -> None:
    async def story(pilot: Pilot[None]) -> None:
        await at_settings(pilot)
        await pilot.press("down", "enter")
        await pilot.pause()
        assert isinstance(pilot.app.screen, Choose)
        await pilot.press("j")
        await pilot.pause()
        assert pilot.app.theme == "tireg-light"
        await pilot.press("escape")
        await settle(pilot)
        assert (pilot.app.theme, Settings.load(home).theme) == ("tireg-dark", "dark")
        await pilot.press("enter")
        await pilot.pause()
        await pilot.press("down", "down", "enter")
        await settle(pilot)
        assert (pilot.app.theme, Settings.load(home).theme) == ("tireg-ansi", "ansi")
        assert "ansi" in screen_text(pilot)
        await pilot.press("backspace")
        await settle(pilot)
        assert (pilot.app.theme, Settings.load(home).theme) == ("tireg-dark", "dark")

    drive(home, story)
    (home / "settings.toml").write_text('theme = "light"\n')

    async def again(pilot: Pilot[None]) -> None:
        assert pilot.app.theme == "tireg-light"

    drive(home, again)


def test_every_theme_can_be_chosen(home: Path) -> None:
    async def story(pilot: Pilot[None]) -> None:
        names = sorted(pilot.app.available_themes)
        assert len(names) > 20
        for place in ("library", "settings"):
            pilot.app.action_go(place)
            await settle(pilot)
            for name in names:
                pilot.app.theme = name
                await pilot.pause()
                assert "Library" in screen_text(pilot), name

    drive(home, story, size=(100, 30))


def test_texts_choices_and_the_base_model_are_kept(home: Path) -> None:
    async def story(pilot: Pilot[None]) -> None:
        await at_settings(pilot)
        await pilot.press("G", "up", "up", "enter")  # output
        await pilot.pause()
        await pilot.press(*"/pictures", "enter")
        await settle(pilot)
        assert Settings.load(home).output == "/pictures"
        await pilot.press("up", "up", "enter")  # device
        await pilot.pause()
        pilot.app.screen.query_one(Input).value = "gpu"
        await pilot.press("enter")
        await settle(pilot)
        assert "no choice" in screen_text(pilot)
        assert pilot.app.screen.query_one(Input).value == "gpu"  # to be mended
        assert Settings.load(home).device == "auto"
        await pilot.press("escape")
        registry = app_of(pilot).registry
        assert registry is not None
        await pilot.press("up", "enter")  # base model
        await pilot.pause()
        assert isinstance(pilot.app.screen, Choose)
        await pilot.press("enter")
        await settle(pilot)
        assert registry.default_base == "embedded"

    drive(home, story)


def test_a_key_is_remapped_by_pressing_it(home: Path) -> None:
    async def story(pilot: Pilot[None]) -> None:
        await at_settings(pilot)
        await pilot.press("slash", *"library.filter", "enter")
        await settle(pilot)
        await pilot.press("enter")
        await pilot.pause()
        assert isinstance(pilot.app.screen, PressKey)
        await pilot.press("t")  # taken by tags
        await settle(pilot)
        assert "is the key of: Tags" in notices(pilot)
        await pilot.press("enter")
        await pilot.pause()
        await pilot.press("down")
        await settle(pilot)
        assert "moves the cursor" in notices(pilot)
        await pilot.press("enter")
        await pilot.pause()
        await pilot.press("f")
        await settle(pilot)
        assert dict(Settings.load(home).keys) == {"library.filter": "f"}
        await pilot.press("1")
        await settle(pilot)
        await pilot.press("f")
        assert isinstance(pilot.app.screen, Library)
        assert pilot.app.screen.query_one("#filter").has_focus

    drive(home, story)


def test_a_broken_settings_file_is_said_and_left_alone(home: Path) -> None:
    (home / "settings.toml").write_text("images = [")

    async def story(pilot: Pilot[None]) -> None:
        await at_settings(pilot)
        assert "not valid TOML" in screen_text(pilot)

    drive(home, story, size=(140, 40))
    assert (home / "settings.toml").read_text() == "images = ["


def test_a_key_of_no_act_is_said_with_the_nearest(home: Path) -> None:
    (home / "settings.toml").write_text('[keys]\n"libary.filter" = "f"\n"library.sort" = "f9"\n')

    async def story(pilot: Pilot[None]) -> None:
        await until(pilot, lambda: "libary.filter" in notices(pilot))
        text = " ".join(notices(pilot).split())
        assert (
            f"{home / 'settings.toml'}, [keys]: there is no act 'libary.filter'; did you mean library.filter?" in text
        )
        assert "library.sort" not in text
        await at_settings(pilot)
        assert notices(pilot).count("there is no act") == 1

    drive(home, story)


def test_no_act_remote_or_destructive_on_a_bare_lowercase_letter() -> None:
    acts = {act.id: act for act in keymap.acts()}
    assert {"hub.pull", "push.push", "library.push", "concept.push", "queue.cancel", "runs.stop"} <= set(acts)
    for act in acts.values():
        dangerous = any(word in act.id for word in ("remove", "stop", "push", "pull", "cancel", "forget"))
        if dangerous and not act.id.endswith((".cancel", ".previous", ".next", ".up", ".down", ".back")):
            for key in act.keys.split(","):
                assert len(key) > 1 or not key.islower(), act


@pytest.fixture
def queued(home: Path) -> list[str]:
    """One run at work in this process, three that wait, one that broke off."""
    with Registry.open(home) as registry:
        broken = registry.create_run("old", {}, 10)
        registry.update_run(broken.id, status="failed", message="out of paint", finished_at=time.time())
        working = registry.create_run("now", {}, 100, pid=os.getpid())
        fields = {"status": "running", "step": 40, "started_at": time.time(), "heartbeat_at": time.time() + 3600}
        registry.update_run(working.id, **fields)
        return [registry.create_run(name, {"background": True}, 10).id for name in "abc"]


async def at_queue(pilot: Pilot[None]) -> Queue:
    await pilot.press("5")
    await settle(pilot)
    screen = pilot.app.screen
    assert isinstance(screen, Queue)
    return screen


def waiting(pilot: Pilot[None]) -> list[str]:
    registry = app_of(pilot).registry
    assert registry is not None
    return [f"{run.concept}{'*' if run.held else ''}" for run in registry.queue()]


def test_the_queue_is_ordered_and_held(home: Path, queued: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []
    monkeypatch.setattr(control, "start", lambda registry, runs, executor=None: started.extend(r.concept for r in runs))

    async def story(pilot: Pilot[None]) -> None:
        screen = await at_queue(pilot)
        text = screen_text(pilot)
        for expected in ("● at work", "40/100", "◌ waits", "✗ failed", "now ━", "3 waiting"):
            assert expected in text, expected
        await pilot.press("down", "down", "down")  # c
        await pilot.press("K")
        await settle(pilot)
        await pilot.press("K")
        await settle(pilot)
        assert waiting(pilot) == ["c", "a", "b"]
        assert screen.current is not None
        assert screen.current.what == "train c"  # the cursor goes along
        await pilot.press("J", "space")
        await settle(pilot)
        await settle(pilot)
        assert waiting(pilot) in (["a", "c*", "b"], ["a", "c", "b"])
        if "c*" not in waiting(pilot):
            await pilot.press("space")
            await settle(pilot)
        assert "held" in screen_text(pilot)
        await pilot.press("space")
        await settle(pilot)
        assert started == ["c"]
        await pilot.press("X")
        await pilot.pause()
        assert isinstance(pilot.app.screen, Confirm)
        assert "has not begun" in screen_text(pilot)
        await pilot.press("right", "enter")
        await settle(pilot)
        assert waiting(pilot) == ["a", "b"]
        await pilot.press("G", "r")  # the one that failed
        await settle(pilot)
        assert waiting(pilot) == ["a", "b", "old"]

    drive(home, story, size=(130, 40))


def test_jobs_of_the_window_are_asked_about_before_quitting(home: Path) -> None:
    cancelled: list[str] = []

    async def story(pilot: Pilot[None]) -> None:
        app = app_of(pilot)
        job = Job("pull bob/lantern", cancel=lambda: cancelled.append("job"))
        app.start_job(job)
        job.tell("learned_embeds.bin", 1, 4)
        app.jobs_changed()
        await settle(pilot)
        assert "pull bob/lantern ━" in screen_text(pilot)
        assert "25 %" in screen_text(pilot)
        await pilot.press("q")
        await pilot.pause()
        assert isinstance(pilot.app.screen, Confirm)
        await pilot.press("enter")  # Cancel
        await settle(pilot)
        assert isinstance(pilot.app.screen, Library)
        await at_queue(pilot)
        await pilot.press("X")
        await pilot.pause()
        await pilot.press("right", "enter")
        await settle(pilot)
        assert cancelled == ["job"]
        job.end("failed", "no answer")
        job.end("done")
        app.jobs_changed()
        await settle(pilot)
        assert "✗ failed" in screen_text(pilot)
        assert "25 %" not in screen_text(pilot)
        await pilot.press("D")
        await settle(pilot)
        assert app.jobs.all == []
        await pilot.press("q")
        await pilot.pause()

    drive(home, story)


def test_what_waits_in_vain_says_so_and_is_started(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []
    monkeypatch.setattr(control, "start", lambda registry, runs, executor=None: started.extend(r.concept for r in runs))
    monkeypatch.setattr("tiregistry.runs.liveness.PATIENCE_SECONDS", 0.0)
    with Registry.open(home) as registry:
        registry.create_run("pot", {"background": True}, 10)

    async def story(pilot: Pilot[None]) -> None:
        await at_queue(pilot)
        text = screen_text(pilot)
        assert "◌ in vain" in text
        assert "nothing is at work, r starts it" in text
        await pilot.press("r")
        await settle(pilot)
        assert started == ["pot"]

    drive(home, story)


def test_the_end_of_a_training_is_told_wherever_one_is(home: Path, queued: list[str]) -> None:
    async def story(pilot: Pilot[None]) -> None:
        with Registry.open(home) as registry:
            run = next(run for run in registry.runs() if run.concept == "now")
            registry.update_run(run.id, status="finished", step=100, pid=None, finished_at=time.time())
        await until(pilot, lambda: "now is learned, 100 steps" in notices(pilot))
        await settle(pilot)
        assert "now ━" not in screen_text(pilot)

    drive(home, story)


@pytest.mark.parametrize(
    ("status", "message", "told"),
    [
        ("cancelled", "cancelled at step 30", "now: cancelled at step 30"),
        ("failed", "out of memory", "now: failed at step 30: out of memory"),
        ("interrupted", "", "now: interrupted at step 30"),
    ],
)
def test_only_what_is_learned_is_called_so(
    home: Path, queued: list[str], status: RunStatus, message: str, told: str
) -> None:
    announcer = Announcer()
    with Registry.open(home) as registry:
        announcer.look(registry)
        run = next(run for run in registry.runs() if run.concept == "now")
        registry.update_run(run.id, status=status, step=30, message=message, pid=None, finished_at=time.time())
        [ended] = announcer.look(registry).ended
    assert (ended.text, ended.is_learned) == (told, False)


def test_small_things() -> None:
    assert title("a\x1b]2;b\x07c").count("\x1b") == 1
    jobs = Jobs()
    for number in range(80):
        jobs.add(Job(str(number), cancel=lambda: None)).end("done")
    assert len(jobs.all) <= 51
    assert keymap.display("ctrl+g,f5,question_mark") == "^g f5 ?"
    filter_act = next(act for act in keymap.acts() if act.id == "library.filter")
    assert [act.id for act in keymap.clashes(filter_act, "q", {})] == ["app.quit"]
    assert keymap.clashes(filter_act, "q", {"app.quit": "Q"}) == []
