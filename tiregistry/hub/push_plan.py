"""What a push would do: found out by looking, without sending anything."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from tiregistry.concepts import Remote, Version
from tiregistry.errors import Conflict
from tiregistry.hub import card, card_text
from tiregistry.hub.client import Hub
from tiregistry.hub.endpoints import check_repo_id, slug
from tiregistry.hub.heads import (
    Head,
    check_known,
    check_same_word,
    conflict,
    head_at,
    open_proposal,
    other_word,
    seen_before,
)
from tiregistry.hub.labels import Labels, with_card
from tiregistry.hub.layout import CARD, MANIFEST, MAX_TEXT, PICTURE_PATH, repository_files
from tiregistry.hub.remote import RepositoryInfo
from tiregistry.hub.shared_word import SharedWord
from tiregistry.hub.tags import digest_tag, version_numbers, version_tag
from tiregistry.hub.trouble import RepositoryNotFound
from tiregistry.hub.watch import ignore
from tiregistry.progress import Progress
from tiregistry.registry.registry import Registry

STEPS = 100
"""A push is told in per cent."""
# What a push may remove, whatever a tireg.json claims to have written.
_LAYOUT = re.compile(rf"{PICTURE_PATH}|[^/]+\.(?:safetensors|bin)")
# Readers would take them for this word.
_OTHER_WORDS = (
    "learned_embeds.bin",
    "learned_embeds_2.bin",
    "learned_embeds.safetensors",
    "learned_embeds_2.safetensors",
)
_MOST_LOOKED_AT = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class PushOptions:
    """What the user decides about a push."""

    private: bool | None = None
    """Visibility; None makes a new repository private and leaves an existing one as it is."""
    with_images: bool = False
    without_images: bool = False
    """Take away the source pictures that are there; otherwise they stay."""
    with_previews: bool = False
    create_pr: bool = False
    """Propose a pull request instead of changing main; an open one of the same user is continued."""
    message: str = ""
    force: bool = False
    """Put the version on top of a head that holds something else. Where that is another word, its files, pictures,
    licence and tags go from the new head; they stay in the history."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PushPlan:
    """What a push would do, on top of what the repository holds now."""

    version: Version
    repo_id: str
    url: str
    exists: bool
    """Whether the repository is there; otherwise it would be created."""
    private: bool
    """Who may read: the user and their organization, or everybody."""
    number: int
    """The version's number in the repository."""
    add: Mapping[str, bytes] = field(repr=False)
    """Path to bytes of every file that would be written."""
    delete: tuple[str, ...]
    """Paths that would be removed."""
    kept: tuple[str, ...]
    """Paths of the version's files that are there already."""
    public: tuple[str, ...]
    """What a reader of the repository learns."""
    notes: tuple[str, ...]
    """What was asked for and cannot be sent, in words."""
    card: str = field(repr=False)
    """The README as it would be."""
    tags: tuple[str, ...]
    """The version's tags; none in a pull request."""
    missing_tags: tuple[str, ...]
    """Those of them that would be set."""
    earlier_tags: tuple[str, ...]
    """Those of them that stay where they are, on an earlier commit with the same version."""
    message: str
    head: str
    """The commit that it would go on top of; empty when the repository would be created."""
    revision: str
    """`main`, or the pull request (`refs/pr/N`) that would be continued."""
    opens_pull_request: bool
    replaces: int = 0
    """The number of the version that main holds now, where that is another one."""
    covered_by: int = 0
    """The number of the version that main holds, where this one is in the history already."""

    other_word: str = ""
    """The other word that the head holds, in words, whose place this one would take."""

    @property
    def pull_request(self) -> str:
        """The open pull request (`refs/pr/N`) that would be continued; `new` when one would be opened, else empty."""
        return "new" if self.opens_pull_request else self.revision if self.revision != "main" else ""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to send: all of it is there."""
        return self.exists and not self.add and not self.delete


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


def plan_push(
    registry: Registry,
    version: Version,
    repo_id: str,
    hub: Hub,
    options: PushOptions | None = None,
    progress: Progress | None = None,
) -> PushPlan:
    """Find out what a push would do; nothing is sent, and nothing is written here.

    Args:
        registry: where the version is.
        version: what would be pushed.
        repo_id: `owner/name`.
        hub: where.
        options: what the user decides.
        progress: told each step, in per cent of the whole push.

    Raises:
        HeadMoved: the repository's head holds something that is not here; both sides are in the message.
        Conflict: the repository has another visibility than the user demands, or holds another word.
        InvalidInput: no prompt could use this word, or a picture cannot be read.
        Interrupted: `hub` was told to stop.
        RepositoryNotFound, NotAllowed, HubError: the Hub refuses or does not answer.
    """
    hub.watch.begin()
    return _Planner(registry, version, repo_id, hub, options or PushOptions(), progress or ignore).plan()


class _Planner:
    """Looks at a repository and compares."""

    def __init__(
        self,
        registry: Registry,
        version: Version,
        repo_id: str,
        hub: Hub,
        options: PushOptions,
        progress: Progress,
    ) -> None:
        self.registry, self.version, self.repo_id, self.hub = registry, version, repo_id, hub
        self.options, self.progress = options, progress

    def plan(self) -> PushPlan:
        self.progress(0, STEPS, "looking at the repository")
        head = self._look()
        if head is None:
            if self.options.create_pr:
                raise RepositoryNotFound(
                    f"there is no {self.repo_id} that you may see, so nothing to propose a change to",
                    "check the spelling, or push without --pr",
                )
            if not self.hub.endpoint.token:
                _ = self.hub.user  # raises: nobody is signed in
            return self._compared(Head(RepositoryInfo(self.repo_id, "", self.options.private is not False)), {})
        if not self.options.force:
            check_same_word(self.registry, self.hub, self.version, head)
            check_known(self.registry, self.hub, self.version, head)
            self._check_labels(head)
        refs = self.hub.refs(self.repo_id)
        plan = self._compared(head, refs)
        earlier = None if self.options.force else self._earlier(plan, head, refs)
        if earlier is not None:
            return earlier
        if self.options.create_pr and not plan.is_empty:
            proposed = open_proposal(self.registry, self.hub, self.version, self.repo_id)
            return self._compared(proposed, refs) if proposed is not None else plan
        return plan

    def _look(self) -> Head | None:
        """The head of main; None where there is no repository.

        Raises:
            Conflict: it has another visibility than is asked for.
        """
        info = self.hub.find(self.repo_id)
        if info is None:
            return None
        if self.options.private is not None and info.private != self.options.private:
            is_, wanted = ("private", "public") if info.private else ("public", "private")
            raise Conflict(
                f"{self.repo_id} is {is_}, and --{wanted} was asked for; nothing was sent",
                "change it in the repository's settings, or push to another one",
            )
        return head_at(self.hub, info, forgiving=self.options.force)

    def _check_labels(self, head: Head) -> None:
        """Make sure that a description that somebody else sent is not replaced unseen.

        Raises:
            HeadMoved: it would be.
        """
        if head.word is None or seen_before(self.registry, self.hub, head.info):
            return
        there = (Labels.of(head.word), Labels.of(with_card(head.word, head.info.card)))
        if Labels.of(self.registry.concept(self.version.concept)) not in there:
            what = f"version {head.word.number} with another description, licence or tags"
            raise conflict(self.registry, self.hub, self.version, head.info, what)

    def _earlier(self, plan: PushPlan, head: Head, refs: Mapping[str, str]) -> PushPlan | None:
        """A plan to leave everything as it is, when the version is in the history, under a newer one."""
        if head.word is None or head.word.digest == self.version.digest:
            return None
        tagged = refs.get(digest_tag(self.version.digest))
        sent = [r.commit_sha for r in self.registry.remotes(self.version, repo_id=self.repo_id) if self._is_on_main(r)]
        for sha in list(dict.fromkeys([*([tagged] if tagged else []), *sent]))[:_MOST_LOOKED_AT]:
            try:
                there = head_at(self.hub, self.hub.info(self.repo_id, sha), forgiving=True)
            except RepositoryNotFound:
                continue
            has, texts = there.files, (CARD, MANIFEST)  # they tell of the pictures that are with it
            is_same = there.word is not None and there.word.digest == self.version.digest
            has_all = all(p in has and has[p].matches(data) for p, data in plan.add.items() if p not in texts)
            if is_same and has_all and all(has.get(p) == head.files[p] for p in plan.kept if p not in texts):
                earlier = tuple(tag for tag in plan.tags if refs.get(tag, sha) != sha)
                return replace(plan, add={}, delete=(), head=sha, earlier_tags=earlier, covered_by=head.word.number)
        return None

    def _is_on_main(self, remote: Remote) -> bool:
        return remote.endpoint == self.hub.endpoint.url and remote.revision == "main" and remote.direction == "push"

    def _compared(self, head: Head, refs: Mapping[str, str]) -> PushPlan:
        """What would have to be sent on top of a head."""
        self.progress(10, STEPS, "preparing the files")
        number = self._number(refs, head.word)
        other = other_word(self.registry, self.hub, self.version, head) if head.info.sha else ""
        mine = repository_files(
            self.registry,
            self.version,
            number,
            with_images=self.options.with_images,
            with_previews=self.options.with_previews,
            there=_with_files_that_exist(head.word, head) if head.word is not None and not other else None,
            without_images=self.options.without_images,
        )
        text = self._card(mine.word, head, refs, replaces_another=bool(other))
        changes = _changes({**mine.files, CARD: text.encode()}, mine.word, head, is_other_word=bool(other))
        is_proposal = self.options.create_pr
        tags = () if is_proposal else (version_tag(number), digest_tag(self.version.digest))
        at = "" if changes.add or changes.delete else head.info.sha  # the commit that the tags name in the end
        return PushPlan(
            version=self.version,
            repo_id=self.repo_id,
            url=self.hub.url(self.repo_id, head.revision if head.revision != "main" else ""),
            exists=bool(head.info.sha),
            private=head.info.private,
            number=number,
            add=changes.add,
            kept=changes.kept,
            delete=changes.delete,
            public=mine.public,
            notes=mine.notes,
            card=text,
            tags=tags,
            missing_tags=tuple(tag for tag in tags if tag not in refs),
            earlier_tags=tuple(tag for tag in tags if refs.get(tag, at) != at),
            message=(self.options.message.strip() or f"{self.version.concept} version {number}")[:200],
            head=head.info.sha,
            revision=head.revision,
            opens_pull_request=is_proposal and head.revision == "main",
            replaces=0 if head.word is None or head.word.digest == self.version.digest else head.word.number,
            other_word=other,
        )

    def _number(self, refs: Mapping[str, str], head_word: SharedWord | None) -> int:
        """The version's number in the repository: the one it has there, else its own, else the next free one."""
        if head_word is not None and head_word.digest == self.version.digest:
            return head_word.number  # its tags may not have been set when the push was cut off
        numbers = {number: refs[tag] for number, tag in version_numbers(refs).items()}
        tagged = refs.get(digest_tag(self.version.digest))
        for number, sha in numbers.items():
            if sha == tagged:
                return number
        return self.version.number if self.version.number not in numbers else max(numbers) + 1

    def _card(self, word: SharedWord, head: Head, refs: Mapping[str, str], *, replaces_another: bool) -> str:
        existing = ""
        if CARD in head.files:
            data = self.hub.read(self.repo_id, head.info.sha, head.files[CARD], MAX_TEXT)
            existing = data.decode("utf-8", "replace")
            if replaces_another:
                existing = card_text.without(existing, card.FIELDS)

        def as_pushed() -> str:
            tagged = refs.get(digest_tag(head.word.digest)) if head.word else None
            if tagged is None:
                return ""
            then = self.hub.files(self.repo_id, tagged)
            return self.hub.read(self.repo_id, tagged, then[CARD], MAX_TEXT).decode() if CARD in then else ""

        before = card.front_matter(head.word) if head.word is not None else {}
        return card_text.compose(card.front_matter(word), card.body(word, self.repo_id), existing, as_pushed, before)


class _Changes(NamedTuple):
    """What a commit on top of a head would write and remove, and what of the version is there already."""

    add: dict[str, bytes]
    delete: tuple[str, ...]
    kept: tuple[str, ...]


def _changes(wanted: Mapping[str, bytes], word: SharedWord, head: Head, *, is_other_word: bool) -> _Changes:
    """How a head's files differ from those that are to be there.

    Args:
        wanted: path to bytes of the version's files and the card.
        word: the version as it would be shared; what belongs to it is not removed.
        head: what is there.
        is_other_word: the head holds another word, whose pictures go, too.
    """
    add = {p: data for p, data in wanted.items() if p not in head.files or not head.files[p].matches(data)}
    gone = {*(head.word.files if head.word else ()), *_OTHER_WORDS}
    if is_other_word:
        gone |= {path for path in head.files if re.fullmatch(PICTURE_PATH, path)}
    delete = [path for path in gone - set(word.files) if path in head.files and _LAYOUT.fullmatch(path)]
    return _Changes(add, tuple(sorted(delete)), tuple(sorted(set(wanted) - set(add))))


def _with_files_that_exist(word: SharedWord, head: Head) -> SharedWord:
    """The word without the files that its `tireg.json` claims and the repository lacks."""
    return replace(word, files={path: sha256 for path, sha256 in word.files.items() if path in head.files})
