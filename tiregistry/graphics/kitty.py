"""kitty's graphics protocol as text: sending a picture, placing it directly or with placeholders, deleting it.

Every sequence asks the terminal not to answer (`q=2`), so that no reply can be taken for keys.
"""

from __future__ import annotations

import base64
import io
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

PLACEHOLDER = "\U0010eeee"
MAX_CELLS = 297
"""Largest number of rows or columns that placeholders can address."""
_CHUNK = 4096

# The protocol numbers rows and columns with these combining marks, in this order (kitty's rowcolumn-diacritics).
_MARKS = (
    "305 30D-30E 310 312 33D-33F 346 34A-34C 350-352 357 35B 363-36F 483-487 592-595 597-599 59C-5A1 5A8-5A9 5AB-5AC "
    "5AF 5C4 610-617 657-65B 65D-65E 6D6-6DC 6DF-6E2 6E4 6E7-6E8 6EB-6EC 730 732-733 735-736 73A 73D 73F-741 743 745 "
    "747 749-74A 7EB-7F1 7F3 816-819 81B-823 825-827 829-82D 951 953-954 F82-F83 F86-F87 135D-135F 17DD 193A 1A17 "
    "1A75-1A7C 1B6B 1B6D-1B73 1CD0-1CD2 1CDA-1CDB 1CE0 1DC0-1DC1 1DC3-1DC9 1DCB-1DCC 1DD1-1DE6 1DFE 20D0-20D1 "
    "20D4-20D7 20DB-20DC 20E1 20E7 20E9 20F0 2CEF-2CF1 2DE0-2DFF A66F A67C-A67D A6F0-A6F1 A8E0-A8F1 AAB0 AAB2-AAB3 "
    "AAB7-AAB8 AABE-AABF AAC1 FE20-FE26 10A0F 10A38 1D185-1D189 1D1AA-1D1AD 1D242-1D244"
)


@cache
def diacritics() -> tuple[str, ...]:
    """The combining marks for the numbers from 0."""
    found: list[str] = []
    for part in _MARKS.split():
        first, _, last = part.partition("-")
        found += map(chr, range(int(first, 16), int(last or first, 16) + 1))
    return tuple(found)


def encode(image: Image) -> str:
    """The payload of a picture: a PNG in base64. The part of the work that takes time."""
    file = io.BytesIO()
    # Level 1 costs a few percent of size and saves most of the time.
    image.convert("RGB").save(file, "PNG", compress_level=1)
    return base64.standard_b64encode(file.getvalue()).decode()


def transmit(payload: str, picture_id: int) -> list[str]:
    """Sequences that hand an encoded picture to the terminal under `picture_id` without showing it."""
    return _chunks(payload, f"a=t,f=100,i={picture_id},q=2")


def show_here(payload: str, columns: int, rows: int) -> list[str]:
    """Sequences that hand over an encoded picture and show it at the cursor, which stays; the terminal keeps it as
    scrollback."""
    return _chunks(payload, f"a=T,f=100,c={columns},r={rows},C=1,q=2")


def place_virtual(picture_id: int, columns: int, rows: int) -> str:
    """Prepare a transmitted picture to be drawn where its placeholders stand, `columns` x `rows` cells large."""
    return f"\x1b_Ga=p,U=1,i={picture_id},c={columns},r={rows},q=2\x1b\\"


def placeholder_row(row: int, first: int, columns: int) -> str:
    """The characters that stand for cells `first` … of one row; their colour must be the picture's id.

    Each cell carries its own row and column, so that a row can be cut anywhere.
    """
    marks = diacritics()
    return "".join(f"{PLACEHOLDER}{marks[row]}{marks[column]}" for column in range(first, first + columns))


def id_color(picture_id: int) -> tuple[int, int, int]:
    """The foreground colour that names a picture in its placeholders."""
    return picture_id >> 16 & 255, picture_id >> 8 & 255, picture_id & 255


def place_direct(picture_id: int, place: int, columns: int, rows: int, source: tuple[int, int, int, int]) -> str:
    """Show a part of a transmitted picture at the cursor, moving an earlier placement of the same number.

    Args:
        place: number of the placement, from 1; a picture may be shown at several places.
        source: left, top, width and height of the part, in the picture's pixels.
    """
    x, y, width, height = source
    return f"\x1b_Ga=p,i={picture_id},p={place},x={x},y={y},w={width},h={height},c={columns},r={rows},C=1,q=2\x1b\\"


def hide(picture_id: int, place: int) -> str:
    """Take one placement of a picture away; the terminal keeps the picture."""
    return f"\x1b_Ga=d,d=i,i={picture_id},p={place},q=2\x1b\\"


def delete(picture_id: int) -> str:
    """Take a picture's placements away and free it."""
    return f"\x1b_Ga=d,d=I,i={picture_id},q=2\x1b\\"


def _chunks(payload: str, keys: str) -> list[str]:
    parts = [payload[i : i + _CHUNK] for i in range(0, len(payload), _CHUNK)]
    last = len(parts) - 1
    return [
        f"\x1b_G{keys + ',' if number == 0 else ''}m={int(number < last)}{',q=2' if number else ''};{part}\x1b\\"
        for number, part in enumerate(parts)
    ]
