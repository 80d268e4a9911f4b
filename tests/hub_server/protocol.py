"""The Hub's HTTP protocol: what each request asks, and the answer, over plain data without sockets.

The shapes are those that huggingface_hub 1.32 to 2.4 and @huggingface/hub 2.17 send and expect.
"""

from __future__ import annotations

from urllib.parse import unquote

from tests.hub_server import discussing, managing, reading, writing
from tests.hub_server.answers import Denied
from tests.hub_server.faults import Request, Response
from tests.hub_server.state import State

_ROUTES = (*managing.ROUTES, *writing.ROUTES, *reading.ROUTES, *discussing.ROUTES)


class Protocol(State):
    """Answers requests from the state it holds."""

    def answer(self, request: Request) -> Response:
        """The answer to a request."""
        with self.lock:
            try:
                for method, pattern, handler in _ROUTES:
                    match = pattern.fullmatch(request.path) if method == request.method else None
                    if match:
                        return handler(self, request, **{k: unquote(v or "") for k, v in match.groupdict().items()})
                raise Denied(404, "", "no such page")
            except Denied as denied:
                return denied.response
