"""Bookkeeping of what left and came in: pushes and pulls of versions, and the pictures made with them."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Mapping
from typing import Any

from tiregistry.concepts import Picture, Remote
from tiregistry.errors import InvalidInput, NotFound
from tiregistry.registry.blobs import BlobStore
from tiregistry.registry.database import Database, Row
from tiregistry.registry.file_rows import keep_blob
from tiregistry.registry.pages import MOST, page_of
from tiregistry.registry.search import MOST_PARTS
from tiregistry.registry.texts import check_text


def add_remote(db: Database, version_id: int, remote: Remote) -> None:
    """Remember one push or pull of a version.

    Raises:
        InvalidInput: the direction is neither `push` nor `pull`.
    """
    if remote.direction not in ("push", "pull"):
        raise InvalidInput(f"{remote.direction!r} is neither push nor pull")
    with db.write() as connection:
        connection.execute(
            "INSERT INTO remotes (version_id, direction, endpoint, repo_id, revision, commit_sha, at) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                version_id,
                remote.direction,
                remote.endpoint,
                remote.repo_id,
                remote.revision,
                remote.commit_sha,
                remote.at or time.time(),
            ),
        )


def remotes(db: Database, *, version_id: int | None = None, repo_id: str | None = None) -> list[Remote]:
    """Pushes and pulls, newest first."""
    rows = db.rows(
        "SELECT c.name || '@' || v.number AS version, v.digest, r.direction, r.endpoint, r.repo_id, r.revision, "
        "r.commit_sha, r.at FROM remotes r JOIN versions v ON v.id = r.version_id "
        "JOIN concepts c ON c.id = v.concept_id "
        "WHERE (? IS NULL OR r.version_id = ?) AND (? IS NULL OR r.repo_id = ?) ORDER BY r.at DESC, r.id DESC",
        version_id,
        version_id,
        repo_id,
        repo_id,
    )
    return [Remote(*row) for row in rows]


def add_picture(
    db: Database,
    path: str,
    prompt: str,
    recipe: Mapping[str, Any],
    *,
    words: Iterable[str] = (),
    digest: str = "",
    base_name: str = "",
    kept: Iterable[str] = (),
    blobs: BlobStore | None = None,
) -> int:
    """Remember a generated picture; return its id. The picture's file stays where it is.

    Args:
        kept: blobs (already in `blobs`) that belong to the picture: its own file, or what it started from.
    """
    check_text(prompt, "prompt")
    shown_path = path.encode("utf-8", "backslashreplace").decode()
    with db.write() as connection:
        for blob in kept:
            assert blobs is not None
            keep_blob(connection, blobs, blob)
        cursor = connection.execute(
            "INSERT INTO pictures (digest, path, prompt, recipe, base_name, created_at) VALUES (?, ?, ?, ?, ?, ?)",
            (digest, shown_path, prompt, json.dumps(dict(recipe), ensure_ascii=True), base_name, time.time()),
        )
        picture_id = cursor.lastrowid
        assert picture_id is not None
        connection.executemany(
            "INSERT OR IGNORE INTO picture_words VALUES (?, ?)", [(picture_id, word) for word in words]
        )
    return picture_id


_PICTURES = (
    "SELECT p.*, (SELECT group_concat(version_digest) FROM picture_words w WHERE w.picture_id = p.id) AS words "
    "FROM pictures p "
)


_TEXT = (
    "(p.prompt || ' ' || p.path || ' ' || p.base_name || ' ' || coalesce((SELECT group_concat(c.name || '@' || "
    "v.number, ' ') FROM picture_words w JOIN versions v ON v.digest = w.version_digest JOIN concepts c "
    "ON c.id = v.concept_id WHERE w.picture_id = p.id), ''))"
)


def pictures(
    db: Database,
    *,
    version_digest: str | None = None,
    query: str = "",
    limit: int | None = None,
    offset: int = 0,
) -> list[Picture]:
    """Generated pictures, newest first.

    Args:
        version_digest: only those made with this version.
        query: words, each of which must occur in the prompt, the file's path, the base model's name or the names of
            the versions used; upper and lower case are the same, in every script.

    Raises:
        InvalidInput: a query of more than 200 words, or a negative limit or offset.
    """
    conditions, values = (
        ["(? IS NULL OR p.id IN (SELECT picture_id FROM picture_words WHERE version_digest = ?))"],
        [
            version_digest,
            version_digest,
        ],
    )
    words = query.encode("utf-8", "replace").decode().split()  # bytes of no encoding are in no text
    if len(words) > MOST_PARTS:
        raise InvalidInput(f"a search of {len(words):,} words is too long", f"use {MOST_PARTS} of them at most")
    for word in words:
        if word.isascii():
            conditions.append(f"{_TEXT} LIKE ? ESCAPE '!'")
            values.append("%" + re.sub(r"([%_!])", r"!\1", word) + "%")
        else:
            # LIKE knows the case of ASCII letters only; a call into Python for each picture takes longer.
            conditions.append(f"instr(casefold({_TEXT}), ?)")
            values.append(word.casefold())
    rows = db.rows(
        f"{_PICTURES} WHERE {' AND '.join(conditions)} ORDER BY p.id DESC LIMIT ? OFFSET ?",
        *values,
        *page_of(limit, offset),
    )
    return [_picture(row) for row in rows]


def picture(db: Database, picture_id: int) -> Picture:
    """One generated picture by its id.

    Raises:
        NotFound: there is none.
    """
    row = db.row(f"{_PICTURES} WHERE p.id = ?", picture_id) if abs(picture_id) <= MOST else None
    if row is None:
        raise NotFound(f"there is no picture {picture_id}", "tireg gallery lists them")
    return _picture(row)


def forget_pictures(db: Database, ids: Iterable[int]) -> None:
    """Forget pictures; their files stay, their blobs are free for gc."""
    with db.write() as connection:
        connection.executemany("DELETE FROM pictures WHERE id = ?", [(picture_id,) for picture_id in ids])


def paths_of_picture(db: Database, digest: str) -> list[str]:
    """Where files of these bytes were: what generated pictures started from, and such pictures themselves."""
    # One pass over the table, which reads a recipe as JSON only where the digest stands in it.
    rows = db.rows(
        "SELECT digest = ?1 AS is_made, path, iif(instr(recipe, ?1), recipe, '{}') AS recipe FROM pictures "
        "WHERE digest = ?1 OR instr(recipe, ?1) ORDER BY id DESC",
        digest,
    )
    recipes = [json.loads(row["recipe"]) for row in rows]
    found: list[str] = []
    for role in ("picture", "mask"):
        parts = [_part(recipe, "start", role) for recipe in recipes]
        found += [str(part["path"]) for part in parts if part.get("digest") == digest and part.get("path")]
    found += [row["path"] for row in rows if row["is_made"]]
    return list(dict.fromkeys(found))


def _part(data: Any, *keys: str) -> Mapping[str, Any]:
    """An object inside JSON data; empty where there is none."""
    for key in keys:
        data = data.get(key) if isinstance(data, dict) else None
    return data if isinstance(data, dict) else {}


def blobs_of_pictures(db: Database) -> set[str]:
    """Digests that remembered pictures refer to: their own files and what they started from."""
    found = {row[0] for row in db.rows("SELECT digest FROM pictures WHERE digest != ''")}
    for row in db.rows(
        "SELECT json_extract(recipe, '$.start.picture.digest'), json_extract(recipe, '$.start.mask.digest') "
        "FROM pictures WHERE json_type(recipe, '$.start') = 'object'"
    ):
        found.update(str(digest) for digest in row if digest)
    return found


def _picture(row: Row) -> Picture:
    return Picture(
        id=row["id"],
        path=row["path"],
        prompt=row["prompt"],
        recipe=json.loads(row["recipe"]),
        digest=row["digest"],
        base_name=row["base_name"],
        words=tuple((row["words"] or "").split(",")) if row["words"] else (),
        created_at=row["created_at"],
    )
