"""Foreign text made safe: nothing that a terminal acts on survives, and nothing readable is lost."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from tiregistry.text import safe

HOSTILE = (
    "\x1b]0;owned\x07",
    "\x1b[2J\x1b[H",
    "\x9b31m",
    "\x1b]8;;http://evil\x1b\\click\x1b]8;;\x1b\\",
    "abc\u202egnp.exe",
    "\u2066x\u2069",
    "a\x00b",
    "a\rb",
    "\x08\x08\x08",
    "\udc9b31m",
    "\u200b\u200e\ufeff\u00ad",
    "\U000e0041",
    "[@click=app.quit]x[/]",
)


def acts_on_a_terminal(character: str) -> bool:
    """Whether a character is a control, a format mark (bidi, invisible), a surrogate or a line separator."""
    visible_signs = "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2"
    return unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") and character not in visible_signs


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
