"""stdout: data and nothing else, as JSON, plain text or a table that fits the terminal."""

from __future__ import annotations

import json
import shutil
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

from tireg_cli.messages import color_allowed
from tiregistry.text import safe


def emit_json(data: Any) -> None:
    """One JSON document on stdout; ASCII escapes, so nothing in it can act on a terminal."""
    click.echo(json.dumps(data, indent=2, ensure_ascii=True, default=str))


def emit_json_line(data: Any) -> None:
    """One JSON document on one line, flushed at once so that a reading script sees it."""
    click.echo(json.dumps(data, ensure_ascii=True, default=str))
    sys.stdout.flush()


def emit(text: str = "") -> None:
    """One or more lines of plain text on stdout, made safe."""
    click.echo(safe(text, limit=1_000_000, multiline=True))


def width_of(text: str) -> int:
    """Terminal cells of `text`: 2 for wide East Asian characters, 0 for combining marks."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def fit(text: str, cells: int) -> str:
    """`text` cut to `cells` terminal cells, with an ellipsis where something was cut."""
    if width_of(text) <= cells:
        return text
    kept, used = [], 0
    for character in text:
        used += width_of(character)
        if used > cells - 1:
            break
        kept.append(character)
    return "".join(kept) + ("…" if cells > 0 else "")


READABLE = 12
"""Cells below which a cut column says too little to be worth its place."""


def emit_table(
    headers: Sequence[str], rows: Iterable[Sequence[object]], *, spare: Sequence[str] = (), whole: int = 0
) -> None:
    """A table on stdout.

    On a terminal: aligned columns cut to its width, the widest column giving way first. In a pipe: every cell
    whole, separated by tabs, with no header, so that `cut` and `awk` work.

    Args:
        headers: one for each column.
        rows: the cells.
        spare: headers of columns that a narrow terminal does without, the first one first.
        whole: how many of the first columns give way last, because what stands there is typed again.
    """
    cells = [[safe(cell, limit=500) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        for row in cells:
            click.echo("\t".join(row))
        return
    widths = [max([width_of(h), *(width_of(row[i]) for row in cells)]) for i, h in enumerate(headers)]
    columns = shutil.get_terminal_size((80, 24)).columns
    kept = list(range(len(headers)))
    for header in spare:
        if sum((widths[i] if i < whole else min(widths[i], READABLE)) + 2 for i in kept) - 2 > columns:
            kept.remove(headers.index(header))
    headers, widths, cells = (
        [headers[i] for i in kept],
        [widths[i] for i in kept],
        [[r[i] for i in kept] for r in cells],
    )
    room = columns - 2 * (len(widths) - 1)
    while sum(widths) > room and max(widths) > 3:
        first = whole if max(widths[whole:], default=0) > 3 else 0
        widths[widths.index(max(widths[first:]), first)] -= 1

    def line(row: Sequence[str]) -> str:
        parts = [fit(cell, w) for cell, w in zip(row, widths, strict=True)]
        padded = [p + " " * (w - width_of(p)) for p, w in zip(parts, widths, strict=True)]
        return "  ".join(padded).rstrip()

    head = line(list(headers))
    click.echo(click.style(head, bold=True) if color_allowed(sys.stdout) else head)
    for row in cells:
        click.echo(line(row))


def emit_fields(fields: Mapping[str, object]) -> None:
    """`name  value` lines on stdout; empty values are left out."""
    shown = {k: v for k, v in fields.items() if v not in (None, "", (), [])}
    pad = max((len(k) for k in shown), default=0)
    for key, value in shown.items():
        click.echo(f"{key:<{pad}}  {safe(value, limit=4000)}")
