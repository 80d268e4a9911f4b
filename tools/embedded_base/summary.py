"""The table of a measurement against the bars that the embedded base model should reach."""

import statistics
from collections.abc import Iterable
from typing import Any

READ = ("kind", "colour", "context", "medium")
BARS = {"trained": 0.92, "never trained": 0.88}
"""Share of the judge's own accuracy on renders of the same scenes."""
GAP_BAR, TEXT_BAR, CONTEXT_BAR, MEDIUM_BAR, IDENTIFICATION_BAR = 0.70, 0.90, 0.85, 0.70, 0.75


def _row(what: str, reached: str, bar: str, holds: bool) -> str:
    return f"| {what} | {reached} | {bar} | {'yes' if holds else 'no'} |"


def _mean(entries: Iterable[dict[str, Any]], key: str) -> tuple[float, str]:
    values = [float(entry[key]) for entry in entries]
    mean, spread = statistics.mean(values), statistics.pstdev(values)
    return mean, f"{mean:.3f} ± {spread:.3f}"


def print_summary(results: dict[str, dict[str, Any]], identified: float | None, things: int) -> None:
    """Markdown rows: what, reached (mean ± standard deviation over words and seeds), bar, whether it holds."""
    print("| measure | reached | bar | holds |\n|---|---|---|---|")
    for name, bar in BARS.items():
        entry = results.get(f"prompts, combinations {name}")
        if entry is None:
            continue
        for key in READ:
            limit = entry[f"limit_{key}"]
            reached = f"{entry[key]:.3f} of the judge's {limit:.3f} (n = {entry['n']})"
            print(_row(f"{key}, combinations {name}", reached, f"{bar:.0%} of it", entry[key] >= bar * limit))
    found = [entry for entry in results.values() if entry["kind_of"] == "thing"]
    if found:
        _things(found)
    styles = [entry for entry in results.values() if entry["kind_of"] == "style"]
    for eye in ("judge", "tower") if styles else ():
        mean, text = _mean(styles, f"{eye}_gap_closed")
        print(_row(f"styles: gap closed, {eye} (n = {len(styles)})", text, f"{GAP_BAR:.0%}", mean >= GAP_BAR))
    if identified is not None:
        reached = f"{identified:.3f} (chance {1 / things:.3f})"
        print(
            _row(
                f"identification among {things}", reached, f"{IDENTIFICATION_BAR:.0%}", identified >= IDENTIFICATION_BAR
            )
        )


def _things(found: list[dict[str, Any]]) -> None:
    for eye in ("judge", "tower"):
        mean, text = _mean(found, f"{eye}_gap_closed")
        print(_row(f"things: gap closed, {eye} (n = {len(found)})", text, f"{GAP_BAR:.0%}", mean >= GAP_BAR))
    for key, what in (("text", "text alignment of edits"), ("styled_text", "text alignment in a learned style")):
        mean, shown = _mean(found, key)
        limit, plain = _mean(found, f"{key}_initializer")
        print(_row(what, f"{shown}; initializer {plain}", f"{TEXT_BAR:.0%} of it", mean >= TEXT_BAR * limit))
    for key, bar in (("context_right", CONTEXT_BAR), ("medium_right", MEDIUM_BAR)):
        mean, text = _mean(found, key)
        print(_row(f"edits: {key.replace('_', ' ')}", text, f"{bar:.0%}", mean >= bar))
