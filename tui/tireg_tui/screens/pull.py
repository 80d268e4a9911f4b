"""Before a pull: what it fetches, under which licence, and what the word shall be called here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Checkbox, Input, Label, Static

from tireg_tui.texts import hub_texts
from tireg_tui.widgets.check import Check
from tiregistry.text import safe


@dataclass(frozen=True, slots=True)
class PullWish:
    """How a word shall be pulled; empty texts mean: as its owner calls it."""

    name: str
    token: str
    images: bool
    everything: bool


class PullDialog(ModalScreen[PullWish | None]):
    """Dismissed with the wish, or None; the cursor stands on Cancel.

    Args:
        looked: what `hub_worker` said of the repository.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Cancel", id="pull.cancel"),
        Binding("left,h", "app.focus_previous", show=False, id="pull.previous"),
        Binding("right,l", "app.focus_next", show=False, id="pull.next"),
        Binding("up", "app.focus_previous", show=False, id="pull.up"),
        Binding("down", "app.focus_next", show=False, id="pull.down"),
    ]

    def __init__(self, looked: Mapping[str, Any]) -> None:
        super().__init__()
        self._looked = looked

    def compose(self) -> ComposeResult:
        looked = self._looked
        with Vertical(classes="dialog"):
            yield Static(safe(f"Pull {looked['repo_id']}?"), classes="dialog-title", markup=False)
            text = "\n".join(hub_texts.pull_lines(looked))
            yield Static(safe(text, limit=4000, multiline=True), classes="dialog-text", markup=False)
            with Horizontal(classes="form-row"):
                yield Label("name here", markup=False)
                yield Input(placeholder="as its owner calls it", id="pull-name", compact=True)
            with Horizontal(classes="form-row"):
                yield Label("token here", markup=False)
                yield Input(placeholder=safe(looked["token"] or "as in the file"), id="pull-token", compact=True)
            yield Check("its pictures too", True, id="pull-images")
            if len(looked["versions"]) > 1:
                yield Check(f"all {len(looked['versions'])} versions", False, id="pull-all")
            with Horizontal(classes="dialog-buttons"):
                yield Button("Cancel", id="cancel")
                yield Button("Pull", id="act", variant="primary")

    def on_mount(self) -> None:
        self.query_one("#cancel", Button).focus()

    @on(Button.Pressed)
    def answer(self, event: Button.Pressed) -> None:
        if event.button.id != "act":
            self.dismiss(None)
            return
        every = self.query("#pull-all").results(Checkbox)
        self.dismiss(
            PullWish(
                self.query_one("#pull-name", Input).value.strip(),
                self.query_one("#pull-token", Input).value.strip(),
                self.query_one("#pull-images", Checkbox).value,
                any(box.value for box in every),
            )
        )
