"""Push: one version becomes one commit with its tags, on top of a head that was looked at first.

Every step can be repeated: what is there already is found there and not done again, so a push that was cut off at any
point is completed by pushing again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tiregistry.concepts import Remote, Version
from tiregistry.errors import InvalidInput
from tiregistry.hub.client import Hub
from tiregistry.hub.committing import commit
from tiregistry.hub.push_plan import STEPS, PushOptions, PushPlan, plan_push, target_of
from tiregistry.hub.remote import CommitMade
from tiregistry.hub.trouble import NotAllowed
from tiregistry.hub.watch import Announce, ignore
from tiregistry.progress import Progress
from tiregistry.registry.registry import Registry

__all__ = [
    "Announce",
    "PushOptions",
    "PushPlan",
    "PushResult",
    "plan_push",
    "push_version",
    "target_of",
    "versions_to_push",
]

Status = Literal["pushed", "proposed", "unchanged"]
_UPLOAD_FROM, _UPLOAD_TO = 20, 80


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
    """The version's tags that are on this commit."""
    earlier_tags: tuple[str, ...] = ()
    """The version's tags that are on an earlier commit with the same version."""
    files: tuple[str, ...] = ()
    """Paths that were written or removed."""
    public: tuple[str, ...] = ()
    """What a reader of the repository learns."""
    notes: tuple[str, ...] = ()
    """What was asked for and could not be sent, in words."""
    pull_request: str = ""
    """`refs/pr/N`, when it is in a pull request."""
    removed: tuple[str, ...] = ()
    """Those of `files` that were removed."""
    replaced: int = 0
    """The number of the version that main held before, where that was another one."""
    covered_by: int = 0
    """The number of the version that main holds, where this one is in the history already."""
    other_word: str = ""
    """The other word, in words, whose place this one took; with a pull request, would take."""
    before: str = ""
    """The commit that held it."""


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
        progress: told each step, in per cent.
        announce: told what becomes readable, before it does.

    Raises:
        HeadMoved: the repository's head holds something that is not here; both sides are in the message.
        Conflict: the repository has another visibility than the user demands, or holds another word.
        InvalidInput: no prompt could use this word, or a picture cannot be read.
        Interrupted: `hub` was told to stop; pushing again completes it.
        RepositoryNotFound, NotAllowed, HubError: the Hub refuses or does not answer.
    """
    options, progress = options or PushOptions(), progress or ignore
    plan = plan_push(registry, version, repo_id, hub, options, progress)
    if not plan.exists:
        progress(15, STEPS, "creating the repository")
        hub.create(repo_id, private=plan.private)
        plan = plan_push(registry, version, repo_id, hub, options)
    made = CommitMade(plan.head, plan.revision if plan.revision != "main" else "")
    if not plan.is_empty:
        (announce or ignore)(plan.public, plan.private)

        def uploading(done: int, total: int, what: str) -> None:
            share = (_UPLOAD_TO - _UPLOAD_FROM) * done // max(1, total)
            progress(_UPLOAD_FROM + share, STEPS, what)

        made = commit(registry, hub, plan, uploading)
    if plan.missing_tags:
        progress(85, STEPS, "setting the tags")
        _tag(hub, plan, made.sha)
    progress(95, STEPS, "noting it down")
    _remember(registry, hub, plan, made)
    progress(STEPS, STEPS, "done")
    return PushResult(
        status="unchanged" if plan.is_empty else "proposed" if made.pull_request else "pushed",
        repo_id=repo_id,
        url=hub.url(repo_id, made.pull_request),
        commit=made.sha,
        private=plan.private,
        number=plan.number,
        tags=tuple(tag for tag in plan.tags if tag not in plan.earlier_tags),
        earlier_tags=plan.earlier_tags,
        files=tuple(sorted([*plan.add, *plan.delete])),
        public=plan.public,
        notes=plan.notes,
        pull_request=made.pull_request,
        removed=plan.delete,
        replaced=0 if plan.is_empty or made.pull_request else plan.replaces,
        covered_by=plan.covered_by,
        other_word=plan.other_word if not plan.is_empty else "",
        before=plan.head if plan.other_word and not plan.is_empty else "",
    )


def _tag(hub: Hub, plan: PushPlan, sha: str) -> None:
    """Tag the commit with number and digest; tags that exist stay where they are.

    Raises:
        NotAllowed: the user may not, though they could commit.
    """
    for name in plan.missing_tags:
        try:
            hub.tag(plan.repo_id, name, sha, f"{plan.version.concept} version {plan.number}")
        except NotAllowed:
            if not plan.is_empty:
                raise
            return  # somebody else's repository holds it already, and its owner has set no tags


def _remember(registry: Registry, hub: Hub, plan: PushPlan, made: CommitMade) -> None:
    """Note where the version went, once."""
    version, endpoint = plan.version, hub.endpoint.url
    known = any(
        remote.commit_sha == made.sha and remote.direction == "push" and remote.endpoint == endpoint
        for remote in registry.remotes(version, repo_id=plan.repo_id)
    )
    if not known and not registry.readonly:
        revision = made.pull_request or "main"
        registry.add_remote(
            version, Remote(version.reference, version.digest, "push", endpoint, plan.repo_id, revision, made.sha)
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
