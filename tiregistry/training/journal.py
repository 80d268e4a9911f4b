"""A run's events as lines of JSON in its folder, for whoever watches now or reads later."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tiregistry.training.events import (
    CheckpointSaved,
    Event,
    Finished,
    Notice,
    Preparing,
    PreviewMade,
    Shortened,
    Started,
    StepDone,
)

_KINDS: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (Preparing, Notice, Started, Shortened, StepDone, CheckpointSaved, PreviewMade, Finished)
}
FILE = "events.jsonl"


class Journal:
    """Appends events to a run's `events.jsonl`; a full disk silences it and does not end the training."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE

    def add(self, event: Event) -> None:
        """Append one event as one line."""
        data = {key: str(value) if isinstance(value, Path) else value for key, value in asdict(event).items()}
        if isinstance(event, CheckpointSaved):
            data["path"] = event.path.name
        line = json.dumps({"event": type(event).__name__, "at": round(time.time(), 3)} | data)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with open(self.path, "a", encoding="ascii") as file:
                file.write(line + "\n")
        except OSError:
            return


class JournalReader:
    """Reads the events that were added since it last looked."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._folder = folder
        self._offset = 0

    def new(self) -> Iterator[Event]:
        """The events written since the last call; a line that is not finished, or not known, is left out."""
        try:
            with open(self._path, "rb") as file:
                file.seek(self._offset)
                data = file.read()
        except OSError:
            return
        complete = data[: data.rfind(b"\n") + 1]
        self._offset += len(complete)
        for line in complete.splitlines():
            event = _decode(line, self._folder)
            if event is not None:
                yield event


def newest_start(events: Sequence[Event]) -> int:
    """The index at which the newest of a run's beginnings is told: what came before its first step, and that step."""
    last = next((at for at in range(len(events) - 1, -1, -1) if isinstance(events[at], (Started, Preparing))), 0)
    while last and isinstance(events[last - 1], (Preparing, Notice)):
        last -= 1
    return last


def _decode(line: bytes, folder: Path) -> Event | None:
    try:
        data = json.loads(line)
        kind = _KINDS[data.pop("event")]
        data.pop("at", None)
        if kind is CheckpointSaved:
            data["path"] = folder / Path(data["path"]).name
        event: Event = kind(**data)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return event
