"""A registry that is locked, damaged, replaced or only readable, and words that vanish: the app lives on, and tells."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from textual.pilot import Pilot

from tests.tui.conftest import add_version, app_of, drive, notices, screen_text, settle, still_said, until
from tireg_tui.background.jobs import Job
from tireg_tui.places import PLACES
from tireg_tui.registry import follower
from tireg_tui.screens.confirm import Confirm
from tireg_tui.screens.library import Library
from tireg_tui.screens.runs import Runs
from tireg_tui.screens.settings import KeysTable, SettingsScreen
from tireg_tui.screens.trouble import Trouble
from tireg_tui.settings.remembered import Remembered
from tiregistry.registry.registry import Registry
from tiregistry.settings import Settings

# Holds the file so that nobody can even read it.
HOLDER = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA locking_mode = EXCLUSIVE")
connection.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
time.sleep(600)
"""


@contextmanager
def held(home: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that has the registry to itself."""
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(home / "registry.db")], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    try:
        yield holder
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()


def test_a_locked_registry_is_waited_for_with_the_keys_alive(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follower, "_OPENING_SECONDS", 0.3)

    async def story(pilot: Pilot[None]) -> None:
        assert isinstance(pilot.app.screen, Trouble)
        assert "Waiting for the registry" in screen_text(pilot)
        for key in ("1", "n", "question_mark", "escape"):
            await pilot.press(key)
        holder.kill()
        await until(pilot, lambda: isinstance(pilot.app.screen, Library) and "<gnome>" in screen_text(pilot))

    with held(home) as holder:
        drive(home, story)


def test_a_change_that_waits_for_another_writer_says_so_and_is_made(home: Path) -> None:
    async def story(pilot: Pilot[None]) -> None:
        writer = sqlite3.connect(home / "registry.db", isolation_level=None)
        writer.execute("BEGIN IMMEDIATE")
        await pilot.press("D")
        await pilot.pause()
        await pilot.press("right", "enter")
        await until(pilot, lambda: "another program holds the registry" in notices(pilot))
        assert "In the trash" not in notices(pilot)
        writer.rollback()
        writer.close()
        await until(pilot, lambda: "In the trash" in notices(pilot))

    drive(home, story)


def test_a_registry_that_is_replaced_is_opened_anew(home: Path) -> None:
    other = home.parent / "other"
    with Registry.open(other) as registry:
        add_version(registry, "windmill", 77)
    for extra in ("-wal", "-shm"):
        Path(f"{other}/registry.db{extra}").unlink(missing_ok=True)

    async def story(pilot: Pilot[None]) -> None:
        assert "<gnome>" in screen_text(pilot)
        shutil.rmtree(home)
        shutil.copytree(other, home)
        await until(pilot, lambda: isinstance(pilot.app.screen, Library) and "<windmill>" in screen_text(pilot))

    drive(home, story)


def test_a_registry_that_has_gone_is_not_replaced_in_silence(home: Path) -> None:
    elsewhere = home.parent / "elsewhere"

    async def story(pilot: Pilot[None]) -> None:
        home.rename(elsewhere)  # as when a disk is taken away
        await until(pilot, lambda: "The registry is gone" in screen_text(pilot))
        assert not home.exists()
        elsewhere.rename(home)
        await until(pilot, lambda: isinstance(pilot.app.screen, Library) and "<gnome>" in screen_text(pilot))
        home.rename(elsewhere)
        await until(pilot, lambda: "The registry is gone" in screen_text(pilot))
        await pilot.press(*"r or N")  # as of somebody who is writing a note meanwhile
        await until(pilot, lambda: isinstance(pilot.app.screen, Confirm))
        assert not home.exists()
        elsewhere.rename(home)  # with the question open
        await until(pilot, lambda: isinstance(pilot.app.screen, Library) and "<gnome>" in screen_text(pilot))
        home.rename(elsewhere)
        await until(pilot, lambda: "The registry is gone" in screen_text(pilot))
        await pilot.press("N")
        await until(pilot, lambda: isinstance(pilot.app.screen, Confirm))
        await pilot.press("right", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, Library) and "<gnome>" not in screen_text(pilot))

    drive(home, story)


def test_while_the_registry_is_gone_there_is_nowhere_to_go_and_it_is_back_wherever_one_went(home: Path) -> None:
    elsewhere = home.parent / "elsewhere"

    async def story(pilot: Pilot[None]) -> None:
        await pilot.press("2")
        await settle(pilot)
        home.rename(elsewhere)
        await until(pilot, lambda: "The registry is gone" in screen_text(pilot))
        trouble = pilot.app.screen
        for key in ("1", "6", "alt+3", "comma", "n", "u"):
            before = len(notices(pilot))
            await pilot.press(key)
            await settle(pilot)
            assert pilot.app.screen is trouble, key
            assert "gone" in notices(pilot)[before:], key
        app_of(pilot).open_concept("gnome")
        app_of(pilot).compose_prompt("<gnome>")
        await settle(pilot)
        assert pilot.app.screen is trouble
        elsewhere.rename(home)
        await until(pilot, lambda: isinstance(pilot.app.screen, Runs))
        await pilot.press("1")
        await until(pilot, lambda: isinstance(pilot.app.screen, Library) and "<gnome>" in screen_text(pilot))

    drive(home, story)


def test_trouble_is_left_in_the_place_it_came_up_in(home: Path) -> None:
    elsewhere = home.parent / "elsewhere"

    async def story(pilot: Pilot[None]) -> None:
        await pilot.press("2")
        await settle(pilot)
        await pilot.press("1")
        await settle(pilot)
        home.rename(elsewhere)
        await until(pilot, lambda: "The registry is gone" in screen_text(pilot))
        pilot.app.switch_mode("runs")  # as a change of places does that was under way already
        await settle(pilot)
        elsewhere.rename(home)
        await until(pilot, lambda: app_of(pilot).registry_is_gone is False)
        await settle(pilot)
        assert isinstance(pilot.app.screen, Runs)
        await pilot.press("1")
        await until(pilot, lambda: isinstance(pilot.app.screen, Library) and "<gnome>" in screen_text(pilot))

    drive(home, story)


def test_nothing_is_written_where_a_registry_has_gone_from(home: Path) -> None:
    elsewhere = home.parent / "elsewhere"

    async def story(pilot: Pilot[None]) -> None:
        app = app_of(pilot)
        app.remembered.set("filter", "tag:garden")
        stopped: list[str] = []
        app.start_job(Job("draw 4 pictures", cancel=lambda: stopped.append("draw")))
        home.rename(elsewhere)
        await until(pilot, lambda: "The registry is gone" in screen_text(pilot))
        assert stopped == ["draw"]  # what it draws would be saved in a folder made anew
        app.theme = "nord"  # as the palette does it
        await settle(pilot)
        assert app.preferences.settings.theme == "nord"
        await pilot.pause(2.5)  # what is typed is written every two seconds
        assert not home.exists()
        home.mkdir()  # where a disk was mounted
        app.action_toggle_theme()
        app._keep_what_is_typed()
        assert not list(home.iterdir())
        home.rmdir()
        elsewhere.rename(home)
        await until(pilot, lambda: isinstance(pilot.app.screen, Library) and "<gnome>" in screen_text(pilot))
        await until(pilot, lambda: Remembered(home).text("filter") == "tag:garden")
        assert Settings.load(home).theme == "light"
        assert app.preferences.settings.theme == "light"

    drive(home, story)


def test_damage_while_it_is_open_is_said_and_not_the_end(home: Path) -> None:
    with Registry.open(home) as registry:
        for number in range(300):
            registry.create_concept(f"word-{number:03d}", f"<word-{number:03d}>", "object")

    async def story(pilot: Pilot[None]) -> None:
        database = home / "registry.db"
        size = database.stat().st_size
        with database.open("r+b") as file:
            file.seek(4096)
            file.write(b"\xff" * (size - 4096))
        (home / "registry.db-wal").unlink(missing_ok=True)
        for key in ("r", "enter", "escape", "p", "escape", "2", "3", "escape", "1", "n", "escape", "t", "escape", "D"):
            await pilot.press(key)
            await settle(pilot)
        assert "damaged" in notices(pilot)
        await pilot.press("escape", "escape", "q")
        await pilot.pause()

    drive(home, story)


def test_a_word_that_has_just_gone_does_no_harm(home: Path) -> None:
    async def story(pilot: Pilot[None]) -> None:
        registry = app_of(pilot).registry
        assert registry is not None
        registry.remove("gnome")  # nobody has been told yet
        for key in ("y", "p", "1", "t", "escape", "D", "escape", "enter"):
            await pilot.press(key)
        await until(pilot, lambda: "gnome" in notices(pilot))
        await settle(pilot)

    drive(home, story)


def test_a_registry_that_can_only_be_read_says_so_and_asks_for_nothing(home: Path) -> None:
    with Registry.open(home) as registry:
        waiting = registry.create_run("gnome", {"base": {"name": "tiny"}}, 60)

    async def refused(pilot: Pilot[None], key: str) -> None:
        screen, before = pilot.app.screen, notices(pilot).count("can only be read")
        await pilot.press(key)
        await settle(pilot)
        assert pilot.app.screen is screen, f"{key} asks for what cannot be"
        assert notices(pilot).count("can only be read") == before + 1, key
        assert still_said(pilot).count("That did not work") == 1, key  # and stands there once

    async def story(pilot: Pilot[None]) -> None:
        assert "<gnome>" in screen_text(pilot)
        for place in PLACES:
            app_of(pilot).action_go(place.id)
            await settle(pilot)
            top = screen_text(pilot).splitlines()[0]
            assert "read-only" in top
            assert all(f"{known.digit} {known.label}" in top for known in PLACES), "places come before paths"
        settings = ("enter", "space", "backspace", "e")
        for name, keys in (("library", "tDnIu"), ("runs", "XrD"), ("queue", "KJFX"), ("settings", settings)):
            app_of(pilot).action_go(name)
            await settle(pilot)
            for key in keys:
                await refused(pilot, key)
        await pilot.press("tab")  # to the keys
        await until(pilot, lambda: isinstance(pilot.app.focused, KeysTable) and pilot.app.focused.row_count)
        for key in ("enter", "backspace"):
            await refused(pilot, key)
        app_of(pilot).search_themes()
        await settle(pilot)
        assert isinstance(pilot.app.screen, SettingsScreen)
        await pilot.press("1", "enter")
        await settle(pilot)
        for key in "atenD":
            await refused(pilot, key)
        assert registry.run(waiting.id).status == "queued"

    read_only = Registry.open
    try:
        Registry.open = classmethod(lambda cls, home=None, **_: read_only(home, readonly=True))  # type: ignore
        with Registry.open(home) as registry:
            drive(home, story, size=(80, 30))
    finally:
        Registry.open = read_only  # type: ignore[method-assign]


def test_no_connection_is_closed_while_its_thread_reads(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite takes the whole process down for it."""
    reading, closed_while_reading = threading.Event(), []
    look, close = Registry.changes, Registry.close

    def slowly(registry: Registry) -> int:
        reading.set()
        time.sleep(0.4)
        seen = look(registry)
        reading.clear()
        return seen

    def close_it(registry: Registry) -> None:
        closed_while_reading.append(reading.is_set())
        close(registry)

    async def story(pilot: Pilot[None]) -> None:
        monkeypatch.setattr(Registry, "changes", slowly)
        monkeypatch.setattr(Registry, "close", close_it)
        await until(pilot, reading.is_set)

    drive(home, story)
    assert closed_while_reading == [False]
