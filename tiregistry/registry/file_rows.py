"""The rows of `blobs`: which files the database refers to, and which of them are known to be elsewhere or lost."""

from __future__ import annotations

import sqlite3
import time

from tiregistry.registry.blobs import BlobStore


def keep_blob(connection: sqlite3.Connection, blobs: BlobStore, digest: str) -> None:
    """Make a blob known to the database inside the transaction that refers to it.

    Raises:
        Damaged: it is not in the blob store.
    """
    connection.execute(
        "INSERT INTO blobs (digest, size, added_at) VALUES (?, ?, ?) ON CONFLICT (digest) DO UPDATE "
        "SET lost_at = NULL, size = excluded.size WHERE lost_at IS NOT NULL",
        (digest, blobs.size(digest), time.time()),
    )


def note_absent(connection: sqlite3.Connection, digest: str) -> None:
    """Make a blob known whose bytes are elsewhere; registering them later heals it."""
    now = time.time()
    connection.execute(
        "INSERT OR IGNORE INTO blobs (digest, size, added_at, lost_at) VALUES (?, 0, ?, ?)", (digest, now, now)
    )


def note(connection: sqlite3.Connection, blobs: BlobStore, digest: str) -> bool:
    """Make a blob known as what it is, here or lost, unless it is known; return whether it is here."""
    is_here = digest in blobs
    now = time.time()
    connection.execute(
        "INSERT OR IGNORE INTO blobs (digest, size, added_at, lost_at) VALUES (?, ?, ?, ?)",
        (digest, blobs.size(digest) if is_here else 0, now, None if is_here else now),
    )
    return is_here
