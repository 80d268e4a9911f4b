"""The part of `Registry` that keeps words safe: trash, check, repair, clean-up, backup."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tiregistry.errors import Conflict, TiregError
from tiregistry.references import Reference
from tiregistry.registry import trash
from tiregistry.registry.folder import RegistryFolder

if TYPE_CHECKING:
    from tiregistry.progress import Progress
    from tiregistry.registry.backup import BackupReport
    from tiregistry.registry.gc import GcReport
    from tiregistry.registry.merge_report import MergeReport
    from tiregistry.registry.verify import VerifyReport

DAY = 24 * 3600.0


class Upkeep(RegistryFolder):
    """Trash, verify, gc, backup."""

    # -- trash (trash.py) ----------------------------------------------------------------------------------------

    def remove(self, reference: str | Reference) -> str:
        """Move a concept (a bare name) or one version (with `@…`) to the trash; return its reference.

        Raises:
            ConceptNotFound, VersionNotFound: it does not exist, or lies there already.
        """
        return trash.remove(self.database, _parsed(reference))

    def restore(self, reference: str | Reference, *, new_name: str = "", new_token: str = "") -> str:
        """Bring a concept or one version back from the trash; return its reference.

        Args:
            new_name, new_token: name and placeholder token the concept gets, where its own are taken by now. Its
                versions still state the token they were learned with.

        Raises:
            ConceptNotFound, VersionNotFound: it is not in the trash.
            AlreadyExists, PlaceholderTaken: a living concept has its name or its token.
            InvalidInput: a new name or token for a single version, or one that breaks the rules.
            InvalidReference: a digest prefix fits several versions in the trash.
        """
        return trash.restore(self.database, _parsed(reference), new_name=new_name, new_token=new_token)

    def trash(self) -> list[trash.TrashItem]:
        """What lies in the trash, newest first."""
        return trash.contents(self.database)

    def purge(
        self, references: str | Reference | Iterable[str | Reference] | None = None, *, older_than: float | None = None
    ) -> list[str]:
        """Delete for good what lies in the trash: what is named (one or several), or everything; return the references.

        It is taken out of the copies of the database in `backups/` when the registry is closed, or next opened and
        closed.

        Args:
            older_than: only what was removed at least this many seconds ago.

        Raises:
            ConceptNotFound, VersionNotFound: a reference names nothing in the trash.
            InvalidReference: a digest prefix fits several versions there. Nothing is deleted then.
        """
        if isinstance(references, (str, Reference)):
            references = [references]
        chosen = None if references is None else [_parsed(reference) for reference in references]
        return trash.purge(self.database, chosen, older_than=older_than)

    # -- verify, gc, backup (modules of these names) -------------------------------------------------------------

    def verify(
        self,
        *,
        quick: bool = False,
        resume: bool = False,
        repair: bool = False,
        copies: Sequence[Path | str] = (),
        progress: Progress | None = None,
    ) -> VerifyReport:
        """Check database, search index, files and manifests; the report names each damaged item.

        Args:
            quick: compare the files' sizes instead of their bytes.
            resume: skip files that an interrupted check has already found good.
            repair: fetch good files from `copies`, rebuild what can be computed, set aside the rest.
            copies: backups, other registries' folders, or folders with the original files.
            progress: called with done, total and what is being checked.
        """
        from tiregistry.registry.copies import open_copy
        from tiregistry.registry.verify import verify

        with ExitStack() as stack:
            opened = [stack.enter_context(open_copy(Path(path), self.home)) for path in copies] if repair else None
            return verify(self.database, self.blobs, quick=quick, resume=resume, repair_from=opened, progress=progress)

    def strays(self) -> list[str]:
        """Digests of the files that belong to no word, run or picture known here, and are older than a minute."""
        from tiregistry.registry.strays import strays

        return strays(self.database, self.blobs)

    def gc(self, *, apply: bool = False, grace: float = DAY) -> GcReport:
        """Find, and with `apply` remove, files that nothing refers to and that are older than `grace` seconds."""
        from tiregistry.registry.gc import collect

        return collect(self.database, self.blobs, apply=apply, grace=grace)

    def backup(self, target: Path | str, *, overwrite: bool = False, progress: Progress | None = None) -> BackupReport:
        """Write the whole registry, as it is at one moment, into one zip file.

        Raises:
            AlreadyExists: `target` exists and `overwrite` is False.
            InvalidInput: it lies inside the registry's folder, or is a database.
            FileMissing: its folder does not exist.
            DiskFull: there is no space for it; nothing is left behind.
            Conflict: it is asked for inside `transaction()`: what is not committed may still be undone.
        """
        from tiregistry.registry.backup import backup, note_backup

        if self.database.is_inside_write:
            raise Conflict("a backup cannot be made inside registry.transaction()", "make it when the block has ended")
        report = backup(self.database, self.blobs, Path(target), overwrite=overwrite, progress=progress)
        with suppress(TiregError):  # a registry that can only be read is backed up all the same
            note_backup(self.database)
        return report

    @property
    def last_backup(self) -> float | None:
        """When the registry was backed up last, in UNIX seconds; None where it never was."""
        from tiregistry.registry.backup import last_backup

        return last_backup(self.database)

    def merge_backup(self, path: Path | str, *, progress: Progress | None = None) -> MergeReport:
        """Add everything in a backup that is missing here; the report says what that changed of the words here.

        Nothing here is replaced or removed. What was removed here since, a note or a tag too, comes back; an alias does
        not.

        Raises:
            FileMissing, InvalidInput, Damaged: `path` is no readable backup.
            NewerRegistry: it was written by a newer tiregistry.
        """
        from tiregistry.registry.merge import merge_backup

        return merge_backup(self.database, self.blobs, Path(path), progress=progress)


def _parsed(reference: str | Reference) -> Reference:
    return Reference.parse(reference) if isinstance(reference, str) else reference
