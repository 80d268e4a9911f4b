"""Words from files: what they hold is said first, and the import is a job that can be stopped."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from textual.pilot import Pilot
from textual.widgets import Input

from tests.tui.conftest import app_of, drive, notices, screen_text, settle, still_said, table, until
from tireg_tui.background.importing import start_import
from tireg_tui.screens.import_words import ImportWords
from tiregistry.embeddings.folders import FileResult
from tiregistry.embeddings.neighbours import read_path
from tiregistry.exchange import importing


def without_end(folder: Path, read: list[int]) -> Iterator[FileResult]:
    """A folder of more files than can be read, noting each that was."""
    while True:
        read.append(len(read))
        time.sleep(0.01)
        yield FileResult(folder / "x.txt", passed_over="text")


def test_a_search_for_words_is_given_up_with_its_dialog(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []

    monkeypatch.setattr(importing, "read_folder", lambda folder: without_end(folder, read))

    async def story(pilot: Pilot[None]) -> None:
        await pilot.press("I")
        await pilot.pause()
        field = pilot.app.screen.query_one(Input)
        field.value = "/"
        await until(pilot, lambda: "a whole disk or home is not searched" in screen_text(pilot))
        assert not read
        field.value = str(tmp_path)
        await until(pilot, lambda: read)
        await pilot.press("escape")
        await settle(pilot)
        before = len(read)
        await pilot.pause(0.3)
        assert len(read) <= before + 1

    drive(home, story)


def test_an_import_is_a_job_that_can_be_stopped(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_file({"emb_params": np.ones((2, 768), dtype=np.float32)}, tmp_path / "troll.safetensors")
    read: list[int] = []

    def one_and_more(folder: Path) -> Iterator[FileResult]:
        yield FileResult(folder, tuple(read_path(folder / "troll.safetensors")))
        yield from without_end(folder, read)

    monkeypatch.setattr(importing, "read_folder", one_and_more)

    async def story(pilot: Pilot[None]) -> None:
        app = app_of(pilot)
        assert app.registry is not None
        job = start_import(app, app.registry, [tmp_path])
        await until(pilot, lambda: "files read" in job.detail)
        await pilot.press("q")
        await until(pilot, lambda: "Under way in this window: import" in screen_text(pilot))
        await pilot.press("enter")  # Stay
        job.cancel()
        await until(pilot, lambda: job.state == "cancelled")
        before = len(read)
        await settle(pilot)
        assert len(read) == before
        assert job.detail == "1 word imported"
        assert "troll" in table(pilot).names

    drive(home, story)


def test_words_are_imported_after_saying_what_files_hold(home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "old words"
    folder.mkdir()
    save_file({"emb_params": np.ones((2, 768), dtype=np.float32)}, folder / "troll.safetensors")
    (folder / "broken.pt").write_bytes(b"PK nothing")

    async def story(pilot: Pilot[None]) -> None:
        await pilot.press("I")
        await pilot.pause()
        screen = pilot.app.screen
        assert isinstance(screen, ImportWords)
        await pilot.press("ctrl+g")
        assert pilot.app.screen is screen  # there is nothing to import yet
        screen.query_one(Input).value = f"'{folder}'"
        await until(pilot, lambda: "troll" in screen_text(pilot))
        registry = app_of(pilot).registry
        assert registry is not None
        assert "troll" not in registry.placeholders().values()
        assert "✗ broken.pt" in screen_text(pilot)
        await pilot.press("ctrl+g")
        await until(pilot, lambda: "1 word imported" in notices(pilot))
        await settle(pilot)
        assert "troll" in table(pilot).names

    drive(home, story)


def test_what_keeps_an_import_from_beginning_is_said(home: Path, tmp_path: Path) -> None:
    words = tmp_path / "words"
    words.mkdir()
    save_file({"emb_params": np.ones((2, 768), dtype=np.float32)}, words / "troll.safetensors")
    (tmp_path / "empty").mkdir()

    async def story(pilot: Pilot[None]) -> None:
        app = app_of(pilot)
        assert app.registry is not None
        job = start_import(app, app.registry, [words])
        await until(pilot, lambda: job.state == "done")
        await pilot.press("I")
        await pilot.pause()
        dialog = pilot.app.screen
        field = dialog.query_one(Input)
        await pilot.press("ctrl+g")
        await until(pilot, lambda: "Type the path of a file or a folder first" in notices(pilot))
        for path, why in (
            (words, "None of it is new: 1 here already"),
            (tmp_path / "empty", "no embedding is in there"),
            (tmp_path / "nowhere", "Nothing is there"),
        ):
            field.value = str(path)
            await settle(pilot)
            assert still_said(pilot).count("Nothing to import") == 0  # it was about another path
            await pilot.press("ctrl+g")
            await until(pilot, lambda why=why: why in notices(pilot))
            assert pilot.app.screen is dialog
            assert still_said(pilot).count("Nothing to import") == 1

    drive(home, story)
