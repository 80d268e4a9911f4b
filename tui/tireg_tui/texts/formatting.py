"""How things look as short text: times, durations, numbers, states."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tiregistry.errors import TiregError
from tiregistry.text import safe

if TYPE_CHECKING:
    from tiregistry.runs.liveness import Standing

_NAMED = 8
"""Names of many that are told."""
STANDING_GLYPHS: dict[Standing, str] = {
    "queued": "◌",
    "in vain": "◌",
    "held": "‖",
    "running": "●",
    "finished": "✓",
    "interrupted": "‖",
    "failed": "✗",
    "dead": "✗",
    "cancelled": "–",
}
"""Shown beside the word, never instead of it."""


def standing(of_run: Standing) -> str:
    """How a training stands, in lists of trainings: `● running`; what waits in vain is queued all the same."""
    return f"{STANDING_GLYPHS[of_run]} {'queued' if of_run == 'in vain' else of_run}"


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


def some_of(names: Sequence[str]) -> str:
    """`a, b and 3 more`."""
    rest = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {rest:,} more" if rest > 0 else "")


def bar(done: int, total: int, width: int) -> str:
    """A progress bar of `width` characters."""
    filled = round(width * min(1.0, done / total)) if total > 0 else 0
    return "━" * filled + "─" * (width - filled)
