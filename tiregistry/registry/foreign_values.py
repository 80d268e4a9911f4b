"""Values of JSON from elsewhere, each of the kind and size that it must be.

Every function here gives the value back, and raises a ValueError where it is of another kind, too long or out of range.
"""

from __future__ import annotations

from typing import Any

from tiregistry.references import DIGEST


def a_list(value: Any, most: int) -> list[Any]:
    """A list of at most `most` items."""
    if not isinstance(value, list) or len(value) > most:
        raise ValueError("a list is none, or too long")
    return value


def a_text(value: Any, most: int) -> str:
    """A text of at most `most` characters, which UTF-8 can hold."""
    if not isinstance(value, str) or len(value) > most:
        raise ValueError("a text is none, or too long")
    value.encode()  # lone surrogates cannot be kept
    return value


def a_digest(value: Any) -> str:
    """`sha256:` and 64 hex digits."""
    if not isinstance(value, str) or not DIGEST.fullmatch(value):
        raise ValueError("a digest is none")
    return value


def a_sha256(value: Any) -> str:
    """64 hex digits."""
    return a_digest(f"sha256:{value}").removeprefix("sha256:")


def a_whole_number(value: Any, low: int, high: int) -> int:
    """A whole number from `low` to `high`."""
    if type(value) is not int or not low <= value <= high:
        raise ValueError("a number is none, or out of range")
    return value


def a_number(value: Any, most: float) -> float:
    """A number between `-most` and `most`."""
    if type(value) not in (int, float) or not abs(value) <= most:
        raise ValueError("a number is none, or out of range")
    return float(value)
