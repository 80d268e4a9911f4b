"""How things look as short text: times, durations, numbers, states."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from tiregistry.concepts import RunStatus
from tiregistry.errors import TiregError
from tiregistry.text import safe

STATUS_GLYPHS: dict[RunStatus, str] = {
    "queued": "◌",
    "running": "●",
    "finished": "✓",
    "interrupted": "‖",
    "failed": "✗",
    "cancelled": "–",
}
"""Shown beside the word, never instead of it."""
_BLOCKS = "▁▂▃▄▅▆▇█"


def ago(moment: float | None, now: float | None = None) -> str:
    """How long ago, in one unit: `now`, `5 min`, `3 h`, `2 d`, then the date."""
    if not moment:
        return ""
    seconds = max(0.0, (time.time() if now is None else now) - moment)
    if seconds < 60:
        return "now"
    for limit, unit, name in ((3600, 60, "min"), (86400, 3600, "h"), (14 * 86400, 86400, "d")):
        if seconds < limit:
            return f"{seconds / unit:.0f} {name}"
    return time.strftime("%Y-%m-%d", time.localtime(moment))


def duration(seconds: float) -> str:
    """`45 s`, `3 min 20 s`, `1 h 05 min`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def trouble(error: BaseException, between: str) -> str:
    """What went wrong and what to do about it; `between` the two."""
    if not isinstance(error, TiregError):
        return f"{type(error).__name__}: {safe(error, limit=400)}"
    return between.join(filter(None, (safe(error.message, limit=400), safe(error.hint, limit=300))))


def place(folder: Path) -> str:
    """A folder as people write it: `~/words`."""
    try:
        return str("~" / folder.relative_to(Path.home()))
    except (ValueError, RuntimeError):  # elsewhere; or nobody knows where the home folder is
        return str(folder)


def count(number: int, noun: str) -> str:
    """`1 version`, `2 versions`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def some_of(names: Sequence[str], most: int = 8) -> str:
    """`a, b and 3 more`."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest:,} more" if rest > 0 else "")


def bar(done: int, total: int, width: int) -> str:
    """A progress bar of `width` characters."""
    filled = round(width * min(1.0, done / total)) if total > 0 else 0
    return "━" * filled + "─" * (width - filled)


def curve(values: Sequence[float], width: int) -> str:
    """A line of blocks that shows the course of `values`, smoothed to `width` columns."""
    if not values or width < 1:
        return ""
    columns = min(width, len(values))
    means = []
    for column in range(columns):
        first, last = column * len(values) // columns, (column + 1) * len(values) // columns
        means.append(sum(values[first:last]) / (last - first))
    low, high = min(means), max(means)
    return "".join(_BLOCKS[round((m - low) / (high - low or 1) * (len(_BLOCKS) - 1))] for m in means)
