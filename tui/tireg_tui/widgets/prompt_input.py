"""The prompt: known words are marked as such, unknown ones too, and a word that has been begun is completed."""

from __future__ import annotations

from typing import ClassVar

from rich.highlighter import Highlighter
from rich.text import Text
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.suggester import Suggester
from textual.widgets import Input
from textual.widgets.input import Selection

from tireg_tui.themes import ink
from tireg_tui.words import Known, begun, completions, words_of


class _Marker(Highlighter):
    """Colours the words of a prompt."""

    def __init__(self, field: PromptInput) -> None:
        self._field = field

    def highlight(self, text: Text) -> None:
        good, bad = ink(self._field.app, "accent", bold=True), ink(self._field.app, "error", strike=True)
        for start, end, word in words_of(text.plain):
            known = self._field.known.knows(word)
            # Not by colour alone: what is unknown is also struck through.
            text.stylize(good if known else bad, start, end)


class _Completer(Suggester):
    """Proposes the rest of the word at the end of the prompt."""

    def __init__(self, field: PromptInput) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._field = field

    async def get_suggestion(self, value: str) -> str | None:
        part = begun(value, len(value))
        if part is None:
            return None
        found = [word for word in completions(self._field.known, part) if word.startswith(part)]
        return f"{value}{found[0][len(part) :]}>" if found else None


class PromptInput(Input):
    """One line for a prompt. Tab takes the first completion where a word has been begun."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("tab", "complete", show=False, id="prompt.complete")]

    class Begun(Message):
        """A word is being typed, or no longer is.

        Attributes:
            field: where.
            found: whole words it can become, best first.
        """

        def __init__(self, field: PromptInput, part: str | None, found: list[str]) -> None:
            super().__init__()
            self.field, self.part, self.found = field, part, found

    def __init__(self, value: str, known: Known, *, placeholder: str, id: str) -> None:  # noqa: A002
        self.known = known
        super().__init__(
            value,
            placeholder=placeholder,
            id=id,
            compact=True,
            highlighter=_Marker(self),
            suggester=_Completer(self),
            select_on_focus=False,
        )

    def watch_value(self, value: str) -> None:
        self.tell()

    def watch_selection(self, selection: Selection) -> None:
        self.tell()

    def tell(self) -> None:
        """Say which word is being typed, and what it can become."""
        part = begun(self.value, self.cursor_position)
        self.post_message(self.Begun(self, part, [] if part is None else completions(self.known, part)))

    def action_complete(self) -> None:
        """Complete the word, or go to the next field where none has been begun."""
        part = begun(self.value, self.cursor_position)
        found = completions(self.known, part) if part is not None else []
        if part is None or not found:
            self.screen.focus_next()
            return
        self.take(found[0])

    def take(self, word: str) -> None:
        """Put a whole word in the place of the one that has been begun, or at the cursor."""
        at = self.cursor_position
        part = begun(self.value, at)
        start = at if part is None else at - len(part) - 1
        rest = self.value[at:].removeprefix(">")
        self.value = f"{self.value[:start]}<{word}>{rest}"
        self.cursor_position = start + len(word) + 2
