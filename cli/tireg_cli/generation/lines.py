"""Prompts from a file or stdin, one per line: a broken line is reported and the rest go on."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from tireg_cli.generation.results import Results
from tireg_cli.generation.session import Made, Session
from tireg_cli.messages import hint, say
from tiregistry.errors import DeviceError, DiskFull, FileMissing, InvalidInput, RegistryReadOnly, TiregError
from tiregistry.generation.plan import variants_of
from tiregistry.generation.requests import PictureRequest, read_request
from tiregistry.generation.saving import Target
from tiregistry.generation.templates import Wildcards
from tiregistry.text import safe

_MAX_LINE = 1 << 20  # bytes
# What the next line would meet too.
_FATAL = (DeviceError, DiskFull, RegistryReadOnly)


def run_lines(
    session: Session,
    source: str,
    defaults: PictureRequest,
    wildcards: Wildcards,
    target: Target,
    results: Results,
    words: list[str],
    made: list[Made] | None,
) -> int:
    """Make the pictures of every line of `source` (`-` is stdin); return the exit code.

    Args:
        made: collects the pictures, where a grid or a terminal wants them at the end.

    Raises:
        FileMissing, InvalidInput: the file cannot be read.
        TiregError: of a kind that the next line would meet too: no memory, no space.
    """
    good, bad = 0, 0
    if source == "-" and sys.stdin is not None and sys.stdin.isatty():
        hint("reading prompts, one per line; Ctrl-D ends")
    with _open(source) as file:
        for number, line in _numbered(file):
            request = None
            try:
                if line is None:
                    raise InvalidInput("the line is longer than 1 MiB or is not UTF-8 text", "correct it")
                request = read_request(line, defaults)
                if request is None:
                    continue
                jobs = session.prepare(request, variants_of(request, wildcards, words), line=number)
                left = len(jobs) * request.count
                for one in session.make(jobs, target, partial(results.preview, line=number)):
                    left -= 1
                    results.made(one, number, left)
                    if made is not None:
                        made.append(one)
                good += 1
            except _FATAL:
                raise
            except TiregError as error:
                bad += 1
                results.failed(error, number, None if request is None else request.tag)
    if not good and not bad:
        raise InvalidInput(f"{'stdin' if source == '-' else safe(source)} holds no prompts", "write one per line")
    if bad:
        say(f"tireg: {bad} of {good + bad} prompts failed")
    return 1 if bad else 0


@contextmanager
def _open(source: str) -> Iterator[BinaryIO]:
    if source == "-":
        yield sys.stdin.buffer if sys.stdin is not None else BytesIO()  # as if closed stdin were empty
        return
    try:
        file = Path(source).open("rb")  # noqa: SIM115 (closed by the with statement below)
    except FileNotFoundError:
        raise FileMissing(f"{safe(source)} does not exist", "give a file with one prompt per line") from None
    except OSError as error:
        raise InvalidInput(f"{safe(source)} cannot be read: {error.strerror}", "check the path") from None
    with file:
        yield file


def _numbered(file: BinaryIO) -> Iterator[tuple[int, str | None]]:
    """Line numbers from 1 with the lines as they come in; None for a line that cannot be read."""
    number = 0
    while raw := file.readline(_MAX_LINE + 1):
        number += 1
        if len(raw) > _MAX_LINE:
            while raw and not raw.endswith(b"\n"):
                raw = file.readline(_MAX_LINE + 1)
            yield number, None
            continue
        try:
            yield number, raw.decode("utf-8")
        except UnicodeDecodeError:
            yield number, None
