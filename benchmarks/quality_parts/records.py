"""What has been measured so far: JSON lines in a file that only grows, so that a killed benchmark goes on."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Records:
    """The lines of one cache folder.

    Attributes:
        scores: training key to step to (image, text).
        ends: training key to its last line: `step`, `kept`, `reason`, `losses` on the fixed batch.
        timings: recipe to `setup` and `step`, CPU seconds.
    """

    folder: Path
    scores: dict[str, dict[int, tuple[float, float]]] = field(default_factory=dict)
    ends: dict[str, dict[str, Any]] = field(default_factory=dict)
    timings: dict[str, dict[str, float]] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path, judge: str) -> Records:
        """What the folder holds of this judge; a last line cut off by a kill is left out."""
        records = cls(folder)
        path = folder / "lines.jsonl"
        for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if entry["what"] != "score" or entry["judge"] == judge:
                records._take(entry)
        return records

    def add(self, **entry: Any) -> None:
        """Note one measurement."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self.folder / "lines.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
        self._take(entry)

    def _take(self, entry: dict[str, Any]) -> None:
        if entry["what"] == "score":
            self.scores.setdefault(entry["training"], {})[entry["step"]] = (entry["image"], entry["text"])
        elif entry["what"] == "end":
            self.ends[entry["training"]] = entry
        else:
            self.timings[entry["recipe"]] = entry
