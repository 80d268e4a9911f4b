"""Looks whether repositories that words came from, or went to, hold something newer than this registry."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from tiregistry.concepts import Remote
from tiregistry.errors import Damaged, HubError, TiregError
from tiregistry.hub.client import Hub
from tiregistry.hub.layout import MANIFEST, MAX_TEXT
from tiregistry.hub.shared_word import SharedWord
from tiregistry.hub.trouble import NotAllowed, RepositoryNotFound
from tiregistry.progress import Progress
from tiregistry.registry.registry import Registry

State = Literal["up to date", "newer", "changed", "gone", "no access"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """One repository beside what is known of it here."""

    repo_id: str
    concept: str
    state: State
    """`newer`: it holds a version that is not here; `changed`: it holds one that is here, in a commit not seen yet
    (pictures, the card)."""
    here: str
    """The version last pulled from it or pushed to it; the one that it holds, where that is here."""
    there: str = ""
    """What is at its head now."""
    commit: str = ""

    def as_dict(self) -> dict[str, str]:
        """JSON data."""
        return {
            "repo_id": self.repo_id,
            "concept": self.concept,
            "state": self.state,
            "here": self.here,
            "there": self.there,
            "commit": self.commit,
        }


def check_updates(registry: Registry, hub: Hub, repo_id: str = "", progress: Progress | None = None) -> list[Update]:
    """Compare every known repository of this endpoint (or the one that is named) with this registry.

    Raises:
        HubError: the Hub does not answer at all.
    """
    last: dict[tuple[str, str], Remote] = {}
    for remote in registry.remotes(repo_id=repo_id or None):
        if remote.endpoint == hub.endpoint.url and not remote.revision.startswith("refs/pr/"):
            last.setdefault((remote.repo_id, remote.version.rpartition("@")[0]), remote)
    found: list[Update] = []
    asked: dict[str, Update] = {}
    repositories = list(dict.fromkeys(repository for repository, _ in last))
    for (repository, concept), remote in last.items():
        if repository not in asked:
            hub.watch.begin()
            if progress is not None:
                progress(repositories.index(repository), len(repositories), repository)
            asked[repository] = _check(registry, hub, repository)
        found.append(_of_concept(asked[repository], concept, remote))
    return found


def _of_concept(update: Update, concept: str, remote: Remote) -> Update:
    """What was found about a repository, said of one of the words from it."""
    is_held = update.here.rpartition("@")[0] == concept
    return replace(update, concept=concept, here=update.here if is_held else remote.version)


def _check(registry: Registry, hub: Hub, repo_id: str) -> Update:
    """State of a repository; `here` is the version that it holds, where that is here."""

    def update(state: State, there: str = "", commit: str = "") -> Update:
        return Update(repo_id=repo_id, concept="", state=state, here="", there=there, commit=commit)

    try:
        info = hub.info(repo_id)
        known = {r.commit_sha for r in registry.remotes(repo_id=repo_id) if r.endpoint == hub.endpoint.url}
        if info.sha in known:
            return update("up to date", commit=info.sha)
        files = hub.files(repo_id, info.sha)
        if MANIFEST not in files:
            return update("changed", commit=info.sha)
        word = SharedWord.parse(hub.read(repo_id, info.sha, files[MANIFEST], MAX_TEXT), repo_id)
    except RepositoryNotFound:
        return update("gone")
    except NotAllowed:
        return update("no access")
    except Damaged:
        return update("changed", there="its tireg.json is damaged")
    except HubError:
        raise
    except TiregError as error:
        return update("changed", there=error.message)
    if word is None:
        return update("changed", commit=info.sha)
    there = f"version {word.number} ({word.digest[:19]}…)"
    held = registry.versions_with(digest=word.digest)
    if not held:
        return update("newer", there, info.sha)
    return replace(update("changed", there, info.sha), here=held[0].reference)
