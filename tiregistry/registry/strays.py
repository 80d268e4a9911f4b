"""Files that no row names: of work that was killed, of what was purged, or of a database that is gone."""

from __future__ import annotations

import time
from pathlib import Path

from tiregistry.registry.blobs import BlobStore
from tiregistry.registry.database import Database

_SETTLING = 60.0  # seconds in which a file gets its row, also the first one of a new registry


def strays(db: Database, blobs: BlobStore, now: float | None = None) -> list[str]:
    """Digests of the files that have no row in `blobs`, without those that a writer may have laid down just now."""
    now = time.time() if now is None else now
    known = {row[0] for row in db.rows("SELECT digest FROM blobs")}
    return [digest for digest in blobs if digest not in known and _age(blobs.path(digest), now) >= _SETTLING]


def is_blank(db: Database) -> bool:
    """Whether nothing was ever registered: what was purged still has its files' rows until gc takes these away."""
    return not any(db.value(f"SELECT 1 FROM {table} LIMIT 1") for table in ("versions", "concepts", "blobs", "runs"))


def _age(path: Path, now: float) -> float:
    """Seconds since a file was written; 0 where it is gone."""
    try:
        return now - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
