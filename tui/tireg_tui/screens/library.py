"""The library: all learned words, filtered as one types, with the picture of the one under the cursor."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Input, Static

from tireg_tui import curation
from tireg_tui.messages import ConceptChosen, ConceptHighlighted, RegistryChanged
from tireg_tui.screens.place import Place
from tireg_tui.start.first_page import SORTS, remembered_order, status_text
from tireg_tui.texts import formatting
from tireg_tui.widgets import concept_table
from tireg_tui.widgets.concept_detail import ConceptDetail
from tireg_tui.widgets.concept_table import ConceptTable
from tiregistry.errors import NotFound
from tiregistry.quantities import count
from tiregistry.registry.search import no_filter_hint
from tiregistry.text import safe

if TYPE_CHECKING:
    from tiregistry.registry.handles import RegisteredConcept

_FIRST_FRAME_SECONDS = 0.3
"""Longest wait for the words with nothing shown."""
EMPTY = """No words yet.

n    teach one from your own pictures
I    import embeddings you already have
4    find some on the Hub

tireg demo, in a shell, learns two bundled ones in a few minutes"""


class Library(Place):
    """The start: filter, table, detail."""

    HERE = "library"
    _holds_frames = True
    AUTO_FOCUS = "#concepts"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "Filter", key_display="/", id="library.filter"),
        Binding("escape", "clear", "Clear", show=False, id="library.clear"),
        Binding("n", "app.train", "Train", id="library.train"),
        Binding("p", "prompt", "Compose", id="library.prompt", tooltip="Compose with this word"),
        Binding("t", "tags", "Tags", id="library.tags"),
        Binding("y", "copy", "Copy word", id="library.copy"),
        Binding("I", "import", "Import", show=False, id="library.import", tooltip="Import words from files"),
        Binding("P", "push", "Push", id="library.push", tooltip="Push to the Hub"),
        Binding("D,delete", "remove", "Remove", key_display="D", id="library.remove"),
        Binding("i", "picture", "Picture on/off", show=False, id="library.picture"),
        Binding("r", "reload", "Reload", show=False, id="library.reload"),
    ]

    def body(self) -> ComposeResult:
        remembered = self.tireg.remembered
        yield Input(
            remembered.text("filter"),
            placeholder="type to filter · tag:garden base:sd15 type:style since:7d",
            id="filter",
            compact=True,
        )
        with Horizontal(id="library"):
            with Vertical(id="library-list"):
                yield ConceptTable(id="concepts")
                yield Static(EMPTY, id="library-empty", markup=False)
                yield Static("", id="library-status", markup=False)
            yield ConceptDetail(id="detail")

    @property
    def table(self) -> ConceptTable:
        """The table of concepts."""
        return self.query_one(ConceptTable)

    def on_mount(self) -> None:
        self.table.order = remembered_order(self.tireg.remembered)
        self.query_one("#library-empty").display = False
        self.table.focus()
        keep = self.tireg.remembered.text("concept")
        page, query = self.tireg.take_first_page(), self.query_one("#filter", Input).value
        if page is not None and (page.query, page.order) == (query, self.table.order):
            self.table.show_first(page, keep=keep)
            self._show_status()
            self._show_frames()
        else:
            self._load(keep=keep)
            self.set_timer(_FIRST_FRAME_SECONDS, self._show_frames)

    # Until there are words, every frame would be drawn in vain, and a table that fills itself late is restless.
    # Where Textual no longer calls this, those frames are drawn, and nothing else changes.
    def _compositor_refresh(self) -> None:
        if not self._holds_frames:
            super()._compositor_refresh()

    def _show_frames(self) -> None:
        if self._holds_frames:
            self._holds_frames = False
            self.refresh()
            # What stands beside the words is not made before they are shown.
            self.call_after_refresh(self._show_detail)

    def _load(self, *, keep: str = "") -> None:
        self.table.load(self.registry, self.query_one("#filter", Input).value, keep=keep)

    # -- what happens --------------------------------------------------------------------------------------------

    @on(RegistryChanged)
    def action_reload(self) -> None:
        self._load()

    @on(Input.Changed, "#filter")
    def filter_changed(self, event: Input.Changed) -> None:
        self.tireg.remembered.set("filter", event.value)
        self._load()

    @on(Input.Submitted, "#filter")
    def filter_done(self) -> None:
        self.set_focus(self.table)

    @on(ConceptTable.Shown)
    def show_status(self) -> None:
        self._show_status()
        self._show_frames()

    def _show_status(self) -> None:
        query = self.query_one("#filter", Input).value
        empty = not self.table.names
        self.query_one("#library-empty", Static).display = empty
        if empty and query:
            told = safe(no_filter_hint(query), limit=200)
            text = "\n\n".join(filter(None, ("Nothing matches.", told, f"Esc clears the filter {query!r}")))
            self.query_one("#library-empty", Static).update(text)
        elif empty:
            self.query_one("#library-empty", Static).update(EMPTY)
        # A table that is not shown cannot have the focus; the filter, which would get it, must not swallow the keys.
        if empty and self.table.has_focus:
            self.set_focus(None)
        self.table.display = not empty
        if not empty and self.focused is None:
            self.set_focus(self.table)
        text = status_text(self.table.total, self.table.order, len(self.table.marked))
        self._tell(text)

    def _tell(self, text: str, *, is_trouble: bool = False) -> None:
        line = self.query_one("#library-status", Static)
        line.set_class(is_trouble, "-trouble")
        line.update(text)

    @on(ConceptHighlighted)
    def show_detail(self, event: ConceptHighlighted) -> None:
        self.tireg.remembered.set("concept", event.name)
        self._show_detail()
        table = self.table
        if table.cursor_row > len(table.names) - 50:
            table.more(self.registry)

    def _show_detail(self) -> None:
        detail = self.query_one(ConceptDetail)
        if detail.display and not self._holds_frames and self.tireg.registry is not None:
            detail.show(self.registry, self.table.current)

    @on(concept_table.Failed)
    def loading_failed(self, event: concept_table.Failed) -> None:
        text = safe(f"{event.error.message} · {event.error.hint}", limit=400)
        self._tell(text, is_trouble=True)
        self.query_one("#library-empty", Static).update(text)  # seen where the last filter matched nothing

    @on(ConceptChosen)
    def open_concept(self, event: ConceptChosen) -> None:
        self.tireg.open_concept(event.name, self.table.names)

    # -- keys ----------------------------------------------------------------------------------------------------

    def action_filter(self) -> None:
        """Put the cursor into the filter, at once: what is typed ahead belongs there."""
        self.set_focus(self.query_one("#filter", Input))

    def action_clear(self) -> None:
        """Clear and leave the filter, then take marks away."""
        field = self.query_one("#filter", Input)
        if field.has_focus:
            field.value = ""
            self.set_focus(self.table)
        elif self.table.marked:
            self.table.unmark()
        elif field.value:
            field.value = ""

    @on(ConceptTable.SortAsked)
    def sort(self) -> None:
        orders = list(SORTS)
        order = orders[(orders.index(self.table.order) + 1) % len(orders)]
        self.table.order = order
        self.tireg.remembered.set("sort", order)
        self._load()

    @on(ConceptTable.EndAsked)
    def to_the_end(self) -> None:
        self.table.more(self.registry, everything=True)

    def action_picture(self) -> None:
        """Show or hide the detail with its picture."""
        detail = self.query_one(ConceptDetail)
        detail.display = not detail.display
        self._show_detail()

    def action_prompt(self) -> None:
        """Compose a prompt with the words."""
        tokens = [self.registry.concept(name).placeholder_token for name in self.table.chosen]
        self.tireg.compose_prompt(f"a photo of {' and '.join(tokens)}" if tokens else "")

    def action_copy(self) -> None:
        """Copy the placeholder token."""
        if self.table.current:
            self.tireg.copy(self.registry.concept(self.table.current).placeholder_token)

    def action_import(self) -> None:
        """Import words from files, after saying what they hold."""
        from tireg_tui.background.importing import start_import
        from tireg_tui.screens.import_words import ImportWords

        if self.tireg.refuses_changes():
            return
        registry = self.registry

        def answered(paths: list[Path] | None) -> None:
            if paths:
                start_import(self.tireg, registry, paths)

        self.app.push_screen(ImportWords(registry), answered)

    def action_push(self) -> None:
        """Show what pushing the word under the cursor would send."""
        if self.table.current:
            self.tireg.push_word(self.table.current)

    def action_tags(self) -> None:
        """Change the tags of one word, or add tags to all marked ones."""
        if self.table.chosen:
            curation.ask_tags(self.tireg, self.registry, self.table.chosen)

    def action_remove(self) -> None:
        """Move words to the trash, after asking."""
        names = self.table.chosen
        if not names:
            return
        listed = set(self.table.names)
        names.sort(key=lambda name: name in listed)  # first those that are not seen beside the question
        concepts = [concept for name in names if (concept := self._still_here(name, is_one=len(names) == 1))]
        if not concepts:
            self.table.unmark()
            self.tireg.say("None of the marked words is here any more")
            return
        names = [concept.name for concept in concepts]
        versions = count(sum(concept.num_versions for concept in concepts), "version")
        hidden = len(set(names) - listed)
        is_one = len(names) == 1
        what = names[0] if is_one else count(len(names), "word")
        with_them = f"With {versions}" if is_one else f"{formatting.some_of(names)}, with {versions}"
        if hidden:
            how_many = "It is" if is_one else "They are" if hidden == len(names) else f"{hidden} of them are"
            with_them += f". {how_many} not shown at present"
        curation.ask_removal(self.tireg, what, with_them, names, before=self.table.unmark, left=self.table.mark)

    def _still_here(self, name: str, *, is_one: bool) -> RegisteredConcept | None:
        """A word; None where one of several that were marked was removed elsewhere meanwhile.

        Raises:
            NotFound: it is the only one.
        """
        try:
            return self.registry.concept(name)
        except NotFound:
            if is_one:
                raise
            return None
