"""The monitor: runs as rows and as they are told in their journals; stop, resume, forget."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from textual.pilot import Pilot

from tests.tui.conftest import add_run_at_work, app_of, drive, notices, picture, screen_text, settle, until
from tireg_tui import app
from tireg_tui.background.run_watcher import Watcher
from tireg_tui.screens.concept import ConceptScreen
from tireg_tui.screens.runs import Runs
from tireg_tui.screens.stop_run import StopRun
from tireg_tui.widgets.job_line import JobLine
from tireg_tui.widgets.loss_chart import LossChart
from tireg_tui.widgets.picture_strip import PictureStrip
from tiregistry.registry.registry import Registry
from tiregistry.runs import control, liveness
from tiregistry.runs.ordering import hold
from tiregistry.training.events import Finished, PreviewMade, Started, StepDone
from tiregistry.training.journal import Journal


@pytest.fixture
def run_id(home: Path) -> str:
    """A run that says it is at work in this very process, at step 30 of 60."""
    with Registry.open(home) as registry:
        return add_run_at_work(registry)


async def watching(pilot: Pilot[None]) -> Runs:
    await pilot.press("2")
    await settle(pilot)
    screen = pilot.app.screen
    assert isinstance(screen, Runs)
    return screen


def test_a_run_as_it_goes_on(home: Path, run_id: str) -> None:
    async def story(pilot: Pilot[None]) -> None:
        screen = await watching(pilot)
        text = screen_text(pilot)
        for expected in ("● running", "30/60", "1 min 00 s left", "memory is short", "seed 7", "gnome · tiny"):
            assert expected in text
        assert len(screen.query_one(LossChart).values) == 30
        registry = app_of(pilot).registry
        assert registry is not None
        journal = Journal(registry.home / "runs" / run_id)
        journal.add(StepDone(31, 0.5, 0.01, 2.0, run_id))
        blob = registry.blobs.add(picture("green"))
        journal.add(PreviewMade(31, "a photo of {}", 8, blob, "preview/0031.png", run_id))
        await until(pilot, lambda: len(screen.query_one(LossChart).values) == 31)
        strip = screen.query_one("#previews", PictureStrip)
        await until(pilot, lambda: (len(strip.sources), strip.index) == (2, 1))  # it follows the newest
        await pilot.press("L")
        assert screen.query_one(LossChart).logarithmic

    drive(home, story, size=(130, 44))


def test_a_preview_that_is_gone_says_so_in_little_room(home: Path, run_id: str) -> None:
    for path in (home / "blobs").rglob("*"):
        if path.is_file():
            path.unlink()

    async def story(pilot: Pilot[None]) -> None:
        await watching(pilot)
        await until(pilot, lambda: "missing or damaged · tireg verify" in screen_text(pilot))

    drive(home, story, size=(80, 20))


def test_a_training_that_is_held_is_not_said_to_wait(home: Path) -> None:
    with Registry.open(home) as registry:
        hold(registry, registry.create_run("gnome", {"base": {"name": "tiny"}}, 60))
        registry.create_run("mug", {"base": {"name": "tiny"}}, 60)

    async def story(pilot: Pilot[None]) -> None:
        screen = await watching(pilot)
        assert "‖ held" in screen_text(pilot)
        assert "◌ queued" in screen_text(pilot)
        assert str(screen.query_one(JobLine).render()).split() == ["1", "waiting", "1", "held"]
        await pilot.press("down")
        await until(pilot, lambda: "held back; Space in 5 Queue lets it go on" in screen_text(pilot))

    drive(home, story)


def test_the_digit_of_a_place_leads_back_to_it(home: Path, run_id: str) -> None:
    async def story(pilot: Pilot[None]) -> None:
        screen = await watching(pilot)
        await pilot.press("enter")
        await settle(pilot)
        assert isinstance(pilot.app.screen, ConceptScreen)
        await pilot.press("1", "2")
        await settle(pilot)
        assert isinstance(pilot.app.screen, ConceptScreen)  # as it was left
        await pilot.press("2")
        await settle(pilot)
        assert pilot.app.screen is screen

    drive(home, story)


def test_losses_are_taken_back_when_a_run_is_taken_up(home: Path, run_id: str) -> None:
    with Registry.open(home) as registry:
        watcher = Watcher(registry, run_id)
        assert watcher.look()
        assert not watcher.look()
        journal = Journal(registry.home / "runs" / run_id)
        journal.add(Started(run_id, 20, 60, "cpu", 3, 1))
        journal.add(StepDone(21, 0.25, 0.01, 2.0, run_id))
        journal.add(Finished("gnome@4", 21, "finished", 40.0, run_id))
        watcher.look()
        assert len(watcher.watched.losses) == 21
        assert watcher.watched.losses[-1] == 0.25
        assert len(watcher.watched.seconds) == 21  # it took what the steps took that count
        assert "gnome@4" in watcher.watched.log[-1]


def test_numbers_that_are_none_are_shouted_about(home: Path, run_id: str) -> None:
    with Registry.open(home) as registry:
        Journal(registry.home / "runs" / run_id).add(StepDone(31, float("nan"), 0.01, 2.0, run_id))

    async def story(pilot: Pilot[None]) -> str:
        await watching(pilot)
        return screen_text(pilot)

    assert "diverged" in drive(home, story)


def test_stopping_asks_how(home: Path, run_id: str) -> None:
    async def story(pilot: Pilot[None]) -> None:
        await watching(pilot)
        await pilot.press("X")
        await pilot.pause()
        assert isinstance(pilot.app.screen, StopRun)
        await pilot.press("enter")  # Cancel
        await settle(pilot)
        stop = home / "runs" / run_id / "stop"
        assert not list((home / "runs" / run_id).glob("stop*")), stop
        await pilot.press("X")
        await pilot.pause()
        await pilot.press("right", "enter")
        await settle(pilot)
        written = [path.read_text() for path in (home / "runs" / run_id).iterdir() if path.name.startswith("stop")]
        assert written == ["keep"]

    drive(home, story)


def test_keeping_what_a_dead_run_learned_is_the_command_lines(home: Path, run_id: str) -> None:
    with Registry.open(home) as registry:
        registry.update_run(run_id, heartbeat_at=time.time() - 3600)

    async def story(pilot: Pilot[None]) -> str:
        await watching(pilot)
        await pilot.press("X")
        await pilot.pause()
        await pilot.press("right", "enter")
        await settle(pilot)
        return notices(pilot)

    assert f"tireg runs cancel {run_id} --keep" in drive(home, story)


def test_a_dead_run_is_resumed(home: Path, run_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with Registry.open(home) as registry:
        registry.update_run(run_id, heartbeat_at=time.time() - 3600)
    started: list[str] = []
    monkeypatch.setattr(control, "start", lambda registry, runs, executor=None: started.extend(r.id for r in runs))

    async def story(pilot: Pilot[None]) -> None:
        await watching(pilot)
        assert "dead" in screen_text(pilot)
        await pilot.press("r")
        await settle(pilot)
        registry = app_of(pilot).registry
        assert registry is not None
        assert registry.run(run_id).status == "queued"
        assert started == [run_id]

    drive(home, story)


# Carries a run out as far as anybody can see: holds its lock, and says that it has begun.
CARRYING = """
import sys, time
from pathlib import Path
sys.path[:0] = sys.argv[2:]
from tiregistry.training.run_lock import RunLock
assert RunLock(Path(sys.argv[1])).acquire()
print("holds it", flush=True)
time.sleep(600)
"""


def test_a_worker_that_is_killed_is_noticed_wherever_one_is(
    home: Path, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "_LIFE_SIGN_SECONDS", 0.2)
    command = [sys.executable, "-c", CARRYING, str(home / "runs" / run_id), *filter(None, sys.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"holds it\n"
        with Registry.open(home) as registry:
            registry.update_run(run_id, pid=worker.pid)

        async def story(pilot: Pilot[None]) -> None:
            screen = await watching(pilot)
            line = screen.query_one(JobLine)
            assert "● running" in screen_text(pilot)
            assert "gnome" in str(line.render())
            worker.kill()
            worker.wait()
            await until(pilot, lambda: "✗ dead" in screen_text(pilot))
            await until(pilot, lambda: "gone at step 30; r resumes it" in screen_text(pilot))
            await until(pilot, lambda: "gnome" not in str(line.render()))
            await until(pilot, lambda: "the process that learned gnome is gone at step 30" in notices(pilot))

        try:
            drive(home, story, size=(130, 44))
        finally:
            worker.kill()


def test_a_worker_that_falls_silent_is_noticed(home: Path, run_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its process id is that of another process by now, as after a restart of the machine."""
    monkeypatch.setattr(app, "_LIFE_SIGN_SECONDS", 0.2)

    async def story(pilot: Pilot[None]) -> None:
        await watching(pilot)
        assert "● running" in screen_text(pilot)
        monkeypatch.setattr(liveness, "SILENT_SECONDS", -7200.0)  # the time is over without anybody's writing
        await until(pilot, lambda: "✗ dead" in screen_text(pilot))

    drive(home, story, size=(130, 44))


def test_a_finished_run_is_forgotten_after_asking(home: Path, run_id: str) -> None:
    with Registry.open(home) as registry:
        registry.update_run(run_id, status="finished", pid=None, finished_at=time.time())

    async def story(pilot: Pilot[None]) -> None:
        screen = await watching(pilot)
        await pilot.press("D")
        await pilot.pause()
        await pilot.press("right", "enter")
        await settle(pilot)
        assert screen.current is None
        assert not (home / "runs" / run_id).exists()

    drive(home, story)


def test_no_runs_and_no_word(home: Path) -> None:
    async def story(pilot: Pilot[None]) -> str:
        await watching(pilot)
        for key in ("X", "r", "D", "o", "L", "enter"):
            await pilot.press(key)
            await settle(pilot)
        return screen_text(pilot)

    assert "No runs yet" in drive(home, story)
