"""The full-text index over concepts, and the query language of `tireg list QUERY`."""

from __future__ import annotations

import re
import sqlite3
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import get_args

from tiregistry.concepts import CONCEPT_TYPES, Family, Origin
from tiregistry.errors import InvalidInput

_EXAMPLES = {
    "tag": "pottery",
    "base": "embedded",
    "family": "sd1",
    "type": "style",
    "origin": "trained",
    "since": "7d",
    "from": "hub",
}
FILTERS = tuple(_EXAMPLES)
"""Words before a colon that narrow a search, e.g. `tag:pottery`."""

MOST_PARTS = 200
"""Words and filters of one search; SQLite refuses conditions that are nested a few times deeper."""

_AGO = re.compile(r"(\d{1,5})([hdwmy])")
_DAYS = {"h": 1 / 24, "d": 1.0, "w": 7.0, "m": 30.0, "y": 365.0}


@dataclass(frozen=True, slots=True)
class Query:
    """A parsed search: free words (each must match the beginning of an indexed word) and filters."""

    words: tuple[str, ...] = ()
    filters: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> Query:
        """Read a user's words; any text is safe.

        `"two words"` is a phrase; `tag:x base:x family:x type:x origin:x since:2026-01-31|7d from:hub` are filters;
        any other colon is part of a word.

        Raises:
            InvalidInput: a filter has nothing behind its colon, or there are more than `MOST_PARTS` of them.
        """
        words: list[str] = []
        filters: dict[str, list[str]] = {}
        text = unicodedata.normalize("NFC", text).replace("\x00", " ").encode("utf-8", "replace").decode()
        parts = re.findall(r'[^\s"]*"[^"]*"|\S+', text)
        if len(parts) > MOST_PARTS:
            raise InvalidInput(
                f"a search of {len(parts):,} words and filters is too long", f"use {MOST_PARTS} of them at most"
            )
        for part in parts:
            key, colon, value = part.partition(":")
            if colon and key.lower() in FILTERS:
                if not value.strip('"'):
                    raise InvalidInput(
                        f"{key.lower()}: has nothing behind it", f"write {key.lower()}:{_EXAMPLES[key.lower()]}"
                    )
                filters.setdefault(key.lower(), []).append(value.strip('"'))
            else:
                words.append(part.strip('"'))
        return cls(tuple(words), filters)

    def match_expression(self) -> str:
        """The FTS5 expression of the free words: every word quoted, so that no text can be an operator."""
        terms = [f'"{word.replace(chr(34), " ")}"*' for word in self.words if any(map(_is_indexed, word))]
        return " ".join(terms)

    @property
    def cannot_match(self) -> bool:
        """True when there are free words but nothing in them is a letter or digit."""
        return bool(self.words) and not self.match_expression()


def no_filter_hint(text: str) -> str:
    """For a search that finds nothing: which of its words looks like a filter, but is none; empty without one."""
    from difflib import get_close_matches

    try:
        words = Query.parse(text).words
    except InvalidInput:
        return ""
    for word in words:
        key, colon, value = word.partition(":")
        if colon and key.isalpha() and value:
            close = get_close_matches(key.lower(), FILTERS, n=1)
            known = f"did you mean {close[0]}:{value}?" if close else f"there are {', '.join(f'{f}:' for f in FILTERS)}"
            return f"{key}: is no filter · {known}"
    return ""


def _is_indexed(character: str) -> bool:
    return unicodedata.category(character)[0] in "LN" or unicodedata.category(character) == "Co"


def conditions(query: Query) -> tuple[list[str], list[object]]:
    """SQL conditions over `c` (concepts) and `v` (each concept's latest living version), with their parameters."""
    where: list[str] = []
    values: list[object] = []
    if expression := query.match_expression():
        where.append("c.id IN (SELECT rowid FROM search WHERE search MATCH ?)")
        values.append(expression)
    elif query.cannot_match:
        where.append("0")
    for key, wanted in query.filters.items():
        for value in wanted:
            sql, parameters = _filter(key, value)
            where.append(sql)
            values.extend(parameters)
    return where, values


def _filter(key: str, value: str) -> tuple[str, list[object]]:
    lowered = value.casefold()
    if key == "tag":
        return "EXISTS (SELECT 1 FROM tags t WHERE t.concept_id = c.id AND t.tag = ? COLLATE NOCASE)", [lowered]
    if key == "family":
        families = _beginning(key, value, get_args(Family))
        marks = ", ".join("?" * len(families))
        return (
            (
                f"(v.base_family IN ({marks}) OR (v.base_family = '' AND EXISTS "
                f"(SELECT 1 {OF_LATEST} AND {LIKELY_FAMILY} IN ({marks}))))"
            ),
            [*families, *families],
        )
    if key == "type":
        types = _beginning(key, value, CONCEPT_TYPES)
        return f"c.concept_type IN ({', '.join('?' * len(types))})", [*types]
    if key == "origin":
        origins = _beginning(key, value, get_args(Origin))
        return f"v.origin IN ({', '.join('?' * len(origins))})", [*origins]
    if key == "base":
        # A base is known by the label it had, or by its present name and fingerprint.
        return (
            (
                "(v.base_name = ? COLLATE NOCASE OR v.base_token_embedding IN "
                "(SELECT token_embedding FROM bases WHERE name_key = ? AND token_embedding <> ''))"
            ),
            [value, lowered],
        )
    if key == "from":
        if lowered == "hub":
            return (
                (
                    "(v.origin = 'pulled' OR EXISTS (SELECT 1 FROM remotes r WHERE r.version_id = v.id "
                    "AND r.direction = 'pull'))"
                ),
                [],
            )
        origin = {"file": "imported", "files": "imported", "training": "trained", "blend": "blended"}.get(lowered)
        if origin is None:
            raise InvalidInput(f"from:{value} is unknown", "use from:hub, from:file, from:training or from:blend")
        return "v.origin = ?", [origin]
    return "c.updated_at >= ?", [since(value)]


LIKELY_FAMILY = "json_extract(r.record, '$.import.families[0].family')"
"""Of a word whose base model is not recorded: what its file was found to belong to, best first."""
OF_LATEST = "FROM records r WHERE r.version_id = v.id AND json_valid(r.record)"


def _beginning(key: str, value: str, known: Sequence[str]) -> list[str]:
    """The value of a filter, or every known one that begins with it.

    Raises:
        InvalidInput: none does.
    """
    lowered = value.casefold()
    found = [lowered] if lowered in known else [name for name in known if name.startswith(lowered)]
    if not found:
        raise InvalidInput(f"{key}:{value} is unknown", f"use {', '.join(f'{key}:{name}' for name in known)}")
    return found


def since(text: str, now: datetime | None = None) -> float:
    """UNIX seconds of `2026-01-31`, `2026-01`, `2026`, `today`, `yesterday`, or `12h`, `7d`, `2w`, `3m`, `1y` ago.

    A day begins at this machine's midnight, by the offset that holds on that day, be it summer or winter.

    Args:
        now: what counts as now, with a time zone or (naive) in local time.

    Raises:
        InvalidInput: none of these.
    """
    now = (now or datetime.now(UTC)).astimezone()
    lowered = text.lower()
    if lowered in ("today", "yesterday"):
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
        return (midnight - timedelta(days=lowered == "yesterday")).timestamp()
    if match := _AGO.fullmatch(lowered):
        return now.timestamp() - float(match.group(1)) * _DAYS[match.group(2)] * 86400
    for pattern in ("%Y-%m-%d", "%Y-%m", "%Y"):
        try:
            return datetime.strptime(text, pattern).astimezone().timestamp()
        except (ValueError, OverflowError, OSError):  # also a year that the system's clock does not know
            continue
    raise InvalidInput(f"since:{text} is no date", "write since:2026-01-31, since:yesterday or since:7d")


# -- the index -------------------------------------------------------------------------------------------------------

_TEXTS = """
SELECT c.name, c.placeholder_token AS token,
  (SELECT group_concat(tag, char(10)) FROM (SELECT tag FROM tags WHERE concept_id = c.id ORDER BY tag)) AS tags,
  (SELECT group_concat(note, char(10)) FROM (
     SELECT c.description AS note UNION ALL SELECT c.notes UNION ALL
     SELECT notes FROM (SELECT notes FROM versions WHERE concept_id = c.id AND notes <> '' ORDER BY number))) AS notes,
  (SELECT group_concat(caption, char(10)) FROM (
     SELECT DISTINCT i.caption FROM images i JOIN versions v ON v.id = i.version_id
     WHERE v.concept_id = c.id AND i.caption <> '' ORDER BY 1)) AS captions,
  (SELECT group_concat(base_name, char(10)) FROM (
     SELECT DISTINCT base_name FROM versions WHERE concept_id = c.id AND base_name <> '' ORDER BY 1)) AS bases
FROM concepts c WHERE c.id = ?
"""


def expected_texts(connection: sqlite3.Connection, concept_id: int) -> tuple[str, ...] | None:
    """What the index should hold for a concept: name, token, tags, notes, captions, bases; None when it is gone."""
    row = connection.execute(_TEXTS, (concept_id,)).fetchone()
    return None if row is None else tuple(column or "" for column in row)


def reindex(connection: sqlite3.Connection, concept_id: int) -> None:
    """Bring the index up to date for one concept; call it in the transaction that changed the concept."""
    connection.execute("DELETE FROM search WHERE rowid = ?", (concept_id,))
    texts = expected_texts(connection, concept_id)
    if texts is not None:
        connection.execute(
            "INSERT INTO search (rowid, name, token, tags, notes, captions, bases) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (concept_id, *texts),
        )


def covers(connection: sqlite3.Connection, concept_id: int, captions: Iterable[str], base_name: str) -> bool:
    """Whether the index already holds all of these captions and this base name for the concept.

    Most versions repeat the captions of the version before; asking this first keeps adding the 500th as fast as the
    second.
    """
    row = connection.execute("SELECT captions, bases FROM search WHERE rowid = ?", (concept_id,)).fetchone()
    if row is None:
        return False
    wanted = {caption for caption in captions if caption}
    known_bases = row["bases"].split("\n")
    return wanted <= set(row["captions"].split("\n")) and (not base_name or base_name in known_bases)
