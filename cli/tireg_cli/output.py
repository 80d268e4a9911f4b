"""stdout: data and nothing else, as JSON, plain text or a table that fits the terminal."""

from __future__ import annotations

import json
import math
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

from tireg_cli.messages import color_allowed
from tiregistry.text import safe


def emit_json(data: Any) -> None:
    """One JSON document on stdout; ASCII escapes, so nothing in it can act on a terminal.

    A number that JSON has no word for (infinite, or none) is `null`.
    """
    click.echo(_json(data, indent=2))


def emit_json_line(data: Any) -> None:
    """One JSON document on one line, flushed at once so that a reading script sees it."""
    click.echo(_json(data))
    if sys.stdout is not None:
        sys.stdout.flush()


def _json(data: Any, indent: int | None = None) -> str:
    try:
        return json.dumps(data, indent=indent, ensure_ascii=True, default=str, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(data), indent=indent, ensure_ascii=True, default=str, allow_nan=False)


def _finite(data: Any) -> Any:
    if isinstance(data, float):
        return data if math.isfinite(data) else None
    if isinstance(data, Mapping):
        return {key: _finite(value) for key, value in data.items()}
    return [_finite(value) for value in data] if isinstance(data, list | tuple) else data


def emit(text: str = "") -> None:
    """One or more lines of plain text on stdout, made safe."""
    click.echo(safe(text, limit=1_000_000, multiline=True))


def width_of(text: str) -> int:
    """Terminal cells of `text`; what is not ASCII is measured by rich, whose tables take two milliseconds to load."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def _beginning(text: str, cells: int) -> str:
    """As much of `text` as `cells` terminal cells hold."""
    if text.isascii():
        return text[:cells]
    from rich.cells import set_cell_size

    cut = set_cell_size(text, cells)
    return cut if text.startswith(cut) else cut[:-1]  # rich puts a space where half a wide character would stand


def fit(text: str, cells: int) -> str:
    """`text` cut to `cells` terminal cells, with an ellipsis where something was cut."""
    if width_of(text) <= cells:
        return text
    return _beginning(text, cells - 1) + "…" if cells > 0 else ""


def wrap(text: str, cells: int, indent: str = "", first: str = "") -> list[str]:
    """`text` whole, in lines of at most `cells` terminal cells: the first behind `first`, others behind `indent`."""
    lines: list[str] = []
    line = ""

    def room() -> int:
        return max(2, cells - width_of(indent if lines else first))

    for word in text.split(" "):
        if line and width_of(line) + 1 + width_of(word) > room():
            lines.append(line)
            line = ""
        line = f"{line} {word}" if line else word
        while width_of(line) > room():
            cut = _beginning(line, room()) or line[0]
            lines.append(cut)
            line = line[len(cut) :]
    return [first + line if not number else indent + line for number, line in enumerate([*lines, line])]


def terminal_columns() -> int:
    """Cells of a line of the terminal that stdout is; 0 where it is none."""
    return shutil.get_terminal_size((80, 24)).columns if sys.stdout.isatty() else 0


def emit_wrapped(text: str, indent: str = "", first: str = "") -> None:
    """A line on stdout, made safe; on a terminal in as many lines as it needs, broken between words, see `wrap`."""
    columns = terminal_columns()
    emit("\n".join(wrap(text, columns, indent, first)) if columns else first + text)


READABLE = 12
"""Cells below which a cut column says too little to be worth its place."""
NARROW = 60
"""Cells of a terminal below which a table that does not fit becomes a few lines for each row."""


def table_width(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> int:
    """Cells of a terminal that a table needs if nothing in it is cut."""
    lines = [headers, *([safe(cell, limit=500) for cell in row] for row in rows)]
    return sum(max(map(width_of, column)) for column in zip(*lines, strict=True)) + 2 * (len(headers) - 1)


def emit_table(
    headers: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    spare: Sequence[str] = (),
    whole: int = 0,
    numbers: bool = False,
) -> None:
    """A table on stdout.

    On a terminal: aligned columns cut to its width, the widest column giving way first; on one so narrow that they
    would say too little, each row as its first cell with the others under it, whole. In a pipe: every cell whole,
    separated by tabs, with no header, so that `cut` and `awk` work.

    Args:
        headers: one for each column.
        rows: the cells.
        spare: headers of columns that a narrow terminal does without, the first one first.
        whole: how many of the first columns give way last, because what stands there is typed again.
        numbers: all columns but the first hold numbers, of which no digit is cut: the first gives way, and where that
            does not suffice, each row becomes a few lines on a terminal of any width.
    """
    cells = [[safe(cell, limit=500) for cell in row] for row in rows]
    columns = terminal_columns()
    if not columns:
        for row in cells:
            click.echo("\t".join(row))
        return
    widths = [max([width_of(h), *(width_of(row[i]) for row in cells)]) for i, h in enumerate(headers)]
    kept = list(range(len(headers)))

    def too_wide() -> bool:
        least = [widths[i] if (i > 0 if numbers else i < whole) else min(widths[i], READABLE) for i in kept]
        return sum(least) + 2 * (len(kept) - 1) > columns

    for header in spare:
        if too_wide():
            kept.remove(headers.index(header))
    if (numbers or columns < NARROW) and too_wide():
        _emit_records([headers[i] for i in kept], [[row[i] for i in kept] for row in cells], columns)
        return
    headers, widths, cells = (
        [headers[i] for i in kept],
        [widths[i] for i in kept],
        [[r[i] for i in kept] for r in cells],
    )
    room = columns - 2 * (len(widths) - 1)
    while sum(widths) > room and max(widths) > 3:
        first = whole if max(widths[whole:], default=0) > 3 else 0
        widths[0 if numbers else widths.index(max(widths[first:]), first)] -= 1

    def line(row: Sequence[str]) -> str:
        parts = [fit(cell, w) for cell, w in zip(row, widths, strict=True)]
        padded = [p + " " * (w - width_of(p)) for p, w in zip(parts, widths, strict=True)]
        return "  ".join(padded).rstrip()

    head = line(list(headers))
    click.echo(click.style(head, bold=True) if color_allowed(sys.stdout) else head)
    for row in cells:
        click.echo(line(row))


def _emit_records(headers: Sequence[str], rows: Iterable[Sequence[str]], columns: int) -> None:
    for first, *others in rows:
        for line in wrap(first or "–", columns):
            click.echo(click.style(line, bold=True) if color_allowed(sys.stdout) else line)
        for header, cell in zip(headers[1:], others, strict=True):
            if cell:
                told = f"{header.lower()}: {cell}" if header else cell
                click.echo("\n".join(f"  {line}" for line in wrap(told, columns - 2)))


def emit_fields(fields: Mapping[str, object]) -> None:
    """`name  value` lines on stdout; empty values are left out. On a narrow terminal they are not aligned."""
    shown = {k: safe(v, limit=4000) for k, v in fields.items() if v not in (None, "", (), [])}
    pad = max((len(k) for k in shown), default=0)
    columns = terminal_columns()
    for key, value in shown.items():
        if columns and pad > columns // 3:
            click.echo("\n".join(wrap(f"{key}: {value}", columns, "  ")))
        else:
            click.echo(f"{key:<{pad}}  {value}")
