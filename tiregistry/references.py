"""How a version is named: `gnome`, `gnome@3`, `gnome@best`, `gnome@sha256:ab12…`; and which names are allowed."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from tiregistry.errors import InvalidReference

MAX_NAME = 64
"""Longest concept name, alias or tag, in characters."""

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
"""A whole digest, as the registry writes it."""

_ALLOWED_MARKS = "-_."
_NUMBER = re.compile(r"v?([1-9][0-9]{0,8})", re.IGNORECASE)
_DIGEST_PREFIX = re.compile(r"sha256:([0-9a-f]{4,64})", re.IGNORECASE)
_LONE = re.compile("[\ud800-\udfff]")
# Names that would be read as something else on a command line, or that Windows keeps for devices: a concept's name
# also names files on export.
_RESERVED = frozenset(
    {"latest", "con", "prn", "aux", "nul", *(f"{port}{i}" for port in ("com", "lpt") for i in range(1, 10))}
)


@dataclass(frozen=True, slots=True)
class Reference:
    """A parsed reference: a concept's name and at most one of number, alias and digest prefix; none means latest."""

    name: str
    number: int | None = None
    alias: str | None = None
    digest: str | None = None
    """Hex digits of a sha256, at least 4."""

    @property
    def selects_latest(self) -> bool:
        return self.number is None and self.alias is None and self.digest is None

    def __str__(self) -> str:
        if self.number is not None:
            return f"{self.name}@{self.number}"
        if self.alias is not None:
            return f"{self.name}@{self.alias}"
        if self.digest is not None:
            return f"{self.name}@sha256:{self.digest}"
        return self.name

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Read `name`, `name@3` (also `name@v3`), `name@alias`, `name@latest` or `name@sha256:<4 or more hex digits>`.

        The name may be anything that could name a concept or be its placeholder token (`<gnome>`): whether it
        exists is the registry's answer.

        Raises:
            InvalidReference: nothing could have this name.
        """
        text = unicodedata.normalize("NFC", text).strip()
        name, at, selector = text.partition("@")
        if name.startswith("<") and name.endswith(">") and len(name) > 2:
            pass  # a placeholder token, looked up as such
        elif name.startswith("<") and at and selector.endswith(">"):
            name, selector = name + ">", selector[:-1]  # `<gnome@3>`, as written in prompts
        else:
            check_name(name)
        if not at or selector.lower() == "latest":
            return cls(name)
        if match := _NUMBER.fullmatch(selector):
            return cls(name, number=int(match.group(1)))
        if match := _DIGEST_PREFIX.fullmatch(selector):
            return cls(name, digest=match.group(1).lower())
        if selector.lower().startswith("sha256:"):
            raise InvalidReference(
                f"{text!r} is not a digest", "write at least 4 of its hex digits, e.g. gnome@sha256:ab12"
            )
        return cls(name, alias=check_alias(selector))


def check_name(name: str, what: str = "concept name") -> str:
    """Return `name` in NFC if it can name a concept, a base model or a tag.

    The rule: 1 to 64 letters and digits of any script with `-`, `_` and `.` between them; it starts with a letter or
    a digit, is not only digits, does not end in a dot, and is not a reserved word (`latest`, `con`, `nul` …).

    Raises:
        InvalidReference: it breaks the rule; the message says how.
    """
    name = unicodedata.normalize("NFC", name)
    trouble = _trouble(name)
    if trouble:
        shown = name if len(name) <= MAX_NAME else name[:MAX_NAME] + "…"
        article = "an" if what[0] in "aeiou" else "a"
        raise InvalidReference(
            f"{shown!r} cannot be {article} {what}: {trouble}",
            "use letters, digits, '-', '_' and '.', e.g. garden-gnome",
        )
    return name


def check_alias(alias: str) -> str:
    """Return `alias` in NFC if it can be an alias; the rule is that of names, without `v3` (that is a number).

    Raises:
        InvalidReference: it breaks the rule.
    """
    alias = check_name(alias, "alias")
    if _NUMBER.fullmatch(alias):
        raise InvalidReference(f"{alias!r} cannot be an alias: it reads as a version number", "use a word, e.g. best")
    return alias


def name_key(name: str) -> str:
    """What two names are compared by: `Gnome` and `gnome` are the same name.

    Lone surrogates (undecodable bytes), which a database cannot be asked for, become a sign that no name holds.
    """
    return _LONE.sub("\x1a", unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold()))


def _trouble(name: str) -> str:
    if not name:
        return "it is empty"
    if len(name) > MAX_NAME:
        return f"it is longer than {MAX_NAME} characters"
    for position, character in enumerate(name):
        category = unicodedata.category(character)
        # Marks (category M) belong to letters in many scripts, so they are allowed after the first character.
        allowed = category[0] == "L" or category == "Nd" or (category[0] == "M" and position)
        if not allowed and not (character in _ALLOWED_MARKS and position):
            if position == 0 and character in _ALLOWED_MARKS:
                return "it must start with a letter or a digit"
            return f"it contains {character!a}"
    if name.endswith("."):
        return "it ends in a dot"
    if all(unicodedata.category(c) == "Nd" for c in name):
        return "it is only digits, which would read as a version number"
    if name.casefold().split(".")[0] in _RESERVED:
        return "it is a reserved word"
    return ""
