"""The registry's folder, opened: where it is, its database, its files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from tiregistry import settings
from tiregistry.registry.base_models import FileHashes
from tiregistry.registry.blobs import BlobStore
from tiregistry.registry.daily_copies import copy_if_due
from tiregistry.registry.database import Database
from tiregistry.registry.redaction import redact_copies


class RegistryFolder:
    """What every part of the registry works on."""

    def __init__(self, home: Path, database: Database) -> None:
        self.home = home
        """The registry's folder."""
        self.database = database
        """The SQLite file; for the modules of this package."""
        self.blobs = BlobStore(home / "blobs")
        """Files by digest."""
        self.file_hashes = FileHashes(database)
        """Remembered hashes of base models' files, for `tiregistry.bases.fingerprints`."""

    @classmethod
    def open(cls, home: Path | str | None = None, *, readonly: bool = False, anew: bool = False) -> Self:
        """Open the registry in `home` (default: `$TIREG_HOME`, else the user-data folder); created on first use.

        Where the folder cannot be written or the disk is full, an existing registry opens for reading.

        Args:
            anew: make a new database even where files show that there was one that is lost.

        Raises:
            NewerRegistry: it was written by a newer tiregistry; it is left untouched.
            NotFound: `readonly`, and there is no registry.
            RegistryReadOnly: it does not exist and cannot be created.
            Damaged: the file is no registry, is corrupt, or is lost while the files of its words are there.
        """
        folder = Path(home) if home else settings.home()
        return cls(folder, Database(folder / "registry.db", readonly=readonly, anew=anew))

    def close(self) -> None:
        """Close the database; whatever is asked of it afterwards raises TiregError.

        What was changed comes into the copies of the database that are made now and then; what was deleted for good,
        here or by a process that was killed, is taken out of them.
        """
        redact_copies(self.database)
        if self.database.has_written:
            copy_if_due(self.database)
        self.database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def readonly(self) -> bool:
        """Whether the registry can only be read."""
        return self.database.readonly

    @property
    def is_full(self) -> bool:
        """Whether it can only be read because its disk is full; the next change looks whether there is space again."""
        return self.database.is_full

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make several changes one: all of them are there when the block ends, none when an exception leaves it.

        A method that fails inside, and a block inside that an exception leaves, has changed nothing, also where the
        exception is caught and the rest goes on. Others wait to write meanwhile, so nothing slow belongs inside, and no
        `await`.

        Raises:
            Conflict: another asyncio task of this thread is inside such a block.
        """
        with self.database.write():
            yield

    def changes(self) -> int:
        """A number that changes when another process or thread has changed the registry; asking costs microseconds."""
        return self.database.changes()
