"""Keys one at a time: the next goes out when the one before has done its work, so that it reaches what that one opened.

A slow machine, or a connection that hands over several keys at once, would else send `mug` of `/mug` to the table below
the filter, where letters are commands.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from textual.events import Key, Paste
from textual.message_pump import MessagePump

if TYPE_CHECKING:
    from tireg_tui.app import TiregApp

_PATIENCE = 5.0
"""Seconds after which the next key goes out whatever the one before is still doing."""


class TypedAhead:
    """Holds back what is typed while an earlier key is at work."""

    def __init__(self, app: TiregApp) -> None:
        self._app = app
        self._held: deque[Key | Paste] = deque()
        self._number = 0
        self._at_work = False

    async def take(self, event: Key | Paste) -> None:
        """Take what was typed: it goes out at once, or after what is at work."""
        if self._at_work:
            self._held.append(event)
        else:
            await self._send(event)

    async def _send(self, event: Key | Paste) -> None:
        """Send it, and the next when it has been handled where it went to and all the way up.

        Every object handles its messages in the order in which they came, so a question behind the event is answered
        after it; then the screen that is there by now, and what it has asked for, have their turn.
        """
        self._at_work = True
        self._number += 1
        way: list[MessagePump] = [self._app.focused or self._app.screen]
        while (parent := way[-1]._parent) is not None and parent is not self._app:
            way.append(parent)
        asyncio.get_running_loop().call_later(_PATIENCE, self._release, self._number)
        await self._app.send_typed(event)
        # Twice: a field answers a key with a message that goes the same way.
        self._go(self._number, [*way, *way, self._app, None, self._app])

    def _go(self, number: int, way: list[MessagePump | None]) -> None:
        if not way:
            self._release(number)
            return
        stop = way[0] or self._app.screen
        if not stop.call_later(self._go, number, way[1:]):
            self._go(number, way[1:])  # it is gone

    def _release(self, number: int) -> None:
        if number != self._number or not self._at_work:
            return
        if self._held and not self._app._exit:
            self._number += 1  # whoever else waited for this one comes too late
            self._app.call_later(self._send, self._held.popleft())
        else:
            self._at_work = False
