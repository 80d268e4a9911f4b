"""`TiregApp`: the places, the registry they share, and what every screen can ask for."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from textual import on, work
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.command import Provider
from textual.css.query import NoMatches
from textual.dom import DOMNode
from textual.driver import Driver
from textual.events import Resize
from textual.filter import LineFilter
from textual.screen import Screen

from tireg_tui import palette, window_title
from tireg_tui.announcer import Announcer, Seen, UnderWay
from tireg_tui.estimating import DeviceAsker
from tireg_tui.hub_process import HubProcess
from tireg_tui.jobs import Job, Jobs
from tireg_tui.messages import JobsChanged, RegistryChanged
from tireg_tui.pixels import PixelLayer
from tireg_tui.places import PLACES, screen_of
from tireg_tui.preferences import Preferences
from tireg_tui.registry_watch import RegistryWatch, WatchTold
from tireg_tui.remembered import Remembered
from tireg_tui.safe_lines import SafeLines
from tireg_tui.themes import ANSI, DARK, LIGHT, full_name, short_name
from tireg_tui.widgets.bar import TopBar
from tireg_tui.widgets.job_line import JobLine
from tireg_tui.widgets.picture import PictureView
from tiregistry.errors import TiregError
from tiregistry.graphics.asking import cell_size
from tiregistry.graphics.terminal import Terminal
from tiregistry.registry.registry import Registry
from tiregistry.text import safe

T = TypeVar("T")
_OPENING_SECONDS = 0.3
_NOTHING = Seen((), 0, (), 0)


class TiregApp(App[None]):
    """The terminal UI.

    Args:
        terminal: how pictures are shown, as detection found it.
        home: the registry's folder; default as everywhere.
        driver_class: how Textual reaches the terminal; its own choice by default.
    """

    TITLE = "tireg"
    CSS_PATH = "styles.tcss"
    ENABLE_COMMAND_PALETTE = True
    COMMANDS: ClassVar[set[type[Provider] | Callable[[], type[Provider]]]] = {
        *App.COMMANDS,
        palette.Acts,
        palette.Words,
    }
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (80, "-normal"), (140, "-wide")]  # noqa: RUF012  (as Textual declares it)
    VERTICAL_BREAKPOINTS = [(0, "-short"), (20, "-tall")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(place.digit, f"go('{place.id}')", place.label, show=False, id=f"app.{place.id}", tooltip=place.what)
            for place in PLACES
        ),
        Binding("n", "train", "New training", show=False, id="app.train"),
        Binding("u", "undo", "Undo removal", show=False, id="app.undo"),
        Binding("comma", "go('settings')", "Settings", show=False, id="app.comma"),
        Binding("question_mark,f1", "help", "Help", key_display="?", id="app.help"),
        Binding("ctrl+p", "command_palette", "Commands", id="app.commands", show=True),
        Binding("q,ctrl+q", "quit", "Quit", id="app.quit", key_display="q"),
    ]

    def __init__(
        self,
        terminal: Terminal | None = None,
        home: Path | None = None,
        *,
        driver_class: type[Driver] | None = None,
    ) -> None:
        super().__init__(driver_class=driver_class)
        self._safe_lines = SafeLines()
        self.pixels = PixelLayer(self, terminal or Terminal("halfblocks"))
        self.registry: Registry | None = None
        self._home = home
        self._watch: RegistryWatch | None = None
        self._opened: list[Registry] = []
        self._trouble: TiregError | None = None
        self._seen_changes = 0
        self.times_changed = 0
        """How often the registry has changed since the start, for screens that were not looking."""
        self._removed: list[list[str]] = []
        self.jobs = Jobs()
        self._announcer = Announcer()
        self.devices = DeviceAsker()
        self._seen = _NOTHING
        self._title = ""
        from tiregistry import settings

        self.home = home or settings.home()
        """The registry's folder."""
        self.hub = HubProcess(self.home)
        self.remembered = Remembered(self.home)
        for theme in (DARK, LIGHT, ANSI):
            self.register_theme(theme)
        self.theme = DARK.name
        self._css_variables = self.get_css_variables()
        self.stylesheet.set_variables(self._css_variables)
        self.preferences = Preferences(self, self.home)

    # -- life ----------------------------------------------------------------------------------------------------

    def on_mount(self) -> None:
        self.preferences.load()
        self.write_to_terminal(window_title.SAVE)
        self.theme_changed_signal.subscribe(self, lambda _: self._theme_changed())
        self.action_open_registry()

    def action_open_registry(self) -> None:
        """Open the registry, or show what keeps it from opening."""
        if self._watch is not None:
            self._watch.stop()
        self._watch = RegistryWatch(self._home, lambda watch: self.post_message(WatchTold(watch)))
        self._watch.start()
        # Nearly always it takes milliseconds, and nothing else needs to be shown meanwhile.
        if self._watch.wait_opened(_OPENING_SECONDS):
            self._follow_watch(self._watch)
        else:
            busy = TiregError("another program is at work on it", "it opens as soon as that is done")
            self._show_trouble(busy, "Waiting for the registry")

    @on(WatchTold)
    def watch_told(self, event: WatchTold) -> None:
        self._follow_watch(event.watch)

    def _follow_watch(self, watch: RegistryWatch) -> None:
        """Follow what the watch has seen."""
        if watch is not self._watch or self._exit:
            return
        if watch.registry is None:
            assert watch.error is not None
            if not (self.registry is None and self._trouble is watch.error):
                self.registry = None
                self._show_trouble(watch.error)
            return
        if watch.registry is not self.registry:
            self.registry, self._seen_changes = watch.registry, watch.changes
            self._opened.append(watch.registry)
            self._trouble = None
            if self._has_trouble_screen:
                self.pop_screen()
            place = self.remembered.text("place", "library")
            self.action_go(place if place in {known.id for known in PLACES} else "library")
            self.registry_changed()
        elif watch.replaced:
            self.say("The registry's file was replaced; it is opened anew")
            self.action_open_registry()
        elif watch.error is not None:
            self.report(watch.error)
        elif watch.changes != self._seen_changes:
            self._seen_changes = watch.changes
            self.registry_changed()

    @property
    def _has_trouble_screen(self) -> bool:
        from tireg_tui.screens.trouble import Trouble

        return isinstance(self.screen, Trouble)

    def _show_trouble(self, error: TiregError, title: str = "The registry cannot be opened") -> None:
        from tireg_tui.screens.trouble import Trouble

        self._trouble = error
        if self._has_trouble_screen:
            self.switch_screen(Trouble(error, title))
        else:
            self.push_screen(Trouble(error, title))

    async def on_unmount(self) -> None:
        self.write_to_terminal(window_title.RESTORE)
        await self.hub.stop()
        await self.devices.stop()
        if self._watch is not None:
            self._watch.stop()
        if self.registry is not None and not self.registry.readonly:
            self.remembered.save()
        for registry in self._opened:
            registry.close()

    async def action_quit(self) -> None:
        """Leave; what would end with the window is asked about first. Trainings go on."""
        at_work = self.jobs.at_work
        if not at_work:
            self.exit()
            return
        from tireg_tui.screens.confirm import Confirm

        def answered(yes: bool | None) -> None:
            if yes:
                for job in self.jobs.at_work:
                    job.cancel()
                self.exit()

        what = "; ".join(safe(job.what, limit=80) for job in at_work[:3])
        more = " …" if len(at_work) > 3 else ""
        text = f"Under way in this window: {what}{more}\nIt ends with the window. Trainings go on."
        self.push_screen(Confirm("Quit and cancel?", text, "Quit"), answered)

    async def _dispatch_action(self, namespace: DOMNode, action_name: str, params: Any) -> bool:
        try:
            return await super()._dispatch_action(namespace, action_name, params)
        except TiregError as error:  # a word that another process has just removed, a disk that fails
            self.report(error)
            return True

    def _handle_exception(self, error: Exception) -> None:
        # Screens that are closed before they are whole do not find their own parts; by then that is no matter.
        if not self._exit:
            super()._handle_exception(error)

    def registry_changed(self) -> None:
        """Let every living screen look again."""
        self.times_changed += 1
        for screen in list(self.screen_stack):
            screen.post_message(RegistryChanged())
        self._announce()

    @on(Resize)
    def follow_font_size(self) -> None:
        """A larger font changes the cells' pixels, and may leave their number alone."""
        cell = cell_size()
        if cell is not None and cell != self.pixels.terminal.cell and not self.is_headless:
            self.pixels.terminal = replace(self.pixels.terminal, cell=cell)
            for view in self.screen.query(PictureView):
                view.refit()

    # -- frames --------------------------------------------------------------------------------------------------

    def get_line_filters(self) -> Sequence[LineFilter]:
        return [*super().get_line_filters(), self._safe_lines]

    def refresh_css(self, animate: bool = True) -> None:
        """As Textual's, which parses all CSS again whenever a screen comes up; only another theme needs that."""
        variables = self.get_css_variables()
        if variables != self._css_variables or self.css_monitor is not None:
            self._css_variables = variables
            super().refresh_css(animate)
            return
        for screen in self.screen_stack:
            if screen._css_update_count != self._css_update_count:
                self.stylesheet.update(screen, animate=animate)
                screen._css_update_count = self._css_update_count

    def _display(self, screen: Screen[object], renderable: object) -> None:
        self.pixels.frame(renderable)
        super()._display(screen, renderable)  # type: ignore[arg-type]

    def _end_update(self) -> None:
        # Inside the synchronised update, so that a terminal which knows it never shows the text without the pixels.
        self.pixels.paint()
        super()._end_update()

    def write_to_terminal(self, data: str) -> None:
        """Send the terminal something that is not part of a frame."""
        if self._driver is not None and not self.is_headless:
            self._driver.write(data)

    # -- what is under way ---------------------------------------------------------------------------------------

    @work(exclusive=True, group="announce", exit_on_error=False)
    async def _announce(self) -> None:
        """Look how all trainings stand, and say what has ended."""
        registry = self.registry
        if registry is None:
            return
        first = self._seen is _NOTHING
        try:
            self._seen = seen = await asyncio.to_thread(self._announcer.look, registry)
        except TiregError:  # whoever shows the runs says so
            return
        for ended in seen.ended:
            self.say(
                ended.text,
                title="Learned" if ended.went_well else "",
                severity="information" if ended.went_well else "warning",
            )
            self.ring()
        if first and seen.interrupted:
            word = "training was" if seen.interrupted == 1 else "trainings were"
            self.say(f"{seen.interrupted} {word} interrupted · 2 Runs, r resumes")
        self.show_under_way()

    def ring(self) -> None:
        """Ring the bell, where the user wants to be told that something long is done."""
        if self.preferences.notifies:
            self.bell()

    def start_job(self, job: Job) -> Job:
        """Show a job of this window until it ends; its owner calls `jobs_changed` when it goes on."""
        self.jobs.add(job)
        self.jobs_changed()
        return job

    def jobs_changed(self) -> None:
        """A job has begun, gone on or ended."""
        for screen in list(self.screen_stack):
            screen.post_message(JobsChanged())
        self.show_under_way()

    def show_under_way(self) -> None:
        """Bring the line above the footer and the window's title in line with what is under way."""
        jobs = [UnderWay(job.what, job.done, job.total) for job in self.jobs.at_work]
        under_way = [*self._seen.under_way, *jobs]
        with contextlib.suppress(NoMatches):  # a dialog; the screen below shows it when the dialog is gone
            self.screen.query_one(JobLine).show(under_way, self._seen.waiting)
        first = under_way[0] if under_way else None
        percent = f" {min(100, 100 * first.done // first.total)} %" if first and first.total else ""
        title = f"tireg · {first.text}{percent}" if first else "tireg"
        if title != self._title and self.preferences.notifies:
            self._title = title
            self.write_to_terminal(window_title.title(title))

    # -- places --------------------------------------------------------------------------------------------------

    def action_go(self, place: str) -> None:
        """Go to one of the places; what lies open there stays open."""
        if self.registry is None:
            return
        if place not in self._modes:
            self.add_mode(place, partial(screen_of, place))
        self.remembered.set("place", place)
        self.switch_mode(place)

    @on(TopBar.Clicked)
    def go_where_clicked(self, event: TopBar.Clicked) -> None:
        self.action_go(event.place)

    @on(JobLine.Clicked)
    def go_to_queue(self) -> None:
        self.action_go("queue")

    def action_train(self, concept: str = "") -> None:
        """Open the form for a new training."""
        from tireg_tui.screens.train import TrainForm

        if self.registry is not None and not isinstance(self.screen, TrainForm):
            self.push_screen(TrainForm(concept))

    def open_concept(self, name: str, neighbours: list[str] | None = None) -> None:
        """Show a word in full, on top of where one is."""
        from tireg_tui.screens.concept import ConceptScreen

        if self.registry is not None:
            self.push_screen(ConceptScreen(name, neighbours))

    def push_word(self, reference: str) -> None:
        """Show what pushing a word would send, and push it from there."""
        from tireg_tui.screens.push import PushPage

        if self.registry is not None:
            self.push_screen(PushPage(reference))

    def show_run(self, run_id: str) -> None:
        """Go to the runs, with the cursor on this one."""
        from tireg_tui.screens.runs import Runs

        self.remembered.set("run", run_id)
        self.action_go("runs")
        self.call_after_refresh(lambda: self.screen.put_cursor(run_id) if isinstance(self.screen, Runs) else None)

    def compose_prompt(self, prompt: str) -> None:
        """Go to the composer with this prompt."""
        self.remembered.set("prompt", prompt)
        self.action_go("compose")
        self.call_after_refresh(self._hand_over, prompt)

    def _hand_over(self, prompt: str) -> None:
        from tireg_tui.screens.compose import Compose

        if isinstance(self.screen, Compose):
            self.screen.take_prompt(prompt)

    def action_help(self) -> None:
        """All keys that work here, searchable."""
        from tireg_tui.screens.help import Help

        if not isinstance(self.screen, Help):
            self.push_screen(Help(self.screen))

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        yield from super().get_system_commands(screen)
        for place in PLACES:
            yield SystemCommand(place.label, place.what, partial(self.action_go, place.id))
        yield SystemCommand("New training", "Learn a word from pictures", self.action_train)
        yield SystemCommand("Undo removal", "Bring back what was removed last", self.action_undo)

    # -- shared by the screens -----------------------------------------------------------------------------------

    def report(self, error: BaseException) -> None:
        """Show an error as a message; the app goes on."""
        if isinstance(error, TiregError):
            text = safe(error.message, limit=400) + (f"\n{safe(error.hint, limit=300)}" if error.hint else "")
        else:
            text = f"{type(error).__name__}: {safe(error, limit=400)}"
        self.notify(text, title="That did not work", severity="error", timeout=10, markup=False)

    def say(self, text: str, *, title: str = "", severity: str = "information") -> None:
        """Show a short message."""
        text = safe(text, limit=500, multiline=True)
        self.notify(text, title=title, severity="warning" if severity == "warning" else "information", markup=False)

    @work(exit_on_error=False, group="change")
    async def change(self, act: Callable[[], T], then: Callable[[T], None] | None = None) -> None:
        """Change the registry in a thread (another writer may make it wait), then look again everywhere."""
        try:
            result = await asyncio.to_thread(act)
        except Exception as error:  # whatever a change runs into, the app goes on and says so
            self.report(error)
            return
        if then is not None:
            then(result)
        self.registry_changed()

    def remove(self, references: list[str]) -> None:
        """Move concepts or versions to the trash; `u` takes it back."""
        registry = self.registry
        if registry is None:
            return

        def done(removed: list[str]) -> None:
            self._removed.append(removed)
            self.say(
                f"{', '.join(removed[:5])}{' …' if len(removed) > 5 else ''} · u brings back", title="In the trash"
            )

        def work() -> list[str]:
            with registry.transaction():
                return [registry.remove(reference) for reference in references]

        self.change(work, done)

    def action_undo(self) -> None:
        """Bring back what was removed last, in this sitting."""
        registry = self.registry
        if registry is None or not self._removed:
            self.say("Nothing was removed here since the start; the trash: tireg list --trash")
            return
        references = self._removed.pop()

        def done(restored: list[str]) -> None:
            self.say(", ".join(restored[:5]), title="Brought back")

        def work() -> list[str]:
            try:
                with registry.transaction():
                    return [registry.restore(reference) for reference in references]
            except Exception:
                self._removed.append(references)
                raise

        self.change(work, done)

    def action_toggle_theme(self) -> None:
        """Change between the dark and the light theme, and keep the choice."""
        self.preferences.set("theme", "light" if self.current_theme.dark else "dark")

    def _theme_changed(self) -> None:
        """Draw what takes its colours from the theme by itself; keep a theme that was chosen in the palette."""
        for widget in (*self.screen.query(TopBar), *self.screen.query(JobLine)):
            widget.refresh()
        from tireg_tui.screens.choose import Choose

        chosen = short_name(self.theme)
        kept = self.preferences.settings.theme
        sound = self.preferences.trouble is None and full_name(kept) in self.available_themes
        # A dialog that shows themes as the cursor moves keeps the one that is taken by itself.
        if chosen != kept and sound and not isinstance(self.screen, Choose):
            self.preferences.set("theme", chosen)

    def copy(self, text: str) -> None:
        """Put text into the clipboard, also over ssh (OSC 52)."""
        self.copy_to_clipboard(text)
        self.say(text, title="Copied")

    def edit_text(self, text: str, suffix: str = ".md") -> str | None:
        """Let the user's `$VISUAL` or `$EDITOR` change a text; None when there is no editor or it failed."""
        from tireg_tui.editor import edited

        return edited(self, text, suffix)
