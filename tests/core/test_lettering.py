"""Texts in pictures: no letter that the font lacks, and none outside its place."""

from __future__ import annotations

import pytest
from PIL import Image

from tiregistry.generation.grids import labelled_grid
from tiregistry.graphics.lettering import _has, font, legible, lines_of


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
    assert all(map(_has, legible(text)))


def test_a_font_that_lacks_nothing_would_make_these_tests_idle() -> None:
    assert not _has("陶")
    assert _has("a")


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
