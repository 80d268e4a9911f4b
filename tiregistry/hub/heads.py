"""What is at the head of a repository or pull request, and whether all of it is known here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tiregistry.concepts import Remote, Version
from tiregistry.errors import Conflict, Damaged
from tiregistry.hub.client import Hub
from tiregistry.hub.endpoints import slug
from tiregistry.hub.layout import MANIFEST, MAX_TEXT, MAX_TOKEN, TOKEN
from tiregistry.hub.remote import PullRequest, RemoteFile, RepositoryInfo
from tiregistry.hub.shared_word import SharedWord
from tiregistry.hub.trouble import HeadMoved, RepositoryNotFound
from tiregistry.registry.registry import Registry
from tiregistry.text import safe


@dataclass(frozen=True, slots=True)
class Head:
    """The newest commit of main or of a pull request."""

    info: RepositoryInfo
    files: Mapping[str, RemoteFile] = field(default_factory=dict)
    word: SharedWord | None = None
    """What its `tireg.json` says; None where there is none, or one of another program."""
    revision: str = "main"


def head_at(hub: Hub, info: RepositoryInfo, revision: str = "main", *, forgiving: bool = False) -> Head:
    """The head that `info` names.

    Args:
        hub: where.
        info: of the repository at this revision.
        revision: `main` or `refs/pr/N`.
        forgiving: take a `tireg.json` that is damaged as none.

    Raises:
        Damaged: the `tireg.json` is damaged, or contradicts itself.
        HubError: the Hub does not answer.
    """
    files = hub.files(info.repo_id, info.sha)
    word = None
    if MANIFEST in files:
        data = hub.read(info.repo_id, info.sha, files[MANIFEST], MAX_TEXT)
        try:
            word = SharedWord.parse(data, info.repo_id)
        except Damaged as error:
            if not forgiving:
                raise Damaged(error.message, "ask its owner; to write it anew: tireg push --force") from None
    return Head(info, files, word, revision)


def check_known(registry: Registry, hub: Hub, version: Version, head: Head) -> None:
    """Make sure that a push of `version` covers nothing at the head that is unknown here.

    Raises:
        HeadMoved: it would; both sides are in the message.
    """

    if head.word is None:
        strangers = sorted(p for p in head.files if p.startswith("learned_embeds") or p == MANIFEST)
        if strangers and not seen_before(registry, hub, head.info):
            what = f"{safe(strangers[0], limit=100)}, which tireg did not write"
            raise conflict(registry, hub, version, head.info, what)
        return
    if not registry.versions_with(digest=head.word.digest):
        raise conflict(registry, hub, version, head.info, _named(head.word))
    for path, sha256 in head.word.files.items():
        if path not in head.files or (head.files[path].sha256 and head.files[path].sha256 != sha256):
            what = f"{_named(head.word)}, but {safe(path, limit=100)} was changed by other means"
            raise conflict(registry, hub, version, head.info, what)


def other_word(registry: Registry, hub: Hub, version: Version, head: Head) -> str:
    """The word that the head holds, in words, where it is another one than that of `version`; else empty.

    It is the same one where the head's version, or a commit of this repository, belongs to the concept here, or where
    name or token agree. What somebody put there by hand counts as another word where it was pulled as one, or where its
    `token_identifier.txt` says so.

    Raises:
        HubError: the Hub does not answer.
    """
    here = [r for r in registry.remotes(repo_id=head.info.repo_id) if r.endpoint == hub.endpoint.url]
    if head.word is None:
        pulled = {_concept_of(r) for r in here if r.commit_sha == head.info.sha}
        if pulled:
            return "" if version.concept in pulled else ", ".join(sorted(pulled))
        token = _token_of(hub, head)
        return token if token and token != version.placeholder_token else ""
    said = f"{head.word.name} ({safe(head.word.placeholder_token, limit=100)})"
    known = registry.versions_with(digest=head.word.digest)
    if known:
        return "" if any(each.concept == version.concept for each in known) else said
    is_same = (
        head.word.name.casefold() == version.concept.casefold()
        or head.word.placeholder_token == version.placeholder_token
        or any(_concept_of(r) == version.concept for r in here)
    )
    return "" if is_same else said


def check_same_word(registry: Registry, hub: Hub, version: Version, head: Head) -> None:
    """Make sure that a push of `version` does not take the place of another word.

    Raises:
        Conflict: it would; both words are in the message.
    """
    other = other_word(registry, hub, version, head)
    if not other:
        return
    raise Conflict(
        f"{head.info.repo_id} holds another word, {other}, not {version.concept} "
        f"({safe(version.placeholder_token, limit=100)}); nothing was sent",
        f"name another repository: tireg push {version.reference} OWNER/{slug(version.concept).lower()}; --force puts "
        "yours in its place: its pictures, licence and tags go from the newest commit and stay in the history",
    )


def _concept_of(remote: Remote) -> str:
    return remote.version.rpartition("@")[0]


def _token_of(hub: Hub, head: Head) -> str:
    """What `token_identifier.txt` says; empty where there is none."""
    file = head.files.get(TOKEN)
    if file is None or file.size > MAX_TOKEN:
        return ""
    return safe(
        hub.read(head.info.repo_id, head.info.sha, file, MAX_TOKEN).decode("utf-8", "replace"), limit=100
    ).strip()


def _named(word: SharedWord) -> str:
    return f"version {word.number} ({word.digest[:19]}…)"


def seen_before(registry: Registry, hub: Hub, info: RepositoryInfo) -> bool:
    """Whether this commit was pulled or pushed from here."""
    return any(
        remote.commit_sha == info.sha and remote.endpoint == hub.endpoint.url
        for remote in registry.remotes(repo_id=info.repo_id)
    )


def conflict(registry: Registry, hub: Hub, version: Version, info: RepositoryInfo, what: str) -> HeadMoved:
    """The error that shows both sides.

    Args:
        registry: this side.
        hub: the other side.
        version: what was to be pushed.
        info: the repository as it is now.
        what: what is in the way there, in words.
    """
    endpoint = hub.endpoint.url
    last = next((r for r in registry.remotes(repo_id=info.repo_id) if r.endpoint == endpoint), None)
    theirs = f"{what} at {info.sha[:12]}"
    seen = f"seen last at {last.commit_sha[:12]} with {last.version}" if last else "never seen from here"
    ours = f"{version.reference} ({version.digest[:19]}…), {seen}"
    return HeadMoved(
        f"{info.repo_id} has moved; nothing was sent",
        f"tireg pull {info.repo_id}, then tireg push {version.reference}; --force puts yours on top, what is there "
        "stays in its history",
        theirs,
        ours,
    )


def open_proposal(registry: Registry, hub: Hub, version: Version, repo_id: str) -> Head | None:
    """The head of the user's newest open pull request that holds this version or another of its concept.

    One that holds what is not here (somebody else continued it) is left alone.

    Raises:
        NotAllowed: nobody is signed in.
        HubError: the Hub does not answer.
    """
    for request in hub.open_pull_requests(repo_id):
        head = _proposed(hub, repo_id, request)
        known = registry.versions_with(digest=head.word.digest) if head is not None and head.word is not None else []
        if any(each.concept == version.concept for each in known):
            return head
    return None


def _proposed(hub: Hub, repo_id: str, request: PullRequest) -> Head | None:
    try:
        return head_at(hub, hub.info(repo_id, request.revision), request.revision, forgiving=True)
    except RepositoryNotFound:
        return None  # closed, or gone, a moment ago
