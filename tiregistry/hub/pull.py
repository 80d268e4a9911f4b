"""Pull: a repository becomes a version, after everything in it was found to be what it is said to be.

First the listing is looked at (names, sizes), then only the files of the layout are fetched, each checked against the
listing's hash; the vectors must be those of the manifest and the manifest that of the digest. Only then is anything
registered. What was fetched lies in a staging folder of its own, never in huggingface_hub's cache.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

from tiregistry.concepts import Remote, Version
from tiregistry.embeddings.reading import check_beginning
from tiregistry.errors import HubError, InvalidInput, NotFound, TiregError, UnreadableEmbedding
from tiregistry.hub.client import Hub
from tiregistry.hub.endpoints import check_repo_id
from tiregistry.hub.labels import take_labels, with_card
from tiregistry.hub.layout import (
    MANIFEST,
    MAX_IMAGES,
    MAX_TEXT,
    MAX_TOTAL,
    WORD_SUFFIXES,
    is_tame,
    picture_paths,
    texts_beside,
    word_paths,
)
from tiregistry.hub.receiving import (
    Naming,
    add_pictures,
    add_record,
    known_version,
    missing_pictures,
    register_foreign,
    register_shared,
    unused_name,
)
from tiregistry.hub.remote import RemoteFile, RepositoryInfo
from tiregistry.hub.shared_word import SharedWord, why_unread
from tiregistry.hub.tags import version_numbers
from tiregistry.hub.watch import ignore
from tiregistry.images import MAX_BYTES
from tiregistry.progress import Progress
from tiregistry.quantities import size
from tiregistry.registry.filesystem import make_folder
from tiregistry.registry.gc import GRACE_SECONDS, STAGING
from tiregistry.registry.registry import Registry
from tiregistry.text import safe

Status = Literal["pulled", "completed", "already here"]
"""`completed`: the version was here, and got pictures that were shared later, or the training record it lacked."""
MAX_VERSIONS = 500
"""Most versions that one `pull --all` takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PullOptions:
    """What the user decides about a pull."""

    name: str = ""
    """Concept name to use here; default as its owner calls it."""
    placeholder_token: str = ""
    """Placeholder token to use here; another one makes another version, with the pulled one as its parent."""
    images: bool = True
    """Also fetch the pictures."""

    file: str = ""
    """Of a repository with several embedding files that tireg did not write: the path of the one to take."""

    @property
    def naming(self) -> Naming:
        return Naming(self.name, self.placeholder_token)


@dataclass(frozen=True, slots=True, kw_only=True)
class PullResult:
    """What became of one commit of a repository."""

    status: Status
    version: Version
    repo_id: str
    revision: str
    commit: str
    notes: tuple[str, ...] = ()


def pull_repository(
    registry: Registry,
    repo_id: str,
    hub: Hub,
    revision: str = "",
    options: PullOptions | None = None,
    progress: Progress | None = None,
) -> list[PullResult]:
    """Pull the words at one revision of a repository: one, or several from a repository of A1111 files.

    Args:
        registry: where to register.
        repo_id: `owner/name`.
        hub: where from.
        revision: branch, tag (`v3`) or commit; empty means the newest.
        options: what the user decides.
        progress: told each file.

    Raises:
        RepositoryNotFound: there is no such repository or revision, or it is not shown to this user.
        UnreadableEmbedding: there is no word in it.
        Damaged: what was fetched is not what was promised; nothing is kept.
        Conflict: the word's name or token belongs to another word here.
        HubError: the Hub does not answer, or sends what cannot be.
        NotFound: it has not the file that `options` names.
        Interrupted: `hub` was told to stop; nothing half is kept.
    """
    return _Pull(registry, hub, check_repo_id(repo_id), options or PullOptions(), progress).run(revision)


def pull_every_version(
    registry: Registry,
    repo_id: str,
    hub: Hub,
    options: PullOptions | None = None,
    progress: Progress | None = None,
) -> Iterator[PullResult]:
    """Pull all versions that a repository has tags for, oldest first, then what main holds.

    Each result comes when its version is registered, so that an interrupted pull keeps what it has.

    Raises:
        as `pull_repository`.
    """
    pull = _Pull(registry, hub, check_repo_id(repo_id), options or PullOptions(), progress)
    head = hub.info(repo_id).sha
    refs = hub.refs(repo_id)
    numbers = version_numbers(refs)
    if len(numbers) > MAX_VERSIONS:
        raise HubError(f"{repo_id} has {len(numbers)} versions, more than {MAX_VERSIONS}", "pull single ones: @v3")
    seen: set[str] = set()
    for tag in numbers.values():
        if refs[tag] not in seen:
            seen.add(refs[tag])
            yield from pull.run("" if refs[tag] == head else tag, in_order=True)
    if head not in seen:
        yield from pull.run("")


class _Pull:
    """Pulls from one repository."""

    def __init__(
        self, registry: Registry, hub: Hub, repo_id: str, options: PullOptions, progress: Progress | None
    ) -> None:
        self.registry, self.hub, self.repo_id, self.options = registry, hub, repo_id, options
        self.progress: Progress = progress or ignore

    def run(self, revision: str, *, in_order: bool = False) -> list[PullResult]:
        """Pull one revision.

        Args:
            revision: branch, tag or commit; empty is main.
            in_order: older revisions were pulled before, so that this one's description is the newer.
        """
        self.hub.watch.begin()
        _remove_stale(self.registry.home / STAGING)
        info = self.hub.info(self.repo_id, revision)
        files = self.hub.files(self.repo_id, info.sha)
        word, unread = self._shared_word(info, files)
        if word is not None and self.options.file:
            raise InvalidInput(f"{self.repo_id} holds one word, so --file does not choose", "leave out --file")
        found = self._foreign(info, files) if word is None else [self._shared(info, files, word)]
        if unread:
            found[0] = replace(found[0], notes=(*found[0].notes, unread))
        if word is not None and (not revision or (in_order and found[0].status == "pulled")):
            found = [self._with_labels(found[0], word)]
        for result in found:
            self._remember(result, revision)
        return found

    def _shared_word(self, info: RepositoryInfo, files: Mapping[str, RemoteFile]) -> tuple[SharedWord | None, str]:
        """What `tireg.json` says; without it, what the user should know of a file that cannot be read."""
        if MANIFEST not in files:
            return None, ""
        self.progress(0, 1, MANIFEST)
        data = self.hub.read(self.repo_id, info.sha, files[MANIFEST], MAX_TEXT)
        word = SharedWord.parse(data, self.repo_id)
        return (with_card(word, info.card), "") if word is not None else (None, why_unread(data, self.repo_id))

    # -- a repository that tireg wrote ---------------------------------------------------------------------------

    def _shared(self, info: RepositoryInfo, files: dict[str, RemoteFile], word: SharedWord) -> PullResult:
        known = known_version(self.registry, word, self.options.naming)
        wanted = [path for path in word.files if path in files and is_tame(path)]
        pictures = [p.path for p in word.pictures if p.path in wanted and p.path in picture_paths(files)]
        previews = [p for p in word.previews if p in wanted and p.startswith("previews/") and files[p].size < MAX_BYTES]
        with_it = [*pictures, *previews[:MAX_IMAGES]] if self.options.images else []
        if known is not None:
            missing = missing_pictures(self.registry, word, known)
            later = [path for path in with_it if path in missing]
            came: list[str] = []
            if later:
                with self._fetched(info, files, later) as folder:
                    add_pictures(self.registry, word, known, folder, later)
                came.append(f"{len(later)} pictures came with it since")
            if add_record(self.registry, word, known, self.repo_id):
                came.append("its training record came with it now")
            absent = self._absent(word, pictures, missing) if self.options.images else ()
            notes = (*came, *absent, *unused_name(known, self.options.naming))
            return self._result("completed" if came else "already here", known, info, notes)
        words = [path for path in wanted if path.endswith(".safetensors") and "/" not in path]
        if not words:
            raise UnreadableEmbedding(f"{self.repo_id} says it holds a word, but no file of it", "ask its owner")
        paths = [*words, *with_it]
        with self._fetched(info, files, paths) as folder:
            version, notes = register_shared(self.registry, word, folder, paths, self.repo_id, self.options.naming)
        absent = self._absent(word, pictures) if self.options.images else ()
        return self._result("pulled", version, info, (*notes, *absent))

    def _absent(self, word: SharedWord, there: Sequence[str], wanted: Container[str] | None = None) -> tuple[str, ...]:
        """What to say of source pictures that `tireg.json` lists and that cannot be fetched.

        Args:
            word: what `tireg.json` says.
            there: the paths that can be fetched.
            wanted: the paths that are of interest; None for all.
        """
        paths = [p.path for p in word.pictures if p.path not in there and (wanted is None or p.path in wanted)]
        if not paths:
            return ()
        shown = ", ".join(safe(path, limit=100) for path in paths[:4]) + (", …" if len(paths) > 4 else "")
        some = f"{len(paths)} of the {len(word.pictures)} pictures that it lists {'is' if len(paths) == 1 else 'are'}"
        return (f"{some} not in {self.repo_id}: {shown}",)

    def _with_labels(self, result: PullResult, word: SharedWord) -> PullResult:
        concept = self.registry.concept(result.version.concept)
        taken = take_labels(self.registry, self.hub, self.repo_id, concept, word, result.commit)
        return replace(result, notes=(*result.notes, taken)) if taken else result

    # -- any other repository ------------------------------------------------------------------------------------

    def _foreign(self, info: RepositoryInfo, files: dict[str, RemoteFile]) -> list[PullResult]:
        words = self._wanted(word_paths(files), files)
        if not words:
            raise UnreadableEmbedding(
                f"{self.repo_id} holds no learned word ({len(files)} files, none of them an embedding)",
                "tireg hub search finds repositories that do",
            )
        pictures = picture_paths(files) if self.options.images else []
        refused: dict[str, TiregError] = {}
        with self._fetched(info, files, [*words, *texts_beside(files), *pictures], refused) as folder:
            naming = self.options.naming
            found = register_foreign(self.registry, folder, self.repo_id, naming, info.card, words, refused)
        return [
            self._result("already here" if was_known else "pulled", version, info, notes)
            for version, was_known, notes in found
        ]

    def _wanted(self, words: list[str], files: Mapping[str, RemoteFile]) -> list[str]:
        """The embedding files to fetch: all, or the one that the user named with what belongs to it.

        Raises:
            NotFound: there is no such file.
        """
        wanted = self.options.file
        if not wanted:
            return words
        if wanted not in words and not (wanted in files and is_tame(wanted) and wanted.endswith(WORD_SUFFIXES)):
            there = ", ".join(safe(path, limit=100) for path in words[:8]) or "none"
            raise NotFound(f"{self.repo_id} has no embedding file {safe(wanted, limit=100)!r}", f"it has: {there}")
        stem, dot, suffix = wanted.rpartition(".")
        return [wanted, *(path for path in words if path == f"{stem}_2{dot}{suffix}")]

    # -- fetching ------------------------------------------------------------------------------------------------

    @contextmanager
    def _fetched(
        self,
        info: RepositoryInfo,
        files: Mapping[str, RemoteFile],
        paths: list[str],
        refused: dict[str, TiregError] | None = None,
    ) -> Iterator[Path]:
        """A folder with the checked files, under the repository's name; gone afterwards.

        Args:
            refused: takes the files whose beginning tells that no word is in them, which are not fetched to their end.

        Raises:
            HubError: they are too large together, which is known before the first is fetched.
        """
        total = sum(files[path].size for path in paths)
        if total > MAX_TOTAL:
            raise HubError(
                f"{self.repo_id} would fetch {size(total)}, more than {size(MAX_TOTAL)}",
                "--no-images leaves the pictures out",
            )
        staging = self.registry.home / STAGING
        make_folder(staging)
        with tempfile.TemporaryDirectory(prefix="pull-", dir=staging) as parent:
            # Named after the repository, because readers name a word by its folder where nothing else does.
            folder = Path(parent) / self.repo_id.rpartition("/")[2]
            for done, path in enumerate(paths):
                self.progress(done, len(paths), path)
                target = folder / path
                target.parent.mkdir(parents=True, exist_ok=True)
                is_looked_at = refused is not None and path.endswith(".safetensors")
                look = partial(check_beginning, name=path, size=files[path].size) if is_looked_at else None
                try:
                    data = self.hub.read(self.repo_id, info.sha, files[path], MAX_BYTES, look)
                except UnreadableEmbedding as error:
                    if refused is None:
                        raise
                    refused[path] = error
                else:
                    target.write_bytes(data)
            self.progress(len(paths), len(paths), "registering")
            yield folder

    # -- afterwards ----------------------------------------------------------------------------------------------

    def _result(self, status: Status, version: Version, info: RepositoryInfo, notes: tuple[str, ...]) -> PullResult:
        return PullResult(
            status=status,
            version=version,
            repo_id=self.repo_id,
            revision="",
            commit=info.sha,
            notes=notes,
        )

    def _remember(self, result: PullResult, revision: str) -> None:
        """Note where the version came from, once."""
        is_known = any(
            remote.commit_sha == result.commit and remote.endpoint == self.hub.endpoint.url
            for remote in self.registry.remotes(result.version, repo_id=self.repo_id)
        )
        if not is_known:
            version = result.version
            self.registry.add_remote(
                version,
                Remote(
                    version.reference,
                    version.digest,
                    "pull",
                    self.hub.endpoint.url,
                    self.repo_id,
                    safe(revision or "main", limit=200),
                    result.commit,
                ),
            )


def _remove_stale(staging: Path) -> None:
    """Remove what pulls left behind that were killed; of others that are at work, nothing is older than a day."""
    for entry in staging.glob("pull-*"):
        with suppress(FileNotFoundError):  # its own pull has just removed it
            if time.time() - entry.stat().st_mtime > GRACE_SECONDS:
                shutil.rmtree(entry, ignore_errors=True)
