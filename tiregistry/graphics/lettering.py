"""Letters in pictures: the font that comes with Pillow, another where it lacks letters, and texts to suit them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

_SIGNS = {"→": "->", "←": "<-", "×": "x", "•": "·", "≤": "<=", "≥": ">="}
_LETTERS = {"ß": "ss", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ı": "i"}
_PLAIN = dict.fromkeys("‐‑‒–—−", "-") | _SIGNS | _LETTERS
_BREAKS = re.compile(r"[^-@/_.~,:]*[-@/_.~,:]*")
"""Where a word too long for a line is broken: behind these signs."""


_ELSEWHERE = (
    "NotoSansCJK-Regular.ttc",
    "DejaVuSans.ttf",
    "NotoSans-Regular.ttf",
    "msyh.ttc",
    "YuGothM.ttc",
    "malgun.ttf",
    "segoeui.ttf",
    "PingFang.ttc",
    "Hiragino Sans GB.ttc",
    "AppleSDGothicNeo.ttc",
    "Arial Unicode.ttf",
)
"""Fonts of Linux, Windows and macOS that have letters beyond Latin ones, by the names of their files."""


def font(size: int, texts: Iterable[str] = ()) -> FreeTypeFont:
    """The font of a size in pixels, in which `texts` are legible.

    That is Pillow's own, which looks the same everywhere; where it lacks letters of theirs (as of words in Chinese or
    Greek), that of the system's fonts which lacks the fewest, if any lacks fewer.
    """
    lacking = {c for text in texts for c in text if _legible(c, _own(size)) == "?" and c != "?"}
    best = _own(size)
    for name in _ELSEWHERE if lacking else ():
        found = _named(name, size)
        if found is None:
            continue
        still = {c for c in lacking if not _has(c, found)}
        if len(still) < len(lacking):
            best, lacking = found, still
        if not lacking:
            break
    return best


def legible(text: str, letters: FreeTypeFont | None = None) -> str:
    """`text` in letters that a font has (Pillow's own unless another is given): without accents, with plain signs, and
    `?` for what has no relative."""
    known = letters or _own(14)
    return "".join(_legible(character, known) for character in text)


def lines_of(text: str, width: float, letters: FreeTypeFont) -> list[str]:
    """`text`, legible, in lines of at most `width` pixels: broken between words, and within one that is wider."""
    lines: list[str] = []
    for word in legible(text, letters).split():
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
def _own(size: int) -> FreeTypeFont:
    from PIL import ImageFont

    return ImageFont.load_default(size=size)  # type: ignore[return-value]


@cache
def _named(name: str, size: int) -> FreeTypeFont | None:
    """A font of the system by its file's name, which Pillow looks for where each system keeps them."""
    from PIL import ImageFont

    try:
        return ImageFont.truetype(name, size)
    except OSError:
        return None


@cache
def _legible(character: str, letters: FreeTypeFont) -> str:
    if _has(character, letters):
        return character
    if character in _PLAIN:
        return _PLAIN[character]
    bare = "".join(c for c in unicodedata.normalize("NFKD", character) if not unicodedata.combining(c))
    known = "".join(_PLAIN.get(c, c) for c in bare)
    if unicodedata.combining(character):
        return ""
    return known if known and all(_has(c, letters) for c in known) else "?"


@cache
def _has(character: str, letters: FreeTypeFont) -> bool:
    """Whether a font has a glyph of its own for it; what it lacks all looks like a character that none has."""
    if character.isspace():
        return True
    drawn, missing = (letters.getmask(c) for c in (character, "\uffff"))
    return drawn.size != missing.size or bytes(drawn) != bytes(missing)
