"""Changing the registry from the screens: in a thread, with what went wrong said, and removals that can be undone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from tiregistry.errors import RegistryReadOnly
from tiregistry.text import safe

if TYPE_CHECKING:
    from tireg_tui.app import TiregApp
    from tiregistry.concepts import Run

T = TypeVar("T")
_NAMED = 5
_PATIENCE = 1.5
"""Seconds after which it is said that a change still waits."""


class Changes:
    """What this window changes, and what it has removed since its start."""

    def __init__(self, app: TiregApp) -> None:
        self._app = app
        self._removed: list[list[str]] = []

    def are_refused(self) -> bool:
        """Whether the registry can only be read; that is said, so that nothing is asked or written for nothing."""
        registry = self._app.registry
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
    ) -> None:
        """Change the registry in a thread (another writer may make it wait), then look again everywhere.

        Args:
            act: changes it; called in a thread.
            then: told the result, in the app's own thread; not called when the change failed.
            failed: told what went wrong, instead of the user.
        """
        work: Any = partial(
            self._make, act, then, failed
        )  # a callable: one that is never started leaves no coroutine behind
        self._app.run_worker(work, group="change", exit_on_error=False)

    async def _make(
        self, act: Callable[[], T], then: Callable[[T], None] | None, failed: Callable[[Exception], None] | None
    ) -> None:
        def counted() -> T:
            with self._app.threads.change():
                return act()

        work = asyncio.ensure_future(asyncio.to_thread(counted))
        try:
            await asyncio.wait({work}, timeout=_PATIENCE)
            if not work.done():
                self._app.say(
                    "another program holds the registry, or its disk is slow; it is done as soon as that ends",
                    title="Waiting",
                )
            result = await work
        except asyncio.CancelledError:
            work.cancel()
            raise
        except Exception as error:  # noqa: BLE001 (whatever a change runs into, the app goes on and says so)
            (failed or self._app.report)(error)
            return
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

    def remove(self, references: list[str]) -> None:
        """Move concepts or versions to the trash; `undo` takes it back."""
        registry = self._app.registry
        if registry is None:
            return

        def done(removed: list[str]) -> None:
            self._removed.append(removed)
            self._app.say(f"{_names(removed)} · u brings it back", title="In the trash")

        self.make(lambda: [registry.remove(reference) for reference in references], done)

    def undo(self) -> None:
        """Bring back what was removed last, in this sitting."""
        registry = self._app.registry
        if self.are_refused():
            return
        if registry is None or not self._removed:
            self._app.say("Nothing was removed here since the start; the trash: tireg list --trash")
            return
        references = self._removed.pop()
        self.make(
            lambda: [registry.restore(reference) for reference in references],
            lambda restored: self._app.say(_names(restored), title="Brought back"),
        )


def _names(references: list[str]) -> str:
    return f"{', '.join(references[:_NAMED])}{' …' if len(references) > _NAMED else ''}"
