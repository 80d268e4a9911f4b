"""Bookkeeping of what left and came in: pushes and pulls of versions, and the pictures made with them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from typing import Any

from tiregistry.concepts import Picture, Remote
from tiregistry.errors import InvalidInput
from tiregistry.registry.catalogue import check_text
from tiregistry.registry.database import Database


def add_remote(db: Database, version_id: int, remote: Remote) -> None:
    """Remember one push or pull of a version."""
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
) -> int:
    """Remember a generated picture; return its id. The picture's file stays where it is."""
    check_text(prompt, "prompt")
    shown_path = path.encode("utf-8", "backslashreplace").decode()
    with db.write() as connection:
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


def pictures(
    db: Database, *, version_digest: str | None = None, limit: int | None = None, offset: int = 0
) -> list[Picture]:
    """Generated pictures, newest first; those made with one version when its digest is given."""
    rows = db.rows(
        "SELECT p.*, (SELECT group_concat(version_digest) FROM picture_words w WHERE w.picture_id = p.id) AS words "
        "FROM pictures p WHERE ? IS NULL OR p.id IN (SELECT picture_id FROM picture_words WHERE version_digest = ?) "
        "ORDER BY p.id DESC LIMIT ? OFFSET ?",
        version_digest,
        version_digest,
        -1 if limit is None else limit,
        offset,
    )
    return [
        Picture(
            id=row["id"],
            path=row["path"],
            prompt=row["prompt"],
            recipe=json.loads(row["recipe"]),
            digest=row["digest"],
            base_name=row["base_name"],
            words=tuple((row["words"] or "").split(",")) if row["words"] else (),
            created_at=row["created_at"],
        )
        for row in rows
    ]


def forget_picture(db: Database, picture_id: int) -> None:
    """Forget a picture; its file stays."""
    with db.write() as connection:
        connection.execute("DELETE FROM pictures WHERE id = ?", (picture_id,))
