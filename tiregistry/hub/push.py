"""Push: one version becomes one commit with its tags, on top of a head that was looked at first.

Every step can be repeated: what is there already is found there and not done again, so a push that was cut off at any
point is completed by pushing again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from tiregistry.concepts import Remote, Version
from tiregistry.errors import Conflict, Damaged, HubError, InvalidInput, TiregError
from tiregistry.hub import card, card_text
from tiregistry.hub.client import CommitMade, Hub, RemoteFile, RepositoryInfo
from tiregistry.hub.endpoints import check_repo_id, slug
from tiregistry.hub.layout import CARD, MANIFEST, MAX_TEXT, repository_files
from tiregistry.hub.shared_word import SharedWord
from tiregistry.hub.trouble import CommitInProgress, HeadMoved, is_unknown_outcome
from tiregistry.registry.registry import Registry
from tiregistry.text import safe

Progress = Callable[[str, int, int], None]
"""Called with what is being done, steps done and steps in all."""
Announce = Callable[[tuple[str, ...], bool], None]
"""Called before anything is sent, with what a reader will learn and whether the repository is private."""
Status = Literal["pushed", "proposed", "unchanged"]
_STEPS = 5
# What a push may remove, whatever a tireg.json claims to have written.
_LAYOUT = re.compile(r"(?:concept_images|previews)/[^/]+|[^/]+\.(?:safetensors|bin)")
# Readers would take them for this word.
_OTHER_WORDS = (
    "learned_embeds.bin",
    "learned_embeds_2.bin",
    "learned_embeds.safetensors",
    "learned_embeds_2.safetensors",
)
_VERSION_TAG = re.compile(r"v([1-9][0-9]{0,8})")


@dataclass(frozen=True, slots=True, kw_only=True)
class PushOptions:
    """What the user decides about a push."""

    private: bool | None = None
    """Visibility; None makes a new repository private and leaves an existing one as it is."""
    with_images: bool = False
    with_previews: bool = False
    create_pr: bool = False
    """Propose a pull request instead of changing main."""
    message: str = ""
    force: bool = False
    """Put the version on top of a head that holds something else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PushResult:
    """What a push did."""

    status: Status
    repo_id: str
    url: str
    commit: str
    private: bool
    number: int
    """The version's number in the repository."""
    tags: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    """Paths that were written or removed."""
    public: tuple[str, ...] = ()
    """What a reader of the repository learns."""
    pull_request: str = ""


def digest_tag(digest: str) -> str:
    """The tag that names a version by its content; git allows no colon."""
    return digest.replace(":", "-")


def target_of(registry: Registry, hub: Hub, version: Version, wanted: str = "") -> str:
    """The repository a version is pushed to: `wanted`, else where the concept was pushed before, else a new name.

    Raises:
        InvalidInput: `wanted` cannot be a repository.
        NotAllowed: a name under the user's own account is needed, and nobody is signed in.
    """
    if "/" in wanted:
        return check_repo_id(wanted)
    if not wanted:
        for remote in registry.remotes():
            is_same = remote.version.rpartition("@")[0] == version.concept
            if is_same and remote.direction == "push" and remote.endpoint == hub.endpoint.url:
                return check_repo_id(remote.repo_id)
    return check_repo_id(f"{hub.user}/{wanted or slug(version.concept).lower()}")


def push_version(
    registry: Registry,
    version: Version,
    repo_id: str,
    hub: Hub,
    options: PushOptions | None = None,
    progress: Progress | None = None,
    announce: Announce | None = None,
) -> PushResult:
    """Push a version.

    Args:
        registry: where the version is; what was pushed where is remembered there.
        version: what to push.
        repo_id: `owner/name`; created when it does not exist.
        hub: where.
        options: what the user decides.
        progress: told each step.
        announce: told what becomes readable, before it does.

    Raises:
        HeadMoved: the repository's head holds something that is not here; both sides are in the message.
        Conflict: the repository has another visibility than the user demands.
        InvalidInput: no prompt could use this word, or a picture cannot be read.
        RepositoryNotFound, NotAllowed, HubError: the Hub refuses or does not answer.
    """
    push = _Push(registry, version, repo_id, hub, options or PushOptions())
    push.progress = progress or push.progress
    push.announce = announce or push.announce
    return push.run()


class _Push:
    """One push, step by step."""

    def __init__(self, registry: Registry, version: Version, repo_id: str, hub: Hub, options: PushOptions) -> None:
        self.registry, self.version, self.repo_id, self.hub = registry, version, repo_id, hub
        self.options = options
        self.progress: Progress = lambda *_: None
        self.announce: Announce = lambda *_: None

    def run(self) -> PushResult:
        self.progress("looking at the repository", 0, _STEPS)
        info = self._repository()
        files = self.hub.files(self.repo_id, info.sha)
        head_word = self._head_word(info, files)
        if not self.options.force:
            self._check_head(info, files, head_word)
        refs = self.hub.refs(self.repo_id)
        number = self._number(refs, head_word)
        self.progress("preparing the files", 1, _STEPS)
        # Pictures that this very version has there already stay without being asked for again.
        same = head_word if head_word is not None and head_word.digest == self.version.digest else None
        mine = repository_files(
            self.registry,
            self.version,
            number,
            with_images=self.options.with_images or bool(same and same.pictures),
            with_previews=self.options.with_previews or bool(same and same.previews),
        )
        add = {**mine.files, CARD: self._card(mine.word, info, files, refs, head_word).encode()}
        add = {path: data for path, data in add.items() if path not in files or not files[path].matches(data)}
        stale = {*(head_word.files if head_word else ()), *_OTHER_WORDS}
        delete = sorted(p for p in stale & set(files) if p not in mine.files and _LAYOUT.fullmatch(p))
        made = CommitMade(info.sha)
        status: Status = "unchanged"
        if add or delete:
            self.announce(mine.public, info.private)
            self.progress("sending the files", 2, _STEPS)
            made = self._commit(info, add, delete, number)
            status = "proposed" if made.pull_request else "pushed"
        self.progress("setting the tags", 3, _STEPS)
        tags = () if made.pull_request else self._tag(refs, made.sha, number)
        self.progress("noting it down", 4, _STEPS)
        self._remember(made)
        self.progress("done", _STEPS, _STEPS)
        return PushResult(
            status=status,
            repo_id=self.repo_id,
            url=made.url or self.hub.url(self.repo_id),
            commit=made.sha,
            private=info.private,
            number=number,
            tags=tags,
            files=tuple(sorted([*add, *delete])),
            public=mine.public,
            pull_request=made.pull_request,
        )

    # -- the repository as it is ---------------------------------------------------------------------------------

    def _repository(self) -> RepositoryInfo:
        info = self.hub.find(self.repo_id)
        if info is None:
            self.hub.create(self.repo_id, private=self.options.private is not False)
            info = self.hub.info(self.repo_id)
        if self.options.private is not None and info.private != self.options.private:
            is_, wanted = ("private", "public") if info.private else ("public", "private")
            raise Conflict(
                f"{self.repo_id} is {is_}, and --{wanted} was asked for; nothing was sent",
                "change it in the repository's settings, or push to another one",
            )
        return info

    def _head_word(self, info: RepositoryInfo, files: Mapping[str, RemoteFile]) -> SharedWord | None:
        if MANIFEST not in files:
            return None
        data = self.hub.read(self.repo_id, info.sha, files[MANIFEST], MAX_TEXT)
        try:
            return SharedWord.parse(data)
        except Damaged:
            if not self.options.force:
                raise
            return None

    def _check_head(self, info: RepositoryInfo, files: Mapping[str, RemoteFile], head_word: SharedWord | None) -> None:
        """Make sure that nothing at the head is unknown here.

        Raises:
            HeadMoved: something is.
        """
        if head_word is None:
            strangers = sorted(p for p in files if p.startswith("learned_embeds") or p == MANIFEST)
            if strangers and not self._seen_before(info.sha):
                raise self._conflict(info, f"it holds {safe(strangers[0])}, which tireg did not write")
            return
        if not self.registry.versions_with(digest=head_word.digest):
            raise self._conflict(
                info, f"it holds version {head_word.number} ({head_word.digest[:19]}…), which is not here"
            )
        for path, sha256 in head_word.files.items():
            if path not in files or (files[path].sha256 and files[path].sha256 != sha256):
                raise self._conflict(info, f"{safe(path)} was changed there by other means")

    def _seen_before(self, sha: str) -> bool:
        return any(
            remote.commit_sha == sha and remote.endpoint == self.hub.endpoint.url
            for remote in self.registry.remotes(repo_id=self.repo_id)
        )

    def _conflict(self, info: RepositoryInfo, theirs: str) -> HeadMoved:
        """The error that shows both sides."""
        last = next(
            (r for r in self.registry.remotes(repo_id=self.repo_id) if r.endpoint == self.hub.endpoint.url), None
        )
        ours = f"last seen from here: {last.commit_sha[:12]} with {last.version}" if last else "never seen from here"
        return HeadMoved(
            f"{self.repo_id} is at {info.sha[:12]}: {theirs}; {ours}; you push {self.version.reference} "
            f"({self.version.digest[:19]}…)",
            f"tireg pull {self.repo_id} first, or --force puts yours on top (what is there stays in its history)",
        )

    # -- what is sent --------------------------------------------------------------------------------------------

    def _number(self, refs: Mapping[str, str], head_word: SharedWord | None) -> int:
        """The version's number in the repository: the one it has there, else its own, else the next free one."""
        if head_word is not None and head_word.digest == self.version.digest:
            return head_word.number  # its tags may not have been set when the push was cut off
        numbers = {int(m[1]): sha for tag, sha in refs.items() if (m := _VERSION_TAG.fullmatch(tag))}
        tagged = refs.get(digest_tag(self.version.digest))
        for number, sha in numbers.items():
            if sha == tagged:
                return number
        return self.version.number if self.version.number not in numbers else max(numbers) + 1

    def _card(
        self,
        word: SharedWord,
        info: RepositoryInfo,
        files: Mapping[str, RemoteFile],
        refs: Mapping[str, str],
        head_word: SharedWord | None,
    ) -> str:
        existing = ""
        if CARD in files:
            existing = self.hub.read(self.repo_id, info.sha, files[CARD], MAX_TEXT).decode("utf-8", "replace")

        def as_pushed() -> str:
            tagged = refs.get(digest_tag(head_word.digest)) if head_word else None
            if tagged is None:
                return ""
            then = self.hub.files(self.repo_id, tagged)
            return self.hub.read(self.repo_id, tagged, then[CARD], MAX_TEXT).decode() if CARD in then else ""

        return card_text.compose(card.front_matter(word), card.body(word, self.repo_id), existing, as_pushed)

    # -- sending -------------------------------------------------------------------------------------------------

    def _commit(
        self, info: RepositoryInfo, add: Mapping[str, bytes], delete: list[str], number: int, attempt: int = 0
    ) -> CommitMade:
        message = self.options.message.strip() or f"{self.version.concept} version {number}"
        try:
            return self.hub.commit(
                self.repo_id,
                add,
                delete,
                message=message[:200],
                description=f"tireg {self.version.digest}",
                parent=info.sha,
                create_pr=self.options.create_pr,
            )
        except CommitInProgress:
            if attempt >= 3:
                raise
            import time

            time.sleep(0.5 * 2**attempt)
        except HeadMoved:
            pass
        except TiregError as error:
            if self.options.create_pr or not is_unknown_outcome(error):
                raise
            made = self._made_after_all(info, add, delete)
            if made is not None:
                return made
            raise
        if self.options.create_pr:
            raise HubError(f"{self.repo_id}: another commit was in the way of the pull request", "try again")
        made = self._made_after_all(info, add, delete)
        if made is not None:
            return made
        now = self.hub.info(self.repo_id)
        if now.sha != info.sha:
            raise self._conflict(now, "somebody committed while this was being pushed")
        return self._commit(info, add, delete, number, attempt + 1)

    def _made_after_all(self, before: RepositoryInfo, add: Mapping[str, bytes], delete: list[str]) -> CommitMade | None:
        """The commit whose acknowledgement was lost: the head, when it holds exactly what was sent.

        Raises:
            HubError: the head cannot be read either; pushing again will find out.
        """
        try:
            now = self.hub.info(self.repo_id)
            if now.sha == before.sha:
                return None
            files = self.hub.files(self.repo_id, now.sha)
        except TiregError as error:
            raise HubError(
                f"{self.repo_id}: whether the commit was made is not known: {error.message}",
                "push again: it will see what is there",
            ) from error
        is_there = all(path in files and files[path].matches(data) for path, data in add.items())
        return CommitMade(now.sha) if is_there and not any(path in files for path in delete) else None

    def _tag(self, refs: Mapping[str, str], sha: str, number: int) -> tuple[str, ...]:
        """Tag the commit with number and digest; tags that exist stay where they are."""
        names = (f"v{number}", digest_tag(self.version.digest))
        for name in names:
            if name not in refs:
                self.hub.tag(self.repo_id, name, sha, f"{self.version.concept} version {number}")
        return names

    def _remember(self, made: CommitMade) -> None:
        revision = made.pull_request or "main"
        known = any(
            remote.commit_sha == made.sha and remote.direction == "push" and remote.endpoint == self.hub.endpoint.url
            for remote in self.registry.remotes(self.version, repo_id=self.repo_id)
        )
        if not known and not self.registry.readonly:
            self.registry.add_remote(
                self.version,
                Remote(
                    self.version.reference,
                    self.version.digest,
                    "push",
                    self.hub.endpoint.url,
                    self.repo_id,
                    revision,
                    made.sha,
                ),
            )


def versions_to_push(registry: Registry, version: Version, *, everything: bool) -> list[Version]:
    """The version, or with `everything` all living versions of its concept up to the newest, oldest first.

    Raises:
        InvalidInput: `everything`, though one older version was named.
    """
    if not everything:
        return [version]
    versions: list[Version] = list(registry.versions(version.concept))
    if versions[-1].id != version.id:
        raise InvalidInput(
            f"{version.reference} is one version, and --all pushes them all", f"tireg push {version.concept} --all"
        )
    return versions
