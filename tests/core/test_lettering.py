"""Texts in pictures: no letter that the font lacks, and none outside its place."""

from __future__ import annotations

import pytest
from PIL import Image, ImageFont

from tiregistry.generation.grids import labelled_grid
from tiregistry.graphics.lettering import _has, _legible, font, legible, lines_of


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a photo of <gnome@2> · 50 %", "a photo of <gnome@2> · 50 %"),
        ("Käsefuß → café", "Kasefuss -> cafe"),
        ("cafe\N{COMBINING ACUTE ACCENT}", "cafe"),
        ("½ × 3 − 1", "1⁄2 x 3 - 1"),
        ("陶器", "??"),
    ],
)
def test_what_the_font_lacks_is_written_plainly(text: str, shown: str) -> None:
    assert legible(text) == shown
    assert all(_has(letter, font(14)) for letter in legible(text))


def test_a_font_that_lacks_nothing_would_make_these_tests_idle() -> None:
    assert not _has("陶", font(14))
    assert _has("a", font(14))


def test_a_font_of_the_system_helps_where_the_own_one_lacks_letters() -> None:
    assert font(14, ["a plain label"]) is font(14)
    found = font(14, ["a photo of <陶器>"])
    if found is font(14):
        pytest.skip("no font with Chinese letters is installed")
    assert legible("<陶器>", found) == "<陶器>"
    assert lines_of("<陶器>", 200, found) == ["<陶器>"]


def test_a_font_that_lacks_fewer_letters_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is installed: here a font that has Greek letters and no Chinese ones stands for the system's."""
    own = font(14)
    greek = ImageFont.load_default(size=15)
    monkeypatch.setattr("tiregistry.graphics.lettering._named", lambda name, size: greek)
    monkeypatch.setattr(
        "tiregistry.graphics.lettering._has", lambda c, letters: c.isascii() or (letters is greek and c == "λ")
    )
    assert font(14, ["<gnome>"]) is own
    assert font(14, ["<陶器>"]) is own
    assert font(14, ["<λ陶>"]) is greek
    _legible.cache_clear()  # what the stand-in said


@pytest.mark.parametrize("text", ["a-rather-long-name@12 in the snow", "x" * 60, "robot~penguin~0.3333"])
def test_no_line_is_wider_than_its_place_and_nothing_is_lost(text: str) -> None:
    lines = lines_of(text, 90, font(14))
    assert all(font(14).getlength(line) <= 90 for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


def test_labels_of_columns_do_not_touch() -> None:
    cell = Image.new("RGB", (64, 64), (200, 80, 20))
    sheet = labelled_grid([[cell] * 3], [], ["robot~penguin~0.2222"] * 3, cell=64)
    top = sheet.height - 64 - 2 * 4
    for column in (1, 2):
        gutter = 4 + column * 68 - 4
        assert sheet.crop((gutter, 0, gutter + 4, top)).getcolors() == [(4 * top, (250, 250, 248))]
