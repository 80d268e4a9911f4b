"""Concepts: finding, listing, naming, describing and tagging them."""

from __future__ import annotations

import json
import sqlite3
import time
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

from tiregistry.concepts import CONCEPT_TYPES, Fingerprint, Fit
from tiregistry.errors import (
    AlreadyExists,
    ConceptNotFound,
    Damaged,
    InvalidInput,
    InvalidPlaceholder,
    PlaceholderTaken,
)
from tiregistry.references import check_name, name_key
from tiregistry.registry.database import Database, Row
from tiregistry.registry.search import Query, conditions, reindex

_SCORE = (
    "(SELECT m.value FROM measurements m WHERE m.version_id = v.id AND m.measure = 'score' "
    "ORDER BY m.measured_at DESC, m.id DESC LIMIT 1)"
)
SORTS: dict[str, tuple[str, ...]] = {
    "name": ("c.name_key", "c.id"),
    "updated": ("c.updated_at DESC", "c.id DESC"),
    "created": ("c.created_at DESC", "c.id DESC"),
    "versions": (
        "(SELECT count(*) FROM versions n WHERE n.concept_id = c.id AND n.deleted_at IS NULL) DESC",
        "c.name_key",
        "c.id",
    ),
    "score": (f"{_SCORE} IS NULL", f"{_SCORE} DESC", "c.name_key", "c.id"),
    "deleted": ("c.deleted_at DESC", "c.id DESC"),
}
"""Sort order to SQL terms; one that ends in `IS NULL` keeps its direction when the order is reversed."""

_FROM = """
FROM concepts c LEFT JOIN versions v ON v.id = (
  SELECT l.id FROM versions l WHERE l.concept_id = c.id AND l.deleted_at IS NULL ORDER BY l.number DESC LIMIT 1)
"""
_SELECT = f"""
SELECT c.*, v.number AS latest_number, v.origin, v.base_name, v.base_family, v.base_token_embedding,
  v.base_text_encoder, v.base_denoiser, v.encoders, {_SCORE} AS score,
  (SELECT count(*) FROM versions n WHERE n.concept_id = c.id AND n.deleted_at IS NULL) AS num_versions
{_FROM}
"""


# -- finding ---------------------------------------------------------------------------------------------------------


def find(db: Database, name: str) -> int | None:
    """Id of the living concept called `name`: its name, a name it had before, or its placeholder token."""
    key = name_key(name)
    for sql in (
        "SELECT id FROM concepts WHERE name_key = ? AND deleted_at IS NULL",
        "SELECT c.id FROM redirects r JOIN concepts c ON c.id = r.concept_id WHERE r.name_key = ? "
        "AND c.deleted_at IS NULL",
        "SELECT id FROM concepts WHERE token_key = ? AND deleted_at IS NULL",
    ):
        found = db.value(sql, key)
        if found is not None:
            return int(found)
    return None


def resolve(db: Database, name: str) -> int:
    """Like `find`.

    Raises:
        ConceptNotFound: no living concept has this name; the hint names the closest ones, or the trash.
    """
    found = find(db, name)
    if found is None:
        raise not_found(db, name)
    return found


def not_found(db: Database, name: str) -> ConceptNotFound:
    """The error for a name that names no living concept."""
    from difflib import get_close_matches

    if db.value("SELECT 1 FROM concepts WHERE name_key = ? AND deleted_at IS NOT NULL", name_key(name)):
        return ConceptNotFound(f"{name!r} is in the trash", f"bring it back with: tireg restore {name}")
    names = {
        row["name_key"]: row["name"]
        for row in db.rows(
            "SELECT name_key, name FROM concepts WHERE deleted_at IS NULL ORDER BY updated_at DESC LIMIT 20000"
        )
    }
    close = get_close_matches(name_key(name.strip("<>")), names, n=3, cutoff=0.55)
    hint = f"did you mean {', '.join(names[key] for key in close)}?" if close else "tireg list shows all concepts"
    return ConceptNotFound(f"no concept is named {name!r}", hint)


def select(
    db: Database,
    query: str = "",
    *,
    sort: str = "name",
    limit: int | None = None,
    offset: int = 0,
    fits: Fingerprint | None = None,
    trashed: bool = False,
) -> list[dict[str, Any]]:
    """The fields of the concepts that match, in a stable order. See `Registry.concepts`."""
    column = sort.removeprefix("-")
    if column not in SORTS:
        raise InvalidInput(f"cannot sort by {column!r}", f"sort by one of: {', '.join(SORTS)}")
    where, values = conditions(Query.parse(query))
    where.append("c.deleted_at IS NOT NULL" if trashed else "c.deleted_at IS NULL")
    if fits is not None:
        where.append(
            "EXISTS (SELECT 1 FROM versions f WHERE f.concept_id = c.id AND f.deleted_at IS NULL "
            "AND f.base_token_embedding = ? AND f.base_token_embedding <> '')"
        )
        values.append(fits.token_embedding)
    order = ", ".join(map(_reversed, SORTS[column]) if sort.startswith("-") else SORTS[column])
    values += [-1 if limit is None else max(0, limit), max(0, offset)]
    with db.read():
        # First the page's ids, then the rows: nothing is computed for what lies before the page, and SQLite leaves
        # the join with the latest version out where no condition asks for it.
        page = db.rows(f"SELECT c.id {_FROM} WHERE {' AND '.join(where)} ORDER BY {order} LIMIT ? OFFSET ?", *values)
        ids = [row["id"] for row in page]
        found: dict[int, Row] = {}
        for portion in _portions(ids):
            rows = db.rows(f"{_SELECT} WHERE c.id IN ({','.join('?' * len(portion))})", *portion)
            found.update((row["id"], row) for row in rows)
        return _with_labels(db, [found[concept_id] for concept_id in ids])


def _reversed(term: str) -> str:
    if term.endswith(" IS NULL"):
        return term
    return term.removesuffix(" DESC") if term.endswith(" DESC") else f"{term} DESC"


def by_id(db: Database, concept_id: int) -> dict[str, Any]:
    """The fields of one concept, living or in the trash."""
    with db.read():
        rows = db.rows(f"{_SELECT} WHERE c.id = ?", concept_id)
        if not rows:
            raise ConceptNotFound(f"there is no concept with the id {concept_id}", "tireg list shows all concepts")
        return _with_labels(db, rows)[0]


def _with_labels(db: Database, rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Rows of `_SELECT` as the fields of `Concept`, with tags and aliases fetched for all of them at once."""
    tags: dict[int, list[str]] = {}
    aliases: dict[int, dict[str, int]] = {}
    for ids in _portions([row["id"] for row in rows]):
        marks = ",".join("?" * len(ids))
        for concept_id, tag in db.rows(
            f"SELECT concept_id, tag FROM tags WHERE concept_id IN ({marks}) ORDER BY tag", *ids
        ):
            tags.setdefault(concept_id, []).append(tag)
        for concept_id, alias, number in db.rows(
            "SELECT a.concept_id, a.alias, v.number FROM aliases a JOIN versions v ON v.id = a.version_id "
            f"WHERE a.concept_id IN ({marks}) AND v.deleted_at IS NULL ORDER BY a.alias",
            *ids,
        ):
            aliases.setdefault(concept_id, {})[alias] = number
    return [
        {
            "id": row["id"],
            "name": row["name"],
            "placeholder_token": row["placeholder_token"],
            "concept_type": row["concept_type"],
            "description": row["description"],
            "notes": row["notes"],
            "licence": row["licence"],
            "tags": tuple(tags.get(row["id"], ())),
            "aliases": aliases.get(row["id"], {}),
            "latest_number": row["latest_number"],
            "num_versions": row["num_versions"],
            "origin": row["origin"],
            "base_name": row["base_name"] or "",
            "fingerprint": Fingerprint(
                row["base_family"], row["base_token_embedding"], row["base_text_encoder"], row["base_denoiser"]
            )
            if row["base_family"]
            else None,
            "num_vectors": _num_vectors(row),
            "score": row["score"],
            "created_at": row["created_at"],
            "updated_at": row["updated_at"],
            "deleted_at": row["deleted_at"],
        }
        for row in rows
    ]


def _num_vectors(row: Row) -> int:
    if not row["encoders"]:
        return 0
    try:
        return max((int(shape[1]) for shape in json.loads(row["encoders"])), default=0)
    except (ValueError, TypeError, LookupError):
        raise Damaged(f"the shapes of {row['name']!r} are damaged", "run: tireg verify --repair") from None


def _portions(ids: list[int], size: int = 5000) -> Iterable[list[int]]:
    return (ids[start : start + size] for start in range(0, len(ids), size))


def best_fit(db: Database, concept_id: int, base: Fingerprint) -> Fit:
    """How the living version of a concept that fits `base` best fits it."""
    rows = db.rows(
        "SELECT DISTINCT base_family, base_token_embedding, base_text_encoder, base_denoiser FROM versions "
        "WHERE concept_id = ? AND deleted_at IS NULL",
        concept_id,
    )
    fits = {Fingerprint(*row).fit(base) for row in rows}
    order: tuple[Fit, ...] = ("exact", "compatible", "unknown", "other")
    return next((fit for fit in order if fit in fits), "unknown")


def placeholders(db: Database) -> dict[str, str]:
    """Placeholder token to concept name, of all living concepts."""
    return dict(
        tuple(row)
        for row in db.rows("SELECT placeholder_token, name FROM concepts WHERE deleted_at IS NULL ORDER BY name_key")
    )


# -- creating and changing -------------------------------------------------------------------------------------------


def check_token(token: str) -> str:
    """Return `token` in NFC if the registry can keep it as a placeholder token.

    Only what every tokenizer needs is checked here (no spaces, nothing invisible); whether it collides with a
    vocabulary is the base model's answer.

    Raises:
        InvalidPlaceholder: it is empty, too long, or holds white space or control characters.
    """
    token = unicodedata.normalize("NFC", token)
    if not token or len(token) > 100:
        raise InvalidPlaceholder("a placeholder token has 1 to 100 characters", "use e.g. <gnome>")
    for character in token:
        if character.isspace() or unicodedata.category(character)[0] == "C":
            raise InvalidPlaceholder(f"the placeholder token contains {character!a}", "use e.g. <gnome>")
    return token


def create(
    connection: sqlite3.Connection,
    name: str,
    placeholder_token: str,
    concept_type: str,
    *,
    description: str = "",
    licence: str = "",
) -> int:
    """Add a concept inside the caller's transaction; return its id.

    Raises:
        InvalidReference, InvalidPlaceholder: the name or token breaks the rules.
        AlreadyExists: a living concept has the name.
        PlaceholderTaken: a living concept has the token.
    """
    name, placeholder_token = check_name(name), check_token(placeholder_token)
    if concept_type not in CONCEPT_TYPES:
        raise InvalidInput(f"{concept_type!r} is no concept type", f"use one of: {', '.join(CONCEPT_TYPES)}")
    check_free(connection, name, placeholder_token)
    now = time.time()
    cursor = connection.execute(
        "INSERT INTO concepts (name, name_key, placeholder_token, token_key, concept_type, description, licence, "
        "created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            name,
            name_key(name),
            placeholder_token,
            name_key(placeholder_token),
            concept_type,
            description,
            licence,
            now,
            now,
        ),
    )
    # The name is now this concept's own; an older concept's former name no longer leads elsewhere.
    connection.execute("DELETE FROM redirects WHERE name_key = ?", (name_key(name),))
    assert cursor.lastrowid is not None
    return cursor.lastrowid


def check_free(
    connection: sqlite3.Connection, name: str | None, token: str | None, *, besides: int | None = None
) -> None:
    """Raise AlreadyExists or PlaceholderTaken when a living concept other than `besides` has the name or token."""
    if name is not None:
        row = connection.execute(
            "SELECT id, name FROM concepts WHERE name_key = ? AND deleted_at IS NULL", (name_key(name),)
        ).fetchone()
        if row and row["id"] != besides:
            raise AlreadyExists(f"a concept is already named {row['name']!r}", "choose another name")
    if token is not None:
        row = connection.execute(
            "SELECT id, name FROM concepts WHERE token_key = ? AND deleted_at IS NULL", (name_key(token),)
        ).fetchone()
        if row and row["id"] != besides:
            raise PlaceholderTaken(
                f"the placeholder token {token} belongs to the concept {row['name']!r}",
                "choose another token with --token",
            )


def touch(connection: sqlite3.Connection, concept_id: int) -> None:
    """Note that the concept changed now."""
    connection.execute("UPDATE concepts SET updated_at = ? WHERE id = ?", (time.time(), concept_id))


def rename(db: Database, name: str, new_name: str) -> int:
    """Give a concept another name; the old one keeps leading to it until another concept takes it."""
    new_name = check_name(new_name)
    with db.write() as connection:
        concept_id = resolve(db, name)
        check_free(connection, new_name, None, besides=concept_id)
        old_name, old_key = connection.execute(
            "SELECT name, name_key FROM concepts WHERE id = ?", (concept_id,)
        ).fetchone()
        connection.execute("DELETE FROM redirects WHERE name_key = ?", (name_key(new_name),))
        if old_key != name_key(new_name):
            connection.execute("INSERT OR REPLACE INTO redirects VALUES (?, ?, ?)", (old_key, concept_id, time.time()))
        connection.execute(
            "UPDATE concepts SET name = ?, name_key = ? WHERE id = ?", (new_name, name_key(new_name), concept_id)
        )
        connection.execute(
            "UPDATE runs SET concept = ? WHERE concept = ? OR version_id IN "
            "(SELECT id FROM versions WHERE concept_id = ?)",
            (new_name, old_name, concept_id),
        )
        touch(connection, concept_id)
        reindex(connection, concept_id)
    return concept_id


DESCRIBABLE = ("description", "notes", "licence")


def describe(db: Database, name: str, **texts: str) -> int:
    """Set description, notes or licence of a concept."""
    unknown = set(texts) - set(DESCRIBABLE)
    if unknown:
        raise InvalidInput(f"a concept has no {', '.join(sorted(unknown))}", f"it has: {', '.join(DESCRIBABLE)}")
    for key, text in texts.items():
        check_text(text, key)
    with db.write() as connection:
        concept_id = resolve(db, name)
        for key, text in texts.items():
            connection.execute(f"UPDATE concepts SET {key} = ? WHERE id = ?", (text, concept_id))
        touch(connection, concept_id)
        reindex(connection, concept_id)
    return concept_id


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


def change_tags(db: Database, name: str, *, add: Iterable[str] = (), remove: Iterable[str] = ()) -> int:
    """Add and take away tags; tags are kept in lower case."""
    added = [name_key(check_name(tag, "tag")) for tag in add]
    removed = [name_key(tag) for tag in remove]
    with db.write() as connection:
        concept_id = resolve(db, name)
        connection.executemany("DELETE FROM tags WHERE concept_id = ? AND tag = ?", [(concept_id, t) for t in removed])
        connection.executemany("INSERT OR IGNORE INTO tags VALUES (?, ?)", [(concept_id, tag) for tag in added])
        touch(connection, concept_id)
        reindex(connection, concept_id)
    return concept_id
