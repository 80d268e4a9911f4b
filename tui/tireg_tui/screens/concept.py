"""One concept: its versions with what they were made from, their pictures, notes and differences."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ClassVar

from rich.style import Style
from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import DataTable, Static, TabbedContent, TabPane

from tireg_tui import curation
from tireg_tui.messages import RegistryChanged
from tireg_tui.screens.place import Place
from tireg_tui.settings.themes import ink
from tireg_tui.texts.concept_reading import losses_of, pictures_of, versions_of
from tireg_tui.widgets.card import CardPane
from tireg_tui.widgets.concept_runs import ConceptRuns
from tireg_tui.widgets.fields import Fields
from tireg_tui.widgets.fitting_table import Column, FittingTable
from tireg_tui.widgets.loss_chart import LossChart
from tireg_tui.widgets.picture_strip import PictureStrip
from tireg_tui.widgets.version_facts import difference_table, facts_of
from tiregistry.errors import NotFound, TiregError
from tiregistry.quantities import count
from tiregistry.text import safe

if TYPE_CHECKING:
    from tiregistry.registry.handles import RegisteredConcept, RegisteredVersion


# What stands beside the versions: id, label, key. Diff has none: its key compares as well.
_TABS = (
    ("pictures", "Pictures", "i"),
    ("images", "Learned from", "f"),
    ("loss", "Loss", "s"),
    ("diff", "Diff", ""),
    ("runs", "Runs", "r"),
    ("card", "Card", "c"),
    ("read_notes", "Notes", "m"),
)
_PANE = "tab-"
_LABELS = {tab: label for tab, label, _ in _TABS}
_NO_DIFF = "Mark a version with Space, move to another, then press ="


def _pane(tab: str) -> TabPane:
    """The pane of a tab."""
    return TabPane(_LABELS[tab], id=f"{_PANE}{tab}")


class VersionsTable(FittingTable):
    """The versions of a word."""

    COLUMNS = (
        Column("mark", " "),
        Column("version", "Version"),
        Column("names", "Names", shortened=True),
        Column("made", "Made", rank=1),
        Column("loss", "Loss", rank=2),
    )


class ConceptScreen(Place):
    """A concept in full.

    Args:
        name: the concept.
        neighbours: names in the order of the library, for `[` and `]`.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "app.pop_screen", "Back", id="concept.back"),
        Binding("v", "view(1)", "Next tab", id="concept.next_tab", tooltip="Next tab: pictures, loss, card, …"),
        Binding("left_square_bracket", "neighbour(-1)", "Previous word", show=False, id="concept.previous"),
        Binding("right_square_bracket", "neighbour(1)", "Next word", show=False, id="concept.next"),
        Binding("space", "mark", "Mark for diff", show=False, id="concept.mark"),
        Binding("equals_sign,d", "diff", "Diff", key_display="=", id="concept.diff"),
        Binding("a", "alias", "Alias", id="concept.alias"),
        Binding("t", "tags", "Tags", id="concept.tags"),
        Binding("e", "notes", "Notes", id="concept.notes"),
        Binding("E", "editor", "Notes in $EDITOR", show=False, id="concept.editor"),
        Binding("p", "prompt", "Compose", id="concept.prompt", tooltip="Compose with this word"),
        Binding("n", "train", "Train again", id="concept.train"),
        Binding("y", "copy", "Copy word", show=False, id="concept.copy"),
        Binding("x", "export", "Export", show=False, id="concept.export", tooltip="Export this version as a file"),
        Binding("P", "push", "Push", id="concept.push", tooltip="Push this version to the Hub"),
        Binding("D,delete", "remove", "Remove", key_display="D", id="concept.remove"),
        Binding("V", "view(-1)", "Previous tab", show=False, id="concept.previous_tab"),
        *(
            Binding(key, f"show('{tab}')", f"Tab: {label}", show=False, id=f"concept.{tab}")
            for tab, label, key in _TABS
            if key
        ),
    ]

    def __init__(self, name: str, neighbours: list[str] | None = None) -> None:
        super().__init__()
        self.concept_name = name
        self._neighbours = neighbours or [name]
        self._concept: RegisteredConcept | None = None
        self._versions: list[RegisteredVersion] = []
        self._rows: dict[str, dict[str, Text]] = {}
        self._marked: int | None = None
        self._compared: tuple[int, int] | None = None
        """The versions that the diff shows."""
        self._card_of = ""

    def body(self) -> ComposeResult:
        yield Static("", id="concept-title", markup=False)
        with Horizontal(id="concept"):
            with Vertical(id="concept-left"):
                yield VersionsTable(id="versions")
                with VerticalScroll(id="version-facts", can_focus=False):
                    yield Fields(id="version-fields")
            with TabbedContent(id="concept-right"):
                with _pane("pictures"):
                    yield PictureStrip(id="made")
                with _pane("images"):
                    yield PictureStrip(id="images")
                with _pane("loss"):
                    yield LossChart()
                with _pane("diff"), VerticalScroll():
                    yield Static(_NO_DIFF, id="diff", markup=False)
                with _pane("runs"):
                    yield ConceptRuns(id="concept-runs")
                with _pane("card"):
                    yield CardPane(id="concept-card")
                with _pane("read_notes"), VerticalScroll():
                    yield Static("", id="notes", markup=False)

    @property
    def table(self) -> VersionsTable:
        """The versions, newest first."""
        return self.query_one(VersionsTable)

    @property
    def tabs(self) -> TabbedContent:
        """What stands beside the versions."""
        return self.query_one("#concept-right", TabbedContent)

    @property
    def current(self) -> RegisteredVersion | None:
        """The version under the cursor."""
        row = self.table.cursor_row
        return self._versions[row] if 0 <= row < len(self._versions) else None

    def on_mount(self) -> None:
        self.table.focus()
        self._load()

    # -- showing -------------------------------------------------------------------------------------------------

    @on(RegistryChanged)
    def look_again(self) -> None:
        self._load()

    @work(exclusive=True, group="concept", exit_on_error=False)
    async def _load(self) -> None:
        try:
            concept, versions, rows = await asyncio.to_thread(versions_of, self.registry, self.concept_name)
        except NotFound as error:
            # Never from under a dialog or a form: what is typed there would go with it, and the rest of it to whatever
            # comes up. When that is left, this is looked at again.
            if self.is_on_top:
                self.tireg.say(f"{error.message}. {error.hint}")
                self.app.pop_screen()
            return
        except TiregError as error:
            self.tireg.report(error)
            return
        self._concept, self._versions = concept, versions
        self.concept_name = concept.name
        labels = [concept.concept_type, *(f"#{tag}" for tag in concept.tags), concept.licence]
        self.query_one("#concept-title", Static).update(
            Text.assemble(
                (f"{safe(concept.placeholder_token)}  ", "bold"),
                (
                    safe(" · ".join(label for label in (concept.name, *labels) if label)),
                    ink(self.app, "foreground") + Style(dim=True),
                ),
            )
        )
        notes = "\n\n".join(part for part in (concept.description, concept.notes) if part)
        self.query_one("#notes", Static).update(safe(notes or "No notes yet; e writes some.", multiline=True))
        keys = [column.key for column in VersionsTable.COLUMNS[1:]]
        self._rows = {
            str(number): {key: Text(safe(cell, limit=60)) for key, cell in zip(keys, cells, strict=True)}
            for number, cells in rows
        }
        self._forget_what_has_gone()
        self._show_rows()
        self.query_one(ConceptRuns).read(self.registry, self.concept_name)
        self._show_version()

    def _forget_what_has_gone(self) -> None:
        """No mark on, and no diff of, a version that is not here any more."""
        here = {version.number for version in self._versions}
        if self._marked not in here:
            self._marked = None
        if self._compared is not None and not here.issuperset(self._compared):
            self._compared = None
            self.query_one("#diff", Static).update(_NO_DIFF)

    def _show_rows(self) -> None:
        marked = str(self._marked)
        self.table.show({key: {"mark": Text("●" if key == marked else " ")} | row for key, row in self._rows.items()})

    @on(DataTable.RowHighlighted, "#versions")
    def version_highlighted(self) -> None:
        self._show_version()

    @work(exclusive=True, group="version", exit_on_error=False)
    async def _show_version(self) -> None:
        version, concept = self.current, self._concept
        if version is None or concept is None:
            self.query_one("#version-fields", Fields).show({"versions": "none yet: n trains the first"})
            return
        aliases = [alias for alias, number in concept.aliases.items() if number == version.number]
        try:
            facts = await asyncio.to_thread(facts_of, version, aliases)
            made, images = await asyncio.to_thread(pictures_of, self.registry, version)
            losses = await asyncio.to_thread(losses_of, version)
        except TiregError as error:
            self.tireg.report(error)
            return
        self._card_of = ""
        self._show_card()
        self.query_one("#version-fields", Fields).show(facts)
        self.query_one(LossChart).values = tuple(losses)
        await self.query_one("#made", PictureStrip).show(made or images)
        await self.query_one("#images", PictureStrip).show(images)

    @on(TabbedContent.TabActivated, "#concept-right")
    def tab_changed(self) -> None:
        self._show_card()

    @work(exclusive=True, group="card", exit_on_error=False)
    async def _show_card(self) -> None:
        """The card that the version would be pushed with; made when it is looked at."""
        version = self.current
        is_seen = self.tabs.active == f"{_PANE}card"
        if version is None or not is_seen or self._card_of == version.digest:
            return
        from tiregistry.hub.card_preview import card_of

        self._card_of = version.digest
        try:
            text = await asyncio.to_thread(card_of, self.registry, version)
        except TiregError as error:
            text = f"It could not be pushed: {error.message}"
        await self.query_one("#concept-card", CardPane).show(text)

    @on(ConceptRuns.Chosen)
    def run_chosen(self, event: ConceptRuns.Chosen) -> None:
        self.tireg.show_run(event.run_id)

    # -- keys ----------------------------------------------------------------------------------------------------

    def action_view(self, step: int) -> None:
        """Go to the next or previous tab."""
        order = [tab for tab, *_ in _TABS]
        now = order.index(self.tabs.active.removeprefix(_PANE))
        self._go_to_tab(order[(now + step) % len(order)])

    def action_show(self, tab: str) -> None:
        """Go to a tab; once more, into it."""
        self._go_to_tab(tab, into=self.tabs.active == f"{_PANE}{tab}")

    def _go_to_tab(self, tab: str, *, into: bool = False) -> None:
        """Show a tab; what was beside the versions with the cursor stays there."""
        beside, focused = self.tabs, self.focused
        if not beside.display:
            self.tireg.say("There is room for the versions only; in a higher window their pictures stand beside them")
            return
        into = into or (focused is not None and focused is not self.table)
        beside.active = f"{_PANE}{tab}"
        if into:
            self.call_after_refresh(self._enter_tab)

    def _enter_tab(self) -> None:
        pane = self.tabs.active_pane
        inside = [part for part in pane.query("*") if part.focusable] if pane is not None else []
        self.set_focus(inside[0] if inside else self.table)

    def action_neighbour(self, step: int) -> None:
        """Go to the previous or next concept of the library's order."""
        names = self._neighbours
        if self.concept_name in names:
            self.concept_name = names[(names.index(self.concept_name) + step) % len(names)]
            self._marked = self._compared = None
            self.query_one("#diff", Static).update(_NO_DIFF)
            self.table.move_cursor(row=0, animate=False)
            self._load()

    def action_mark(self) -> None:
        """Mark the version that the next diff starts from."""
        if self.current is not None:
            self._marked = None if self._marked == self.current.number else self.current.number
            self._show_rows()

    def action_diff(self) -> None:
        """Compare with the marked version, or with the one before."""
        version = self.current
        others = [v.number for v in self._versions if version and v.number < version.number]
        first = self._marked if self._marked is not None else (max(others) if others else None)
        if version is None or first is None or first == version.number:
            several = "Mark a version with Space and move to another first"
            one = f"{self.concept_name} has no other version to compare with"
            self.tireg.say(several if len(self._versions) > 1 else one)
            return
        self._compare(version.concept, first, version.number)

    @work(exclusive=True, group="diff", exit_on_error=False)
    async def _compare(self, concept: str, first: int, second: int) -> None:
        try:
            difference = await asyncio.to_thread(self.registry.diff, f"{concept}@{first}", f"{concept}@{second}")
        except TiregError as error:
            self.tireg.report(error)
            return
        self._compared = (first, second)
        self.query_one("#diff", Static).update(difference_table(difference))
        self.tabs.active = f"{_PANE}diff"

    def action_alias(self) -> None:
        """Give the version a movable name."""
        if self.current is not None:
            curation.ask_alias(self.tireg, self.registry, self.current)

    def action_tags(self) -> None:
        """Change the concept's tags."""
        if self._concept is not None:
            curation.ask_tags(self.tireg, self.registry, [self._concept.name])

    def action_notes(self) -> None:
        """Write the concept's notes here."""
        if self._concept is not None:
            curation.ask_notes(self.tireg, self.registry, self._concept.name)

    def action_editor(self) -> None:
        """Write the concept's notes in the user's editor."""
        if self._concept is not None:
            curation.edit_notes(self.tireg, self.registry, self._concept.name)

    def action_prompt(self) -> None:
        """Compose a prompt with this version."""
        version = self.current
        if version is not None and self._concept is not None:
            latest = version.number == self._concept.latest_number
            token = version.placeholder_token
            self.tireg.compose_prompt(f"a photo of {token if latest else token[:-1] + f'@{version.number}>'}")

    def action_export(self) -> None:
        """Write this version as a file for another program."""
        if self.current is not None:
            curation.ask_export(self.tireg, self.registry, self.current)

    def action_push(self) -> None:
        """Show what pushing this version would send."""
        if self.current is not None:
            self.tireg.push_word(self.current.reference)

    def action_train(self) -> None:
        """Train another version."""
        self.tireg.action_train(self.concept_name)

    def action_copy(self) -> None:
        """Copy the placeholder token."""
        if self._concept is not None:
            self.tireg.copy(self._concept.placeholder_token)

    def action_remove(self) -> None:
        """Move the version under the cursor to the trash, after asking."""
        version = self.current
        if version is not None:
            others = len(self._versions) - 1
            stay = f"{count(others, 'version')} of {version.concept} {'stays' if others == 1 else 'stay'}"
            stay = stay if others else f"{version.concept} has no other version"
            curation.ask_removal(self.tireg, version.reference, stay, [version.reference])
