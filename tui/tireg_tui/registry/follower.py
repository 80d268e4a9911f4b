"""The open registry of an app: opened by a watching thread, shown when it opens, opened anew when it was replaced."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tireg_tui.messages import WatchTold
from tireg_tui.registry.watch import RegistryWatch
from tireg_tui.texts.unsaid import STILL_GONE, unsay
from tiregistry.errors import TiregError
from tiregistry.text import safe

if TYPE_CHECKING:
    from tireg_tui.app import TiregApp
    from tireg_tui.start.first_page import FirstPage
    from tiregistry.registry.registry import Registry

_OPENING_SECONDS = 0.3
_ENDING_SECONDS = 2.0


class RegistryFollower:
    """Follows what a watch sees, and shows what keeps a registry from opening.

    Args:
        app: the app whose screens show the registry.
        home: the registry's folder; default as everywhere.
        early: has been started already; it is the first that is followed.
    """

    def __init__(self, app: TiregApp, home: Path | None, early: RegistryWatch | None = None) -> None:
        self._app, self._home, self._early = app, home, early
        self._watch: RegistryWatch | None = None
        self._watches: list[RegistryWatch] = []
        """Every watch there was: each has a connection of its own to the registry that it opened."""
        self._trouble: TiregError | None = None
        self._seen_changes = 0
        self._has_opened = False
        self.registry: Registry | None = None
        """None while it cannot be opened."""

    def open(self) -> None:
        """Open the registry, or show what keeps it from opening."""
        if self._watch is not None:
            self._watch.stop()
        self._watch, self._early = self._early or RegistryWatch(self._home), None
        self._watch.tell = lambda watch: self._app.post_message(WatchTold(watch))
        self._watches.append(self._watch)
        if not self._watch.is_alive() and not self._watch.wait_opened(0):
            self._watch.start()
        # Nearly always it takes milliseconds, and nothing else needs to be shown meanwhile.
        if self._watch.wait_opened(_OPENING_SECONDS):
            self.follow(self._watch)
        else:
            busy = TiregError("another program is at work on it", "it opens as soon as that is done")
            self._show(busy, "Waiting for the registry")

    def follow(self, watch: RegistryWatch) -> None:
        """Follow what the watch has seen."""
        if watch is not self._watch or self._app._exit:
            return
        if watch.registry is None:
            assert watch.error is not None
            self._app.registry_is_gone = False
            if not (self.registry is None and self._trouble is watch.error):
                self.registry = None
                self._show(watch.error)
            return
        if watch.registry is not self.registry:
            first = not self._has_opened
            self._has_opened = True
            self.registry, self._seen_changes = watch.registry, watch.changes
            here = self._app.current_mode
            self._app.registry_is_gone = False
            unsay(self._app, STILL_GONE)
            if self._trouble is not None:
                self._trouble = None
                self._leave_trouble()
            # Another window on the registry may have been elsewhere since.
            self._app.action_go(self._app.remembered.text("place", "library") if first else here)
            if not first:
                self._app.preferences.write_what_waits()
            if first:  # whoever is shown has just looked
                self._app.call_after_refresh(self._app.look_what_is_under_way)
            else:
                self._app.registry_changed()
        elif watch.replaced:
            self._app.say("The registry's file was replaced; it is opened anew")
            self.open()
        elif watch.gone:
            # Opening it would make an empty one in its place, as if that were all there ever was.
            home = watch.registry.home
            self._app.registry_is_gone = True
            self._stop_jobs()
            self._show(
                TiregError(
                    f"{safe(home)} holds no registry any more: it was removed, or its disk was taken out",
                    "bring it back and it is opened again; N begins a new, empty one",
                ),
                "The registry is gone",
                gone_from=home,
            )
        elif watch.error is not None:
            self._app.report(watch.error)
        elif watch.changes != self._seen_changes:
            self._seen_changes = watch.changes
            self._app.registry_changed()

    def take_first_page(self) -> FirstPage | None:
        """What was read before anybody asked, once; whoever asks later must look anew."""
        if self._watch is None:
            return None
        page, self._watch.first_page = self._watch.first_page, None
        return page

    def close(self) -> None:
        """Look no longer, and close everything that was opened.

        A connection that is closed while its thread reads takes the process down. So each watch is waited for; one that
        hangs on a dead disk, or still waits for a lock, keeps its registry open and ends with the process.
        """
        for watch in self._watches:
            watch.stop()
        for watch in self._watches:
            if watch.wait_opened(0):
                watch.join(_ENDING_SECONDS)
            if watch.registry is not None and not watch.is_alive():
                watch.registry.close()

    def _show(
        self, error: TiregError, title: str = "The registry cannot be opened", gone_from: Path | None = None
    ) -> None:
        from tireg_tui.screens.trouble import Trouble

        self._trouble = error
        screen = Trouble(error, title, gone_from)
        if self._shows_trouble():
            self._app.switch_screen(screen)
        else:
            self._app.push_screen(screen)

    def _leave_trouble(self) -> None:
        """Close what is said of a trouble, and what was opened on top of it."""
        from tireg_tui.screens.trouble import Trouble

        def is_covered(mode: str) -> bool:
            return any(isinstance(screen, Trouble) for screen in self._app._screen_stacks.get(mode, ()))

        here = self._app.current_mode
        covered = [mode for mode in self._app._screen_stacks if is_covered(mode)]
        for mode in sorted(covered, key=lambda mode: mode == here):
            self._app.switch_mode(mode)
            while is_covered(mode):
                self._app.pop_screen()
        self._app.switch_mode(here)

    def _stop_jobs(self) -> None:
        """End what this window does with a registry that is gone: it would make a new folder in its place."""
        stopped = self._app.jobs.not_over
        for job in stopped:
            job.cancel()
        if stopped:
            self._app.say("\n".join(job.what for job in stopped), title="Stopped", severity="warning")

    def _shows_trouble(self) -> bool:
        from tireg_tui.screens.trouble import Trouble

        return isinstance(self._app.screen, Trouble)
