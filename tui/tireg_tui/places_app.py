"""An app of places: going to one of them, and to a word, a run or a prompt from anywhere."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from textual import on

from tireg_tui.painted_app import PaintedApp
from tireg_tui.places import PLACES, screen_of
from tireg_tui.texts.unsaid import STILL_GONE, unsay
from tireg_tui.widgets.bar import TopBar
from tireg_tui.widgets.job_line import JobLine

if TYPE_CHECKING:
    from tireg_tui.settings.remembered import Remembered
    from tiregistry.registry.registry import Registry


class PlacesApp(PaintedApp):
    """What `TiregApp` knows of its places; nothing is open before the registry is."""

    remembered: Remembered
    """Where one was, for the next start."""
    registry_is_gone = False
    """Whether its folder holds no registry any more; until it is back there is nowhere to go to."""

    @property
    def registry(self) -> Registry | None:
        """The open registry; None while it cannot be opened."""
        raise NotImplementedError

    def refuses_changes(self) -> bool:
        """Whether the registry can only be read; if so, that is said."""
        raise NotImplementedError

    def action_go(self, place: str) -> None:
        """Go to one of the places, or to the library where there is no such place.

        What lies open there stays open; going there once more, from there, leaves it.
        """
        if self.registry is None or self._has_no_registry():
            return
        place = place if place in {known.id for known in PLACES} else PLACES[0].id
        if place not in self._modes:
            self.add_mode(place, partial(screen_of, place))
        self.remembered.set("place", place)
        if place != PLACES[0].id:
            self.read_later_styles()
        if place == self.current_mode:
            self._leave_words()
        self.switch_mode(place)

    def _has_no_registry(self) -> bool:
        """Whether the registry is gone; if so, that is said."""
        if self.registry_is_gone:
            unsay(self, STILL_GONE)
            self.notify("It is opened as soon as it is back; until then nothing can be done", title=STILL_GONE)
        return self.registry_is_gone

    def _leave_words(self) -> None:
        """Close the words that lie open on top of a place; not what is being filled in."""
        from tireg_tui.screens.concept import ConceptScreen

        while isinstance(self.screen, ConceptScreen):
            self.pop_screen()

    @on(TopBar.Clicked)
    def go_where_clicked(self, event: TopBar.Clicked) -> None:
        self.action_go(event.place)

    @on(JobLine.Clicked)
    def go_to_queue(self) -> None:
        self.action_go("queue")

    def action_train(self, concept: str = "") -> None:
        """Open the form for a new training."""
        from tireg_tui.screens.train import TrainForm

        if self.registry is None or isinstance(self.screen, TrainForm):
            return
        if not self._has_no_registry() and not self.refuses_changes():
            self.push_screen(TrainForm(concept))

    def open_concept(self, name: str, neighbours: list[str] | None = None) -> None:
        """Show a word in full, on top of where one is; its neighbours are those in the library where none are given."""
        from tireg_tui.screens.concept import ConceptScreen

        if self.registry is not None and not self._has_no_registry():
            listed = self._listed() if neighbours is None else neighbours
            self.push_screen(ConceptScreen(name, listed if name in listed else None))

    def _listed(self) -> list[str]:
        """The words that the library lists now, in its order; none where nobody has been there yet."""
        from tireg_tui.screens.library import Library

        places = [screen for stack in self._screen_stacks.values() for screen in stack[:1]]
        return next((place.table.names for place in places if isinstance(place, Library)), [])

    def push_word(self, reference: str) -> None:
        """Show what pushing a word would send, and push it from there."""
        from tireg_tui.screens.push import PushPage

        if self.registry is not None and not self._has_no_registry():
            self.push_screen(PushPage(reference))

    def show_run(self, run_id: str) -> None:
        """Go to the runs, with the cursor on this one."""
        from tireg_tui.screens.runs import Runs

        self.remembered.set("run", run_id)
        self.action_go("runs")
        if self.registry_is_gone:
            return

        def put() -> None:
            self._leave_words()
            if isinstance(self.screen, Runs):
                self.screen.put_cursor(run_id)

        self.call_after_refresh(put)

    def compose_prompt(self, prompt: str) -> None:
        """Go to the composer with this prompt."""
        self.remembered.set("prompt", prompt)
        self.action_go("compose")
        if not self.registry_is_gone:
            self.call_after_refresh(self._hand_over, prompt)

    def _hand_over(self, prompt: str) -> None:
        from tireg_tui.screens.compose import Compose

        if isinstance(self.screen, Compose):
            self.screen.take_prompt(prompt)
