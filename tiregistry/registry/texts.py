"""Free texts that people and files bring: what the database can keep."""

from __future__ import annotations

from tiregistry.errors import InvalidInput


def check_text(text: str, what: str) -> str:
    """Return a free text if SQLite can keep it and a person can read it.

    Raises:
        InvalidInput: it is longer than 100,000 characters or holds lone surrogates (undecodable bytes).
    """
    if len(text) > 100_000:
        raise InvalidInput(f"the {what} is longer than 100,000 characters", "keep long texts in a file")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise InvalidInput(f"the {what} is not valid text", "check its encoding") from None
    return text
