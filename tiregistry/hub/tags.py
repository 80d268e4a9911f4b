"""The Hub tags of a version: `v3` by its number, `sha256-…` by its content."""

from __future__ import annotations

import re
from collections.abc import Iterable

_VERSION = re.compile(r"v([1-9][0-9]{0,8})")


def version_tag(number: int) -> str:
    """The tag that names a version by its number."""
    return f"v{number}"


def digest_tag(digest: str) -> str:
    """The tag that names a version by its content; git allows no colon."""
    return digest.replace(":", "-")


def version_numbers(refs: Iterable[str]) -> dict[int, str]:
    """Number to tag of the versions among a repository's tags, in ascending order; other tags are passed over."""
    return dict(sorted((int(found[1]), tag) for tag in refs if (found := _VERSION.fullmatch(tag))))
