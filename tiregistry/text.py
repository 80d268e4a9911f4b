"""The one place where foreign text (names from files, cards, EXIF, servers) is made safe to show in a terminal."""

from __future__ import annotations

import re
import unicodedata

# Controls (C0, C1, DEL), format marks (bidirectional overrides and isolates, invisible joiners), lone surrogates,
# line and paragraph separators.
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
# Marks of category Cf that are visible signs of their script, such as the Arabic sign for the end of a verse.
_VISIBLE_SIGNS = frozenset("\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2")


def safe(text: object, *, limit: int = 2000, multiline: bool = False) -> str:
    """Return `text` as a string that can do nothing to a terminal but be read.

    Control characters, escapes, bidirectional overrides, invisible marks and lone surrogates become visible
    backslash escapes; the rest is normalised to NFC and cut to `limit` characters (an ellipsis marks the cut).

    Args:
        text: anything; `str()` is taken of it, bytes are decoded as UTF-8 with replacement.
        limit: longest result in characters, before escapes are made visible.
        multiline: keep newlines and tabs; otherwise they become single spaces.
    """
    raw = text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
    if len(raw) > limit:
        raw = raw[: max(0, limit - 1)] + "…"
    raw = raw.replace("\r\n", "\n")
    if not multiline:
        raw = raw.replace("\n", " ").replace("\t", " ")
    raw = unicodedata.normalize("NFC", raw)
    if raw.isprintable():  # the usual case, decided without looking at each character
        return raw
    kept = "\n\t" if multiline else ""
    return raw.translate({ord(c): _visible(c) for c in set(raw) if is_unsafe(c) and c not in kept})


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """Sort key that puts `x-10` after `x-9`, and does not tell upper from lower case."""
    return [
        (0, int(part[:18]), "") if part.isdecimal() and part.isascii() else (1, 0, part)
        for part in re.split(r"(\d+)", name.casefold())
        if part
    ]


def is_unsafe(character: str) -> bool:
    """Whether a terminal would act on the character, or a reader could not see it."""
    return unicodedata.category(character) in _UNSAFE and character not in _VISIBLE_SIGNS


def _visible(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
