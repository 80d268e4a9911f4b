"""The doctor: what this terminal and this machine can do, with a test picture, and the settings."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import ClassVar

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import Static

from tireg_tui.pictures.sources import PictureSource
from tireg_tui.processes.tireg_process import output_of
from tireg_tui.screens.place import Place
from tireg_tui.settings.themes import ink
from tireg_tui.widgets.captioned import Captioned
from tiregistry.doctor import Section, terminal_section
from tiregistry.errors import TiregError
from tiregistry.graphics.testcard import make_testcard
from tiregistry.settings import Settings
from tiregistry.text import safe


class Doctor(Place):
    """The report of `tireg doctor`. The part that needs torch is asked of another process."""

    HERE = "doctor"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "examine", "Look again", id="doctor.again"),
        Binding("m", "theme", "Light/dark", id="doctor.theme"),
        Binding("escape", "app.go('library')", "Library", show=False, id="doctor.back"),
    ]

    def body(self) -> ComposeResult:
        with Horizontal(id="doctor"):
            with VerticalScroll(id="doctor-left"):
                yield Static("", id="doctor-report", markup=False)
            with Vertical(id="doctor-right"):
                yield Captioned(id="testcard")
                text = "Bars straight, gradients smooth, fine lines apart, the circle round? Then pictures are right."
                yield Static(text, id="doctor-hint", markup=False)

    def on_mount(self) -> None:
        self._machine: list[Section] = []
        self.tireg.pixels.changed.subscribe(self, lambda _: self._follow_terminal())
        self._show_testcard()
        self.query_one("#doctor-left").focus()
        self.action_examine()

    def _follow_terminal(self) -> None:
        """A terminal that answers late shows pictures in another way than before."""
        self._show_testcard()
        self._write(self._machine)

    def _show_testcard(self) -> None:
        protocol = self.tireg.pixels.terminal.protocol
        source = PictureSource("testcard", f"test picture · {protocol}", lambda: make_testcard(512, 320))
        self.query_one("#testcard", Captioned).show(source)

    def action_examine(self) -> None:
        """Look at everything again."""
        self._examine()

    @work(exclusive=True, group="doctor", exit_on_error=False)
    async def _examine(self) -> None:
        self._write([Section("machine", {"device": "looking …"})])
        try:
            found = json.loads(await output_of(["doctor", "--json", "--no-show"], self.registry.home))
        except (TiregError, OSError, ValueError) as error:
            self._write([Section("machine", {}, (str(error),))])
            return
        rest = [
            Section(name, {key: str(value) for key, value in part["facts"].items()}, tuple(part["problems"]))
            for name, part in found.items()
            if name not in ("terminal", "settings")  # which this process knows better
        ]
        self._write(rest)

    def _write(self, machine: list[Section]) -> None:
        """Show the report: what this process knows by itself, and what was found out about the machine."""
        self._machine = machine
        sections = [terminal_section(self.tireg.pixels.terminal), self._settings_section(), *machine]
        self.query_one("#doctor-report", Static).update(Group(*self._parts(sections)))

    def _settings_section(self) -> Section:
        path = self.registry.home / "settings.toml"
        try:
            settings = Settings.load(self.registry.home)
        except TiregError as error:
            return Section("settings", {"file": str(path)}, (str(error),))
        facts = {"file": f"{path}{'' if path.exists() else ' (not there: all defaults)'}"}
        facts |= {"device": settings.device, "images": settings.images}
        return Section("settings", facts | {"output": settings.output or "pictures, beside the registry"})

    def _parts(self, sections: list[Section]) -> Iterator[RenderableType]:
        for section in sections:
            yield Text(section.name, style=ink(self.app, "accent", bold=True))
            for rows in (
                [(Text(safe(name), style="dim"), safe(value, limit=300)) for name, value in section.facts.items()],
                [(Text("!", style=ink(self.app, "warning")), safe(said, limit=400)) for said in section.problems],
            ):
                table = Table.grid(padding=(0, 2, 0, 0), pad_edge=True)
                for left, right in rows:
                    table.add_row(left, Text(right))
                if rows:
                    yield Padding(table, (0, 0, 0, 2))
            yield Text()

    def action_theme(self) -> None:
        """Change between the dark and the light theme."""
        self.tireg.action_toggle_theme()
        self._examine()
