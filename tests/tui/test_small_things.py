"""The parts without a screen: texts, words of a prompt, charts, late answers."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.color import Color

from tireg_tui.input.prompt_words import Known, Typed, begun, completions, nearest, words_of
from tireg_tui.settings.remembered import Remembered
from tireg_tui.terminal.no_color import WithoutColor
from tireg_tui.terminal.replies import ReplyFilter
from tireg_tui.texts import formatting
from tireg_tui.texts.braille import Canvas
from tireg_tui.widgets.captioned import shortened
from tireg_tui.widgets.fitting_table import Column, fitting
from tireg_tui.widgets.loss_chart import smoothed
from tireg_tui.widgets.picture_strip import _shape
from tiregistry.registry.registry import Registry


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(5, "now"), (300, "5 min"), (7200, "2 h"), (3 * 86400, "3 d"), (100 * 86400, "1970-")],
)
def test_ago(seconds: float, text: str) -> None:
    assert formatting.ago(1.0, 1.0 + seconds).startswith(text)


@pytest.mark.parametrize(
    ("width", "text"),
    [(40, "a photo of <gnome> · seed 7"), (20, "a photo of… · seed 7"), (9, "a photo…"), (1, "…")],
)
def test_captions_keep_what_tells_them_apart(width: int, text: str) -> None:
    assert shortened("a photo of <gnome> · seed 7", width) == text


def test_bars() -> None:
    assert formatting.bar(5, 10, 10) == "━━━━━─────"
    assert formatting.bar(99, 10, 4) == "━━━━"
    assert formatting.bar(1, 0, 4) == "────"


def test_a_curve_of_dots_goes_where_the_values_go() -> None:
    canvas = Canvas(2, 1)
    canvas.curve([0, 0, 1, 1])
    assert [ord(character) - 0x2800 for character in canvas.row(0)] == [0b11100100, 0b00011111]
    for far in (-1, 9):
        canvas.dot(far, far)
    assert Canvas(3, 1).row(0) == [" ", " ", " "]
    falling = smoothed([1 / (n + 1) + (n % 2) * 0.1 for n in range(200)])
    assert len(falling) == 200
    assert all(a > b - 0.02 for a, b in pairwise(falling))


def test_as_many_pictures_as_fit_and_as_large_as_can_be() -> None:
    each = (26, 13)
    assert _shape((120, 20), each, 4) == (4, 1)
    assert _shape((60, 40), each, 4) == (2, 2)
    assert _shape((30, 60), each, 3) == (1, 3)
    assert _shape((20, 5), each, 9) == (1, 1)
    assert _shape((120, 60), each, 100) == (4, 4)
    assert _shape((120, 60), each, 0) == (4, 4)


def test_words_of_a_prompt(home: Path) -> None:
    prompt = r"a <gnome> and \<gnome> by <mug@2> <"
    assert [word for _, _, word in words_of(prompt)] == ["gnome", "mug@2"]
    with Registry.open(home) as registry:
        known = Known.read(registry)
        assert begun("a <gn", 5, known) == Typed("gn", 2, 5)
        assert begun("a <gn at sea", 5, known) == Typed("gn", 2, 5)
        assert begun("a <gnoxx>", 5, known) == Typed("gn", 2, 9)
        assert begun("a <gnome>@", 10, known) == Typed("gnome@", 2, 10)
        assert begun("a <gnome@2>@b at sea", 13, known) == Typed("gnome@b", 2, 13)
        assert begun("a <gnome@> at sea", 9, known) == Typed("gnome@", 2, 10)
        for prompt, cursor in (("a <gnome> x", 11), (r"a \<gn", 6), ("a <gnome>", 4), ("me <x>@home", 7)):
            assert begun(prompt, cursor, known) is None
        assert completions(known, "g") == ["gnome", "mug"]
        assert completions(known, "gnmoe") == ["gnome"]
        assert completions(known, "") == ["gnome", "inkwash", "mug"]
        assert known.knows("gnome")
        assert not known.knows("gnom")
        known = known.with_selectors("gnome", registry)
        assert completions(known, "gnome@") == ["gnome@best", "gnome@3", "gnome@2", "gnome@1"]
        assert nearest(known, "gnmoe") == "gnome"
        assert nearest(known, "gnome@bset") == "gnome@best"
        assert nearest(known, "zzz") == ""
        assert known.knows("gnome@best")
        assert not known.knows("gnome@9")


ANSWERS = (
    "\x1bP>|kitty(0.41.1)\x1b\\\x1b_Gi=32;OK\x1b\\\x1b_Gi=31;ENOENT:x\x1b\\\x1b[6;18;9t\x1b[?62;4c"
    "\x1b]11;rgb:0000/0000/0000\x1b\\\x1bP!|00000000\x1b\\\x1b[>41;379;0c"
)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_answers_are_no_keys_however_they_are_cut(size: int) -> None:
    stream = f"j{ANSWERS}k\x1b[B{ANSWERS}"
    replies = ReplyFilter()
    typed = "".join(replies.feed(stream[at : at + size]) for at in range(0, len(stream), size))
    assert typed + replies.flush() == "jk\x1b[B"


def test_keys_are_only_held_back_until_nothing_follows() -> None:
    keys = [
        "\x1b",
        "\x1bP",
        "\x1b_",
        "\x1b[A",
        "\x1b[<0;1;1M",
        "x",
        "\x1b[200~text\x1b[201~",
        "\x1b[6~",
        "\x1b[?2026;2$y",
    ]
    replies = ReplyFilter()
    for key in keys:
        typed = replies.feed(key)
        assert replies.holds is (key in ("\x1b", "\x1bP", "\x1b_"))
        assert typed + replies.flush() == key
    # An answer that has certainly begun is awaited, silence or not.
    assert replies.feed("\x1b_Gi=31;O") + replies.flush() + replies.feed("K\x1b\\x") == "x"


def test_a_broken_memory_is_no_memory(tmp_path: Path) -> None:
    (tmp_path / "tui.json").write_text("{broken")
    remembered = Remembered(tmp_path)
    assert remembered.text("theme", "x") == "x"
    remembered.set("theme", "y")
    remembered.save()
    assert Remembered(tmp_path).text("theme") == "y"


def test_what_cannot_be_remembered_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "tui.json").mkdir()
    Remembered(tmp_path).save()
    assert [entry.name for entry in tmp_path.iterdir()] == ["tui.json"]


def test_what_a_table_has_no_room_for_is_shortened_then_left_out() -> None:
    columns = (Column("state", "State"), Column("what", "What", shortened=True), Column("when", "When", 1))
    rows = {"1": {"state": Text("running"), "what": Text("a long story about it"), "when": Text("now")}}
    assert fitting(columns, rows, 60, 1) == {"state": 7, "what": 21, "when": 4}
    assert fitting(columns, rows, 30, 1) == {"state": 7, "what": 13, "when": 4}
    assert fitting(columns, rows, 25, 1) == {"state": 7, "what": 8, "when": 4}
    assert fitting(columns, rows, 24, 1) == {"state": 7, "what": 13}
    assert fitting(columns, rows, 1, 1) == {"state": 7, "what": 1}


def test_no_colour_is_left_and_what_stood_out_still_does() -> None:
    without = WithoutColor()
    line = [
        Segment("a", Style.parse("#ffffff on #101010")),
        Segment("b", Style.parse("bold #000000 on #ffcc88") + Style(meta={"row": 1})),
        Segment("c", Style.parse("reverse #000000 on #ffcc88")),
        Segment("d", None),
    ]
    plain = without.apply(line, Color.parse("black"))
    assert [str(segment.style) for segment in plain] == ["none", "bold reverse", "reverse", "None"]
    assert plain[1].style is not None
    assert plain[1].style.meta == {"row": 1}
    without.dark = False
    assert [str(s.style) for s in without.apply(line, Color.parse("white"))] == ["reverse", "bold", "reverse", "None"]
