"""A dialog that stays until what was asked for has been done: no answer is lost to a full disk or a slip of the pen."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar, cast

from rich.text import Text
from textual.await_complete import AwaitComplete
from textual.screen import ModalScreen
from textual.widgets import Static

from tireg_tui.registry.chance import Chance
from tireg_tui.registry.changes import WAITS
from tireg_tui.settings.themes import ink
from tireg_tui.texts.formatting import trouble
from tireg_tui.texts.unsaid import unsay
from tiregistry.text import safe

if TYPE_CHECKING:
    from tireg_tui.app import TiregApp
    from tiregistry.registry.registry import Registry

T = TypeVar("T")
_MOMENT = 0.5
"""Seconds for which keys that are typed ahead wait for a change, which takes milliseconds unless another one is on."""


class KeepingDialog(ModalScreen[None]):
    """Its widget `#said` is a Static, which says how to answer, and then what went wrong."""

    _at_work = False
    _chance: Chance | None = None

    @property
    def typed(self) -> object:
        """What stands in its fields."""
        raise NotImplementedError

    @property
    def is_left(self) -> bool:
        """Whether it was closed already."""
        return not any(self in stack for stack in self.app._screen_stacks.values())

    async def keep(
        self, act: Callable[[], T], then: Callable[[T], None] | None = None, within: Registry | None = None
    ) -> None:
        """Do in a thread what was asked for, and close the dialog once it is done.

        Args:
            act: does it; what it raises is said in the dialog, where everything stays as it was typed.
            then: told the result, just before the dialog closes, or after it was left.
            within: a registry that `act` changes, and nothing else: it is done in one transaction, and leaving the
                dialog while that waits for another writer drops it.
        """
        if self._at_work:
            return
        self._at_work, typed, ended = True, self.typed, asyncio.Event()
        chance = self._chance = Chance()

        def in_turn() -> T | None:
            with within.transaction() if within is not None else contextlib.nullcontext():
                return act() if chance.begin() else None

        def done(result: T | None) -> None:
            self._end(ended)
            if chance.is_dropped:
                return
            if then is not None:
                then(cast("T", result))
            if self.is_left:
                return
            if self.typed != typed:
                self.say("That is kept; what you have typed since is not, yet")
            elif self.app.screen is self:
                self.dismiss()
            else:  # something else has come up, which must not be closed in its place
                self.say("That is kept")

        def failed(error: Exception) -> None:
            self._end(ended)
            if chance.is_dropped:
                return
            if self.is_left:
                self._tireg.report(error)
            else:
                self.refuse(error)

        self._tireg.change(in_turn, done, failed, chance)
        # What is typed behind the answer is for whatever comes up when the dialog closes, as `typed_ahead` has it.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), _MOMENT)

    def dismiss(self, result: None = None) -> AwaitComplete:
        """Close it; what it waits for is dropped where it has not begun, and what becomes of it is said."""
        if self._at_work and self._chance is not None:
            unsay(self.app, WAITS)
            if self._chance.drop():
                self._tireg.say("It had not begun: nothing is changed", title="Dropped")
            else:
                self._tireg.say("It has begun, and is still done", title="Left")
        return super().dismiss(result)

    def _end(self, ended: asyncio.Event) -> None:
        self._at_work = False
        ended.set()

    def refuse(self, error: Exception) -> None:
        """Say inside what went wrong."""
        self.say(trouble(error, " · "), "error")

    def say(self, text: str, color: str = "warning") -> None:
        """Say something inside."""
        self.query_one("#said", Static).update(Text(safe(text, limit=800), style=ink(self.app, color)))

    @property
    def _tireg(self) -> TiregApp:
        return cast("TiregApp", self.app)
