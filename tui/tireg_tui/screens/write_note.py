"""Writing the note on a word: what is left unkept comes back, and what others wrote meanwhile is not replaced."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Static, TextArea

from tireg_tui.input.note_drafts import NoteDraft, draft_of, remember
from tireg_tui.screens.keeping import KeepingDialog
from tiregistry.errors import ChangedMeanwhile
from tiregistry.registry.handles import RegisteredConcept
from tiregistry.registry.registry import Registry
from tiregistry.text import safe


class WriteNote(KeepingDialog):
    """Closed when the note was kept, or left.

    Args:
        registry: where it is kept.
        concept: the word, with its note as it is now.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Leave", id="ask.cancel"),
        Binding("ctrl+s", "keep", "Keep", id="ask.keep", priority=True),
        Binding("f8", "drop", "Drop what was typed", id="note.drop", priority=True),
    ]

    def __init__(self, registry: Registry, concept: RegisteredConcept) -> None:
        super().__init__()
        self._registry, self._concept = registry, concept
        self._seen = concept.notes

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(safe(f"Notes on {self._concept.placeholder_token}"), classes="dialog-title", markup=False)
            # As it is: made safe to show (`safe_lines` does that), it would be kept like that.
            yield TextArea(self._seen, id="answer")
            hint = "Ctrl+S keeps · Esc leaves; what is typed is here when you come back · F8 drops it"
            yield Static(hint, id="said", classes="dialog-hint", markup=False)

    def on_mount(self) -> None:
        self._area.focus()
        draft = draft_of(self._tireg.remembered, self._concept)
        if draft is not None:
            self._take(draft.over(self._seen))
            self.say("What was typed here before is back; F8 drops it")
        self._to_the_end()

    @property
    def _area(self) -> TextArea:
        return self.query_one(TextArea)

    @property
    def typed(self) -> str:
        """The note as it stands there."""
        return self._area.text

    @on(TextArea.Changed)
    def remember_it(self) -> None:
        is_begun = self.typed.splitlines() != self._seen.splitlines()  # the area has its own way to end lines
        remember(self._tireg.remembered, self._concept, NoteDraft(self.typed, self._seen) if is_begun else None)

    def _take(self, draft: NoteDraft) -> None:
        self._seen, self._area.text = draft.seen, draft.text

    def _to_the_end(self) -> None:
        self._area.move_cursor(self._area.document.end)

    async def action_keep(self) -> None:
        """Keep the note, and close when that is done."""
        text, seen = self.typed, self._seen

        def act() -> None:
            self._registry.describe(self._concept.name, seen={"notes": seen}, notes=text)

        def kept(_: None) -> None:
            self._seen = text
            if self.is_left:
                remember(self._tireg.remembered, self._concept, None)
            else:
                self.remember_it()

        await self.keep(act, kept, self._registry)

    def refuse(self, error: Exception) -> None:
        """Say what went wrong; put what someone else has written below what is typed."""
        if not isinstance(error, ChangedMeanwhile):
            super().refuse(error)
            return
        self._take(NoteDraft(self.typed, self._seen).over(error.now))
        self._to_the_end()
        theirs = "changed elsewhere meanwhile; what was written there stands below. Ctrl+S keeps both like this"
        self.say(f"It was {theirs if error.now else 'emptied elsewhere meanwhile. Ctrl+S keeps what stands here'}")

    def action_drop(self) -> None:
        """Go back to the note as it was read last."""
        self._area.text = self._seen
        self._to_the_end()
        self.say("This is the note as it is kept")
