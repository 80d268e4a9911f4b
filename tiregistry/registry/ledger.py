"""The part of `Registry` that keeps book: base models, training runs, pushes and pulls, generated pictures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from tiregistry.concepts import BaseModel, Picture, Remote, RunStatus, Version
from tiregistry.references import name_key
from tiregistry.registry import base_models, runs, sharing
from tiregistry.registry.folder import RegistryFolder
from tiregistry.registry.handles import RegisteredRun

if TYPE_CHECKING:
    from tiregistry.registry.registry import Registry


class Ledger(RegistryFolder):
    """Base models, runs, remotes and pictures."""

    # -- base models (base_models.py) ----------------------------------------------------------------------------

    def add_base(self, base: BaseModel) -> BaseModel:
        """Remember a base model, or renew what is known of one from the same source.

        Raises:
            AlreadyExists: another source has the name.
            InvalidReference: the name breaks the rule of names.
        """
        base_models.add(self.database, base)
        return base_models.get(self.database, base.name)

    def base(self, name: str) -> BaseModel:
        """One base model by name.

        Raises:
            BaseModelNotFound: none has it.
        """
        return base_models.get(self.database, name)

    def identify_base(
        self, name_or_source: str, *, revision: str = "", name: str = "", registered: bool = True
    ) -> BaseModel:
        """A base model by its registered name, or from its source (`embedded`, folder, file, Hub id), fingerprinted.

        Fingerprints are remembered as long as the files do not change. Nothing is registered: see `add_base`.

        Args:
            revision: of a Hub id: branch, tag or commit.
            name: how a base model found by its source shall be called.
            registered: whether registered names are tried first.

        Raises:
            BaseModelNotFound, HubError: it is not there.
            InvalidInput: it is no base model, or a damaged one.
        """
        if registered and not revision and not name:
            for base in self.bases():
                if name_key(base.name) == name_key(name_or_source):
                    return base
        from tiregistry.bases.identify import identify

        return identify(name_or_source, revision=revision, name=name, cache=self.file_hashes)

    def bases(self) -> list[BaseModel]:
        """All base models, by name."""
        return base_models.every(self.database)

    def remove_base(self, name: str) -> BaseModel:
        """Forget a base model; its files, and the words learned on it, stay."""
        return base_models.remove(self.database, name)

    @property
    def default_base(self) -> str:
        """Name of the base model used when none is named."""
        return base_models.default(self.database)

    def set_default_base(self, name: str) -> None:
        """Choose the base model used when none is named.

        Raises:
            BaseModelNotFound: none has this name.
        """
        base_models.set_default(self.database, name)

    # -- runs (runs.py) ------------------------------------------------------------------------------------------

    def create_run(
        self, concept: str, config: Mapping[str, Any], max_steps: int, device: str = "", *, pid: int | None = None
    ) -> RegisteredRun:
        """Add a queued run; its folder is `home / "runs" / run.id`, made by whoever writes into it.

        Args:
            pid: the process that will carry it out itself; None leaves it to whichever worker claims it.
        """
        return self.run(runs.create(self.database, concept, config, max_steps, device, pid))

    def update_run(self, run_id: str, **changes: Any) -> RegisteredRun:
        """Change fields of a run (status, step, loss, pid, heartbeat_at, message, version_id …).

        Raises:
            RunNotFound: there is no such run.
            InvalidInput: a field cannot be changed.
        """
        runs.update(self.database, run_id, changes)
        return self.run(run_id)

    def run(self, id_or_part: str) -> RegisteredRun:
        """One run by its id, the beginning of it, or its last letters.

        Raises:
            RunNotFound: none fits.
            InvalidReference: several fit.
        """
        return RegisteredRun.bind(cast("Registry", self), **runs.get(self.database, id_or_part))

    def last_run(self) -> RegisteredRun:
        """The newest run.

        Raises:
            RunNotFound: there has been none.
        """
        return RegisteredRun.bind(cast("Registry", self), **runs.last(self.database))

    def runs(
        self, status: RunStatus | None = None, concept: str | None = None, limit: int | None = None
    ) -> list[RegisteredRun]:
        """Runs, newest first."""
        found = runs.select(self.database, status=status, concept=concept, limit=limit)
        return [RegisteredRun.bind(cast("Registry", self), **fields) for fields in found]

    def queue(self) -> list[RegisteredRun]:
        """All queued runs in the order in which workers take them; held ones stand among them."""
        return [RegisteredRun.bind(cast("Registry", self), **fields) for fields in runs.queue(self.database)]

    def claim_run(
        self, *, device: str, pid: int, run_id: str | None = None, any_device: bool = True
    ) -> RegisteredRun | None:
        """Take the first queued run for a device and mark it running; None when there is none that is not held.

        Two workers never get the same run, and none gets one that a process keeps for itself.

        Args:
            run_id: take this run or none.
            any_device: also take runs that name no device.
        """
        fields = runs.claim(self.database, device=device, pid=pid, run_id=run_id, any_device=any_device)
        return None if fields is None else RegisteredRun.bind(cast("Registry", self), **fields)

    def remove_run(self, run_id: str) -> None:
        """Forget a run; the version it made stays."""
        runs.remove(self.database, self.run(run_id).id)

    # -- sharing and pictures (sharing.py) -----------------------------------------------------------------------

    def add_remote(self, version: Version, remote: Remote) -> None:
        """Remember one push or pull of a version."""
        sharing.add_remote(self.database, version.id, remote)

    def remotes(self, version: Version | None = None, *, repo_id: str | None = None) -> list[Remote]:
        """Pushes and pulls, newest first."""
        return sharing.remotes(self.database, version_id=version.id if version else None, repo_id=repo_id)

    def add_picture(
        self,
        path: Path | str,
        prompt: str,
        recipe: Mapping[str, Any],
        *,
        words: Iterable[str] = (),
        digest: str = "",
        base_name: str = "",
        kept: Iterable[str] = (),
    ) -> int:
        """Remember a generated picture (its file stays where it is); return its id.

        Args:
            words: digests of the versions it was made with.
            digest: sha256 of the file's bytes.
            kept: blobs (already in `blobs`) to keep as long as the picture is remembered: its own bytes, so that it
                can be shown when its file is gone, and those of a start picture.
        """
        return sharing.add_picture(
            self.database,
            str(path),
            prompt,
            recipe,
            words=words,
            digest=digest,
            base_name=base_name,
            kept=kept,
            blobs=cast("Registry", self).blobs,
        )

    def pictures(
        self, version: Version | None = None, *, query: str = "", limit: int | None = None, offset: int = 0
    ) -> list[Picture]:
        """Generated pictures, newest first.

        Args:
            version: only those made with it.
            query: words, each of which must occur in the prompt, the path, the base model's or a word's name.

        Raises:
            InvalidInput: more than 200 words, or a negative limit or offset.
        """
        return sharing.pictures(
            self.database,
            version_digest=version.digest if version else None,
            query=query,
            limit=limit,
            offset=offset,
        )

    def picture(self, picture_id: int) -> Picture:
        """One generated picture by its id.

        Raises:
            NotFound: there is none.
        """
        return sharing.picture(self.database, picture_id)

    def paths_of_picture(self, digest: str) -> list[str]:
        """Where files of these bytes were: what generated pictures started from, and such pictures themselves."""
        return sharing.paths_of_picture(self.database, digest)

    def forget_pictures(self, ids: Iterable[int]) -> None:
        """Forget pictures; their files stay, bytes kept in the registry become free for `gc`."""
        sharing.forget_pictures(self.database, ids)
