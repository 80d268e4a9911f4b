"""Uploads the files of a commit and makes it: by xet where the Hub has it, else as Git LFS does, a few at a time.

A few at a time, because huggingface_hub says nothing and cannot be stopped until all of what it was given is there.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib.util import find_spec
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from tiregistry.errors import Conflict
from tiregistry.hub.watch import RateLimited, Watch, uploading
from tiregistry.progress import Progress

_AT_A_TIME = 8
_at_work = threading.Lock()
_TEXTS = (".md", ".txt", ".json")
"""Suffixes that travel inside the commit; the Hub decides, this only spares a question."""


def make_commit(
    api: Any,
    repo_id: str,
    add: Mapping[str, bytes],
    delete: Iterable[str],
    *,
    message: str,
    description: str,
    parent: str,
    revision: str,
    create_pr: bool,
    watch: Watch,
    progress: Progress,
) -> Any:
    """Upload and commit; return huggingface_hub's `CommitInfo`.

    Args:
        api: an `HfApi`.
        repo_id: `owner/name`.
        add: path to bytes.
        delete: paths.
        message: the commit's first line.
        description: the lines below it.
        parent: sha that must be the head of `revision`.
        revision: branch or pull request to commit to.
        create_pr: open a pull request instead, on top of `revision`.
        watch: waits for rate limits, and is asked whether to stop.
        progress: told what was uploaded.

    Raises:
        Conflict: the repository's .gitignore names a file of the word.
        whatever huggingface_hub raises, and what `watch` does.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    added = [CommitOperationAdd(path, data) for path, data in sorted(add.items())]
    large = [operation for operation in added if _is_large(operation.path_in_repo)]
    where: dict[str, Any] = {"revision": revision, "create_pr": create_pr}
    with _alone(watch), _route(api, repo_id, where, bool(large)), uploading():
        for start in range(0, len(large), _AT_A_TIME):
            group = large[start : start + _AT_A_TIME]
            progress(start, len(large), group[0].path_in_repo)
            _patiently(watch, lambda group=group: api.preupload_lfs_files(repo_id, group, free_memory=False, **where))
        _check_not_ignored(added)
        progress(len(large), len(large), "making the commit")
        operations = [*added, *(CommitOperationDelete(path, is_folder=False) for path in sorted(delete))]
        return _patiently(
            watch,
            lambda: api.create_commit(
                repo_id,
                operations,
                commit_message=message,
                commit_description=description,
                parent_commit=parent,
                **where,
            ),
        )


def _check_not_ignored(added: Iterable[Any]) -> None:
    """huggingface_hub leaves out, without a word, what the repository's own .gitignore names.

    Raises:
        Conflict: it would leave out a file of the word.
    """
    ignored = [operation.path_in_repo for operation in added if getattr(operation, "_should_ignore", False)]
    if ignored:
        raise Conflict(f"the repository's .gitignore keeps out {ignored[0]}; nothing was sent", "change it there")


@contextmanager
def _alone(watch: Watch) -> Iterator[None]:
    """One commit at a time in this process: whether huggingface_hub uses xet is decided for all of it at once."""
    while not _at_work.acquire(timeout=0.2):
        watch.check()
    try:
        yield
    finally:
        _at_work.release()


def _is_large(path: str) -> bool:
    return PurePosixPath(path).suffix not in _TEXTS


def _patiently(watch: Watch, action: Any) -> Any:
    """Do it again after the wait that one of huggingface_hub's own threads was asked for."""
    while True:
        watch.check()
        try:
            return action()
        except Exception as error:
            limits = (cause for cause in _chain(error) if isinstance(cause, RateLimited))
            limit = next(limits, None)
            if limit is None or limit is error:
                raise
        watch.sit_out(limit.seconds)


def _chain(error: BaseException) -> Iterator[BaseException]:
    current: BaseException | None = error
    for _ in itertools.repeat(None, 10):
        if current is None:
            return
        yield current
        current = current.__cause__ or current.__context__


def _route(api: Any, repo_id: str, where: Mapping[str, Any], large: bool) -> AbstractContextManager[None]:
    """Upload through xet where the endpoint has it, else in the way Git LFS does.

    huggingface_hub no longer asks: with hf_xet installed it uploads that way or fails.
    """
    import huggingface_hub
    from huggingface_hub import constants

    utils: Any = huggingface_hub.utils
    if not large or constants.HF_HUB_DISABLE_XET or find_spec("hf_xet") is None:
        return nullcontext()
    at = quote(where["revision"], safe="") + ("?create_pr=1" if where["create_pr"] else "")
    url = f"{api.endpoint}/api/models/{repo_id}/xet-write-token/{at}"
    response = utils.get_session().get(url, headers=utils.build_hf_headers(token=api.token, library_name="tireg"))
    return nullcontext() if response.status_code == 200 else _without_xet()


@contextmanager
def _without_xet() -> Iterator[None]:
    """Within the block huggingface_hub uploads without xet; it reads this constant at each call."""
    from huggingface_hub import constants

    before, constants.HF_HUB_DISABLE_XET = constants.HF_HUB_DISABLE_XET, True
    try:
        yield
    finally:
        constants.HF_HUB_DISABLE_XET = before
