"""Answers that many requests share: refusals with the Hub's headers, and stretches of a file."""

from __future__ import annotations

import re

from tests.hub_server.faults import Request, Response


class Denied(Exception):
    """An error answer."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        headers = {"X-Error-Message": message, **({"X-Error-Code": code} if code else {})}
        self.response = Response.of({"error": message}, status, **headers)


def ranged(request: Request, data: bytes, headers: dict[str, str]) -> Response:
    """The whole body, or the stretch that a Range header asks for."""
    headers = {"Content-Type": "application/octet-stream", "Accept-Ranges": "bytes", **headers}
    match = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("range", ""))
    if match is None:
        return Response(200, data, headers)
    start, end = int(match[1]), min(int(match[2] or len(data) - 1), len(data) - 1)
    if start >= len(data):
        return Response(416, b"", {"Content-Range": f"bytes */{len(data)}"})
    headers["Content-Range"] = f"bytes {start}-{end}/{len(data)}"
    return Response(206, data[start : end + 1], headers)
