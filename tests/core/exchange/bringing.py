"""Words for tests of import and export: from files, and trained here."""

from __future__ import annotations

from pathlib import Path

from tests.core.embeddings.samples import vectors
from tiregistry.concepts import Fingerprint, NewVersion
from tiregistry.embeddings.embedding import Embedding
from tiregistry.exchange.importing import ImportOptions, Outcome, import_path
from tiregistry.registry.registry import Registry

SHA = "sha256:" + "ef" * 32


def bring(registry: Registry, path: Path, **options: object) -> list[Outcome]:
    return list(import_path(registry, path, ImportOptions(**options)))  # type: ignore[arg-type]


def file(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def trained(registry: Registry, name: str = "gnome", seed: int = 0, **changes: object):
    fields: dict[str, object] = {
        "concept": name,
        "placeholder_token": f"<{name}>",
        "concept_type": "object",
        "origin": "trained",
        "fingerprint": Fingerprint("sd1", SHA, SHA, SHA),
        "base_name": "sd15",
        "training": {"initializer": "gnome", "max_steps": 300},
    }
    return registry.add_version(NewVersion(**(fields | changes)), Embedding({"clip_l": vectors(1, 768, seed)}))  # type: ignore[arg-type]
