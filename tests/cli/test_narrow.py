"""Every listing on a terminal of 20 columns: whole cells, one under the other, and no line too wide."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from rich.cells import cell_len

from tests.cli.running import Tireg
from tests.tui.conftest import add_run_at_work, add_three_words
from tireg_cli.output import emit_table, fit, width_of, wrap
from tiregistry.registry.registry import Registry


@pytest.fixture
def narrow(tireg: Tireg, monkeypatch: pytest.MonkeyPatch) -> Tireg:
    """`tireg` on a terminal of 20 columns, with words, a picture and a run."""
    with Registry.open() as registry:
        add_three_words(registry)
        add_run_at_work(registry)
        word = registry.version("gnome")
        registry.add_picture(Path("/nowhere/x.png"), "a <gnome> at sea", {"seed": 3}, words=[word.digest])
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setenv("NO_COLOR", "1")
    return tireg


@pytest.mark.parametrize(
    ("arguments", "whole"),
    [
        ("list", "gnome <gnome>"),
        ("show gnome", 'use it: tireg gen "a photo of <gnome>"'),
        ("runs", "status: running steps: 30/60"),
        ("runs show --last", "status: running"),
        ("history gnome", "on tiny, 1 image"),
        ("gallery list", "prompt: a <gnome> at sea"),
        ("settings", "what: how pictures are drawn in the terminal"),
        ("diff gnome@1 gnome@2", "training.seed gnome@1: 10 gnome@2: 11"),
        ("list --trash", ""),
        ("space --duplicates --above -1", "second: mug@1"),
    ],
)
def test_a_terminal_of_20_columns(narrow: Tireg, monkeypatch: pytest.MonkeyPatch, arguments: str, whole: str) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    out = narrow(*arguments.split()).out
    assert [line for line in out.splitlines() if width_of(line) > 20] == []
    assert "…" not in out
    assert " ".join(whole.split()) in " ".join(out.split())


def test_a_table_between_wide_and_narrow_is_cut_and_a_repository_never(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("NO_COLOR", "1")
    row = ("alice/a-gnome-of-a-rather-long-name", "<gnome>", "stable-diffusion-v1-5/stable-diffusion-v1-5")
    for columns, lines in ((60, 2), (59, 2), (40, 5)):
        monkeypatch.setenv("COLUMNS", str(columns))
        emit_table(("REPOSITORY", "TOKEN", "BASE"), [row], whole=1)
        out = capsys.readouterr().out
        assert out.count("\n") == lines, out
        assert row[0] in out
        assert all(width_of(line) <= columns for line in out.splitlines())


def test_a_number_is_never_cut(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("NO_COLOR", "1")
    values = ["0.8890 [0.8297, 0.9381]", "0.3101 [0.2804, 0.3425]", "0.5251 [0.5012, 0.5493]"]
    headers = ("", "IMAGE ALIGNMENT", "TEXT ALIGNMENT", "SCORE")
    for columns, lines in ((120, 2), (88, 2), (87, 2), (80, 4), (61, 4), (59, 4), (40, 6)):
        monkeypatch.setenv("COLUMNS", str(columns))
        emit_table(headers, [["a word of some length@1", *values]], numbers=True)
        out = capsys.readouterr().out
        assert all(value in " ".join(out.split()) for value in values), out
        assert all(width_of(line) <= columns for line in out.splitlines())
        # The name gives way first, as long as something of it can be read.
        assert out.count("\n") == lines, out


def test_wrapping_counts_cells_and_loses_nothing() -> None:
    assert wrap("a b", 20) == ["a b"]
    assert wrap("", 20) == [""]
    assert wrap("陶器の花瓶 two", 6, "  ") == ["陶器の", "  花瓶", "  two"]
    long = "x" * 5000
    assert "".join(line.strip() for line in wrap(long, 20, "  ")) == long
    assert wrap("@1 trained", 8, "│  ", "├─ ") == ["├─ @1", "│  train", "│  ed"]


@pytest.mark.parametrize(
    "text",
    [
        "สวัสดีที่นี่ที่สุด",
        "नमस्ते दुनिया",
        "庭の小人はとても小さい",
        "\U0001f469‍\U0001f680 in space ❤️❤️",
        "e\u0301" * 20,
        "plain words",
    ],
)
@pytest.mark.parametrize("cells", [0, 1, 2, 3, 5, 8, 13])
def test_text_of_any_script_is_cut_where_rich_says_that_it_ends(text: str, cells: int) -> None:
    cut = fit(text, cells)
    assert cell_len(cut) <= cells
    assert cut == text or text.startswith(cut.removesuffix("…"))
    if cells > 1:
        lines = wrap(text, cells)
        assert all(cell_len(line) <= cells for line in lines)
        assert "".join(lines).replace(" ", "") == text.replace(" ", "")


def test_columns_stand_under_each_other_in_thai(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    emit_table(("WORD", "BASE"), [("สวัสดีที่นี่ที่สุด", "tiny"), ("gnome", "tiny")])
    places = [
        cell_len(line.partition(base)[0])
        for line, base in zip(capsys.readouterr().out.splitlines(), ("BASE", "tiny", "tiny"), strict=True)
    ]
    assert places == [11, 11, 11]  # nine cells and the gap
