"""Running `tireg` in this process, with its output caught."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from tireg_cli.main import run


@dataclass(frozen=True)
class Result:
    """What one call printed and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """stdout as one JSON document."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[str]:
        """stdout as lines."""
        return self.out.splitlines()


class Tireg:
    """Calls `tireg` as a shell would, in this process."""

    def __init__(self, capture: pytest.CaptureFixture[str]) -> None:
        self._capture = capture

    def __call__(self, *arguments: str, code: int = 0) -> Result:
        self._capture.readouterr()
        actual = run(list(arguments))
        caught = self._capture.readouterr()
        assert actual == code, f"tireg {arguments} ended with {actual}:\n{caught.err}"
        return Result(actual, caught.out, caught.err)


def tireg(capture: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Run `tireg`, whatever its exit code; gives that code, stdout and stderr."""
    code = run([str(argument) for argument in arguments])
    caught = capture.readouterr()
    return code, caught.out, caught.err
