"""The drawings of the composer take turns: one is drawn, and what is asked for meanwhile waits behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from tireg_tui.background.jobs import Job
from tiregistry.quantities import count

if TYPE_CHECKING:
    from tireg_tui.screens.place import Place

Requests = list[dict[str, Any]]


@dataclass(frozen=True)
class Drawing:
    """What was asked for in one go.

    Attributes:
        requests: one for each picture, as `tireg gen -` reads them.
        pairs: the pictures of two versions, side by side.
        job: what shows it while it waits and is drawn.
    """

    requests: Requests
    pairs: bool
    job: Job


class DrawingTurns:
    """Drawings in the order in which they were asked for.

    Args:
        screen: the composer, with which they end.
        draw: draws one, and ends its job.
    """

    def __init__(self, screen: Place, draw: Callable[[Drawing], Awaitable[None]]) -> None:
        self._screen, self._draw = screen, draw
        self._turn = asyncio.Lock()  # whose waiters are woken in their order
        self._left: list[Drawing] = []

    @property
    def waiting(self) -> int:
        """How many wait."""
        return sum(drawing.job.state == "waits" for drawing in self._left)

    def add(self, requests: Requests, *, pairs: bool) -> bool:
        """Draw pictures as soon as it is their turn; False when just these wait, or are drawn, already."""
        if any((drawing.requests, drawing.pairs) == (requests, pairs) for drawing in self._left):
            return False
        what = f"draw {count(len(requests), 'picture')}: {requests[0]['prompt']}"
        drawing = Drawing(requests, pairs, Job(what, cancel=lambda: None, state="waits"))
        drawing.job.tell("", 0, len(requests))
        self._left.append(drawing)
        work: Any = partial(self._take_turn, drawing)  # a callable: one never started leaves no coroutine behind
        worker = self._screen.run_worker(work, group="make", exit_on_error=False)

        def cancel() -> None:
            if drawing.job.state == "waits":  # its worker may not even have begun
                drawing.job.end("cancelled", "it was not begun")
            self._forget(drawing)
            worker.cancel()
            self._screen.tireg.jobs_changed()

        drawing.job.cancel = cancel
        self._screen.tireg.start_job(drawing.job)
        return True

    async def _take_turn(self, drawing: Drawing) -> None:
        try:
            async with self._turn:
                drawing.job.begin()
                self._screen.tireg.jobs_changed()
                await self._draw(drawing)
        finally:
            self._forget(drawing)

    def stop(self) -> int:
        """Stop what is drawn, and drop what waits; how many waited."""
        waited = self.waiting
        for drawing in reversed(self._left):  # so that none takes its turn in between
            drawing.job.cancel()
        return waited

    def _forget(self, drawing: Drawing) -> None:
        if drawing in self._left:
            self._left.remove(drawing)
