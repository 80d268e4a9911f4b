"""Turns what huggingface_hub raises into one line a user can act on, with the exit code that fits."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tiregistry.errors import Conflict, HubError, InvalidInput, NotFound, TiregError
from tiregistry.hub.endpoints import TOKEN_VARIABLE, Endpoint
from tiregistry.hub.transport import NoAnswer, ServerFailed
from tiregistry.text import safe

_NOTHING_HERE = (404, 405, 501)
"""Statuses of servers that know nothing of what is asked, or of the way it is asked."""
_MISSHAPEN = (KeyError, TypeError, AttributeError)
"""What huggingface_hub fails with on JSON of another shape than a Hub's."""


class RepositoryNotFound(NotFound):
    """The Hub has no such repository, revision or file, or shows it only to others."""


class NotAllowed(HubError):
    """The Hub knows who asks, or that nobody does, and refuses."""


class HeadMoved(Conflict):
    """Somebody else committed to the repository in the meantime."""


class Garbled(HubError):
    """The answer is not what a Hub says; whether the request was carried out is not known."""


class NotAHub(HubError):
    """What is at the address answers, but not as any Hub does."""


class CommitInProgress(Conflict):
    """Another commit is being written at this moment."""


_ANSWERS: dict[int, tuple[type[TiregError], str, str]] = {
    401: (NotAllowed, "{what}: the token is not accepted {where}{said}", "{token}"),
    403: (NotAllowed, "{what}: you may not do this {where}{said}", "ask its owner, or propose it with --pr"),
    404: (RepositoryNotFound, "there is no {what} {where}", "check the spelling"),
    409: (CommitInProgress, "{what} is being changed by another commit {where}", "try again in a moment"),
    412: (HeadMoved, "{what} has changed {where} in the meantime", "pull it first"),
    429: (HubError, "too many requests {where}", "try again in five minutes"),
}
"""What a status means: the error, its message and the next step."""
_ANY_ANSWER = (HubError, "{what}: the answer {where} was {status}{said}", "try again later")


@contextmanager
def translated(endpoint: Endpoint, what: str, *, is_everywhere: bool = False) -> Iterator[None]:
    """Within the block, every failure of huggingface_hub becomes one of ours.

    Args:
        endpoint: where it talks to.
        what: the repository or thing that is asked for, already safe.
        is_everywhere: whether every Hub has it.

    Raises:
        RepositoryNotFound, NotAllowed, HeadMoved, CommitInProgress, NotAHub, InvalidInput, HubError: as they say.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they quote what servers send, unescaped
            yield
    except TiregError:
        raise
    except (KeyboardInterrupt, MemoryError):
        raise
    except Exception as error:
        for cause in _causes(error):
            if isinstance(cause, TiregError):
                raise cause from error
        raise _translate(error, endpoint, what, is_everywhere=is_everywhere) from error


def _causes(error: BaseException) -> Iterator[BaseException]:
    """What an exception was raised from, step by step: uploads wrap theirs in a RuntimeError."""
    current: BaseException | None = error
    for _ in range(10):
        current = current.__cause__ or current.__context__ if current is not None else None
        if current is None:
            return
        yield current


def _translate(error: Exception, endpoint: Endpoint, what: str, *, is_everywhere: bool) -> TiregError:
    from huggingface_hub import errors

    where = f"on {safe(endpoint.name, limit=100)}"
    if isinstance(error, errors.GatedRepoError):
        return NotAllowed(f"{what} is gated {where}", "ask for access on its page, then try again")
    if isinstance(error, errors.RevisionNotFoundError):
        return RepositoryNotFound(f"{what} does not exist {where}", "leave out the revision for the newest")
    if isinstance(error, errors.EntryNotFoundError):
        return RepositoryNotFound(f"a file of {what} is missing {where}", "try again")
    if isinstance(error, (errors.RepositoryNotFoundError, errors.DisabledRepoError)):
        return RepositoryNotFound(f"there is no {what} {where} that you may see", _sign_in(endpoint))
    response = getattr(error, "response", None)
    status = getattr(response, "status_code", 0)
    if status in _NOTHING_HERE and (is_everywhere or _is_a_page(response, endpoint)):
        return NotAHub(*not_a_hub(endpoint))
    if status:
        said = safe(getattr(error, "server_message", "") or "", limit=300)
        kind, message, hint = _ANSWERS.get(status, _ANY_ANSWER)
        words = {"what": what, "where": where, "status": status, "said": f": {said}" if said else ""}
        return kind(message.format_map(words), hint.format(token=_token_advice(endpoint)))
    if isinstance(error, errors.HFValidationError):
        return InvalidInput(f"{what} is not a name that the Hub accepts", "write it as owner/name")
    if isinstance(error, (json.JSONDecodeError, *_MISSHAPEN)) or type(error).__name__ == "JSONDecodeError":
        return Garbled(*not_a_hub(endpoint))
    if isinstance(error, ValueError) and "README.md" in str(error):
        return InvalidInput(f"{what}: the card's metadata are refused: {safe(error, limit=400)}", "correct the card")
    return HubError(f"{what}: {type(error).__name__} {where}: {safe(error, limit=300)}", "try again later")


def _is_a_page(response: Any, endpoint: Endpoint) -> bool:
    """Whether a refusal is one for people: a Hub's own say in their headers what is wrong, or are JSON.

    Its storage, which files are fetched from, is somewhere else and says what it likes.
    """
    headers = response.headers
    is_said = any(name in headers for name in ("x-error-code", "x-error-message"))
    is_of_hub = str(response.url).startswith(f"{endpoint.url}/")
    return is_of_hub and not is_said and "json" not in headers.get("content-type", "").lower()


def not_a_hub(endpoint: Endpoint) -> tuple[str, str]:
    """Message and next step where something else than a Hub answers."""
    what = f"{safe(endpoint.name, limit=100)} does not answer like a Hub"
    if endpoint.is_default:
        return what, "check the network: a proxy or a sign-in page may stand in between"
    is_set = os.environ.get("HF_ENDPOINT", "").strip().rstrip("/") == endpoint.url
    return what, "check HF_ENDPOINT" if is_set else "check the address"


def _token_advice(endpoint: Endpoint) -> str:
    return "run: hf auth login" if endpoint.is_default else f"check the token in {TOKEN_VARIABLE}"


def _sign_in(endpoint: Endpoint) -> str:
    if endpoint.is_default:
        return "check the spelling" if endpoint.token else "check the spelling, or run: hf auth login"
    return "check the spelling" if endpoint.token else f"check the spelling, or give a token in {TOKEN_VARIABLE}"


def is_unknown_outcome(error: TiregError) -> bool:
    """Whether a request that failed like this may have been carried out all the same."""
    return isinstance(error, (NoAnswer, ServerFailed, Garbled))


def as_mapping(value: Any) -> dict[str, Any]:
    """`value` when it is a JSON object, else an empty one: nothing in a server's answer is believed to have a type."""
    return value if isinstance(value, dict) else {}
