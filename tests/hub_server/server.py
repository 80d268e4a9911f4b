"""The loopback Hub's sockets: threads on an ephemeral port of 127.0.0.1, with a log and faults."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from tests.hub_server.faults import Dropped, Fault, Request, Response
from tests.hub_server.protocol import Protocol
from tests.hub_server.repos import Repo
from tests.hub_server.xet import XetStore

_MOST_BYTES = 256 * 2**20


class HubServer:
    """A Hub on `http://127.0.0.1:<port>`; use it in a `with` block.

    Attributes:
        protocol: its state and its answers.
        log: every request that came in, in order.
        faults: what goes wrong; the first one that applies to a request is used.
    """

    def __init__(self, users: dict[str, str] | None = None, xet: Path | None = None, port: int = 0) -> None:
        store = XetStore(xet) if xet else None
        self.protocol = Protocol(users or {"alices-word": "alice", "bobs-word": "bob"}, store)
        self.log: list[Request] = []
        self.faults: list[Fault] = []
        self._http = _Server(("127.0.0.1", port), _Handler)
        self._http.owner = self
        self.url = self.protocol.url = f"http://127.0.0.1:{self._http.server_port}"
        # Another origin, as the real Hub's storage is: clients must not send their token there.
        self.protocol.cdn = f"http://localhost:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)

    @property
    def repos(self) -> dict[str, Repo]:
        return self.protocol.repos

    def add_repo(self, repo_id: str, files: dict[str, bytes] | None = None, *, private: bool = False) -> Repo:
        """A repository as somebody else would have made it; embeddings and pictures are LFS files."""
        repo = self.repos[repo_id] = Repo(repo_id, private)
        for path, data in (files or {}).items():
            repo.put(path, data, lfs=path.endswith((".bin", ".pt", ".safetensors", ".png", ".jpeg")))
        return repo

    def lines(self) -> list[str]:
        """`METHOD /path` of every request so far."""
        return [request.line for request in self.log]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.shutdown()
        self._http.server_close()

    def respond(self, request: Request) -> Response:
        """Log a request, apply the fault that fits, answer."""
        self.log.append(request)
        fault = next((fault for fault in self.faults if fault.applies(request)), None)
        response = fault.before(request) if fault and fault.before else None
        if response is None:
            response = self.protocol.answer(request)
        return fault.after(request, response) if fault and fault.after else response


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 32
    owner: HubServer

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._slots = threading.BoundedSemaphore(64)

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._slots.acquire(timeout=10):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._slots.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        import sys

        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30
    disable_nagle_algorithm = True  # headers and body are two writes
    server: _Server

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        query = parse_qs(parts.query, keep_blank_values=True)
        try:
            request = Request(self.command, parts.path, query, headers, self._body(headers))
            response = self.server.owner.respond(request)
        except Dropped:
            self.close_connection = True
            with contextlib.suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)
            return
        body = response.body
        self.send_response(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", response.headers.get("Content-Length", str(len(body))))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[: len(body) - response.cut])
        if response.cut:
            self.close_connection = True

    def _body(self, headers: dict[str, str]) -> bytes:
        if headers.get("transfer-encoding", "").lower() == "chunked":
            chunks: list[bytes] = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                chunks.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(chunks)
        length = min(int(headers.get("content-length") or 0), _MOST_BYTES)
        body = self.rfile.read(length)
        if len(body) < length:
            raise Dropped  # the client was gone before it had sent everything
        return body

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _serve  # noqa: N815 (the names http.server calls)

    def log_message(self, *args: object) -> None:
        pass


def paths(requests: Sequence[Request]) -> list[str]:
    """The paths of requests, for assertions."""
    return [request.path for request in requests]
