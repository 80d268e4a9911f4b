"""`TiregApp`: the places, the registry they share, and what every screen can ask for."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from textual import on
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.command import Provider
from textual.dom import DOMNode
from textual.driver import Driver
from textual.events import Event, Key, Paste
from textual.screen import Screen
from textual.widgets import Input

from tireg_tui.background.jobs import Job, Jobs
from tireg_tui.background.threads import Threads
from tireg_tui.background.under_way import UnderWayLine
from tireg_tui.input.typed_ahead import TypedAhead
from tireg_tui.messages import JobsChanged, RegistryChanged, WatchTold
from tireg_tui.places import PLACES
from tireg_tui.places_app import PlacesApp
from tireg_tui.registry.changes import Changes
from tireg_tui.registry.follower import RegistryFollower
from tireg_tui.registry.watch import holds_registry
from tireg_tui.settings.preferences import Preferences
from tireg_tui.settings.remembered import Remembered
from tireg_tui.settings.themes import full_name, short_name
from tireg_tui.terminal import window_title
from tireg_tui.texts import formatting
from tireg_tui.texts.unsaid import unsay
from tireg_tui.widgets.bar import TopBar
from tireg_tui.widgets.job_line import JobLine
from tiregistry import settings
from tiregistry.errors import TiregError
from tiregistry.graphics.terminal import Terminal
from tiregistry.text import safe

if TYPE_CHECKING:
    from tireg_tui.processes.estimating import DeviceAsker
    from tireg_tui.processes.hub_process import HubProcess
    from tireg_tui.registry.chance import Chance
    from tireg_tui.registry.watch import RegistryWatch
    from tireg_tui.start.first_page import FirstPage
    from tireg_tui.start.first_paint import FirstPaint
    from tiregistry.concepts import Run
    from tiregistry.registry.registry import Registry

T = TypeVar("T")


_UNDISTURBED_SECONDS = 1.0
_LIFE_SIGN_SECONDS = 2.0


def _acts() -> type[Provider]:
    from tireg_tui.palette import Acts

    return Acts


def _words() -> type[Provider]:
    from tireg_tui.palette import Words

    return Words


def _themes() -> type[Provider]:
    from tireg_tui.palette import ThemesAmongAll

    return ThemesAmongAll


class TiregApp(PlacesApp):
    """The terminal UI.

    Args:
        terminal: how pictures are shown, as detection found it.
        home: the registry's folder; default as everywhere.
        driver_class: how Textual reaches the terminal; its own choice by default.
        watch: opens the registry already, in its thread; by default one is started with the app.
        paint: has perhaps shown the library's words already.
    """

    TITLE = "tireg"
    CSS_PATH = "styles.tcss"
    ENABLE_COMMAND_PALETTE = True
    COMMANDS: ClassVar[set[type[Provider] | Callable[[], type[Provider]]]] = {
        *App.COMMANDS,
        _acts,
        _words,
        _themes,
    }
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (80, "-normal"), (140, "-wide")]  # noqa: RUF012  (as Textual declares it)
    VERTICAL_BREAKPOINTS = [(0, "-short"), (20, "-tall")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(
                f"{place.digit},alt+{place.digit}",  # with Alt also out of a field, where a digit is typed
                f"go('{place.id}')",
                place.label,
                show=False,
                id=f"app.{place.id}",
                tooltip=place.what,
            )
            for place in PLACES
        ),
        Binding("n", "train", "New training", show=False, id="app.train"),
        Binding("u", "undo", "Undo removal", show=False, id="app.undo"),
        Binding("comma", "go('settings')", "Settings", show=False, id="app.comma"),
        Binding("question_mark,f1", "help", "Help", key_display="?", id="app.help"),
        Binding("ctrl+p", "command_palette", "Commands", id="app.commands", show=True),
        Binding("ctrl+z", "suspend_process", "Back to the shell (fg returns)", show=False, id="app.suspend"),
        Binding("q,ctrl+q", "quit", "Quit", id="app.quit", key_display="q"),
    ]

    def __init__(
        self,
        terminal: Terminal | None = None,
        home: Path | None = None,
        *,
        driver_class: type[Driver] | None = None,
        watch: RegistryWatch | None = None,
        paint: FirstPaint | None = None,
    ) -> None:
        super().__init__(terminal or Terminal("halfblocks"), driver_class)
        self._follower = RegistryFollower(self, home, watch)
        self._changes = Changes(self)
        self._under_way = UnderWayLine(self)
        self._typed = TypedAhead(self)
        self._hub: HubProcess | None = None
        self._devices: DeviceAsker | None = None
        self._starts = True
        self.times_changed = 0
        """How often the registry has changed since the start, for screens that were not looking."""
        self.threads = Threads()
        """Who does what `asyncio.to_thread` is asked for."""
        self.jobs = Jobs()
        # Enter, before the terminal was told to hand over keys as they are.
        self.typed_early = self.pixels.terminal.typed.replace(b"\n", b"\r")
        """Keys that were pressed while the terminal was asked; empty once they were taken."""
        self.first_paint = paint
        """What stood on the terminal before the app; None where nothing could."""
        self.home = home or settings.home()
        """The registry's folder."""
        self.remembered = Remembered(self.home)
        self.preferences = Preferences(self, self.home)

    @property
    def registry(self) -> Registry | None:
        """The open registry; None while it cannot be opened."""
        return self._follower.registry

    def take_first_page(self) -> FirstPage | None:
        """The library's first words, where they were read during the start."""
        return self._follower.take_first_page()

    @property
    def hub(self) -> HubProcess:
        """The process that asks the Hub."""
        if self._hub is None:
            from tireg_tui.processes.hub_process import HubProcess

            self._hub = HubProcess(self.home)
        return self._hub

    @property
    def devices(self) -> DeviceAsker:
        """Who knows what the devices of this machine are."""
        if self._devices is None:
            from tireg_tui.processes.estimating import DeviceAsker

            self._devices = DeviceAsker()
        return self._devices

    # -- life ----------------------------------------------------------------------------------------------------

    def on_mount(self) -> None:
        asyncio.get_running_loop().set_default_executor(self.threads)
        self.preferences.load()
        self.write_to_terminal(window_title.SAVE)
        self.theme_changed_signal.subscribe(self, lambda _: self._theme_changed())
        self.call_later(self.action_open_registry)  # until the app itself is mounted, Textual draws frames in vain
        self.set_interval(_LIFE_SIGN_SECONDS, self._under_way.look_if_any)
        self.set_interval(_LIFE_SIGN_SECONDS, self._keep_what_is_typed)

    def _keep_what_is_typed(self, patience: float = 0.2) -> None:
        """Also now and then: a process that is killed loses no form and no note."""
        if self.registry is not None and not self.registry.readonly and holds_registry(self.home):
            self.remembered.save(patience)

    def on_ready(self) -> None:
        self.set_timer(_UNDISTURBED_SECONDS, self._start_is_over)

    def delay_update(self, delay: float = 0.05) -> None:
        """As Textual's, which masks the change of screens; at the start there is nothing yet that could be masked."""
        if not self._starts:
            super().delay_update(delay)

    def _start_is_over(self) -> None:
        self._starts = False
        self.read_later_styles()
        from tireg_tui.start.look_taker import keep_look

        keep_look(self)
        self.run_worker(self.preferences.check_keys(), group="keys-check", exit_on_error=False)
        if not gc.isenabled():  # `launch` has turned it off until the first words are shown
            gc.freeze()  # what the start has made stays for good and need not be looked at
            gc.enable()

    def action_open_registry(self) -> None:
        """Open the registry, or show what keeps it from opening."""
        self._follower.open()

    @on(WatchTold)
    def watch_told(self, event: WatchTold) -> None:
        self._follower.follow(event.watch)

    async def on_unmount(self) -> None:
        self.write_to_terminal(window_title.RESTORE)
        if self._hub is not None:
            await self._hub.stop()
        if self._devices is not None:
            await self._devices.stop()
        self._keep_what_is_typed(_LIFE_SIGN_SECONDS)
        self._follower.close()

    async def action_quit(self) -> None:
        """Leave; what would end with the window is asked about first. Trainings go on."""
        at_work = self.jobs.not_over
        if not at_work:
            self.exit()
            return
        from tireg_tui.screens.confirm import Confirm

        def answered(yes: bool | None) -> None:
            if yes:
                for job in self.jobs.not_over:
                    job.cancel()
                self.exit()

        what = "; ".join(safe(job.what, limit=80) for job in at_work[:3])
        more = " …" if len(at_work) > 3 else ""
        text = f"Under way in this window: {what}{more}\nIt ends with the window. Trainings go on."
        self.push_screen(Confirm("Quit and stop it?", text, "Quit", "Stay"), answered)

    async def on_event(self, event: Event) -> None:
        if isinstance(event, Key | Paste) and not event.is_forwarded:
            if isinstance(event, Key) and event.key.startswith("alt+") and event.is_printable:
                event = Key(event.key, None)  # a command, or nothing; Textual's fields would take it for a letter
            await self._typed.take(event)
        else:
            await super().on_event(event)

    async def send_typed(self, event: Key | Paste) -> None:
        """Send what was typed to whoever has the focus now."""
        if isinstance(event, Paste) and isinstance(self.focused, Input):
            from tireg_tui.input.pasted import in_one_line
            from tireg_tui.widgets.path_input import PathInput

            event = Paste(in_one_line(event.text, as_paths=isinstance(self.focused, PathInput)))
        await super().on_event(event)

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
        self.look_what_is_under_way()

    def look_what_is_under_way(self) -> None:
        """Look how the trainings of every process stand."""
        self._under_way.look()

    # -- what is under way ---------------------------------------------------------------------------------------

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
        self._under_way.show()

    # -- what every screen offers -------------------------------------------------------------------------------

    def action_help(self) -> None:
        """All keys that work here, searchable."""
        from tireg_tui.screens.help import Help

        if not isinstance(self.screen, Help):
            self.push_screen(Help(self.screen))

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        # In the place of Textual's own, some of which are about widgets, and none in our words. What has a key is
        # among the acts already.
        yield SystemCommand("Theme", "Choose the colours", self.action_change_theme)
        yield SystemCommand("Screenshot", "Save the screen as an SVG picture", self._take_screenshot)

    def search_themes(self) -> None:
        """Choose a theme by its name in the settings."""
        if not self.registry_is_gone and self.refuses_changes():
            return
        from textual.command import CommandPalette

        from tireg_tui.palette import Themes

        self.push_screen(CommandPalette(providers=[Themes], placeholder="Search for themes…"))

    def _take_screenshot(self) -> None:
        self.set_timer(0.1, self.deliver_screenshot)  # when the palette is gone

    # -- shared by the screens -----------------------------------------------------------------------------------

    def report(self, error: BaseException) -> None:
        """Show an error as a message; the app goes on."""
        text = formatting.trouble(error, "\n")
        unsay(self, text=text)  # said once more it stands there once
        self.notify(text, title="That did not work", severity="error", timeout=10, markup=False)

    def say(self, text: str, *, title: str = "", severity: str = "information") -> None:
        """Show a short message."""
        text = safe(text, limit=500, multiline=True)
        self.notify(text, title=title, severity="warning" if severity == "warning" else "information", markup=False)

    def refuses_changes(self) -> bool:
        """Whether the registry can only be read; if so, that is said."""
        return self._changes.are_refused()

    def change(
        self,
        act: Callable[[], T],
        then: Callable[[T], None] | None = None,
        failed: Callable[[Exception], None] | None = None,
        chance: Chance | None = None,
    ) -> None:
        """Change the registry in a thread, then look again everywhere; see `Changes.make`."""
        self._changes.make(act, then, failed, chance)

    def resume(self, run: Run) -> None:
        """Take a training up at its checkpoint, in the background."""
        self._changes.resume(run)

    def remove(self, references: list[str], left: Callable[[list[str]], None] | None = None) -> None:
        """Move concepts or versions to the trash; `u` takes it back. See `Changes.remove`."""
        self._changes.remove(references, left)

    def action_undo(self) -> None:
        """Bring back what was removed last, in this sitting."""
        self._changes.undo()

    def action_toggle_theme(self) -> None:
        """Change between the dark and the light theme, and keep the choice."""
        self.preferences.set("theme", "light" if self.available_themes[self.theme].dark else "dark")
        if self.has_own_colors_only:
            self.say("This terminal has sixteen colours, and every theme is made of them")

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
        from tireg_tui.input.editor import edited

        return edited(self, text, suffix)
