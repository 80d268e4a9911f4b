"""Letters in pictures: the font that comes with Pillow, which knows no accents, and texts to suit it."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

_SIGNS = {"→": "->", "←": "<-", "×": "x", "•": "·", "≤": "<=", "≥": ">="}
_LETTERS = {"ß": "ss", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ı": "i"}
_PLAIN = dict.fromkeys("‐‑‒–—−", "-") | _SIGNS | _LETTERS
_BREAKS = re.compile(r"[^-@/_.~,:]*[-@/_.~,:]*")
"""Where a word too long for a line is broken: behind these signs."""


@cache
def font(size: int) -> FreeTypeFont:
    """The font of a size in pixels."""
    from PIL import ImageFont

    return ImageFont.load_default(size=size)  # type: ignore[return-value]


def legible(text: str) -> str:
    """`text` in letters that the font has: without accents, with plain signs, and `?` for what has no relative."""
    return "".join(map(_legible, text))


def lines_of(text: str, width: float, letters: FreeTypeFont) -> list[str]:
    """`text`, legible, in lines of at most `width` pixels: broken between words, and within one that is wider."""
    lines: list[str] = []
    for word in legible(text).split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and letters.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines += _broken(word, width, letters)
    return lines


def _broken(word: str, width: float, letters: FreeTypeFont) -> list[str]:
    if letters.getlength(word) <= width:
        return [word]
    lines = [""]
    for part in _BREAKS.findall(word):
        for piece in [part] if letters.getlength(part) <= width else part:
            if lines[-1] and letters.getlength(lines[-1] + piece) > width:
                lines.append("")
            lines[-1] += piece
    return lines


@cache
def _legible(character: str) -> str:
    if _has(character):
        return character
    if character in _PLAIN:
        return _PLAIN[character]
    bare = "".join(c for c in unicodedata.normalize("NFKD", character) if not unicodedata.combining(c))
    known = "".join(_PLAIN.get(c, c) for c in bare)
    if unicodedata.combining(character):
        return ""
    return known if known and all(map(_has, known)) else "?"


@cache
def _has(character: str) -> bool:
    """Whether the font has a glyph of its own for it; what it lacks all looks like a character that none has."""
    if character.isspace():
        return True
    drawn, missing = (font(14).getmask(c) for c in (character, "\uffff"))
    return drawn.size != missing.size or bytes(drawn) != bytes(missing)
