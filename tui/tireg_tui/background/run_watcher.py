"""Following a run from its journal: what has been told so far, in the form the monitor shows."""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tireg_tui.pictures.sources import PictureSource, from_attachment
from tiregistry.text import safe
from tiregistry.training.events import (
    Event,
    Finished,
    Notice,
    Preparing,
    PreviewMade,
    Shortened,
    Started,
    StepDone,
    in_words,
)
from tiregistry.training.journal import JournalReader

if TYPE_CHECKING:
    from tiregistry.registry.registry import Registry

_RECENT = 20
"""Steps whose speed the time left is reckoned from."""


@dataclass
class Watched:
    """A run as its events tell it.

    Attributes:
        losses: of every step, in order.
        previews: pictures made on the way.
        log: what was said, newest last.
        last_step: where it will end at the latest.
        doing: what it does before its next step, such as loading; empty while it takes steps.
    """

    losses: list[float] = field(default_factory=list)
    previews: list[PictureSource] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    step: int = 0
    last_step: int = 0
    device: str = ""
    doing: str = ""
    seconds: list[float] = field(default_factory=list)

    @property
    def seconds_left(self) -> float | None:
        """At the speed of the last steps; None before the first."""
        recent = self.seconds[-_RECENT:]
        if not recent or self.last_step <= self.step:
            return None
        return (self.last_step - self.step) * sum(recent) / len(recent)

    @property
    def diverged(self) -> bool:
        """Whether a loss was no number."""
        return any(not math.isfinite(loss) for loss in self.losses[-50:])

    def take(self, events: Iterable[Event], registry: Registry) -> bool:
        """Take in events; whether there were any."""
        any_new = False
        for event in events:
            any_new = True
            if isinstance(event, StepDone):
                # A run that was taken up tells the steps after its checkpoint again.
                del self.losses[event.step - 1 :], self.seconds[event.step - 1 :]
                self.losses.append(event.loss)
                self.step, self.doing = event.step, ""
                self.seconds.append(event.seconds)
            elif isinstance(event, Started):
                self.last_step, self.device = event.max_steps, event.device
                self.step, self.doing = event.first_step, ""
                self.log.append(in_words(event))
            elif isinstance(event, Shortened):
                self.last_step = event.last
                self.log.append(event.what)
            elif isinstance(event, PreviewMade):
                caption = f"step {event.step} · {event.prompt.replace('{}', '…')} · seed {event.seed}"
                self.previews.append(from_attachment(registry, event.digest, caption))
            elif isinstance(event, Preparing | Notice):
                self.log.append(event.what)
                self.doing = event.what if isinstance(event, Preparing) else self.doing
            elif isinstance(event, Finished):
                self.log.append(in_words(event))
        self.log[:] = [safe(line, limit=300) for line in self.log[-200:]]
        return any_new


def log_tail(home: Path, run_id: str, lines: int = 12) -> list[str]:
    """The last lines that a run's process has written to its log, safe to show; empty when there is none."""
    try:
        with open(home / "runs" / run_id / "log.txt", "rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - 8192))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return []
    return [safe(line, limit=300) for line in text.splitlines()[-lines:]]


class Watcher:
    """Reads one run's journal, a little at a time."""

    def __init__(self, registry: Registry, run_id: str) -> None:
        self.run_id = run_id
        self.watched = Watched()
        self._registry = registry
        self._reader = JournalReader(registry.home / "runs" / run_id)
        self.looked_at = 0.0
        self._lock = threading.Lock()  # a look that was given up goes on in its thread

    def look(self) -> bool:
        """Read what is new; whether there was anything."""
        with self._lock:
            self.looked_at = time.monotonic()
            return self.watched.take(self._reader.new(), self._registry)
