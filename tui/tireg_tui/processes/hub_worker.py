"""The other end of `HubProcess`: reads requests as lines of JSON, asks the Hub, answers in lines of JSON.

A process of its own, because a Hub that does not answer holds whoever asks, and a process can be ended at any time: a
push or pull that was cut off is completed by doing it again.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tiregistry.hub.client import Hub
    from tiregistry.hub.pull import PullResult
    from tiregistry.hub.push import PushPlan, PushResult
    from tiregistry.progress import Progress
    from tiregistry.registry.registry import Registry

Tell = Callable[..., None]


def main() -> None:
    """Answer until the other end closes the pipe."""
    from tiregistry.errors import Conflict, TiregError
    from tiregistry.hub.client import Hub
    from tiregistry.hub.endpoints import choose_endpoint
    from tiregistry.registry.registry import Registry

    # What a library prints must not be taken for an answer.
    answers = sys.stdout
    sys.stdout = sys.stderr

    def tell(number: int, **entry: object) -> None:
        answers.write(json.dumps({"id": number, **entry}, ensure_ascii=True) + "\n")
        answers.flush()

    for line in sys.stdin:
        request = json.loads(line)
        number = request["id"]
        try:
            hub = Hub(choose_endpoint(), waiting=lambda seconds, n=number: tell(n, waiting=seconds))  # type: ignore[misc]
            with Registry.open() as registry:
                answer = ACTS[request["do"]](registry, hub, request, partial(tell, number))
            tell(number, answer=answer)
        except Conflict as error:
            sides = {"theirs": error.theirs, "ours": error.ours}
            tell(number, error=error.summary, hint=error.hint, kind=type(error).__name__, **sides)
        except TiregError as error:
            tell(number, error=error.message, hint=error.hint, kind=type(error).__name__)
        except Exception as error:  # noqa: BLE001 (the front end says it; the next request may well work)
            tell(number, error=f"unexpected {type(error).__name__}: {error}", hint="", kind=type(error).__name__)


def _who(registry: Registry, hub: Hub, request: dict[str, Any], tell: Tell) -> object:
    return {"endpoint": hub.endpoint.name, "user": hub.user if hub.endpoint.token else ""}


def _search(registry: Registry, hub: Hub, request: dict[str, Any], tell: Tell) -> object:
    from tiregistry.hub.search import search_hub

    options = {key: request[key] for key in ("base", "author", "sort", "limit") if request.get(key)}
    return [word.as_dict() for word in search_hub(registry, hub, request.get("text", ""), **options)]


def _look(registry: Registry, hub: Hub, request: dict[str, Any], tell: Tell) -> object:
    from tiregistry.hub.endpoints import split_revision
    from tiregistry.hub.looking import look_at

    repo_id, revision = split_revision(request["repo"], hub.endpoint.url)
    return look_at(registry, hub, repo_id, revision).as_dict()


def _known(registry: Registry, hub: Hub, request: dict[str, Any], tell: Tell) -> object:
    from tiregistry.hub.updates import check_updates

    return [update.as_dict() for update in check_updates(registry, hub, "", _progress(tell))]


def _plan(registry: Registry, hub: Hub, request: dict[str, Any], tell: Tell) -> object:
    from tiregistry.hub.push import plan_push, target_of

    version = registry.version(request["reference"])
    target = target_of(registry, hub, version, request.get("repo", ""))
    return _planned(plan_push(registry, version, target, hub, _options(request), _progress(tell)))


def _push(registry: Registry, hub: Hub, request: dict[str, Any], tell: Tell) -> object:
    from tiregistry.hub.push import push_version, target_of

    version = registry.version(request["reference"])
    target = target_of(registry, hub, version, request.get("repo", ""))
    return _pushed(push_version(registry, version, target, hub, _options(request), _progress(tell)))


def _pull(registry: Registry, hub: Hub, request: dict[str, Any], tell: Tell) -> object:
    from tiregistry.hub.endpoints import split_revision
    from tiregistry.hub.pull import PullOptions, pull_every_version, pull_repository

    repo_id, revision = split_revision(request["repo"], hub.endpoint.url)
    options = PullOptions(
        name=request.get("name", ""),
        placeholder_token=request.get("token", ""),
        images=request.get("images", True),
    )
    if request.get("everything"):
        return [_pulled(result) for result in pull_every_version(registry, repo_id, hub, options, _progress(tell))]
    return [_pulled(result) for result in pull_repository(registry, repo_id, hub, revision, options, _progress(tell))]


ACTS: dict[str, Callable[[Registry, Hub, dict[str, Any], Tell], object]] = {
    "who": _who,
    "search": _search,
    "look": _look,
    "known": _known,
    "plan": _plan,
    "push": _push,
    "pull": _pull,
}


def _progress(tell: Tell) -> Progress:
    return lambda done, total, what: tell(progress=[done, total, what])


def _options(request: dict[str, Any]) -> Any:
    from tiregistry.hub.push import PushOptions

    return PushOptions(
        private=request.get("private"),
        with_images=request.get("with_images", False),
        without_images=request.get("without_images", False),
        with_previews=request.get("with_previews", False),
        create_pr=request.get("create_pr", False),
        message=request.get("message", ""),
    )


def _planned(plan: PushPlan) -> dict[str, Any]:
    return {
        "reference": plan.version.reference,
        "repo_id": plan.repo_id,
        "url": plan.url,
        "exists": plan.exists,
        "private": plan.private,
        "number": plan.number,
        "files": [[path, len(data)] for path, data in sorted(plan.add.items())],
        "removed": list(plan.delete),
        "public": list(plan.public),
        "card": plan.card,
        "tags": list(plan.missing_tags),
        "message": plan.message,
        "pull_request": plan.pull_request,
        "is_empty": plan.is_empty,
        "notes": list(plan.notes),
        "replaces": plan.replaces,
        "covered_by": plan.covered_by,
    }


def _pushed(result: PushResult) -> dict[str, Any]:
    return {
        "status": result.status,
        "repo_id": result.repo_id,
        "url": result.url,
        "commit": result.commit,
        "private": result.private,
        "number": result.number,
    }


def _pulled(result: PullResult) -> dict[str, Any]:
    return {"status": result.status, "reference": result.version.reference, "notes": list(result.notes)}


if __name__ == "__main__":
    main()
