"""The trash: removing hides, restoring brings back, only purging deletes, and only when asked."""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass

from tiregistry.errors import (
    AlreadyExists,
    ConceptNotFound,
    InvalidInput,
    InvalidReference,
    PlaceholderTaken,
    VersionNotFound,
)
from tiregistry.placeholders import check_placeholder
from tiregistry.references import Reference, check_name, name_key
from tiregistry.registry import catalogue, curation, purged, versions
from tiregistry.registry.database import Database, Row
from tiregistry.registry.search import reindex


@dataclass(frozen=True, slots=True)
class TrashItem:
    """A concept (with all its versions) or a single version in the trash."""

    reference: str
    """`gnome`, or `gnome@3` for a single version of a living concept."""
    concept_id: int
    version_id: int | None
    num_versions: int
    deleted_at: float


def contents(db: Database) -> list[TrashItem]:
    """What lies in the trash, newest first."""
    rows = db.rows(
        "SELECT c.name AS reference, c.id AS concept_id, NULL AS version_id, "
        "(SELECT count(*) FROM versions v WHERE v.concept_id = c.id) AS num_versions, c.deleted_at FROM concepts c "
        "WHERE c.deleted_at IS NOT NULL "
        "UNION ALL SELECT c.name || '@' || v.number, c.id, v.id, 1, v.deleted_at FROM versions v "
        "JOIN concepts c ON c.id = v.concept_id WHERE v.deleted_at IS NOT NULL AND c.deleted_at IS NULL "
        "ORDER BY 5 DESC, 1"
    )
    return [TrashItem(*row) for row in rows]


def remove(db: Database, reference: Reference) -> str:
    """Move a concept (a bare name) or one version (with `@…`) to the trash; return its reference.

    Aliases of a version in the trash name nothing until it is restored.

    Raises:
        ConceptNotFound, VersionNotFound: it does not exist, or lies there already.
    """
    with db.write() as connection:
        now = time.time()
        if reference.selects_latest:
            concept_id = catalogue.resolve(db, reference.name)
            connection.execute("UPDATE concepts SET deleted_at = ? WHERE id = ?", (now, concept_id))
            return str(db.value("SELECT name FROM concepts WHERE id = ?", concept_id))
        version_id = versions.resolve(db, reference)
        connection.execute("UPDATE versions SET deleted_at = ? WHERE id = ?", (now, version_id))
        row = db.row(
            "SELECT c.id, c.name || '@' || v.number AS reference FROM versions v "
            "JOIN concepts c ON c.id = v.concept_id WHERE v.id = ?",
            version_id,
        )
        assert row is not None
        curation.touch(connection, row["id"])
        return str(row["reference"])


def restore(db: Database, reference: Reference, *, new_name: str = "", new_token: str = "") -> str:
    """Bring a concept or one version back from the trash; return its reference.

    Of several concepts with the same name the one removed last comes back.

    Args:
        new_name, new_token: name and placeholder token the concept gets, where its own are taken by now. The manifests
            of its versions, which prove them, keep the token they were learned with.

    Raises:
        ConceptNotFound, VersionNotFound: it is not in the trash.
        AlreadyExists: a living concept has its name.
        PlaceholderTaken: a living concept has its placeholder token.
        InvalidInput: a new name or token for a single version, or one that breaks the rules.
        InvalidReference: a digest prefix fits several versions in the trash.
    """
    if (new_name or new_token) and not reference.selects_latest:
        raise InvalidInput(
            f"{reference} comes back into its own word, which keeps its name and token", f"tireg restore {reference}"
        )
    with db.write() as connection:
        if not reference.selects_latest:
            row = _version_in_trash(db, reference)
            connection.execute("UPDATE versions SET deleted_at = NULL WHERE id = ?", (row["id"],))
            curation.touch(connection, row["concept_id"])
            return f"{row['concept']}@{row['number']}"
        row = _concept_in_trash(db, reference.name)
        name = check_name(new_name) if new_name else row["name"]
        token = check_placeholder(new_token) if new_token else row["placeholder_token"]
        _check_free(connection, row, name, token)
        connection.execute(
            "UPDATE concepts SET deleted_at = NULL, name = ?, name_key = ?, placeholder_token = ?, token_key = ? "
            "WHERE id = ?",
            (name, name_key(name), token, name_key(token), row["id"]),
        )
        connection.execute("DELETE FROM redirects WHERE name_key = ?", (name_key(name),))
        curation.touch(connection, row["id"])
        reindex(connection, row["id"])
        return str(name)


def _check_free(connection: sqlite3.Connection, row: Row, name: str, token: str) -> None:
    """Raise AlreadyExists or PlaceholderTaken with the command that brings the word back all the same."""
    taken: list[AlreadyExists | PlaceholderTaken] = []
    for part in ((name, None), (None, token)):
        try:
            curation.check_free(connection, *part)
        except (AlreadyExists, PlaceholderTaken) as error:
            taken.append(error)
    if taken:
        other_name = f" --as {name}" if name != row["name"] else ""
        if isinstance(taken[0], AlreadyExists):
            other_name = " --as OTHER-NAME"
        other_token = f" --token '{token}'" if token != row["placeholder_token"] else ""
        if isinstance(taken[-1], PlaceholderTaken):
            other_token = " --token '<OTHER>'"
        message = " and ".join(error.message for error in taken)
        raise type(taken[0])(message, f"tireg restore {row['name']}{other_name}{other_token}")


def purge(db: Database, references: list[Reference] | None = None, *, older_than: float | None = None) -> list[str]:
    """Delete for good what lies in the trash; return the references. Files are left to gc.

    Args:
        references: what to delete; None means all of it.
        older_than: only what was removed at least this many seconds ago.

    Raises:
        ConceptNotFound, VersionNotFound: a reference names nothing in the trash.
        InvalidReference: a digest prefix fits several versions there. Nothing is deleted then.
    """
    with db.write() as connection:
        if references is None:
            items = contents(db)
        else:
            items = [item for reference in references for item in _items(db, reference)]
        if older_than is not None:
            limit = time.time() - older_than
            items = [item for item in items if item.deleted_at <= limit]
        if not items:
            return []
        # What is deleted is not to be found in the file's free places either, which copies of the file have too.
        connection.execute("PRAGMA secure_delete = ON")
        purged.note(
            connection,
            [item.concept_id for item in items if item.version_id is None],
            [item.version_id for item in items if item.version_id is not None],
        )
        for item in items:
            if item.version_id is None:
                connection.execute("DELETE FROM concepts WHERE id = ?", (item.concept_id,))
            else:
                connection.execute("DELETE FROM versions WHERE id = ?", (item.version_id,))
            reindex(connection, item.concept_id)
        connection.execute("INSERT INTO search (search) VALUES ('optimize')")  # it keeps what is deleted until then
        return [item.reference for item in items]


def _items(db: Database, reference: Reference) -> list[TrashItem]:
    if reference.selects_latest:
        concept_id = _concept_in_trash(db, reference.name)["id"]
        return [item for item in contents(db) if item.concept_id == concept_id and item.version_id is None]
    version_id = _version_in_trash(db, reference)["id"]
    return [item for item in contents(db) if item.version_id == version_id]


def _concept_in_trash(db: Database, name: str) -> Row:
    key = name_key(name)
    row = db.row(
        "SELECT * FROM concepts WHERE (name_key = ? OR token_key = ?) AND deleted_at IS NOT NULL "
        "ORDER BY deleted_at DESC, id DESC LIMIT 1",
        key,
        key,
    )
    if row is None and catalogue.find(db, name) is None:  # perhaps a name that it had before
        row = db.row(
            "SELECT c.* FROM redirects r JOIN concepts c ON c.id = r.concept_id WHERE r.name_key = ? "
            "AND c.deleted_at IS NOT NULL",
            key,
        )
    if row is None:
        if catalogue.find(db, name) is not None:
            raise ConceptNotFound(f"{name!r} is not in the trash", f"it is here: tireg show {name}")
        raise ConceptNotFound(f"{name!r} is not in the trash", "tireg list --trash shows what is")
    return row


def _version_in_trash(db: Database, reference: Reference) -> Row:
    concept_id = catalogue.resolve(db, reference.name)
    found = db.rows(
        "SELECT v.*, c.name AS concept FROM versions v JOIN concepts c ON c.id = v.concept_id WHERE v.concept_id = ? "
        "AND v.deleted_at IS NOT NULL AND (v.number = ? OR v.digest LIKE ? OR v.id = "
        "(SELECT version_id FROM aliases WHERE concept_id = v.concept_id AND alias = ?))",
        concept_id,
        reference.number,
        f"sha256:{reference.digest}%" if reference.digest else None,
        reference.alias,
    )
    if not found:
        raise VersionNotFound(f"{reference} is not in the trash", "tireg list --trash shows what is")
    if len(found) > 1:
        raise InvalidReference(
            f"{reference} fits {len(found)} versions in the trash", "write more digits of the digest"
        )
    return found[0]
