"""What is under way, wherever one is: the line above the footer, the window's title, a word when a training ends."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from textual.css.query import NoMatches

from tireg_tui.background.announcer import Announcer, Seen, UnderWay
from tireg_tui.messages import RegistryChanged
from tireg_tui.terminal import window_title
from tireg_tui.widgets.job_line import JobLine
from tiregistry.errors import TiregError

if TYPE_CHECKING:
    from tireg_tui.app import TiregApp

_NOTHING = Seen((), 0, (), 0)


class UnderWayLine:
    """Trainings of every process, and the jobs of this window, in one line."""

    def __init__(self, app: TiregApp) -> None:
        self._app = app
        self._announcer = Announcer()
        self._seen = _NOTHING
        self._title = ""
        self._looking = self._again = False

    def look(self) -> None:
        """Look how all trainings stand, and say what has ended."""
        # A look that was begun is brought to its end: what it has found to have ended is told once.
        if self._looking:
            self._again = True
            return
        self._looking = True
        work: Any = self._look_until_known  # a callable: one that is never started leaves no coroutine behind
        self._app.run_worker(work, group="announce", exit_on_error=False)

    async def _look_until_known(self) -> None:
        self._again = True
        try:
            while self._again:
                self._again = False
                await self._look()
        finally:
            self._looking = False

    async def _look(self) -> None:
        registry = self._app.registry
        if registry is None:
            return
        first = self._seen is _NOTHING
        try:
            self._seen = seen = await asyncio.to_thread(self._announcer.look, registry)
        except TiregError:  # whoever shows the runs says so
            return
        for ended in seen.ended:
            self._app.say(
                ended.text,
                title="Learned" if ended.is_learned else "",
                severity="information" if ended.went_well else "warning",
            )
            self._app.ring()
        if first and seen.interrupted:
            word = "training was" if seen.interrupted == 1 else "trainings were"
            self._app.say(f"{seen.interrupted} {word} interrupted · 2 Runs, r resumes")
        if seen.ended:  # a process that died has changed nothing in the registry, and nobody else has noticed
            for screen in list(self._app.screen_stack):
                screen.post_message(RegistryChanged())
        self.show()

    def look_if_any(self) -> None:
        """Look whether the trainings at work still are."""
        if self._seen.under_way:
            self.look()

    def show(self) -> None:
        """Bring the line and the title in line with what is known."""
        jobs = [UnderWay(job.what, job.done, job.total) for job in self._app.jobs.at_work]
        under_way = [*self._seen.under_way, *jobs]
        waiting = self._seen.waiting + len(self._app.jobs.not_over) - len(jobs)
        with contextlib.suppress(NoMatches):  # a dialog; the screen below shows it when the dialog is gone
            self._app.screen.query_one(JobLine).show(under_way, waiting, self._seen.held)
        first = under_way[0] if under_way else None
        percent = f" {min(100, 100 * first.done // first.total)} %" if first and first.total else ""
        title = f"tireg · {first.text}{percent}" if first else "tireg"
        if title != self._title and self._app.preferences.notifies:
            self._title = title
            self._app.write_to_terminal(window_title.title(title))
