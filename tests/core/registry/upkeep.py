"""What tests of upkeep share: damage, and a registry that has something of everything."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from tests.core.registry.making import SD15, add_version
from tiregistry.concepts import BaseModel
from tiregistry.registry.registry import Registry
from tiregistry.registry.verify import Damage


def damage_file(registry: Registry, digest: str, content: bytes | None) -> None:
    """Overwrite (or with None remove) a blob behind the registry's back."""
    path = registry.blobs.path(digest)
    path.chmod(0o644)
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)


def embedding_blob(registry: Registry, reference: str) -> str:
    version = registry.version(reference)
    return str(registry.database.value("SELECT embedding_blob FROM versions WHERE id = ?", version.id))


def execute(registry: Registry, sql: str) -> None:
    """Change the database behind the registry's back, without its checks."""
    with closing(sqlite3.connect(registry.database.path)) as connection, connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute(sql)


def only(damages: list[Damage]) -> Damage:
    assert len(damages) == 1, damages
    return damages[0]


def fill(registry: Registry) -> None:
    first = add_version(registry, "gnome", 1, caption="a garden", record={"loss": [2.0, 1.0]})
    from tiregistry.concepts import Parent

    add_version(registry, "gnome", 2, parents=(Parent(first.digest, "continued"),))
    add_version(registry, "inky", 3, concept_type="style")
    registry.set_alias("gnome@1", "best")
    registry.set_alias("gnome@2", "best")
    registry.tag("gnome", add=["garden"])
    registry.describe("gnome", notes="a note", licence="CC0-1.0")
    registry.set_scores(first, {"clip_i": 0.5})
    registry.attach(first, "original", registry.blobs.add(b"original"))
    registry.rename("inky", "blotchy")
    registry.add_base(BaseModel("sd15", "/models/sd15", SD15))
    registry.set_default_base("sd15")
    registry.create_run("gnome", {"lr": 1}, 10)
    registry.add_picture("/p.png", "<gnome>", {"seed": 1}, words=[first.digest])
    add_version(registry, "gone", 4)
    registry.remove("gone")


def everything(registry: Registry) -> dict[str, object]:
    """All that matters of a registry, comparable."""
    tables = {}
    for table, columns in {
        "concepts": "name, placeholder_token, concept_type, notes, licence, last_number, deleted_at IS NULL",
        "versions": "number, digest, origin, base_name, notes, manifest, created_at",
        "records": "record",
        "images": "position, digest, filename, caption",
        "attachments": "role, digest",
        "parents": "digest, relation",
        "measurements": "measure, protocol, judge, value, low, high, details, measured_at",
        "tags": "tag",
        "alias_log": "alias, old_number, new_number",
        "redirects": "name_key",
        "bases": "name, source, token_embedding",
        "settings": "key, value",
        "pictures": "path, recipe",
        "search": "name, token, tags, notes, captions, bases",
    }.items():
        tables[table] = sorted(
            (tuple(row) for row in registry.database.rows(f"SELECT {columns} FROM {table}")), key=repr
        )
    tables["settings"] = [entry for entry in tables["settings"] if entry[0] != "last_backup"]  # of this registry alone
    tables["aliases"] = {c.name: dict(c.aliases) for c in registry.concepts()}  # type: ignore[assignment]
    return tables | {"blobs": sorted(registry.blobs)}
