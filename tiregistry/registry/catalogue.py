"""Concepts: finding and listing them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from tiregistry.concepts import Fingerprint, Fit
from tiregistry.errors import ConceptNotFound, Damaged, InvalidInput
from tiregistry.references import name_key
from tiregistry.registry.database import Database, Row, portions
from tiregistry.registry.pages import page_of
from tiregistry.registry.search import LIKELY_FAMILY, OF_LATEST, Query, conditions

_LATEST = (
    "(SELECT l.id FROM versions l WHERE l.concept_id = c.id AND l.deleted_at IS NULL ORDER BY l.number DESC LIMIT 1)"
)
_SCORE = (
    "(SELECT m.value FROM measurements m WHERE m.version_id = {version} AND m.measure = 'score' "
    "AND m.protocol NOT LIKE 'custom%' "  # of a user's own prompts or numbers, which compare with nobody's
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
    # Asking for the latest version inside spares the join with its row: half the time of the whole query.
    "score": (f"{_SCORE.format(version=_LATEST)} DESC NULLS LAST", "c.name_key", "c.id"),
    "deleted": ("c.deleted_at DESC", "c.id DESC"),
}
"""Sort order to SQL terms; what has no value comes last, also when the order is reversed."""

_FROM = f"FROM concepts c LEFT JOIN versions v ON v.id = {_LATEST}"
_SELECT = f"""
SELECT c.*, v.number AS latest_number, v.origin, v.base_name, v.base_family, v.base_token_embedding,
  CASE WHEN v.base_family <> '' THEN v.base_family ELSE (SELECT {LIKELY_FAMILY} {OF_LATEST}) END AS family,
  v.base_text_encoder, v.base_denoiser, v.encoders, {_SCORE.format(version="v.id")} AS score,
  (SELECT count(*) FROM versions n WHERE n.concept_id = c.id AND n.deleted_at IS NULL) AS num_versions
{_FROM}
"""


# -- finding ---------------------------------------------------------------------------------------------------------


def find(db: Database, name: str) -> int | None:
    """Id of the living concept called `name`: its name, a name it had before, or its placeholder token."""
    key = name_key(name)
    for sql in (
        "SELECT id FROM concepts WHERE name_key = ? AND deleted_at IS NULL",
        (
            "SELECT c.id FROM redirects r JOIN concepts c ON c.id = r.concept_id WHERE r.name_key = ? "
            "AND c.deleted_at IS NULL"
        ),
        "SELECT id FROM concepts WHERE token_key = ? AND deleted_at IS NULL",
    ):
        found = db.value(sql, key)
        if found is not None:
            return int(found)
    return None


def owner_of(db: Database, token: str) -> str | None:
    """Name of the living concept that is written `token`."""
    found = db.value("SELECT name FROM concepts WHERE token_key = ? AND deleted_at IS NULL", name_key(token))
    return None if found is None else str(found)


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
    formerly = db.value(
        "SELECT c.name FROM redirects r JOIN concepts c ON c.id = r.concept_id WHERE r.name_key = ? "
        "AND c.deleted_at IS NOT NULL",
        name_key(name),
    )
    if formerly is not None:
        return ConceptNotFound(
            f"{name!r}, now called {formerly!r}, is in the trash", f"bring it back with: tireg restore {formerly}"
        )
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
    names_first: bool = False,
) -> list[dict[str, Any]]:
    """The fields of the concepts that match, in a stable order. See `Registry.concepts`."""
    column = sort.removeprefix("-")
    if column not in SORTS:
        raise InvalidInput(f"cannot sort by {column!r}", f"sort by one of: {', '.join(SORTS)}")
    where, values = _matching(query, fits, trashed)
    order = ", ".join(map(_reversed, SORTS[column]) if sort.startswith("-") else SORTS[column])
    words = Query.parse(query).words if names_first else ()
    if words:
        key = name_key(words[0].removeprefix("<").removesuffix(">"))
        order = f"c.name_key = ? DESC, substr(c.name_key, 1, ?) = ? DESC, {order}"
        values += [key, len(key), key]
    values += page_of(limit, offset)
    with db.read():
        # First the page's ids, then the rows: nothing is computed for what lies before the page, and SQLite leaves
        # the join with the latest version out where no condition asks for it.
        page = db.rows(f"SELECT c.id {_FROM} WHERE {where} ORDER BY {order} LIMIT ? OFFSET ?", *values)
        ids = [row["id"] for row in page]
        found: dict[int, Row] = {}
        for portion in portions(ids):
            rows = db.rows(f"{_SELECT} WHERE c.id IN ({','.join('?' * len(portion))})", *portion)
            found.update((row["id"], row) for row in rows)
        return _with_labels(db, [found[concept_id] for concept_id in ids])


def count(db: Database, query: str = "", *, fits: Fingerprint | None = None, trashed: bool = False) -> int:
    """How many concepts match. See `Registry.count_concepts`."""
    where, values = _matching(query, fits, trashed)
    with db.read():
        return int(db.rows(f"SELECT count(*) AS number {_FROM} WHERE {where}", *values)[0]["number"])


def _matching(query: str, fits: Fingerprint | None, trashed: bool) -> tuple[str, list[Any]]:
    """The condition that concepts must meet, and its values."""
    where, values = conditions(Query.parse(query))
    where.append("c.deleted_at IS NOT NULL" if trashed else "c.deleted_at IS NULL")
    if fits is not None:
        where.append(
            "EXISTS (SELECT 1 FROM versions f WHERE f.concept_id = c.id AND f.deleted_at IS NULL "
            "AND f.base_token_embedding = ? AND f.base_token_embedding <> '')"
        )
        values.append(fits.token_embedding)
    return " AND ".join(where), values


def _reversed(term: str) -> str:
    if term.endswith(" DESC NULLS LAST"):
        return term.replace(" DESC NULLS LAST", " ASC NULLS LAST")
    return term.removesuffix(" DESC") if term.endswith(" DESC") else f"{term} DESC"


def by_id(db: Database, concept_id: int) -> dict[str, Any]:
    """The fields of one concept, living or in the trash.

    Raises:
        ConceptNotFound: there is none with this id.
    """
    with db.read():
        rows = db.rows(f"{_SELECT} WHERE c.id = ?", concept_id)
        if not rows:
            raise ConceptNotFound(f"there is no concept with the id {concept_id}", "tireg list shows all concepts")
        return _with_labels(db, rows)[0]


def _with_labels(db: Database, rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Rows of `_SELECT` as the fields of `Concept`, with tags and aliases fetched for all of them at once."""
    tags: dict[int, list[str]] = {}
    aliases: dict[int, dict[str, int]] = {}
    for ids in portions([row["id"] for row in rows]):
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
            "family": str(row["family"] or ""),
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


def best_fit(db: Database, concept_id: int, base: Fingerprint) -> tuple[Fit, int | None]:
    """How a concept fits `base`, and by which living version: the latest if that fits, else the newest that does best.

    A prompt that names the word alone uses the latest.
    """
    rows = db.rows(
        "SELECT base_family, base_token_embedding, base_text_encoder, base_denoiser, number FROM versions "
        "WHERE concept_id = ? AND deleted_at IS NULL ORDER BY number DESC",
        concept_id,
    )
    fits = [(Fingerprint(*tuple(row)[:4]).fit(base), int(row["number"])) for row in rows]
    if fits and fits[0][0] in ("exact", "compatible"):
        return fits[0]
    order: tuple[Fit, ...] = ("exact", "compatible", "unknown", "other")
    return min(fits, key=lambda each: (order.index(each[0]), -each[1]), default=("unknown", None))


def placeholders(db: Database) -> dict[str, str]:
    """Placeholder token to concept name, of all living concepts."""
    return dict(
        tuple(row)
        for row in db.rows("SELECT placeholder_token, name FROM concepts WHERE deleted_at IS NULL ORDER BY name_key")
    )
