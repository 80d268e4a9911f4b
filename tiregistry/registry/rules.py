"""Rules that the tables cannot state: what `verify` looks for, and what a backup must keep to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from tiregistry.concepts import Fingerprint
from tiregistry.errors import TiregError
from tiregistry.references import check_alias, check_name, name_key
from tiregistry.registry.curation import check_token
from tiregistry.registry.database import Database, Row
from tiregistry.registry.manifest import digest_of, embedding_digest, version_of
from tiregistry.registry.repair import Outcome
from tiregistry.registry.search import reindex


class Breach(NamedTuple):
    """A row that breaks a rule."""

    item: str
    problem: str
    sql: str
    """What mends it."""
    values: tuple[object, ...]


def digest_of_text(manifest: str) -> str:
    """The digest of a manifest's text, or an empty string when it is not even ASCII."""
    try:
        return digest_of(manifest)
    except UnicodeEncodeError:
        return ""


def manifest_problem(row: Row) -> str:
    """Why the manifest of a row of `versions` proves nothing; empty when it does."""
    if digest_of_text(row["manifest"]) != row["digest"]:
        return "its manifest does not match its digest"
    try:
        manifest = json.loads(row["manifest"])
        version_of(manifest, row["digest"], "any", "imported")
        encoders = manifest["embedding"]
        if not encoders or not all(len(encoders[name]["shape"]) == 2 for name in encoders):
            return "its manifest states no embedding"
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        return f"its manifest is none: {error}"
    return ""


def rows_problem(db: Database, row: Row) -> str:
    """What the rows of a version say differently from its (good) manifest; empty when they agree."""
    manifest: dict[str, Any] = json.loads(row["manifest"])
    if row["embedding_digest"] != embedding_digest(manifest):
        return "its tensor identity is not that of the manifest"
    shapes = [[name, *manifest["embedding"][name]["shape"]] for name in sorted(manifest["embedding"])]
    if row["encoders"] != json.dumps(shapes, separators=(",", ":")):
        return "its shapes are not those of the manifest"
    base = Fingerprint.from_dict(manifest["base"]) if manifest["base"] else None
    stated = (base.family, base.token_embedding, base.text_encoder, base.denoiser) if base else ("", "", "", "")
    if (row["base_family"], row["base_token_embedding"], row["base_text_encoder"], row["base_denoiser"]) != stated:
        return "its base model is not that of the manifest"
    images = [
        {"sha256": image["digest"].removeprefix("sha256:"), "caption": image["caption"]}
        for image in db.rows("SELECT digest, caption FROM images WHERE version_id = ? ORDER BY position", row["id"])
    ]
    if images != manifest["images"]:
        return "its images are not those of the manifest"
    parents = [
        dict(parent)
        for parent in db.rows("SELECT digest, relation FROM parents WHERE version_id = ? ORDER BY position", row["id"])
    ]
    if parents != manifest["parents"]:
        return "its parents are not those of the manifest"
    return ""


def concept_problem(row: Row) -> str:
    """What is wrong with the name or the placeholder token of a row of `concepts`; empty when nothing is."""
    try:
        name, token = check_name(row["name"]), check_token(row["placeholder_token"])
    except TiregError as error:
        return error.message
    if (name, token) != (row["name"], row["placeholder_token"]):
        return "its name or its placeholder token is not normalised"
    if (name_key(name), name_key(token)) != (row["name_key"], row["token_key"]):
        return "it is not found by its name or its placeholder token"
    return ""


def is_alias(text: str) -> bool:
    """Whether `text` can be an alias, as the registry writes it."""
    try:
        return check_alias(text) == text
    except TiregError:
        return False


def is_key(text: str) -> bool:
    """Whether `text` is a name in the form that names are compared in, as tags and former names are kept."""
    try:
        return name_key(check_name(text)) == text
    except TiregError:
        return False


def name_again(db: Database, concept_id: int) -> Outcome:
    """Give a concept whose name or token cannot be used others, e.g. `word-3` and `<word-3>`; a good part stays."""
    with db.write() as connection:
        row = connection.execute("SELECT * FROM concepts WHERE id = ?", (concept_id,)).fetchone()
        name, token = row["name"], row["placeholder_token"]
        if not is_key(name_key(name)) or _is_taken(db, "name_key", name_key(name), concept_id):
            name = _free(db, "name_key", "word-{}", concept_id)
        try:
            token = check_token(token)
        except TiregError:
            token = ""
        if not token or _is_taken(db, "token_key", name_key(token), concept_id):
            token = _free(db, "token_key", "<word-{}>", concept_id)
        name = check_name(name)
        connection.execute(
            "UPDATE concepts SET name = ?, name_key = ?, placeholder_token = ?, token_key = ? WHERE id = ?",
            (name, name_key(name), token, name_key(token), concept_id),
        )
        reindex(connection, concept_id)
    return Outcome(f"it is now {name} {token}")


def _free(db: Database, column: str, pattern: str, concept_id: int) -> str:
    number = concept_id
    while _is_taken(db, column, pattern.format(number), concept_id):
        number += 1
    return pattern.format(number)


def _is_taken(db: Database, column: str, key: str, besides: int) -> bool:
    return bool(db.value(f"SELECT 1 FROM concepts WHERE {column} = ? AND deleted_at IS NULL AND id <> ?", key, besides))


def breaches(db: Database) -> Iterator[Breach]:
    """Rows that contradict each other: aliases, numbers and former names."""
    for row in db.rows(
        "SELECT c.name, a.alias, a.concept_id, v.concept_id AS other FROM aliases a JOIN concepts c "
        "ON c.id = a.concept_id JOIN versions v ON v.id = a.version_id"
    ):
        delete = "DELETE FROM aliases WHERE concept_id = ? AND alias = ?", (row["concept_id"], row["alias"])
        if row["other"] != row["concept_id"]:
            yield Breach(f"{row['name']}@{row['alias']}", "the alias names a version of another concept", *delete)
        elif not is_alias(row["alias"]):
            yield Breach(f"{row['name']}@{row['alias']}", "nothing can be called by this alias", *delete)
    for row in db.rows(
        "SELECT c.id, c.name, c.last_number, max(v.number) AS highest FROM concepts c JOIN versions v "
        "ON v.concept_id = c.id GROUP BY c.id HAVING max(v.number) > c.last_number"
    ):
        problem = f"its numbers go on from {row['last_number']}, but {row['name']}@{row['highest']} exists"
        yield Breach(
            row["name"], problem, "UPDATE concepts SET last_number = ? WHERE id = ?", (row["highest"], row["id"])
        )
    for row in db.rows(
        "SELECT r.name_key, c.name FROM redirects r JOIN concepts c ON c.name_key = r.name_key "
        "WHERE c.deleted_at IS NULL"
    ):
        problem = f"it is kept as a former name too, beside the concept {row['name']}"
        yield Breach(row["name_key"], problem, "DELETE FROM redirects WHERE name_key = ?", (row["name_key"],))
    for row in db.rows("SELECT c.name, t.concept_id, t.tag FROM tags t JOIN concepts c ON c.id = t.concept_id"):
        if not is_key(row["tag"]):
            delete = "DELETE FROM tags WHERE concept_id = ? AND tag = ?", (row["concept_id"], row["tag"])
            yield Breach(row["name"], f"its tag {row['tag']!a} cannot be one", *delete)


def mend(db: Database, breach: Breach) -> Outcome:
    """Do away with a breach."""
    with db.write() as connection:
        connection.execute(breach.sql, breach.values)
    return Outcome("corrected" if breach.sql.startswith("UPDATE") else "removed the row")
