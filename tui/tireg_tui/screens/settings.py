"""The settings: each with its value and what it means, and every key of the terminal UI, which can be another."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.events import ScreenResume
from textual.widgets import DataTable, Input, Static, TabbedContent, TabPane

from tireg_tui.messages import RegistryChanged
from tireg_tui.screens.ask_text import AskText
from tireg_tui.screens.choose import Choose
from tireg_tui.screens.place import Place
from tireg_tui.screens.press_key import PressKey
from tireg_tui.settings import keymap
from tireg_tui.settings.themes import SHORT_NAMES, full_name, ink, short_name
from tireg_tui.widgets.fitting_table import Column, FittingTable
from tiregistry.errors import TiregError
from tiregistry.settings import FILE, SETTINGS, Setting, Settings
from tiregistry.text import safe

_NEW_FILE = "".join(
    ["# Settings of tiregistry; what is given on the command line wins over them.\n"]
    + [f'# {setting.name} = "{setting.default}"  # {setting.what}\n' for setting in SETTINGS]
)
_BASE = "base model"
_BASE_WHAT = "what words are learned on and drawn with where none is named (tireg base default)"


@dataclass(frozen=True, slots=True)
class _Row:
    name: str
    value: str
    what: str
    changed: bool


class SettingsTable(FittingTable):
    """What can be set; `●` marks what is not as it comes."""

    COLUMNS = (
        Column("mark", " "),
        Column("name", "Setting"),
        Column("value", "Value"),
        Column("what", "What it decides", shortened=True),
    )


class KeysTable(FittingTable):
    """Every key."""

    COLUMNS = (Column("key", "Key"), Column("what", "Does", shortened=True), Column("id", "Id", rank=1))


class SettingsScreen(Place):
    """Two tables: settings and keys. Enter changes, Backspace goes back to the default."""

    HERE = "settings"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,space", "change", "Change", key_display="↵", id="settings.change"),
        Binding("backspace", "default", "Default", key_display="⌫", id="settings.default"),
        Binding("slash", "filter", "Find a key", key_display="/", id="settings.filter"),
        Binding("tab", "other", "Settings/keys", show=False, id="settings.other"),
        Binding("e", "editor", "Edit the file", id="settings.editor"),
        Binding("escape", "leave", "Library", show=False, id="settings.leave"),
    ]

    def body(self) -> ComposeResult:
        with TabbedContent(id="settings"):
            with TabPane("Settings", id="tab-settings"):
                yield SettingsTable(id="settings-table")
                yield Static("", id="settings-what", markup=False)
            with TabPane("Keys", id="tab-keys"), Vertical():
                yield Input(placeholder="type to find a key or an act", id="keys-filter", compact=True)
                yield KeysTable(id="keys-table")

    @property
    def _settings(self) -> Settings:
        return self.tireg.preferences.settings

    def on_mount(self) -> None:
        self._rows: list[_Row] = []
        self._acts: list[keymap.Act] = []
        self._show_settings()
        self._show_keys()
        self.query_one(SettingsTable).focus()

    def on_screen_resume(self, event: ScreenResume) -> None:
        self._read()  # it may have been edited elsewhere
        if self.is_mounted:
            self._show_settings()

    def _read(self) -> None:
        preferences = self.tireg.preferences
        preferences.load()
        self.run_worker(preferences.check_keys(), group="keys-check", exit_on_error=False)

    # -- showing -------------------------------------------------------------------------------------------------

    @on(RegistryChanged)
    def look_again(self) -> None:
        self._show_settings()

    def _show_settings(self) -> None:
        now, usual = self._settings, Settings()
        self._rows = [
            _Row(setting.name, now.get(setting.name), setting.what, now.get(setting.name) != usual.get(setting.name))
            for setting in SETTINGS
        ]
        try:
            base = self.registry.default_base
        except TiregError:
            base = "?"
        self._rows.insert(3, _Row(_BASE, base, _BASE_WHAT, base != "embedded"))
        rows = {}
        for entry in self._rows:
            value = Text(safe(entry.value, limit=80) or "–", style="bold" if entry.changed else "dim")
            mark = Text("●" if entry.changed else " ", style=ink(self.app, "accent"))
            what = Text(entry.what, style="dim")
            rows[entry.name] = {"mark": mark, "name": Text(entry.name), "value": value, "what": what}
        self.query_one(SettingsTable).show(rows)
        self._say_what()

    @on(DataTable.RowHighlighted, "#settings-table")
    def _say_what(self) -> None:
        entry = self._current_row()
        if entry is None:
            return
        setting = next((s for s in SETTINGS if s.name == entry.name), None)
        choices = f"\n{', '.join(setting.choices)}" if setting and setting.choices else ""
        trouble = self.tireg.preferences.trouble
        path = self.registry.home / FILE
        problem = f"\n\n! {trouble.message} · {trouble.hint}" if trouble else ""
        self.query_one("#settings-what", Static).update(
            safe(f"{entry.what}{choices}\n\n{path}{problem}", multiline=True)
        )

    def _current_row(self) -> _Row | None:
        row = self.query_one(SettingsTable).cursor_row
        return self._rows[row] if 0 <= row < len(self._rows) else None

    @work(exclusive=True, group="keys", exit_on_error=False)
    async def _show_keys(self) -> None:
        every = await asyncio.to_thread(keymap.acts)  # imports every screen
        words = self.query_one("#keys-filter", Input).value.lower().split()
        remapped = self._settings.keys
        self._acts = []
        rows = {}
        for act in every:
            keys = keymap.display(keymap.keys_now(act, remapped))
            if all(word in f"{keys} {act.what} {act.id}".lower() for word in words):
                self._acts.append(act)
                style = ink(self.app, "accent", bold=True) if act.id in remapped else "bold"
                rows[act.id] = {"key": Text(keys, style=style), "what": Text(act.what), "id": Text(act.id, style="dim")}
        self.query_one(KeysTable).show(rows)

    @on(Input.Changed, "#keys-filter")
    def keys_filtered(self) -> None:
        self._show_keys()

    @on(Input.Submitted, "#keys-filter")
    def to_keys(self) -> None:
        self.query_one("#keys-table").focus()

    # -- changing ------------------------------------------------------------------------------------------------

    @property
    def _on_keys(self) -> bool:
        return self.query_one(TabbedContent).active == "tab-keys"

    @on(DataTable.RowSelected)
    def row_chosen(self) -> None:
        self.action_change()

    def action_change(self) -> None:
        """Change the setting or the key under the cursor."""
        if self.tireg.refuses_changes():
            return
        if self._on_keys:
            self._change_key()
            return
        entry = self._current_row()
        if entry is None:
            return
        if entry.name == _BASE:
            self._change_base(entry.value)
        elif entry.name == "theme":
            choices = [*SHORT_NAMES, *sorted(set(self.app.available_themes) - set(SHORT_NAMES.values()))]
            self._ask_choice(entry, choices, preview=self._preview_theme)
        else:
            setting = next(s for s in SETTINGS if s.name == entry.name)
            if setting.choices and not any(choice.endswith("*") for choice in setting.choices):
                self._ask_choice(entry, list(setting.choices))
            else:
                self._ask_text(entry, setting)

    def _preview_theme(self, theme: str) -> None:
        self.app.theme = full_name(theme)

    def _ask_choice(self, entry: _Row, choices: list[str], preview: object = None) -> None:
        def keep(choice: str | None) -> None:
            if choice is not None:
                self._keep(entry.name, choice)

        value = short_name(self.app.theme) if entry.name == "theme" else entry.value
        show = self._preview_theme if preview else None
        self.app.push_screen(Choose(entry.name, choices, value, show), keep)

    def _ask_text(self, entry: _Row, setting: Setting) -> None:
        def act(text: str) -> Settings:
            return self.tireg.preferences.write(entry.name, text.strip())

        def kept(settings: Settings) -> None:
            self.tireg.preferences.take(settings)
            self._was_kept(entry.name)

        hint = f"one of {', '.join(setting.choices)}" if setting.choices else setting.what
        self.app.push_screen(AskText(entry.name, act, hint, entry.value, then=kept))

    def _keep(self, name: str, value: str) -> None:
        if self.tireg.preferences.set(name, value):
            self._was_kept(name)

    def _was_kept(self, name: str) -> None:
        if name == "images":
            self.tireg.say("How pictures are drawn changes at the next start")
        self._show_settings()

    def _change_base(self, value: str) -> None:
        registry = self.registry
        try:
            names = ["embedded", *(base.name for base in registry.bases() if base.name != "embedded")]
        except TiregError as error:
            self.tireg.report(error)
            return

        def keep(choice: str | None) -> None:
            if choice is not None:
                self.tireg.change(lambda: registry.set_default_base(choice))

        self.app.push_screen(Choose(_BASE, names, value), keep)

    def _current_act(self) -> keymap.Act | None:
        row = self.query_one(KeysTable).cursor_row
        return self._acts[row] if 0 <= row < len(self._acts) else None

    def _change_key(self) -> None:
        act = self._current_act()
        if act is None:
            return

        def keep(key: str | None) -> None:
            if key is None:
                return
            taken = keymap.clashes(act, key, self._settings.keys)
            if key in keymap.MOVING and key not in act.keys.split(","):
                self.tireg.say(f"{keymap.display(key)} moves the cursor or the focus wherever one is")
            elif taken:
                other = taken[0]
                self.tireg.say(f"{keymap.display(key)} is the key of: {other.what} ({other.id}). Change that one first")
            elif self.tireg.preferences.set(f"keys.{act.id}", key):
                self.tireg.say(f"{keymap.display(key)}: {act.what}", title="Kept")
            self._show_keys()

        self.app.push_screen(PressKey(act.what), keep)

    def action_default(self) -> None:
        """Go back to the default of the setting or key under the cursor."""
        if self.tireg.refuses_changes():
            return
        act, entry = self._current_act(), self._current_row()
        if self._on_keys and act is not None:
            self.tireg.preferences.unset(f"keys.{act.id}")
            self._show_keys()
        elif entry is not None and entry.name == _BASE:
            registry = self.registry
            self.tireg.change(lambda: registry.set_default_base("embedded"))
        elif entry is not None:
            self.tireg.preferences.unset(entry.name)
            self._show_settings()

    def action_filter(self) -> None:
        """Find a key by typing."""
        self.query_one(TabbedContent).active = "tab-keys"
        self.query_one("#keys-filter").focus()

    def action_other(self) -> None:
        """Go from the search to the keys that were found, else to the other table."""
        if self.query_one("#keys-filter").has_focus:
            self.to_keys()
            return
        name = "tab-settings" if self._on_keys else "tab-keys"
        self.query_one(TabbedContent).active = name
        self.query_one("#settings-table" if name == "tab-settings" else "#keys-table").focus()

    def action_leave(self) -> None:
        """Clear the filter, leave it, or go to the library."""
        field = self.query_one("#keys-filter", Input)
        if field.has_focus and field.value:
            field.value = ""
        elif field.has_focus:
            self.query_one("#keys-table").focus()
        else:
            self.tireg.action_go("library")

    def action_editor(self) -> None:
        """Change the file in the user's editor; a mistake in it is said at once."""
        if self.tireg.refuses_changes():
            return
        path = self.registry.home / FILE
        try:
            before = path.read_text(encoding="utf-8-sig") if path.exists() else _NEW_FILE
            text = self.tireg.edit_text(before, ".toml")
            if text is None:
                self.tireg.say(f"No editor: set VISUAL or EDITOR. The file is {path}")
            elif text != before:
                path.write_text(text, encoding="utf-8")
        except (TiregError, OSError) as error:
            self.tireg.report(error)
        self._read()
        self._show_settings()
        self._show_keys()
