"""Looks at one repository before anything is fetched: what is in it, what a pull takes, how it differs from here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Literal

from tiregistry.concepts import Version
from tiregistry.errors import Damaged
from tiregistry.hub import card_text
from tiregistry.hub.card import licence_of
from tiregistry.hub.client import Hub
from tiregistry.hub.endpoints import check_repo_id
from tiregistry.hub.layout import (
    CARD,
    MANIFEST,
    MAX_IMAGES,
    MAX_TEXT,
    PREVIEWS,
    is_tame,
    picture_paths,
    texts_beside,
    word_paths,
)
from tiregistry.hub.remote import RemoteFile, RepositoryInfo
from tiregistry.hub.shared_word import SharedWord
from tiregistry.hub.tags import version_numbers
from tiregistry.registry.registry import Registry
from tiregistry.text import safe

Kind = Literal["vectors", "pickle", "picture", "text", "other"]
Relation = Literal["not here", "here", "newer there", "older there", "changed there", "damaged"]
_PICKLES = (".bin", ".pt", ".pth", ".ckpt")
_PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".gif")
_TEXTS = (".md", ".txt", ".json", ".yaml", ".yml")
_MOST_CARD = 20_000


@dataclass(frozen=True, slots=True)
class ListedFile:
    """One file of a repository."""

    path: str
    """As the repository has it, which is what a pull is asked for; who shows it makes it safe."""
    size: int
    kind: Kind
    """`pickle`: vectors in a file that other programs would execute; tireg only reads them."""
    fetched: bool
    """Whether a pull would fetch it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """A repository at one commit, beside what is here. Every text but the paths of files is safe to show."""

    repo_id: str
    url: str
    commit: str
    private: bool
    token: str
    """Placeholder token, where the repository says it."""
    concept_type: str
    base_models: tuple[str, ...]
    licence: str
    versions: tuple[int, ...]
    """Numbers of its versions that have a tag; none in a repository that tireg did not write."""
    number: int
    """Number of the version at this commit; 0 where the repository does not say it."""
    digest: str
    files: tuple[ListedFile, ...]
    card: str
    relation: Relation
    here: tuple[str, ...]
    """References of the versions here that were pulled from it or pushed to it, or that it holds now."""
    differences: tuple[tuple[str, str, str], ...]
    """What differs between the newest of `here` and what is there: what, here, there."""

    @property
    def pull_size(self) -> int:
        """Bytes that a pull would fetch."""
        return sum(file.size for file in self.files if file.fetched)

    def as_dict(self) -> dict[str, Any]:
        """JSON data."""
        return {
            "repo_id": self.repo_id,
            "url": self.url,
            "commit": self.commit,
            "private": self.private,
            "token": self.token,
            "concept_type": self.concept_type,
            "base_models": list(self.base_models),
            "licence": self.licence,
            "versions": list(self.versions),
            "number": self.number,
            "digest": self.digest,
            "files": [{"path": f.path, "size": f.size, "kind": f.kind, "fetched": f.fetched} for f in self.files],
            "pull_size": self.pull_size,
            "card": self.card,
            "relation": self.relation,
            "here": list(self.here),
            "differences": [{"what": what, "here": here, "there": there} for what, here, there in self.differences],
        }


def look_at(registry: Registry, hub: Hub, repo_id: str, revision: str = "") -> Looked:
    """Look at a repository; only its listing, card and manifest are read.

    Raises:
        RepositoryNotFound: there is none, or it is not shown to this user.
        InvalidInput: `repo_id` cannot be a repository.
        HubError: the Hub does not answer, or sends what cannot be.
    """
    hub.watch.begin()
    info = hub.info(check_repo_id(repo_id), revision)
    files = hub.files(repo_id, info.sha)
    refs = hub.refs(repo_id)
    card = _text_of(hub, info, files, CARD)
    word, is_damaged = _word_of(hub, info, files)
    fields, body = card_text.split(card)
    token = word.placeholder_token if word else _text_of(hub, info, files, "token_identifier.txt", 4096).strip()
    bases: Any = [word.base_model or word.base_name] if word else fields.get("base_model") or []
    known = _known_here(registry, hub, repo_id, word)
    wanted = {MANIFEST} if is_damaged else _fetched(files, word)
    return Looked(
        repo_id=safe(repo_id, limit=200),
        url=safe(hub.url(repo_id), limit=300),
        commit=info.sha,
        private=info.private,
        token=safe(token, limit=100),
        concept_type=safe(word.manifest.get("concept_type", ""), limit=20) if word else "",
        base_models=tuple(safe(b, limit=200) for b in (bases if isinstance(bases, list) else [bases])[:5] if b),
        licence=safe(licence_of(word, fields) if word else fields.get("license") or "", limit=100),
        versions=tuple(version_numbers(refs)),
        number=word.number if word else 0,
        digest=word.digest if word else "",
        files=tuple(_listed(path, file, wanted) for path, file in sorted(files.items())),
        card=safe(body.strip(), limit=_MOST_CARD, multiline=True),
        relation=_relation(registry, hub, info, word, known, is_damaged=is_damaged),
        here=tuple(version.reference for version in known),
        differences=_differences(known[0], word) if known and word else (),
    )


def _text_of(hub: Hub, info: RepositoryInfo, files: Mapping[str, RemoteFile], path: str, limit: int = MAX_TEXT) -> str:
    if path not in files or files[path].size > limit:
        return ""
    return hub.read(info.repo_id, info.sha, files[path], limit).decode("utf-8", "replace")


def _word_of(hub: Hub, info: RepositoryInfo, files: Mapping[str, RemoteFile]) -> tuple[SharedWord | None, bool]:
    """What the manifest says, and whether it is damaged, so that a pull is refused."""
    if MANIFEST not in files:
        return None, False
    try:
        return SharedWord.parse(hub.read(info.repo_id, info.sha, files[MANIFEST], MAX_TEXT), info.repo_id), False
    except Damaged:
        return None, True


def _fetched(files: dict[str, RemoteFile], word: SharedWord | None) -> set[str]:
    """The files that a pull with pictures fetches."""
    pictures = picture_paths(files)
    if word is None:
        return {*word_paths(files), *(texts_beside(files) + pictures if word_paths(files) else [])}
    named = {path for path in word.files if path in files and is_tame(path)}
    words = {path for path in named if path.endswith(".safetensors") and "/" not in path}
    previews = [path for path in word.previews if path in named and path.startswith(f"{PREVIEWS}/")]
    return words | (set(pictures) & named) | set(previews[:MAX_IMAGES]) | {MANIFEST}


def _listed(path: str, file: RemoteFile, fetched: set[str]) -> ListedFile:
    suffix = PurePosixPath(path).suffix.lower()
    kind: Kind = "other"
    if suffix in (".safetensors", ".pti"):
        kind = "vectors"
    elif suffix in _PICKLES:
        kind = "pickle"
    elif suffix in _PICTURES:
        kind = "picture"
    elif suffix in _TEXTS:
        kind = "text"
    return ListedFile(path, file.size, kind, path in fetched)


def _known_here(registry: Registry, hub: Hub, repo_id: str, word: SharedWord | None) -> list[Version]:
    """Versions here that have to do with the repository, the one that it holds now first, then the newest."""
    digests = {
        remote.digest: remote.at
        for remote in reversed(registry.remotes(repo_id=repo_id))
        if remote.endpoint == hub.endpoint.url
    }
    found: dict[str, Version] = {}
    for digest in [*([word.digest] if word else []), *sorted(digests, key=lambda d: -digests[d])]:
        for version in registry.versions_with(digest=digest):
            found.setdefault(version.digest, version)
    return list(found.values())


def _relation(
    registry: Registry,
    hub: Hub,
    info: RepositoryInfo,
    word: SharedWord | None,
    known: list[Version],
    *,
    is_damaged: bool,
) -> Relation:
    if is_damaged:
        return "damaged"
    if not known:
        return "not here"
    if word is None:
        commits = {r.commit_sha for r in registry.remotes(repo_id=info.repo_id) if r.endpoint == hub.endpoint.url}
        return "here" if info.sha in commits else "changed there"
    if not registry.versions_with(digest=word.digest):
        return "newer there"
    concept = registry.concept(known[0].concept)
    return "here" if concept.latest_number == known[0].number else "older there"


def _differences(version: Version, word: SharedWord) -> tuple[tuple[str, str, str], ...]:
    """What a person asks for first, of two manifests."""
    rows = [("version", str(version.number), str(word.number)), ("digest", version.digest[:19], word.digest[:19])]
    ours, theirs = _said(version.manifest), _said(word.manifest)
    rows += [(what, ours.get(what, "–"), theirs.get(what, "–")) for what in dict.fromkeys([*ours, *theirs])]
    if version.digest == word.digest:
        return ()
    return tuple((safe(w, limit=60), safe(a, limit=200), safe(b, limit=200)) for w, a, b in rows if a != b)


def _said(manifest: Mapping[str, Any]) -> dict[str, str]:
    training = manifest.get("training")
    images = manifest.get("images")
    said = {"token": manifest.get("placeholder_token"), "type": manifest.get("concept_type")}
    said["pictures"] = len(images) if isinstance(images, list) else None
    if isinstance(training, Mapping):
        said |= {str(key).replace("_", " "): value for key, value in list(training.items())[:60]}
    return {what: str(value) for what, value in said.items() if value not in (None, "", [], ())}
