"""The file of a version's vectors, made anew from any other file that holds the same vectors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tiregistry.registry.blobs import BlobStore
from tiregistry.registry.copies import Copy
from tiregistry.registry.database import Database, Row
from tiregistry.registry.file_rows import keep_blob
from tiregistry.registry.originals import embeddings_in_originals

if TYPE_CHECKING:
    from tiregistry.embeddings.embedding import Embedding


def rebuild(db: Database, blobs: BlobStore, digest: str, copies: Sequence[Copy]) -> str:
    """Make the file of vectors `digest` again; return what was done, or an empty string.

    A tensor identity says which vectors it held: what was imported is still in the kept original, and may lie in a
    folder of files. Versions that went to the trash because the file was given up come back.
    """
    for version in db.rows(
        "SELECT v.id, v.embedding_digest, c.name AS concept FROM versions v JOIN concepts c ON c.id = v.concept_id "
        "WHERE v.embedding_blob = ? ORDER BY v.id",
        digest,
    ):
        for embedding, where in _found(db, blobs, version, copies):
            if embedding.digest == version["embedding_digest"]:
                put_back(db, blobs, digest, embedding)
                return f"made again from {where}"
    return ""


def _found(db: Database, blobs: BlobStore, version: Row, copies: Sequence[Copy]) -> Iterator[tuple[Embedding, str]]:
    for embedding in embeddings_in_originals(db, blobs, version["id"], version["concept"]):
        yield embedding, "the original"
    for copy in copies:
        if (found := copy.vectors(version["embedding_digest"])) is not None:
            yield found, copy.name


def put_back(db: Database, blobs: BlobStore, digest: str, embedding: Embedding) -> None:
    """Write the vectors that the file `digest` held, and note that they are here again.

    Another release of safetensors may write the same vectors as other bytes: then the versions refer to the new file.
    """
    data = embedding.to_bytes()
    made = blobs.add(data)
    with db.write() as connection:
        if made not in blobs:
            blobs.add(data)  # gc took it away just now; while we hold the lock it cannot
        connection.execute(
            "UPDATE versions SET deleted_at = NULL WHERE embedding_blob = ? AND deleted_at = "
            "(SELECT lost_at FROM blobs WHERE digest = ?)",
            (digest, digest),
        )
        keep_blob(connection, blobs, made)
        connection.execute("UPDATE blobs SET size = ? WHERE digest = ?", (len(data), made))
        if made != digest:
            connection.execute("UPDATE versions SET embedding_blob = ? WHERE embedding_blob = ?", (made, digest))
            connection.execute(
                "DELETE FROM blobs WHERE digest = ? "
                "AND NOT EXISTS (SELECT 1 FROM images i WHERE i.digest = blobs.digest) "
                "AND NOT EXISTS (SELECT 1 FROM attachments a WHERE a.digest = blobs.digest)",
                (digest,),
            )
