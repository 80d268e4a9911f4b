"""Encoders against the double's decoders: what is sent is the picture."""

from __future__ import annotations

import unicodedata

import pytest
from PIL import Image, ImageChops, ImageFilter, ImageStat

from tests.terminal.double import decode_sixel, kitty_pictures
from tiregistry.graphics import kitty
from tiregistry.graphics.drawing import draw_row
from tiregistry.graphics.fitting import fit, scaled
from tiregistry.graphics.ids import new_id
from tiregistry.graphics.sixel import sixel
from tiregistry.graphics.terminal import Terminal


def photo(width: int = 160, height: int = 120) -> Image.Image:
    """A picture with smooth colours, edges and noise."""
    red = Image.linear_gradient("L").resize((width, height))
    green = Image.radial_gradient("L").resize((width, height))
    blue = Image.effect_noise((width, height), 60)
    image = Image.merge("RGB", (red, green, blue))
    image.paste((250, 40, 30), (width // 4, height // 4, width // 2, height // 2))
    return image


def difference(a: Image.Image, b: Image.Image, blur: float = 0.0) -> float:
    """Mean absolute difference per channel, of blurred pictures when dithering shall not count."""
    if blur:
        a, b = a.filter(ImageFilter.GaussianBlur(blur)), b.filter(ImageFilter.GaussianBlur(blur))
    return sum(ImageStat.Stat(ImageChops.difference(a, b)).mean) / 3


def test_kitty_is_exact() -> None:
    image = photo()
    [(number, back)] = kitty_pictures("".join(kitty.transmit(kitty.encode(image), 7)).encode())
    assert number == 7
    assert back.tobytes() == image.tobytes()


def test_kitty_never_asks_for_an_answer() -> None:
    payload = kitty.encode(photo())
    sequences = [
        *kitty.transmit(payload, 7),
        kitty.place_virtual(7, 3, 2),
        kitty.hide(7, 1),
        kitty.delete(7),
    ]
    sequences += [kitty.place_direct(7, 1, 3, 2, (0, 0, 9, 9)), *kitty.show_here(payload, 2, 2)]
    assert all("q=2" in sequence for sequence in sequences)
    assert all(len(sequence) < 4200 for sequence in sequences)


def test_sixel_is_close() -> None:
    image = photo()
    back = decode_sixel(sixel(image).encode())
    assert back.size == image.size
    assert difference(image, back, blur=2.0) < 3.0


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (5, 6), (13, 19)])
def test_sixel_of_odd_sizes(size: tuple[int, int]) -> None:
    image = Image.new("RGB", size, (255, 0, 102))
    back = decode_sixel(sixel(image).encode())
    assert back.size == size
    assert back.getcolors() == [(size[0] * size[1], (255, 0, 102))]


def test_fewer_colors_are_fewer_bytes() -> None:
    assert len(sixel(photo(), 16)) < len(sixel(photo(), 256))


def test_placeholders_name_their_cell() -> None:
    marks = kitty.diacritics()
    assert len(marks) == kitty.MAX_CELLS == len(set(marks))
    assert all(unicodedata.combining(mark) == 230 and not unicodedata.decomposition(mark) for mark in marks)
    row = kitty.placeholder_row(2, 5, 3)
    assert row == "".join(f"{kitty.PLACEHOLDER}{marks[2]}{marks[c]}" for c in (5, 6, 7))


def test_ids_are_unique_and_fit_a_color() -> None:
    numbers = [new_id() for _ in range(5000)]
    assert len(set(numbers)) == 5000
    assert all(0 < number < 1 << 24 for number in numbers)
    red, green, blue = kitty.id_color(numbers[0])
    assert red << 16 | green << 8 | blue == numbers[0]


@pytest.mark.parametrize("size", [(64, 64), (512, 512), (2000, 10), (10, 2000), (1, 1)])
@pytest.mark.parametrize("room", [(40, 20), (1, 1), (200, 3)])
def test_a_picture_fits_its_box(size: tuple[int, int], room: tuple[int, int]) -> None:
    box = fit(size, *room, (9, 18))
    assert 1 <= box.columns <= room[0]
    assert 1 <= box.rows <= room[1]
    assert box.width <= box.columns * 9
    assert box.height <= box.rows * 18
    assert scaled(Image.new("RGB", size), box).size == (box.width, box.height)


def test_characters_show_every_pixel_where_there_is_room() -> None:
    large_cells, room = (16, 32), (57, 28)
    assert fit((64, 64), *room, large_cells).columns == 32
    assert fit((64, 64), *room, large_cells, of_characters=True).columns == 56
    assert fit((64, 64), 200, 100, large_cells, of_characters=True).columns == 64


def test_transparent_parts_are_black() -> None:
    image = Image.new("RGBA", (4, 4), (255, 255, 255, 0))
    assert scaled(image, fit((4, 4), 1, 1, (4, 4))).getcolors() == [(16, (0, 0, 0))]


def test_every_protocol_draws_a_row() -> None:
    images = [photo(), photo(60, 120)]
    for protocol in ("kitty", "kitty-direct", "sixel", "halfblocks", "ascii"):
        drawn = draw_row(images, Terminal(protocol, "truecolor", (9, 18)), 20, 10)  # type: ignore[arg-type]
        assert drawn.endswith(("\n", "\r"))
    assert draw_row(images, Terminal("off"), 20, 10) == ""
    assert "\x1b" not in draw_row(images, Terminal("ascii"), 20, 10)


def test_inside_tmux_everything_is_wrapped() -> None:
    drawn = draw_row([photo(20, 20)], Terminal("kitty", in_tmux=True, cell=(9, 18)), 4, 4)
    assert "\x1bPtmux;\x1b\x1b_Ga=t" in drawn
    assert kitty.PLACEHOLDER in drawn
    assert "\x1b_G" not in drawn.replace("\x1b\x1b_G", "")
