"""The screen of a terminal double: interprets what a program sends, as far as it matters for where pictures are.

Text wipes the sixel pixels of its cells, kitty's direct placements float above the text, and placeholders are text that
names a part of a picture: as the real terminals do it.
"""

from __future__ import annotations

import base64
import io
import re
import unicodedata
from dataclasses import dataclass, field

from PIL import Image
from rich.cells import cell_len

from tiregistry.graphics.kitty import PLACEHOLDER, diacritics

_TOKEN = re.compile(
    rb"\x1b_G(?P<kitty_keys>[^;\x1b]*)(?:;(?P<kitty_data>[^\x1b]*))?\x1b\\"
    rb"|\x1bP(?P<sixel>[\d;]*q[^\x1b]*)\x1b\\"
    rb"|\x1b[P_\]X^][^\x1b\x07]*(?:\x1b\\|\x07)"
    rb"|\x1b\[(?P<parameters>[0-9;:?<>=]*)(?P<between>[ !\"$]*)(?P<final>[@-~])"
    rb"|\x1b(?P<escape>[78=>cDEMHNO])"
    rb"|(?P<control>[\x00-\x1a\x1c-\x1f])"
    rb"|(?P<text>[^\x00-\x1f\x1b]+)"
)
_NUMBER_OF = {mark: number for number, mark in enumerate(diacritics())}


@dataclass(frozen=True)
class Shown:
    """A picture on the screen.

    Attributes:
        x, y, columns, rows: the cells where it is visible.
        image: its pixels there.
        whole: nothing of the picture is missing or covered.
    """

    x: int
    y: int
    columns: int
    rows: int
    image: Image.Image
    whole: bool


@dataclass
class _Sixel:
    x: int
    y: int
    sequence: bytes
    columns: int
    rows: int
    cells: set[tuple[int, int]]


@dataclass
class _Cell:
    text: str = " "
    color: str = ""
    background: str = ""


@dataclass
class Screen:
    """A grid of cells with pictures.

    Attributes:
        cell: width and height of a cell in pixels.
    """

    columns: int
    rows: int
    cell: tuple[int, int]
    x: int = 0
    y: int = 0
    deleted: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._clear()
        self._pending = b""
        self._saved = (0, 0)
        self._color = self._background = ""
        self.pictures: dict[int, Image.Image] = {}
        self._virtual: dict[int, tuple[int, int]] = {}
        self._direct: dict[tuple[int, str], Shown] = {}
        self._sixels: list[_Sixel] = []
        self._open: tuple[dict[str, str], bytes] | None = None
        self.in_alternate = False
        # After a change of size a program may still draw for the old one, until it has heard of it.
        self._resized = False

    def resize(self, columns: int, rows: int) -> None:
        """Another size; what stood there is gone, as far as this double goes."""
        self._resized = True
        self.columns, self.rows = columns, rows
        self._clear()
        self._sixels.clear()
        self._direct.clear()

    def feed(self, data: bytes) -> None:
        """Interpret output; an incomplete sequence waits for its rest."""
        data, at = self._pending + data, 0
        while at < len(data):
            match = _TOKEN.match(data, at)
            if match is None or (match.end() == len(data) and match["text"] and data[-1] >= 0x80):
                if match is None and len(data) - at > 1 << 22:
                    raise ValueError(f"not understood: {data[at : at + 40]!r}")
                break
            at = match.end()
            if match["text"] is not None:
                self._write(match["text"].decode("utf-8", "replace"))
            elif match["kitty_keys"] is not None:
                self._kitty(match["kitty_keys"].decode(), match["kitty_data"] or b"")
            elif match["sixel"] is not None:
                self._sixel(match["sixel"])
            elif match["final"] is not None:
                self._control(match["parameters"].decode(), match["final"].decode())
            elif match["escape"] is not None:
                if match["escape"] == b"7":
                    self._saved = (self.x, self.y)
                elif match["escape"] == b"8":
                    self.x, self.y = self._saved
            elif match["control"] is not None:
                self.x = 0 if match["control"] == b"\r" else self.x
                self.y = min(self.rows - 1, self.y + 1) if match["control"] == b"\n" else self.y
        self._pending = data[at:]

    # -- what can be seen ----------------------------------------------------------------------------------------

    def text(self) -> str:
        """All lines; a cell of a picture is a shade."""
        return "\n".join(
            "".join("▒" if cell.text.startswith(PLACEHOLDER) else cell.text for cell in row) for row in self._cells
        )

    def looks(self) -> list[list[tuple[str, str, str]]]:
        """Of every line its cells: text, colour, background."""
        return [[(cell.text, cell.color, cell.background) for cell in row] for row in self._cells]

    def colors(self) -> set[str]:
        """Every colour in use, as the parameters of SGR (`2;r;g;b` or `5;n`)."""
        return {color for row in self._cells for cell in row for color in (cell.color, cell.background)} - {""}

    def shown(self) -> list[Shown]:
        """All pictures that can be seen now, from the top left."""
        found = [*self._shown_by_placeholders(), *self._direct.values()]
        found += [self._shown_sixel(sixel) for sixel in self._sixels if sixel.cells]
        return sorted(found, key=lambda shown: (shown.y, shown.x))

    def _shown_by_placeholders(self) -> list[Shown]:
        where: dict[int, dict[tuple[int, int], tuple[int, int]]] = {}
        for y, row in enumerate(self._cells):
            for x, cell in enumerate(row):
                if cell.text.startswith(PLACEHOLDER) and cell.color.startswith("2;"):
                    red, green, blue = map(int, cell.color.split(";")[1:])
                    part = (_NUMBER_OF[cell.text[2]], _NUMBER_OF[cell.text[1]])
                    where.setdefault(red << 16 | green << 8 | blue, {})[x, y] = part
        found = []
        for number, cells in where.items():
            if number not in self._virtual:
                found.append(Shown(*min(cells), 1, 1, Image.new("RGB", (1, 1)), False))  # boxes, in a real terminal
                continue
            columns, rows = self._virtual[number]
            left, top = min(x for x, _ in cells), min(y for _, y in cells)
            whole = cells == {(left + x, top + y): (x, y) for x in range(columns) for y in range(rows)}
            wide, high = 1 + max(x for x, _ in cells) - left, 1 + max(y for _, y in cells) - top
            found.append(Shown(left, top, wide, high, self.pictures[number], whole))
        return found

    def _shown_sixel(self, sixel: _Sixel) -> Shown:
        from tests.terminal.double import decode_sixel

        image = decode_sixel(sixel.sequence)  # most are drawn over before anybody looks
        whole = len(sixel.cells) == sixel.columns * sixel.rows
        return Shown(sixel.x, sixel.y, sixel.columns, sixel.rows, image, whole)

    # -- text ----------------------------------------------------------------------------------------------------

    def _clear(self) -> None:
        self._cells = [[_Cell() for _ in range(self.columns)] for _ in range(self.rows)]

    def _write(self, text: str) -> None:
        for character in text:
            if unicodedata.combining(character):
                # What was sent before a window became smaller may stand beyond its new edge.
                if 0 < self.x <= self.columns and self.y < self.rows:
                    self._cells[self.y][self.x - 1].text += character
                continue
            width = 1 if character == PLACEHOLDER else cell_len(character)
            for offset in range(width):
                if self.x < self.columns and self.y < self.rows:
                    content = character if offset == 0 else ""
                    self._cells[self.y][self.x] = _Cell(content, self._color, self._background)
                    self._wipe(self.x, self.y)
                    self.x += 1

    def _wipe(self, x: int, y: int) -> None:
        for sixel in self._sixels:
            sixel.cells.discard((x, y))

    def _control(self, parameters: str, final: str) -> None:
        numbers = [int(part) if part.isdigit() else 0 for part in parameters.split(";")]
        first = max(1, numbers[0])
        if final == "m":
            self._attributes(numbers)
        elif final in "Hf":
            self.y = min(self.rows, first) - 1
            self.x = min(self.columns, max(1, numbers[1] if len(numbers) > 1 else 1)) - 1
        elif final == "A":
            self.y = max(0, self.y - first)
        elif final == "B":
            self.y = min(self.rows - 1, self.y + first)
        elif final == "C":
            self.x = min(self.columns - 1, self.x + first)
        elif final == "D":
            self.x = max(0, self.x - first)
        elif final == "G":
            self.x = min(self.columns, first) - 1
        elif final == "J" and numbers[0] in (2, 3):
            self._clear()
            self._sixels.clear()
        elif final == "K":
            for x in range(self.x, self.columns):
                self._cells[self.y][x] = _Cell(" ", "", self._background)
                self._wipe(x, self.y)
        elif parameters == "?1049":
            self._switch(final == "h")

    def _attributes(self, numbers: list[int]) -> None:
        at = 0
        while at < len(numbers):
            number = numbers[at]
            if number in (38, 48) and at + 1 < len(numbers):
                length = 4 if numbers[at + 1] == 2 else 2
                color = ";".join(map(str, numbers[at + 1 : at + 1 + length]))
                at += length
                if number == 38:
                    self._color = color
                else:
                    self._background = color
            elif number in (0, 39, 49):
                self._color = "" if number != 49 else self._color
                self._background = "" if number != 39 else self._background
            at += 1

    def _switch(self, alternate: bool) -> None:
        # Entering the alternate screen clears it with its pictures (kitty keeps those of each screen apart).
        self.in_alternate = alternate
        self._clear()
        self._sixels.clear()
        self._direct.clear()
        self._virtual.clear()
        self.pictures.clear()

    # -- pictures ------------------------------------------------------------------------------------------------

    def _sixel(self, data: bytes) -> None:
        from tests.terminal.double import sixel_size

        sequence = b"\x1bP" + data + b"\x1b\\"
        size = sixel_size(sequence)
        columns, rows = -(-size[0] // self.cell[0]), -(-size[1] // self.cell[1])
        if self.y + rows > self.rows and not self._resized:
            raise AssertionError(f"a picture of {size} at line {self.y + 1} of {self.rows} scrolls the screen")
        # A terminal cuts what lies beyond its edge; cells out there could never be wiped again.
        cells = {
            (x, y)
            for x in range(self.x, min(self.x + columns, self.columns))
            for y in range(self.y, min(self.y + rows, self.rows))
        }
        for x, y in cells:
            self._wipe(x, y)
        self._sixels = [other for other in self._sixels if other.cells]
        self._sixels.append(_Sixel(self.x, self.y, sequence, columns, rows, cells))

    def _kitty(self, text: str, data: bytes) -> None:
        keys = dict(part.split("=", 1) for part in text.split(",") if "=" in part)
        if self._open is not None:
            keys, before = self._open[0] | {"m": keys.get("m", "0")}, self._open[1]
            data = before + data
        action, number = keys.get("a", "t"), int(keys.get("i", "0"))
        if action in "tT":
            self._open = (keys, data) if keys.get("m") == "1" else None
            if self._open is None:
                picture = Image.open(io.BytesIO(base64.standard_b64decode(data))).convert("RGB")
                self.pictures[number] = picture
                if action == "T":
                    self._place(number, keys, picture)
        elif action == "p" and keys.get("U") == "1":
            self._virtual[number] = int(keys["c"]), int(keys["r"])
        elif action == "p" and number in self.pictures:
            self._place(number, keys, self.pictures[number])
        elif action == "d":
            for place in [key for key in self._direct if key[0] == number and keys.get("p", key[1]) == key[1]]:
                del self._direct[place]
            if keys.get("d") == "I":
                self._virtual.pop(number, None)
                self.pictures.pop(number, None)
                self.deleted.add(number)

    def _place(self, number: int, keys: dict[str, str], picture: Image.Image) -> None:
        left, top = int(keys.get("x", "0")), int(keys.get("y", "0"))
        size = int(keys.get("w", picture.width)), int(keys.get("h", picture.height))
        part = picture.crop((left, top, left + size[0], top + size[1]))
        whole = part.size == picture.size
        self._direct[number, keys.get("p", "")] = Shown(self.x, self.y, int(keys["c"]), int(keys["r"]), part, whole)
