"""A question answered with one line: tags, an alias, a setting."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Input, Static

from tireg_tui.screens.keeping import KeepingDialog
from tiregistry.text import safe

if TYPE_CHECKING:
    from tiregistry.registry.registry import Registry


class AskText(KeepingDialog):
    """Closed when the answer was kept, or cancelled.

    Args:
        title: what is asked.
        act: keeps the answer; called in a thread. What it raises is said, and the text stays to be mended.
        hint: how to answer.
        value: what stands there at first.
        then: told what `act` returned.
        within: the registry, where `act` changes that and nothing else; see `KeepingDialog.keep`.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Cancel", id="ask.cancel"),
        Binding("ctrl+s", "keep", "Keep", id="ask.keep", priority=True),
    ]

    def __init__(
        self,
        title: str,
        act: Callable[[str], Any],
        hint: str = "",
        value: str = "",
        *,
        then: Callable[[Any], None] | None = None,
        within: Registry | None = None,
    ) -> None:
        super().__init__()
        self._title, self._act, self._hint, self._value, self._then = title, act, hint, value, then
        self._within = within

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(safe(self._title), classes="dialog-title", markup=False)
            yield Input(safe(self._value), id="answer", select_on_focus=False)
            hint = f"{self._hint}  ·  " if self._hint else ""
            yield Static(f"{hint}Enter keeps, Esc cancels", id="said", classes="dialog-hint", markup=False)

    def on_mount(self) -> None:
        self.query_one(Input).focus()

    @property
    def typed(self) -> str:
        """The answer as it stands there."""
        return self.query_one(Input).value

    @on(Input.Submitted)
    async def action_keep(self) -> None:
        """Keep the answer, and close when that is done."""
        answer = self.typed
        await self.keep(lambda: self._act(answer), self._then, self._within)
