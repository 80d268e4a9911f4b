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

from tireg_tui.input.prompt_words import Known, Typed, begun, completions, words_of
from tireg_tui.settings.themes import ink


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
        typed = begun(value, len(value), self._field.known)
        if typed is None or typed.start + len(typed.part) + 1 != len(value):  # what is proposed is put at the end
            return None
        part = typed.part
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
        typed = self.typed
        found = completions(self.known, typed.part) if typed else []
        self.post_message(self.Begun(self, typed.part if typed else None, found))

    @property
    def typed(self) -> Typed | None:
        """The word that is being typed."""
        return begun(self.value, self.cursor_position, self.known)

    def action_complete(self) -> None:
        """Complete the word, or go to the next field where none has been begun."""
        typed = self.typed
        found = completions(self.known, typed.part) if typed else []
        if not found:
            self.screen.focus_next()
            return
        self.take(found[0])

    def take(self, word: str) -> None:
        """Put a whole word in the place of the one that has been begun, or at the cursor."""
        at = self.cursor_position
        typed = self.typed or Typed("", at, at)
        self.value = f"{self.value[: typed.start]}<{word}>{self.value[typed.end :]}"
        self.cursor_position = typed.start + len(word) + 2
