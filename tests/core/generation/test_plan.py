"""Prompts x words x seeds: what is made, and where it lies in a grid."""

from __future__ import annotations

import pytest
from PIL import Image

from tiregistry.errors import InvalidInput, InvalidPrompt, InvalidReference
from tiregistry.generation.generator import Generator
from tiregistry.generation.grids import labelled_grid, side_within
from tiregistry.generation.plan import Cell, arrange, blend_words, split_words, variants_of
from tiregistry.generation.requests import PictureRequest
from tiregistry.generation.templates import Wildcards


def test_words_fill_every_expanded_prompt() -> None:
    request = PictureRequest(prompt="{a|b} <>")
    found = variants_of(request, Wildcards(), ["x", "y@2"])
    assert [v.prompt for v in found] == ["a <x>", "a <y@2>", "b <x>", "b <y@2>"]
    assert [v.template for v in found] == ["a <>", "a <>", "b <>", "b <>"]
    with pytest.raises(InvalidPrompt, match="has no <>"):
        variants_of(PictureRequest(prompt="a"), Wildcards(), ["x"])


def test_too_many_pictures_are_refused_before_they_are_made() -> None:
    with pytest.raises(InvalidInput, match="more than 10,000"):
        variants_of(PictureRequest(prompt="{a|b|c}", count=5000), Wildcards())


def test_all_versions_of_a_word(generator: Generator) -> None:
    assert split_words(generator.registry, "gnome@*, <imp>") == ["gnome@1", "gnome@2", "imp"]
    with pytest.raises(InvalidReference, match="empty entry"):
        split_words(generator.registry, "gnome,,imp")


def test_a_blend_has_both_ends() -> None:
    assert blend_words("<a>", "b@2", 3) == ["a~b@2~0", "a~b@2~0.5", "a~b@2~1"]
    with pytest.raises(InvalidInput):
        blend_words("a", "b", 1)


def cells(prompts: list[str], words: list[str], seeds: list[int]) -> list[Cell]:
    picture = Image.new("RGB", (8, 8))
    return [Cell(p, w, s, picture) for p in prompts for w in words for s in seeds]


@pytest.mark.parametrize(
    ("axes", "rows", "columns"),
    [
        ((["p", "q"], [""], [1, 2, 3]), ["p", "q"], ["seed 1", "seed 2", "seed 3"]),
        ((["p"], ["x", "y"], [1, 2]), ["x", "y"], ["seed 1", "seed 2"]),
        ((["p", "q"], ["x", "y"], [1]), ["p", "q"], ["x", "y"]),
        ((["p", "q"], ["x", "y"], [1, 2]), ["p", "q"], ["x · seed 1", "x · seed 2", "y · seed 1", "y · seed 2"]),
        ((["p"], ["x", "y"], [1]), [], ["x", "y"]),
        ((["p"], [""], [1, 2]), [], ["seed 1", "seed 2"]),
        ((["p", "q"], [""], [1]), ["p", "q"], []),
        ((["p"], [""], [1]), ["p"], []),
        (
            (["a ~soft~ p", "<x~y~0.3> at dawn"], ["x~y~0.5", "z"], [1]),
            ["a ~soft~ p", "<x~y~0.3> at dawn"],
            ["x~y~0.5", "z"],
        ),
    ],
)
def test_what_varies_first_goes_down(
    axes: tuple[list[str], list[str], list[int]], rows: list[str], columns: list[str]
) -> None:
    grid, row_labels, column_labels = arrange(cells(*axes))
    assert (row_labels, column_labels) == (rows, columns)
    assert sum(image is not None for row in grid for image in row) == len(axes[0]) * len(axes[1]) * len(axes[2])
    assert labelled_grid(grid, row_labels, column_labels).mode == "RGB"


def test_a_blend_reads_from_left_to_right() -> None:
    _, rows, columns = arrange(cells(["p"], blend_words("robot", "imp@2", 4), [1, 2]), is_blend=True)
    assert (rows, columns) == (["seed 1", "seed 2"], ["robot", "33.33 % imp@2", "66.67 % imp@2", "imp@2"])
    _, _, columns = arrange(cells(["a ~soft~ p"], blend_words("imp", "imp", 3), [1]), is_blend=True)
    assert columns == ["imp", "50 % imp", "imp"]


@pytest.mark.parametrize(("rows", "columns"), [(1, 130), (130, 1), (3, 500), (500, 3)])
def test_a_grid_fits_the_format_that_it_is_saved_in(rows: int, columns: int) -> None:
    longest = 16_383
    side = side_within(rows, columns, 256, longest)
    one = Image.new("RGB", (64, 64))
    labels = ["a long prompt " * 6] * max(rows, columns)
    grid = labelled_grid([[one] * columns] * rows, labels[:rows], labels[:columns], cell=side)
    assert max(grid.size) <= longest
    with pytest.raises(InvalidInput, match=r"too large .* .save it as \.png"):
        side_within(rows, 2000, 256, longest)
