"""The HTTP client under huggingface_hub, with bounds: no call waits for ever, rate limits are waited out within reason.

huggingface_hub's own client has no time limit, obeys any `Retry-After`, prints what servers send as warnings, asks
huggingface.co for a list of agents before it talks to another endpoint, and repeats requests for up to a minute.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable
from typing import Any

from tiregistry.errors import HubError, TiregError
from tiregistry.hub.watch import current, wait_for
from tiregistry.text import safe

_SECONDS_VARIABLE = "TIREG_HUB_TIMEOUT"
_SECONDS, _LONGEST_SECONDS = 60.0, 1e6
_RETRIED_STATUS = frozenset({500, 502, 503, 504})
_PAUSES = (0.5, 1.5)
_LONGEST_BODY = 32 * 2**20
_FOR_PROGRAMS = re.compile(r"\[Errno -?\d+\]|\[SSL[^\]]*\]|\(_ssl\.c:\d+\)")
_SAID_OTHERWISE = {
    "connection refused": "nothing answers there",
    "name or service not known": "there is no such name, or no network",
    "nodename nor servname": "there is no such name, or no network",
    "temporary failure in name resolution": "no network, or its name servers do not answer",
    "no address associated": "there is no such name, or no network",
    "network is unreachable": "there is no network",
    "no route to host": "no way leads there",
}
"""What systems say when a server cannot be reached (Linux, macOS), and the same for people."""
_RATE_LIMIT = re.compile(r'"\w+"\s*;\s*r\s*=\s*(\d+)\s*;\s*t\s*=\s*(\d+)')


class NoAnswer(HubError):
    """Nothing came back: refused, stalled or cut off. Whether the request was carried out is not known."""


class ServerFailed(HubError):
    """The server answered that it failed; whether the request was carried out is not known."""


_installed = threading.Lock()
_done = False


def seconds() -> float:
    """How long one answer may take: `TIREG_HUB_TIMEOUT`, else 60 seconds."""
    return _stated_seconds() or _SECONDS


def seconds_problem() -> str:
    """What is wrong with `TIREG_HUB_TIMEOUT`, in words; empty when nothing is."""
    text = os.environ.get(_SECONDS_VARIABLE, "").strip()
    if not text or _stated_seconds():
        return ""
    return f"{_SECONDS_VARIABLE}={safe(text, limit=40)} is no number of seconds above 0; {_SECONDS:g} are used"


def _stated_seconds() -> float:
    """What the variable says, at least a tenth; 0 where that is no time."""
    try:
        value = float(os.environ.get(_SECONDS_VARIABLE, ""))
    except ValueError:
        return 0.0
    return max(0.1, value) if 0 < value < _LONGEST_SECONDS else 0.0


def install() -> None:
    """Put the bounded client under huggingface_hub, once per process."""
    global _done
    with _installed:
        if _done:
            return
        import huggingface_hub
        from huggingface_hub import constants
        from huggingface_hub.utils import _http

        utils: Any = huggingface_hub.utils

        # Asking for the agents' list would tell huggingface.co about a push to another endpoint.
        constants.HF_HUB_DISABLE_TELEMETRY = True
        utils.disable_progress_bars()
        utils.logging.set_verbosity_error()  # its warnings quote what servers send, unescaped
        huggingface_hub.set_client_factory(lambda: _bounded(_http.default_client_factory()))
        _done = True


def _bounded(plain: Any) -> Any:
    """The client that huggingface_hub would have made, with our `send`.

    The HTTP library is httpx or httpx2, depending on huggingface_hub's version, so its classes are taken from the
    client itself.
    """
    kind = type(plain)

    class BoundedClient(kind):  # type: ignore[misc, valid-type]
        def send(self, request: Any, *, stream: bool = False, **options: Any) -> Any:
            def once() -> Any:
                response = kind.send(self, request, stream=True, **options)
                return response if stream else _read(response)

            return _send(once, request)

    # The object becomes one of ours, rather than a new one being made: its request hook (which refuses requests in
    # offline mode), proxies and certificates stay as they are.
    plain.__class__ = BoundedClient
    limit = seconds()
    plain.timeout = type(plain.timeout)(limit, connect=min(limit, 15.0))
    return plain


def _read(response: Any) -> Any:
    """Read an answer's body, which no server may make endless: huggingface_hub would read on until memory is full.

    Raises:
        HubError: it is too long, or comes too slowly.
        Interrupted: the user wants to stop.
    """
    parts, size, until, watch = [], 0, time.monotonic() + 5 * seconds(), current()
    try:
        for part in response.iter_bytes():
            if watch is not None:
                watch.check()
            parts.append(part)
            size += len(part)
            if size > _LONGEST_BODY or time.monotonic() > until:
                what = "is longer than any should be" if size > _LONGEST_BODY else "takes for ever"
                raise HubError(f"the answer of {_host(response.request)} {what}", "do not use this endpoint")
    finally:
        response.close()
    response._content = b"".join(parts)  # where `read()` puts it
    return response


def _send(send: Callable[[], Any], request: Any) -> Any:
    """Send a request; repeat what may be repeated.

    Raises:
        NoAnswer: nothing came back, also not when asked again.
        ServerFailed: a 5xx answer, also when asked again.
        Interrupted: the user wants to stop.
        RateLimited: the rate limit asks for a longer wait than anyone would sit through.
    """
    pauses = list(_PAUSES) if _is_repeatable(request) else []
    watch = current()
    while True:
        if watch is not None:
            watch.count(_host(request), request.url.path)
        # The timeout of single calls (HEAD, downloads) is huggingface_hub's own; one without a limit gets ours.
        try:
            response = send()
        except Exception as error:
            if isinstance(error, TiregError) or not _is_transport(error):
                raise
            if type(error).__name__ == "OfflineModeIsEnabled":
                raise HubError(*offline()) from None
            if pauses and not isinstance(error, _timeouts(error)):
                time.sleep(pauses.pop(0))
                continue
            raise NoAnswer(*_no_answer(request, error)) from error
        if response.status_code == 429:
            wait = _asked_wait(response)
            response.close()
            wait_for(wait)
            if not _has_body_in_memory(request):
                response.headers["retry-after"] = "0"  # huggingface_hub rewinds the file and repeats the request
                return response
            continue
        if response.status_code not in _RETRIED_STATUS:
            return response
        said = _said(response)
        if not pauses:
            raise ServerFailed(
                f"{_host(request)} answered {response.status_code}" + (f": {said}" if said else ""), "try again later"
            )
        time.sleep(pauses.pop(0))


def _is_repeatable(request: Any) -> bool:
    """Whether sending a request twice does what sending it once does."""
    if request.method in ("GET", "HEAD"):
        return True
    asks = ("/validate-yaml", "/objects/batch", "/verify", "/paths-info/", "/preupload/")
    return request.method == "POST" and any(part in request.url.path for part in asks)


def _has_body_in_memory(request: Any) -> bool:
    try:
        request.content  # noqa: B018 (raises when the body is a file that has been read)
    except Exception:  # noqa: BLE001 (each client has an error of its own for it)
        return False
    return True


def _is_transport(error: Exception) -> bool:
    """Whether an exception is the HTTP library's own."""
    return type(error).__module__.split(".")[0] in ("httpx", "httpx2", "httpcore") or isinstance(error, OSError)


def _timeouts(error: Exception) -> tuple[type[BaseException], ...]:
    """The classes of `error` that stand for a time limit."""
    return tuple(kind for kind in type(error).__mro__ if kind.__name__ == "TimeoutException") or (TimeoutError,)


def _no_answer(request: Any, error: Exception) -> tuple[str, str]:
    """Message and next step for a request without an answer."""
    host, limit = _host(request), seconds()
    if isinstance(error, _timeouts(error)):
        return f"{host} did not answer within {limit:g} seconds", f"try again; {_SECONDS_VARIABLE}=120 waits longer"
    if type(error).__name__ in ("ConnectError", "ConnectionRefusedError"):
        return f"{host} cannot be reached: {_plainly(error)}", "check the network and the address"
    return f"the connection to {host} broke: {_plainly(error)}", "try again"


def _plainly(error: Exception) -> str:
    """What a system's error says, without its numbers and the file of a library that it comes from."""
    text = _FOR_PROGRAMS.sub("", str(error)).strip()
    for said, plain in _SAID_OTHERWISE.items():
        if said in text.lower():
            return plain
    return safe(text, limit=200) or type(error).__name__


def offline() -> tuple[str, str]:
    """Message and next step when the network is switched off by the user."""
    return "the Hub is switched off by HF_HUB_OFFLINE", "unset HF_HUB_OFFLINE to use it"


def _host(request: Any) -> str:
    port = request.url.port
    return safe(request.url.host, limit=100) + (f":{port}" if port else "")


def _said(response: Any) -> str:
    """What an answer says for people, from its header."""
    text = safe(response.headers.get("x-error-message", ""), limit=300)
    response.close()
    return text


def _asked_wait(response: Any) -> float:
    """Seconds to wait, from `RateLimit` or `Retry-After`; ten where neither says."""
    match = _RATE_LIMIT.search(response.headers.get("ratelimit", ""))
    if match and int(match[1]) == 0:
        return float(match[2]) + 1
    text = response.headers.get("retry-after", "").strip()
    return float(text) + 0.1 if text.isdecimal() and len(text) < 10 else 10.0
