"""The one place where foreign text (names from files, cards, EXIF, servers) is made safe to show in a terminal."""

from __future__ import annotations

import re
import unicodedata

# C0 and C1 controls, DEL, bidirectional overrides and isolates, invisible marks, lone surrogates, line separators.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)


def _visible(match: re.Match[str]) -> str:
    code = ord(match.group())
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def safe(text: object, *, limit: int = 2000, multiline: bool = False) -> str:
    """Return `text` as a string that can do nothing to a terminal but be read.

    Control characters, escapes, bidirectional overrides, invisible marks and lone surrogates become visible
    backslash escapes; the rest is normalised to NFC and cut to `limit` characters (an ellipsis marks the cut).

    Args:
        text: anything; `str()` is taken of it, bytes are decoded as UTF-8 with replacement.
        limit: longest result in characters.
        multiline: keep newlines and tabs; otherwise they become single spaces.
    """
    raw = text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
    if len(raw) > limit:
        raw = raw[: max(0, limit - 1)] + "…"
    raw = raw.replace("\r\n", "\n")
    if not multiline:
        raw = raw.replace("\n", " ").replace("\t", " ")
    return _UNSAFE.sub(_visible, unicodedata.normalize("NFC", raw))
