"""The demonstration's sheet: everything that was learned from, and prompts as they were typed."""

from __future__ import annotations

from itertools import product

import numpy as np
from PIL import Image

from tiregistry.demo import bundled_concepts, compositions, demo_sheet
from tiregistry.generation.grids import labelled_grid
from tiregistry.images import read_pictures


def test_the_sheet_shows_every_source_picture_of_both_words_and_every_made_one() -> None:
    sources = {f"<{c.name}>": [p.image for p in read_pictures([c.folder])[0]] for c in bundled_concepts()}
    assert [len(pictures) for pictures in sources.values()] == [4, 4]
    prompts = compositions(*sources, "vase")
    colours = [(r, g, b) for r, g, b in product((11, 99, 187), repeat=3)]
    rows = {prompt: [Image.new("RGB", (64, 64), colours.pop()) for _ in range(2)] for prompt in prompts}
    sheet = demo_sheet(sources, rows)
    pixels = np.asarray(sheet)
    for picture in [picture for pictures in sources.values() for picture in pictures]:
        assert _holds(pixels, np.asarray(picture.resize((64, 64))))
    for picture in [picture for row in rows.values() for picture in row]:
        assert _holds(pixels, np.asarray(picture.resize((128, 128))))
    # The lower part is the grid of the prompts themselves.
    below = np.asarray(labelled_grid(list(rows.values()), prompts, cell=128))
    assert np.array_equal(pixels[-below.shape[0] :, : below.shape[1]], below)


def _holds(page: np.ndarray, part: np.ndarray) -> bool:
    """Whether `part` [height, width, 3] stands somewhere on `page`, pixel for pixel."""
    height, width = part.shape[:2]
    corners = np.argwhere((page[: 1 - height, : 1 - width] == part[0, 0]).all(axis=-1))
    return any(np.array_equal(page[y : y + height, x : x + width], part) for y, x in corners)
