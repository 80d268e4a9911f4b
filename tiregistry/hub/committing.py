"""Makes the commit of a push exactly once, whatever becomes of the answer."""

from __future__ import annotations

from collections.abc import Mapping

from tiregistry.errors import HubError, TiregError
from tiregistry.hub.client import Hub
from tiregistry.hub.heads import conflict
from tiregistry.hub.push_plan import PushPlan
from tiregistry.hub.remote import CommitMade, RemoteFile
from tiregistry.hub.trouble import CommitInProgress, HeadMoved, RepositoryNotFound, is_unknown_outcome
from tiregistry.progress import Progress
from tiregistry.registry.registry import Registry

_ATTEMPTS = 4


def commit(registry: Registry, hub: Hub, plan: PushPlan, progress: Progress) -> CommitMade:
    """Make the planned commit on top of the head that was looked at.

    Raises:
        HeadMoved: somebody else committed in the meantime.
        CommitInProgress: somebody else is committing all the time.
        HubError: the Hub refuses, or whether the commit was made cannot be found out.
        Interrupted: the user stopped it.
    """
    for attempt in range(_ATTEMPTS):
        try:
            return hub.commit(
                plan.repo_id,
                plan.add,
                plan.delete,
                message=plan.message,
                description=f"tireg {plan.version.digest}",
                parent=plan.head,
                revision=plan.revision,
                create_pr=plan.opens_pull_request,
                progress=progress,
            )
        except CommitInProgress:
            if attempt == _ATTEMPTS - 1:
                raise
            hub.watch.pause(0.5 * 2**attempt)
        except HeadMoved:
            pass
        except TiregError as error:
            if "/commit/" not in hub.watch.latest or not is_unknown_outcome(error):
                raise
            made = _made_after_all(hub, plan)
            if made is None:
                raise
            return made
        made = _made_after_all(hub, plan)
        if made is not None:
            return made
        now = hub.info(plan.repo_id, plan.revision)
        if now.sha != plan.head:
            raise conflict(registry, hub, plan.version, now, "a commit that somebody made during this push,")
    raise HubError(f"{plan.repo_id}: the Hub says that it has changed, and shows that it has not", "try again later")


def _made_after_all(hub: Hub, plan: PushPlan) -> CommitMade | None:
    """The commit whose acknowledgement was lost: a head that holds exactly what was sent.

    Raises:
        HubError: the head cannot be read either; pushing again will find out.
    """
    try:
        if not plan.opens_pull_request:
            return _at(hub, plan, plan.revision)
        for request in hub.open_pull_requests(plan.repo_id):
            made = _at(hub, plan, request.revision)
            if made is not None:
                return made
    except TiregError as error:
        raise HubError(
            f"{plan.repo_id}: whether the commit was made is not known: {error.message}",
            "push again: it will see what is there",
        ) from error
    return None


def _at(hub: Hub, plan: PushPlan, revision: str) -> CommitMade | None:
    """The commit at a revision, when it is the planned one."""
    try:
        now = hub.info(plan.repo_id, revision)
    except RepositoryNotFound:
        return None
    if now.sha == plan.head or not _holds(hub.files(plan.repo_id, now.sha), plan):
        return None
    return CommitMade(now.sha, revision if revision != "main" else "")


def _holds(files: Mapping[str, RemoteFile], plan: PushPlan) -> bool:
    is_there = all(path in files and files[path].matches(data) for path, data in plan.add.items())
    return is_there and not any(path in files for path in plan.delete)
