"""How a run shall stop: not at all, keeping what was learned, or throwing it away."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Literal

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from tireg_tui.screens.confirm import Confirm
from tiregistry.text import safe

if TYPE_CHECKING:
    from textual.app import App

    from tiregistry.concepts import Run

Answer = Literal["keep", "discard"]


def ask_how(app: App[None], run: Run, then: Callable[[Answer | None], None]) -> None:
    """Ask how a run shall stop; one that only waits has nothing to keep."""
    if run.status != "queued":
        app.push_screen(StopRun(f"the training of {run.concept} at step {run.step}"), then)
        return
    title = f"Take the training of {run.concept} out of the queue?"
    text = "It waits and has not begun. r puts it there again."
    if run.step:
        text = f"It waits at step {run.step}, where its checkpoint stays. r puts it there again."
    app.push_screen(Confirm(title, text, "Take out"), lambda yes: then("discard" if yes else None))


class StopRun(ModalScreen[Answer | None]):
    """Dismissed with None unless one of the two ways was chosen; the cursor stands on Cancel."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Cancel", id="stop.cancel"),
        Binding("left,h", "app.focus_previous", show=False, id="stop.previous"),
        Binding("right,l", "app.focus_next", show=False, id="stop.next"),
    ]

    def __init__(self, what: str) -> None:
        super().__init__()
        self._what = what

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(safe(f"Stop {self._what}?"), classes="dialog-title", markup=False)
            text = "It stops after its step. Its checkpoint stays, so r can resume it either way."
            yield Static(text, classes="dialog-text", markup=False)
            with Horizontal(classes="dialog-buttons"):
                yield Button("Cancel", id="cancel")
                yield Button("Stop, keep version", id="keep", variant="warning")
                yield Button("Stop", id="discard", variant="error")

    def on_mount(self) -> None:
        self.query_one("#cancel", Button).focus()

    @on(Button.Pressed)
    def answer(self, event: Button.Pressed) -> None:
        chosen = event.button.id
        self.dismiss("keep" if chosen == "keep" else "discard" if chosen == "discard" else None)
