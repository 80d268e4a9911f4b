"""Pages of listings: how many, and how many are left out first, as SQLite takes it."""

from __future__ import annotations

from tiregistry.errors import InvalidInput

MOST = 2**63 - 1
"""The greatest whole number that SQLite knows."""


def page_of(limit: int | None, offset: int = 0) -> tuple[int, int]:
    """The values of SQL's `LIMIT ? OFFSET ?`.

    Args:
        limit: at most so many; None means all.
        offset: leave out so many first.

    Raises:
        InvalidInput: one of them is negative.
    """
    if limit is not None and limit < 0:
        raise InvalidInput(f"a page of {limit} is none", "use 0 or more, or None for all")
    if offset < 0:
        raise InvalidInput(f"{offset} cannot be left out", "use an offset of 0 or more")
    return -1 if limit is None else min(limit, MOST), min(offset, MOST)
