"""The double's screen itself: what it takes for visible is what a terminal would show."""

from __future__ import annotations

from PIL import Image

from tests.terminal.screen import Screen
from tiregistry.graphics import kitty
from tiregistry.graphics.drawing import placeholders
from tiregistry.graphics.sixel import sixel

RED = Image.new("RGB", (18, 36), (255, 0, 0))


def test_text_wipes_sixel() -> None:
    screen = Screen(20, 10, (9, 18))
    screen.feed(b"\x1b[3;4H" + sixel(RED).encode())
    [shown] = screen.shown()
    assert (shown.x, shown.y, shown.columns, shown.rows, shown.whole) == (3, 2, 2, 2, True)
    screen.feed(b"\x1b[4;5Hx")
    assert not screen.shown()[0].whole
    screen.feed(b"\x1b[3;1H          \x1b[4;1H          ")
    assert screen.shown() == []


def test_placeholders_are_whole_or_not() -> None:
    screen = Screen(20, 10, (9, 18))
    sent = "".join([*kitty.transmit(kitty.encode(RED), 0x010203), kitty.place_virtual(0x010203, 2, 2)])
    screen.feed((sent + "\x1b[2;2H" + placeholders(0x010203, 2, 2)).encode())
    [shown] = screen.shown()
    assert (shown.x, shown.y, shown.columns, shown.rows, shown.whole) == (1, 1, 2, 2, True)
    assert shown.image.tobytes() == RED.tobytes()
    screen.feed(b"\x1b[2;2Hx")
    assert not screen.shown()[0].whole
    screen.feed(kitty.delete(0x010203).encode())
    assert screen.shown()[0].image.size == (1, 1)  # boxes are left
    screen.feed(b"\x1b[?1049h")
    assert screen.shown() == []


def test_direct_placements_float() -> None:
    screen = Screen(20, 10, (9, 18))
    screen.feed(
        "".join(
            [*kitty.transmit(kitty.encode(RED), 7), "\x1b[2;2H", kitty.place_direct(7, 1, 2, 1, (0, 18, 18, 18))]
        ).encode()
    )
    screen.feed(b"\x1b[2;1Htext over it")
    [shown] = screen.shown()
    assert (shown.x, shown.y, shown.rows, shown.whole, shown.image.size) == (1, 1, 1, False, (18, 18))
    screen.feed(kitty.hide(7, 1).encode())
    assert screen.shown() == []
    assert screen.text().splitlines()[1].startswith("text over it")


def test_sequences_may_come_in_pieces() -> None:
    screen = Screen(20, 4, (9, 18))
    stream = ("\x1b[2;3H\x1b[38;2;1;2;3mgrün▀\x1b[0m" + sixel(RED) + "\x1b[48;5;9mx").encode()
    for index in range(len(stream)):
        screen.feed(stream[index : index + 1])
    assert "  grün▀" in screen.text()
    assert screen.colors() == {"2;1;2;3", "5;9"}
    assert len(screen.shown()) == 1
