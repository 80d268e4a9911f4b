"""What a Hub says about a repository, as checked values."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tiregistry.text import safe


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One file of a repository at one commit, as the Hub's listing states it."""

    path: str
    size: int
    blob_id: str
    """sha1 that git gives to the bytes; of a large file, to its pointer."""
    sha256: str = ""
    """Of large files (LFS, xet)."""

    def matches(self, data: bytes) -> bool:
        """Whether `data` are the bytes of this file."""
        if len(data) != self.size:
            return False
        if self.sha256:
            return hashlib.sha256(data).hexdigest() == self.sha256
        return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest() == self.blob_id


@dataclass(frozen=True, slots=True)
class RepositoryInfo:
    """A repository at one commit."""

    repo_id: str
    sha: str
    private: bool
    tags: tuple[str, ...] = ()
    card: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PullRequest:
    """A pull request that is open."""

    number: int

    @property
    def revision(self) -> str:
        """The git reference of its head."""
        return f"refs/pr/{self.number}"


@dataclass(frozen=True, slots=True)
class CommitMade:
    """A commit that the Hub acknowledged, or that was found there."""

    sha: str
    pull_request: str = ""
    """`refs/pr/N`, when it is in one."""


def readers(repo_id: str, *, private: bool) -> str:
    """Who may read a repository, in words."""
    owner = safe(repo_id.partition("/")[0], limit=100)
    return f"only {owner} (its members, if that is an organization)" if private else "everybody"
