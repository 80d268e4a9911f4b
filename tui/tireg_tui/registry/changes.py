"""Changing the registry from the screens: in a thread, with what went wrong said, and removals that can be undone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from tireg_tui.registry.one_by_one import Outcome, remove_each, restore_each
from tireg_tui.texts.unsaid import unsay
from tiregistry.errors import NotFound, RegistryReadOnly, TiregError
from tiregistry.text import safe

if TYPE_CHECKING:
    from tireg_tui.app import TiregApp
    from tireg_tui.registry.chance import Chance
    from tiregistry.concepts import Run

T = TypeVar("T")
_NAMED = 5
_REMOVED, _BACK, WAITS = "In the trash", "Brought back", "Waiting"
_PATIENCE = 1.5
"""Seconds after which it is said that a change still waits."""


class Changes:
    """What this window changes, and what it has removed since its start."""

    def __init__(self, app: TiregApp) -> None:
        self._app = app
        self._removed: list[list[str]] = []

    def are_refused(self) -> bool:
        """Whether the registry can only be read, or is gone; that is said, so that nothing is asked for nothing."""
        registry = self._app.registry
        if self._app.registry_is_gone:
            self._app.report(TiregError("the registry is gone", "bring it back, and it is opened again"))
            return True
        if registry is None or not registry.readonly or registry.is_full:
            return False
        hint = "check its folder's rights and start tireg again, or set TIREG_HOME to another one"
        self._app.report(RegistryReadOnly(f"the registry in {safe(registry.home)} can only be read", hint))
        return True

    def make(
        self,
        act: Callable[[], T],
        then: Callable[[T], None] | None = None,
        failed: Callable[[Exception], None] | None = None,
        chance: Chance | None = None,
    ) -> None:
        """Change the registry in a thread (another writer may make it wait), then look again everywhere.

        Args:
            act: changes it; called in a thread.
            then: told the result, in the app's own thread; not called when the change failed.
            failed: told what went wrong, instead of the user.
            chance: whether it can be dropped, and was; by default it cannot.
        """
        # A callable: one that is never started leaves no coroutine behind.
        work: Any = partial(self._make, act, then, failed, chance)
        self._app.run_worker(work, group="change", exit_on_error=False)

    async def _make(
        self,
        act: Callable[[], T],
        then: Callable[[T], None] | None,
        failed: Callable[[Exception], None] | None,
        chance: Chance | None,
    ) -> None:
        def counted() -> T:
            with self._app.threads.change():
                return act()

        work = asyncio.ensure_future(asyncio.to_thread(counted))
        try:
            await asyncio.wait({work}, timeout=_PATIENCE)
            if not work.done() and not (chance and chance.is_dropped):
                leave = "Esc drops it" if chance and not chance.has_begun else "it is done as soon as that ends"
                self._app.say(f"another program holds the registry, or its disk is slow; {leave}", title=WAITS)
            result = await work
        except asyncio.CancelledError:
            work.cancel()
            raise
        except Exception as error:  # noqa: BLE001 (whatever a change runs into, the app goes on and says so)
            unsay(self._app, WAITS)
            (failed or self._app.report)(error)
            return
        unsay(self._app, WAITS)
        if then is not None:
            then(result)
        self._app.registry_changed()

    def resume(self, run: Run) -> None:
        """Take a training up at its checkpoint, or start one that waits, in the background."""
        registry = self._app.registry
        if self.are_refused() or registry is None:
            return

        def act() -> None:
            from tiregistry.runs.control import queue_again, start

            start(registry, [queue_again(registry, run)])

        self.make(act, lambda _: self._app.say(f"The training of {run.concept} goes on in the background"))

    def remove(self, references: list[str], left: Callable[[list[str]], None] | None = None) -> None:
        """Move concepts or versions to the trash, one by one; `undo` takes it back.

        Args:
            left: told those that could not be moved.
        """
        registry = self._app.registry
        if registry is None:
            return

        def done(outcome: Outcome) -> None:
            unsay(self._app, _BACK)
            if outcome.done:
                self._removed.append(outcome.done)
            told = [f"{_names(outcome.done)} · u brings it back"] if outcome.done else []
            if outcome.so_already:
                told.append(f"{_names(outcome.so_already)}: removed elsewhere already")
            if told:
                self._app.say("\n".join(told), title=_REMOVED)
            if outcome.left:
                self._say_what_is_left(outcome, len(references), "in the trash")
                if left is not None:
                    left(list(outcome.left))

        self.make(lambda: remove_each(registry, references), done)

    def undo(self) -> None:
        """Bring back what was removed last, in this sitting."""
        registry = self._app.registry
        if self.are_refused():
            return
        if registry is None or not self._removed:
            self._app.say("Nothing was removed here since the start; the trash: tireg list --trash")
            return
        references = self._removed.pop()

        def done(outcome: Outcome) -> None:
            unsay(self._app, _REMOVED)
            # What is not in the trash any more will not come back from it; the rest can be tried again.
            rest = [reference for reference, error in outcome.left.items() if not isinstance(error, NotFound)]
            if rest:  # nothing that stays so keeps what was removed before from coming back
                self._removed.insert(0 if len(rest) == len(references) else len(self._removed), rest)
            if back := outcome.done + outcome.so_already:
                self._app.say(_names(back), title=_BACK)
            if outcome.left:
                self._say_what_is_left(outcome, len(references), "brought back")

        self.make(lambda: restore_each(registry, references), done)

    def _say_what_is_left(self, outcome: Outcome, number: int, done: str) -> None:
        if number == 1:
            self._app.report(next(iter(outcome.left.values())))
            return
        title = f"{number - len(outcome.left)} of {number} {done}, {len(outcome.left)} not"
        self._app.say(outcome.why, title=title, severity="warning")


def _names(references: list[str]) -> str:
    return f"{', '.join(references[:_NAMED])}{' …' if len(references) > _NAMED else ''}"
