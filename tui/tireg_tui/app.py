"""`TiregApp`: the places, the registry they share, and what every screen can ask for."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, TypeVar

from textual import on, work
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.events import Resize
from textual.screen import Screen

from tireg_tui.messages import RegistryChanged
from tireg_tui.pixels import PixelLayer
from tireg_tui.remembered import Remembered
from tireg_tui.themes import DARK, LIGHT
from tireg_tui.widgets.bar import TopBar
from tireg_tui.widgets.picture import PictureView
from tiregistry.errors import TiregError
from tiregistry.graphics.asking import cell_size
from tiregistry.graphics.terminal import Terminal
from tiregistry.registry.registry import Registry
from tiregistry.text import safe

T = TypeVar("T")
_POLL_SECONDS = 0.5


class TiregApp(App[None]):
    """The terminal UI.

    Args:
        terminal: how pictures are shown, as detection found it.
        home: the registry's folder; default as everywhere.
    """

    TITLE = "tireg"
    CSS_PATH = "styles.tcss"
    ENABLE_COMMAND_PALETTE = True
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (80, "-normal"), (140, "-wide")]  # noqa: RUF012  (as Textual declares it)
    VERTICAL_BREAKPOINTS = [(0, "-short"), (20, "-tall")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("1", "go('library')", "Library", show=False, id="app.library"),
        Binding("2", "go('runs')", "Runs", show=False, id="app.runs"),
        Binding("3", "go('compose')", "Compose", show=False, id="app.compose"),
        Binding("4", "go('doctor')", "Doctor", show=False, id="app.doctor"),
        Binding("n", "train", "New training", show=False, id="app.train"),
        Binding("u", "undo", "Undo removal", show=False, id="app.undo"),
        Binding("question_mark,f1", "help", "Help", key_display="?", id="app.help"),
        Binding("ctrl+p", "command_palette", "Commands", id="app.commands", show=True),
        Binding("q,ctrl+q", "quit", "Quit", id="app.quit", key_display="q"),
    ]

    def __init__(self, terminal: Terminal | None = None, home: Path | None = None) -> None:
        super().__init__()
        self.pixels = PixelLayer(self, terminal or Terminal("halfblocks"))
        self.registry: Registry | None = None
        self._home = home
        self._seen_changes = 0
        self.times_changed = 0
        """How often the registry has changed since the start, for screens that were not looking."""
        self._removed: list[list[str]] = []
        from tiregistry import settings

        self.remembered = Remembered(home or settings.home())
        self.register_theme(DARK)
        self.register_theme(LIGHT)
        chosen = self.remembered.text("theme", DARK.name)
        self.theme = chosen if chosen in self.available_themes else DARK.name

    # -- life ----------------------------------------------------------------------------------------------------

    def on_mount(self) -> None:
        self.action_open_registry()
        self.set_interval(_POLL_SECONDS, self._look_for_changes)

    def action_open_registry(self) -> None:
        """Open the registry, or show what keeps it from opening."""
        from tireg_tui.screens.trouble import Trouble

        trouble = isinstance(self.screen, Trouble)
        try:
            self.registry = Registry.open(self._home)
            self._seen_changes = self.registry.changes()
        except TiregError as error:
            self.registry = None
            if trouble:
                self.switch_screen(Trouble(error))
            else:
                self.push_screen(Trouble(error))
            return
        if trouble:
            self.pop_screen()
        self.action_go("library")

    async def on_unmount(self) -> None:
        self.remembered.set("theme", self.theme)
        if self.registry is not None:
            if not self.registry.readonly:
                self.remembered.save()
            self.registry.close()

    def _look_for_changes(self) -> None:
        """Tell the screens when another process has changed the registry."""
        if self.registry is None:
            return
        try:
            changes = self.registry.changes()
        except TiregError as error:
            self.report(error)
            return
        if changes != self._seen_changes:
            self._seen_changes = changes
            self.registry_changed()

    def registry_changed(self) -> None:
        """Let every living screen look again."""
        self.times_changed += 1
        for screen in list(self.screen_stack):
            screen.post_message(RegistryChanged())

    @on(Resize)
    def follow_font_size(self) -> None:
        """A larger font changes the cells' pixels, and may leave their number alone."""
        cell = cell_size()
        if cell is not None and cell != self.pixels.terminal.cell and not self.is_headless:
            self.pixels.terminal = replace(self.pixels.terminal, cell=cell)
            for view in self.screen.query(PictureView):
                view.refit()

    # -- frames --------------------------------------------------------------------------------------------------

    def _display(self, screen: Screen[object], renderable: object) -> None:
        self.pixels.frame(renderable)
        super()._display(screen, renderable)  # type: ignore[arg-type]

    def _end_update(self) -> None:
        # Inside the synchronised update, so that a terminal which knows it never shows the text without the pixels.
        self.pixels.paint()
        super()._end_update()

    # -- places --------------------------------------------------------------------------------------------------

    def action_go(self, place: str) -> None:
        """Go to one of the places; what lies open there stays open."""
        if self.registry is None:
            return
        if place not in self._modes:
            self.add_mode(place, lambda: self._new_place(place))
        self.switch_mode(place)

    def _new_place(self, place: str) -> Screen[None]:
        # Each is imported when it is first opened: the library must not wait for the others.
        if place == "runs":
            from tireg_tui.screens.runs import Runs

            return Runs()
        if place == "compose":
            from tireg_tui.screens.compose import Compose

            return Compose()
        if place == "doctor":
            from tireg_tui.screens.doctor import Doctor

            return Doctor()
        from tireg_tui.screens.library import Library

        return Library()

    @on(TopBar.Clicked)
    def go_where_clicked(self, event: TopBar.Clicked) -> None:
        self.action_go(event.place)

    def action_train(self, concept: str = "") -> None:
        """Open the form for a new training."""
        from tireg_tui.screens.train import TrainForm

        if self.registry is not None and not isinstance(self.screen, TrainForm):
            self.push_screen(TrainForm(concept))

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
        yield SystemCommand("Library", "Browse the learned words", lambda: self.action_go("library"))
        yield SystemCommand("Runs", "Watch and resume training runs", lambda: self.action_go("runs"))
        yield SystemCommand("Compose", "Write prompts with learned words", lambda: self.action_go("compose"))
        yield SystemCommand("Doctor", "Device, pictures, folders, versions", lambda: self.action_go("doctor"))
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

    def say(self, text: str, *, title: str = "") -> None:
        """Show a short message."""
        self.notify(safe(text, limit=500, multiline=True), title=title, markup=False)

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

        self.change(lambda: [registry.remove(reference) for reference in references], done)

    def action_undo(self) -> None:
        """Bring back what was removed last, in this sitting."""
        registry = self.registry
        if registry is None or not self._removed:
            self.say("Nothing was removed here since the start; the trash: tireg list --trash")
            return
        references = self._removed.pop()

        def done(restored: list[str]) -> None:
            self.say(", ".join(restored[:5]), title="Brought back")

        self.change(lambda: [registry.restore(reference) for reference in references], done)

    def copy(self, text: str) -> None:
        """Put text into the clipboard, also over ssh (OSC 52)."""
        self.copy_to_clipboard(text)
        self.say(text, title="Copied")

    def edit_text(self, text: str, suffix: str = ".md") -> str | None:
        """Let the user's `$VISUAL` or `$EDITOR` change a text; None when there is no editor or it failed."""
        import shlex
        import subprocess
        import tempfile

        editor = os.environ.get("VISUAL") or os.environ.get("EDITOR")
        if not editor:
            return None
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"note{suffix}"
            path.write_text(text, encoding="utf-8")
            with self.suspend():
                done = subprocess.run([*shlex.split(editor), str(path)], check=False)
            return path.read_text(encoding="utf-8") if done.returncode == 0 else None
