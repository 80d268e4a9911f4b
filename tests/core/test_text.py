"""Foreign text made safe: nothing that a terminal acts on survives, and nothing readable is lost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.hostile import HOSTILE, acts_on_a_terminal
from tiregistry.text import natural_key, safe


@given(st.text() | st.sampled_from(HOSTILE) | st.binary())
def test_no_character_that_acts_on_a_terminal_survives(text: str | bytes) -> None:
    assert not [c for c in safe(text) if acts_on_a_terminal(c)]


@given(st.text())
def test_multiline_keeps_only_newlines_and_tabs(text: str) -> None:
    assert not [c for c in safe(text, multiline=True) if acts_on_a_terminal(c) and c not in "\n\t"]


def test_what_is_taken_out_stays_visible() -> None:
    assert safe("a\x1b[31mb\u202ec\udc80") == "a\\x1b[31mb\\u202ec\\udc80"


def test_readable_text_is_kept() -> None:
    text = "Größe 猫 кот שלום é — “x” 🎨"
    assert safe(text) == text
    assert safe("two\nlines\tand tab") == "two lines and tab"
    assert safe("two\r\nlines", multiline=True) == "two\nlines"


def test_every_unsafe_character_of_unicode_is_caught() -> None:
    everything = "".join(map(chr, range(0x110000)))
    assert not [c for c in safe(everything, limit=len(everything)) if acts_on_a_terminal(c)]


def test_long_text_is_cut_with_a_mark() -> None:
    assert safe("x" * 50, limit=10) == "x" * 9 + "…"
    assert safe("\x1b" * 5000, limit=100).count("\\x1b") == 99


@given(st.text())
def test_making_safe_twice_changes_nothing_more(text: str) -> None:
    assert safe(safe(text, limit=10**6), limit=10**6) == safe(text, limit=10**6)


def test_natural_order() -> None:
    assert sorted(["a10", "a9", "A1", "b"], key=natural_key) == ["A1", "a9", "a10", "b"]
    assert sorted(["²", "1" * 5000, "٣", ""], key=natural_key)
