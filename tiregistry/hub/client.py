"""`Hub`: the few calls that push, pull and search need, each bounded, checked and with our own errors."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from tiregistry import __version__
from tiregistry.errors import Damaged, HubError, TiregError
from tiregistry.hub.endpoints import Endpoint, check_sha
from tiregistry.hub.remote import CommitMade, PullRequest, RemoteFile, RepositoryInfo
from tiregistry.hub.transport import NoAnswer, install, offline, seconds
from tiregistry.hub.trouble import NotAHub, NotAllowed, RepositoryNotFound, as_mapping, not_a_hub, translated
from tiregistry.hub.uploading import make_commit
from tiregistry.hub.watch import Stopped, Waiting, Watch, ignore, watched
from tiregistry.progress import Progress
from tiregistry.quantities import size
from tiregistry.text import safe

MAX_ENTRIES = 20_000
"""Most files and folders of one repository that are looked at."""
_MAX_REFS = 10_000
_MAX_PULL_REQUESTS = 50
_PULL_REQUEST = re.compile(r"refs/pr/[1-9][0-9]{0,8}")


class Hub:
    """A connection to one endpoint; used by one thread at a time.

    Args:
        endpoint: where, and with which token.
        waiting: called while a rate limit is waited out, with the seconds left.
        stopped: asked before each request and while waiting; True ends what is being done with `Interrupted`.
    """

    def __init__(self, endpoint: Endpoint, waiting: Waiting | None = None, stopped: Stopped | None = None) -> None:
        from huggingface_hub import HfApi, constants

        install()
        self.watch = Watch(waiting, stopped)
        if constants.HF_HUB_OFFLINE:
            raise HubError(*offline())
        self.endpoint = endpoint
        # `False` keeps huggingface_hub from sending the saved token to whatever endpoint this is.
        self._token: str | bool = endpoint.token or False
        self._api = HfApi(endpoint.url, token=self._token, library_name="tireg", library_version=__version__)

    @contextmanager
    def _asking(self, what: str, *, is_everywhere: bool = False) -> Iterator[None]:
        with watched(self.watch), translated(self.endpoint, safe(what, limit=200), is_everywhere=is_everywhere):
            yield

    @cached_property
    def user(self) -> str:
        """Who the token belongs to.

        Raises:
            NotAllowed: there is no token, or it is not accepted.
        """
        if not self.endpoint.token:
            how = "run: hf auth login" if self.endpoint.is_default else "give a token in TIREG_HUB_TOKEN"
            raise NotAllowed(f"you are not signed in to {safe(self.endpoint.name, limit=100)}", how)
        with self._asking("your account", is_everywhere=True):
            name = as_mapping(self._api.whoami(token=self.endpoint.token)).get("name")
        if not isinstance(name, str) or not name:
            raise NotAHub(*not_a_hub(self.endpoint))
        return safe(name, limit=100)

    # -- reading -------------------------------------------------------------------------------------------------

    def info(self, repo_id: str, revision: str = "") -> RepositoryInfo:
        """A repository at a revision (default: main).

        Raises:
            RepositoryNotFound: there is none, or it is not shown to this user.
        """
        with self._asking(f"{repo_id}@{revision}" if revision else repo_id):
            found = self._api.model_info(repo_id, revision=revision or None, timeout=seconds())
        card_data: Any = found.card_data
        card = card_data.to_dict() if card_data is not None else {}
        tags = tuple(tag for tag in found.tags or () if isinstance(tag, str))
        return RepositoryInfo(repo_id, check_sha(found.sha), found.private is True, tags, as_mapping(card))

    def find(self, repo_id: str) -> RepositoryInfo | None:
        """Like `info`, but None when there is no such repository."""
        try:
            return self.info(repo_id)
        except RepositoryNotFound:
            return None

    def files(self, repo_id: str, sha: str) -> dict[str, RemoteFile]:
        """The files of a commit by path, as the Hub lists them; nothing about them is believed yet.

        Raises:
            HubError: it lists too many, or not in a form that makes sense.
        """
        from huggingface_hub.hf_api import RepoFile

        found: dict[str, RemoteFile] = {}
        with self._asking(repo_id):
            entries = self._api.list_repo_tree(repo_id, recursive=True, revision=sha)
            for entry in itertools.islice(entries, MAX_ENTRIES + 1):
                if not isinstance(entry, RepoFile):
                    continue
                lfs = entry.lfs
                file = RemoteFile(entry.path, entry.size, entry.blob_id, lfs.sha256 if lfs else "")
                texts = (file.path, file.blob_id, file.sha256)
                if not all(isinstance(text, str) for text in texts) or type(file.size) is not int or file.size < 0:
                    raise HubError(f"{safe(repo_id)}: the list of its files makes no sense", "do not use this endpoint")
                found[file.path] = file
                if len(found) > MAX_ENTRIES:
                    raise HubError(f"{safe(repo_id)} holds more than {MAX_ENTRIES} files", "it is no shared word")
        return found

    def read(
        self, repo_id: str, sha: str, file: RemoteFile, limit: int, look: Callable[[bytes], bool] | None = None
    ) -> bytes:
        """The bytes of a file, checked against size and hash of the listing.

        Read over plain HTTP into memory: huggingface_hub's downloads check sizes only, believe server-chosen names in
        its cache, and fall back to stale copies.

        Args:
            look: given what has come so far, until it has seen enough and says so; what it raises ends the download.

        Raises:
            HubError: it is larger than `limit`, or does not come.
            Damaged: the bytes are not those that were listed.
        """
        shown = f"{safe(repo_id)}/{safe(file.path, limit=120)}"
        if file.size > limit:
            raise HubError(
                f"{shown} has {size(file.size)}, more than {size(limit)}", "it is no shared word, or a hostile one"
            )
        with self._asking(repo_id):
            data = self._body(repo_id, sha, file, shown, look)
        if not file.matches(data):
            raise Damaged(f"{shown}: the bytes are not those that the Hub lists", "try again; nothing was kept")
        return data

    def _body(
        self, repo_id: str, sha: str, file: RemoteFile, shown: str, look: Callable[[bytes], bool] | None
    ) -> bytes:
        from huggingface_hub import hf_hub_url

        utils = _utils()
        url = hf_hub_url(repo_id, file.path, revision=sha, endpoint=self.endpoint.url)
        headers = utils.build_hf_headers(token=self._token, library_name="tireg", library_version=__version__)
        headers["Accept-Encoding"] = "identity"
        for is_last in (False, True):
            parts, size = [], 0
            try:
                with utils.get_session().stream("GET", url, headers=headers) as response:
                    utils.hf_raise_for_status(response)
                    for part in response.iter_bytes():
                        self.watch.check()
                        parts.append(part)
                        size += len(part)
                        if size > file.size:
                            raise Damaged(f"{shown} is longer than the Hub lists it", "try again; nothing was kept")
                        if look is not None and look(b"".join(parts)):
                            look = None
                return b"".join(parts)
            except TiregError:
                raise
            except Exception as error:
                if getattr(error, "response", None) is not None and not parts:
                    raise
                if is_last:
                    raise NoAnswer(
                        f"the download of {shown} broke off: {safe(error, limit=200)}", "try again"
                    ) from error
        raise AssertionError("the loop above returns or raises")

    def refs(self, repo_id: str) -> dict[str, str]:
        """Tags of a repository with the commits they name."""
        with self._asking(repo_id):
            refs = self._api.list_repo_refs(repo_id)
        found = {}
        for ref in refs.tags[:_MAX_REFS]:
            if isinstance(ref.name, str) and isinstance(ref.target_commit, str):
                found[ref.name] = check_sha(ref.target_commit)
        return found

    def models(self, **query: Any) -> Iterable[Any]:
        """`HfApi.list_models`; `limit` must be among the arguments."""
        with self._asking("models", is_everywhere=True):
            return list(itertools.islice(self._api.list_models(**query), query["limit"]))

    def open_pull_requests(self, repo_id: str) -> list[PullRequest]:
        """The user's own open pull requests, newest first; none where the Hub has no pull requests."""
        from huggingface_hub.errors import HfHubHTTPError

        found = []
        with self._asking(repo_id):
            asked = self._api.get_repo_discussions(
                repo_id, author=self.user, discussion_type="pull_request", discussion_status="open"
            )
            try:
                for request in itertools.islice(asked, _MAX_PULL_REQUESTS):
                    number = request.num
                    # Neither the filters nor the types are the server's to be trusted with.
                    is_ours = request.is_pull_request is True and request.author == self.user
                    if is_ours and request.status == "open" and type(number) is int and number > 0:
                        found.append(PullRequest(number))
            except HfHubHTTPError as error:
                if getattr(error.response, "status_code", 0) not in (404, 405, 501):
                    raise
        return sorted(found, key=lambda request: -request.number)

    # -- writing -------------------------------------------------------------------------------------------------

    def create(self, repo_id: str, *, private: bool) -> None:
        """Create a repository; one that exists is left as it is."""
        with self._asking(repo_id):
            self._api.create_repo(repo_id, private=private, exist_ok=True)

    def commit(
        self,
        repo_id: str,
        add: Mapping[str, bytes],
        delete: Iterable[str],
        *,
        message: str,
        description: str,
        parent: str,
        revision: str = "main",
        create_pr: bool = False,
        progress: Progress = ignore,
    ) -> CommitMade:
        """Write one commit on top of `parent`, the head of `revision`.

        Raises:
            HeadMoved: `parent` is no longer the head.
            CommitInProgress: another commit is being written.
            NoAnswer, ServerFailed: it may have been made or not.
        """
        with self._asking(repo_id):
            made = make_commit(
                self._api,
                repo_id,
                add,
                delete,
                message=message,
                description=description,
                parent=parent,
                revision=revision,
                create_pr=create_pr,
                watch=self.watch,
                progress=progress,
            )
        if not create_pr:
            return CommitMade(check_sha(made.oid), revision if revision.startswith("refs/pr/") else "")
        inside = made.pr_revision
        if not isinstance(inside, str) or not _PULL_REQUEST.fullmatch(inside):
            raise HubError(f"the Hub gave {safe(inside, limit=60)!r} as a pull request", "do not use this endpoint")
        return CommitMade(check_sha(made.oid), inside)

    def tag(self, repo_id: str, tag: str, sha: str, message: str) -> None:
        """Tag a commit; a tag that exists stays where it is."""
        with self._asking(repo_id):
            self._api.create_tag(repo_id, tag=tag, revision=sha, tag_message=message, exist_ok=True)

    def url(self, repo_id: str, pull_request: str = "") -> str:
        """The page of a repository, or of a pull request (`refs/pr/N`) in it."""
        page = f"{self.endpoint.url}/{repo_id}"
        return f"{page}/discussions/{pull_request.rpartition('/')[2]}" if pull_request else page


def _utils() -> Any:
    """`huggingface_hub.utils`, which says nothing of the types of what it exports."""
    from huggingface_hub import utils

    return utils
