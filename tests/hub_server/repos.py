"""What the loopback Hub keeps: repositories as lists of commits, each commit a whole tree of files."""

from __future__ import annotations

import hashlib
import itertools
import time
from dataclasses import dataclass, field
from typing import Any

import yaml

_counter = itertools.count()


def git_blob_id(data: bytes) -> str:
    """The name git gives to a file's bytes."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


@dataclass(frozen=True)
class File:
    """One file of a commit."""

    data: bytes
    lfs: bool = False
    xet_hash: str = ""

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    @property
    def pointer(self) -> bytes:
        return f"version https://git-lfs.github.com/spec/v1\noid sha256:{self.sha256}\nsize {len(self.data)}\n".encode()

    @property
    def blob_id(self) -> str:
        """As git sees it: of an LFS file, the pointer's."""
        return git_blob_id(self.pointer if self.lfs else self.data)

    @property
    def etag(self) -> str:
        return self.sha256 if self.lfs else self.blob_id


@dataclass(frozen=True)
class Commit:
    sha: str
    files: dict[str, File]
    title: str
    parent: str = ""
    message: str = ""
    date: float = field(default_factory=time.time)


@dataclass
class PullRequest:
    """A proposed change: whose, and its newest commit."""

    author: str
    sha: str
    status: str = "open"


@dataclass
class Repo:
    """A model repository."""

    id: str
    private: bool
    commits: dict[str, Commit] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    pull_requests: dict[int, PullRequest] = field(default_factory=dict)
    members: set[str] = field(default_factory=set)
    """Who may see and change it."""
    downloads: int = 0
    likes: int = 0
    gated: bool = False

    def __post_init__(self) -> None:
        self.members.add(self.id.split("/")[0])
        if not self.commits:
            attributes = (
                b"*.safetensors filter=lfs diff=lfs merge=lfs -text\n*.bin filter=lfs diff=lfs merge=lfs -text\n"
            )
            self.commit("main", {".gitattributes": File(attributes)}, "initial commit")

    def resolve(self, revision: str) -> Commit | None:
        """The commit of a branch, tag, pull request, `HEAD` or sha."""
        request = self.pull_request(revision)
        if request is not None:
            sha = request.sha
        else:
            name = revision.removeprefix("refs/heads/")
            sha = self.branches.get("main" if name == "HEAD" else name) or self.tags.get(name) or name
        return self.commits.get(sha or "")

    def pull_request(self, revision: str) -> PullRequest | None:
        """The pull request that `refs/pr/N` names."""
        number = revision.removeprefix("refs/pr/")
        return self.pull_requests.get(int(number)) if number != revision and number.isdecimal() else None

    def commit(self, branch: str, files: dict[str, File], title: str, message: str = "") -> Commit:
        """Add a commit on a branch (made when new) and move it."""
        parent = self.branches.get(branch, "")
        commit = self.detached(files, title, message, parent)
        self.branches[branch] = commit.sha
        return commit

    def detached(self, files: dict[str, File], title: str, message: str = "", parent: str = "") -> Commit:
        """Add a commit that no branch names."""
        seed = f"{self.id}{parent}{title}{next(_counter)}{time.time_ns()}"
        sha = hashlib.sha1(seed.encode()).hexdigest()
        commit = Commit(sha, dict(files), title, parent, message)
        self.commits[sha] = commit
        return commit

    def history(self, commit: Commit) -> list[Commit]:
        """The commit and its ancestors, newest first."""
        found: list[Commit] = []
        current: Commit | None = commit
        while current is not None:
            found.append(current)
            current = self.commits.get(current.parent)
        return found

    @property
    def head(self) -> Commit:
        return self.commits[self.branches["main"]]

    def put(self, path: str, data: bytes, *, lfs: bool = False, title: str = "edit on the web") -> Commit:
        """What somebody does in the Hub's web pages: change one file."""
        return self.commit("main", {**self.head.files, path: File(data, lfs)}, title)

    def card(self, commit: Commit) -> dict[str, Any]:
        """The front matter of the commit's README."""
        readme = commit.files.get("README.md")
        if readme is None:
            return {}
        parts = readme.data.decode("utf-8", "replace").split("---", 2)
        if len(parts) < 3 or parts[0].strip():
            return {}
        try:
            card = yaml.safe_load(parts[1])
        except yaml.YAMLError:
            return {}
        return card if isinstance(card, dict) else {}

    def computed_tags(self, commit: Commit) -> list[str]:
        """Tags as the Hub computes them from the card."""
        card = self.card(commit)
        raw = card.get("tags", [])
        tags = [str(tag) for tag in raw] if isinstance(raw, list) else [str(raw)]
        base = card.get("base_model", [])
        for name in [base] if isinstance(base, str) else base:
            tags.append(f"base_model:{name}")
            if card.get("base_model_relation"):
                tags.append(f"base_model:{card['base_model_relation']}:{name}")
        tags += [str(card[key]) for key in ("library_name", "pipeline_tag") if card.get(key)]
        if card.get("license"):
            tags.append(f"license:{card['license']}")
        return sorted(set(tags))
