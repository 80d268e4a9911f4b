"""The settings as the running app follows them: theme, keys, notices; changed here, kept in the settings file."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tireg_tui.registry.watch import holds_registry
from tireg_tui.settings.themes import DARK, full_name
from tiregistry.errors import TiregError
from tiregistry.settings import FILE, Settings, check_key, find_setting
from tiregistry.settings_file import set_setting, unset_setting
from tiregistry.text import safe

if TYPE_CHECKING:
    from tireg_tui.app import TiregApp


class Preferences:
    """The settings of one app.

    Args:
        app: follows them.
        home: the registry's folder.
    """

    def __init__(self, app: TiregApp, home: Path) -> None:
        self._app, self._home = app, home
        self.settings = Settings()
        self.trouble: TiregError | None = None
        """What is wrong with the file; until it is mended the defaults hold."""
        self._looked_up: set[str] = set()
        self._waiting: dict[str, str | None] = {}
        """What was set while the registry was gone; None: it goes back to its default."""

    def load(self) -> None:
        """Read the file and follow it; a broken one is told of and changes nothing."""
        try:
            self.settings, self.trouble = Settings.load(self._home), None
        except TiregError as error:
            self.trouble = error
            self._app.report(error)
        self.follow()

    def follow(self) -> None:
        """Make theme and keys those of the settings."""
        app = self._app
        theme = full_name(self.settings.theme)
        if theme not in app.available_themes:
            app.say(f"There is no theme {safe(self.settings.theme, limit=60)}", title="settings.toml")
            theme = DARK.name
        if app.theme != theme:
            app.theme = theme
        app.set_keymap(dict(self.settings.keys))

    async def check_keys(self) -> None:
        """Tell of remapped keys that are of no act; imports every screen, and so waits until the start is over."""
        ids = set(self.settings.keys) - self._looked_up
        if not ids:
            return
        self._looked_up |= ids
        from tireg_tui.settings import keymap

        for act_id in sorted(ids):
            problem, hint = await asyncio.to_thread(keymap.trouble_with, act_id)
            if problem:
                self._app.say(f"{self._home / FILE}, [keys]: {problem}; {hint}", title=FILE, severity="warning")

    def write(self, name: str, value: str) -> Settings:
        """Write one setting, in whichever thread; `take` then follows it.

        Raises:
            InvalidConfig, RegistryReadOnly, DiskFull: it cannot be set.
        """
        if holds_registry(self._home):
            return set_setting(name, value, self._home)
        return self._wait_with(name, value)

    def _wait_with(self, name: str, value: str | None) -> Settings:
        """Let a setting hold here until the registry, which is gone, is back: its folder is not made anew for it.

        Raises:
            InvalidConfig: it cannot be set.
        """
        if name.startswith("keys."):
            act = name.removeprefix("keys.")
            keys = {known: key for known, key in self.settings.keys.items() if known != act}
            if value is not None:
                check_key(act, value)
                keys[act] = value
            settings = replace(self.settings, keys=keys)
        else:
            setting = find_setting(name)
            wanted = setting.default if value is None else value
            setting.check(wanted)
            change: dict[str, Any] = {name: wanted}
            settings = replace(self.settings, **change)
        self._waiting[name] = value
        return settings

    def write_what_waits(self) -> None:
        """The registry is there again: write what was set meanwhile, and follow its file."""
        waiting, self._waiting = self._waiting, {}
        for name, value in waiting.items():
            if value is None:
                self.unset(name)
            else:
                self.set(name, value)
        self.load()

    def take(self, settings: Settings) -> None:
        """Follow settings that were written."""
        self.settings, self.trouble = settings, None
        self.follow()

    def set(self, name: str, value: str) -> bool:
        """Keep one setting and follow it; whether that went well."""
        return self._keep(lambda: self.write(name, value))

    def unset(self, name: str) -> bool:
        """Go back to one setting's default; whether that went well."""
        is_there = holds_registry(self._home)
        return self._keep(lambda: unset_setting(name, self._home) if is_there else self._wait_with(name, None))

    def _keep(self, act: Callable[[], Settings]) -> bool:
        try:
            settings = act()
        except TiregError as error:
            self._app.report(error)
            self.follow()
            return False
        self.take(settings)
        return True

    @property
    def notifies(self) -> bool:
        """Whether to ring the bell and change the window's title."""
        return self.settings.notify == "on"
