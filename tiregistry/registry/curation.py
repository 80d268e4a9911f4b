"""Creating concepts, and changing what is said about them: name, token, description, notes, licence, tags."""

from __future__ import annotations

import sqlite3
import time
import unicodedata
from collections.abc import Iterable, Mapping

from tiregistry.concepts import CONCEPT_TYPES
from tiregistry.errors import AlreadyExists, ChangedMeanwhile, InvalidInput, InvalidPlaceholder, PlaceholderTaken
from tiregistry.references import check_name, name_key
from tiregistry.registry.catalogue import resolve
from tiregistry.registry.database import Database
from tiregistry.registry.search import reindex
from tiregistry.registry.texts import check_text


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
            # A run that made a version is its concept's; a word in the trash may have had the same name.
            "UPDATE runs SET concept = ? WHERE version_id IN (SELECT id FROM versions WHERE concept_id = ?) "
            "OR (version_id IS NULL AND concept = ?)",
            (new_name, concept_id, old_name),
        )
        touch(connection, concept_id)
        reindex(connection, concept_id)
    return concept_id


DESCRIBABLE = ("description", "notes", "licence")
_SINGULAR = {"notes": "note"}


def check_describable(fields: Iterable[str]) -> None:
    """Raise InvalidInput where one of these is no text that a concept has."""
    unknown = set(fields) - set(DESCRIBABLE)
    if unknown:
        raise InvalidInput(
            f"a concept has no {', '.join(sorted(unknown))} that can be described",
            f"use one of: {', '.join(DESCRIBABLE)}",
        )


def describe(db: Database, name: str, seen: Mapping[str, str] | None = None, **texts: str) -> int:
    """Set description, notes or licence of a concept.

    Args:
        seen: what some of the texts were when they were read; what someone else has written since is not replaced.

    Raises:
        ChangedMeanwhile: one of them is another by now.
    """
    check_describable(texts)
    for key, text in texts.items():
        check_text(text, _SINGULAR.get(key, key))
    with db.write() as connection:
        concept_id = resolve(db, name)
        _refuse_changed(connection, concept_id, seen or {}, texts)
        for key, text in texts.items():
            connection.execute(f"UPDATE concepts SET {key} = ? WHERE id = ?", (text, concept_id))
        touch(connection, concept_id)
        reindex(connection, concept_id)
    return concept_id


def _refuse_changed(
    connection: sqlite3.Connection, concept_id: int, seen: Mapping[str, str], texts: Mapping[str, str]
) -> None:
    columns = ", ".join(DESCRIBABLE)
    row = connection.execute(f"SELECT name, {columns} FROM concepts WHERE id = ?", (concept_id,)).fetchone()
    for key, text in texts.items():
        if row[key] not in (seen.get(key, row[key]), text):
            raise ChangedMeanwhile(
                f"the {_SINGULAR.get(key, key)} of {row['name']} was changed elsewhere since it was read",
                f"read it first: tireg show {row['name']}",
                now=row[key],
            )


def change_tags(db: Database, name: str, *, add: Iterable[str] = (), remove: Iterable[str] = ()) -> int:
    """Add and take away tags; tags are kept in lower case.

    Raises:
        InvalidInput: a single text where several tags belong.
        InvalidReference: a tag breaks the rule of names.
    """
    for tags in (add, remove):
        if isinstance(tags, str):
            raise InvalidInput(f"tags are given as a list, not as the text {tags[:40]!r}", f"write [{tags[:40]!r}]")
    added = [name_key(check_name(tag, "tag")) for tag in add]
    removed = [name_key(tag) for tag in remove]
    with db.write() as connection:
        concept_id = resolve(db, name)
        connection.executemany("DELETE FROM tags WHERE concept_id = ? AND tag = ?", [(concept_id, t) for t in removed])
        connection.executemany("INSERT OR IGNORE INTO tags VALUES (?, ?)", [(concept_id, tag) for tag in added])
        touch(connection, concept_id)
        reindex(connection, concept_id)
    return concept_id
