"""Progress where nothing can be drawn over: lines now and then for long work, nothing for short work."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.test_progress import started
from tireg_cli import bar
from tireg_cli.bar import CountingBar
from tireg_cli.commands.import_ import ImportProgress
from tireg_cli.progress import TrainingProgress
from tireg_cli.transfers import TransferProgress


@pytest.mark.parametrize(
    ("every", "lines"), [(0, []), (30, ["measuring gnome 40/100", "measuring gnome 70/100", "measuring gnome 100/100"])]
)
def test_lines_now_and_then(
    every: float, lines: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seconds = [0.0]
    monkeypatch.setattr(bar.time, "monotonic", lambda: seconds[0])
    with CountingBar("measuring", lines_every=every) as counting:
        for done in range(10, 101, 10):
            counting(done, 100, "gnome")
            seconds[0] += 10
    assert capsys.readouterr().err.splitlines() == lines


def counted(folder: Path) -> None:
    with CountingBar("checking") as shown:
        shown(1, 5, "files")


def transferred(folder: Path) -> None:
    with TransferProgress() as shown:
        shown(1, 5, "files")


def imported(folder: Path) -> None:
    with ImportProgress([folder]) as shown:
        shown.show(folder / "gnome.pt")


def trained(folder: Path) -> None:
    with TrainingProgress() as shown:
        shown.show(started("gnome"))


@pytest.mark.parametrize("work", [counted, transferred, imported, trained])
@pytest.mark.parametrize(
    ("environment", "is_drawn"),
    [({"TERM": "xterm"}, True), ({"TERM": "xterm", "NO_COLOR": "1"}, True), ({"TERM": "dumb"}, False)],
)
def test_all_displays_agree_where_they_can_draw(
    work: Callable[[Path], None],
    environment: dict[str, str],
    is_drawn: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "gnome.pt").write_bytes(b"x")
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    work(tmp_path)
    told = capsys.readouterr().err
    assert ("\r" in told) == is_drawn
    if "NO_COLOR" in environment:
        assert "\x1b[2m" not in told
    elif not is_drawn:
        assert "\x1b" not in told


def test_what_a_server_calls_its_files_is_made_safe(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with TransferProgress() as shown:
        shown(1, 5, "a\x1b]0;title\x07\r\n" + "ผู้" * 50)
        shown(0, 0, "searching")
    told = capsys.readouterr().err
    assert "\x1b]" not in told
    assert "\n" not in told
    assert "searching …" in told


def test_the_time_left_is_that_of_what_was_done_here(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    seconds = [0.0]
    monkeypatch.setattr(bar.time, "monotonic", lambda: seconds[0])
    with CountingBar("checking") as shown:
        shown(900, 1000, "files")  # that many an earlier check has seen
        seconds[0] = 10.0
        shown(950, 1000, "files")
    assert "950/1,000 · 10 s left" in capsys.readouterr().err
