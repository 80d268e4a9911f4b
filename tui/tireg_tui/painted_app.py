"""An app whose frames are safe to show and carry real pixels; Textual's frame code is touched nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from textual import on
from textual.app import App
from textual.driver import Driver
from textual.events import Resize
from textual.filter import LineFilter, Monochrome, NoColor
from textual.screen import Screen
from textual.theme import Theme

from tireg_tui.messages import TerminalSaid
from tireg_tui.pictures.pixel_layer import PixelLayer
from tireg_tui.settings.themes import ANSI, DARK, LIGHT
from tireg_tui.terminal.fewer_colors import Nearest256, theme_within
from tireg_tui.terminal.no_color import WithoutColor
from tireg_tui.terminal.safe_lines import SafeLines
from tiregistry.graphics.asking import cell_size
from tiregistry.graphics.terminal import Terminal

_PLAIN_CURSORS = {"block-cursor-text-style": "reverse", "block-cursor-blurred-text-style": "underline"}


class PaintedApp(App[None]):
    """Textual's app with our themes, a last filter over all text, and a layer of pictures.

    Args:
        terminal: how pictures are shown.
        driver_class: how Textual reaches the terminal; its own choice by default.
    """

    LATER_STYLES = Path(__file__).with_name("later.tcss")

    def __init__(self, terminal: Terminal, driver_class: type[Driver] | None = None) -> None:
        super().__init__(driver_class=driver_class)
        self._safe_lines, self._without_color, self._nearest = SafeLines(), WithoutColor(), Nearest256()
        self.pixels = PixelLayer(self, terminal)
        for theme in (DARK, LIGHT, ANSI):
            self.register_theme(theme)
        self.theme = DARK.name
        self._css_variables = self.get_css_variables()
        self.stylesheet.set_variables(self._css_variables)

    def get_line_filters(self) -> Sequence[LineFilter]:
        filters = super().get_line_filters()
        if self.no_color:
            self._without_color.dark = self.current_theme.dark
            filters = [known for known in filters if not isinstance(known, Monochrome | NoColor)]
            filters.append(self._without_color)
        elif self.console.color_system == "256":
            filters = [*filters, self._nearest]
        return [*filters, self._safe_lines]

    def get_theme(self, theme_name: str) -> Theme | None:
        """As Textual's, in the colours that the terminal has."""
        theme = super().get_theme(theme_name)
        console = getattr(self, "console", None)  # Textual asks before it has made one
        if theme is None or console is None or self.no_color:
            return theme
        return theme_within(theme, console.color_system)

    @property
    def has_own_colors_only(self) -> bool:
        """Whether every theme takes the terminal's own sixteen colours, since there are no others."""
        return self.console.color_system in ("standard", "windows") and not self.no_color

    def get_css_variables(self) -> dict[str, str]:
        variables = super().get_css_variables()
        # Where no colour is left, cursors are told by how their text is set.
        return variables | (_PLAIN_CURSORS if self.no_color else {})

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

    def read_later_styles(self) -> None:
        """Know the look of every screen, not only of the library, whose first frame does not wait for this."""
        if not self.stylesheet.has_source(str(self.LATER_STYLES)):
            self.stylesheet.read(self.LATER_STYLES)
            self.stylesheet.parse()

    def push_screen(self, *args: Any, **options: Any) -> Any:
        """As Textual's."""
        self.read_later_styles()
        return super().push_screen(*args, **options)

    def _display(self, screen: Screen[object], renderable: object) -> None:
        self.pixels.frame(renderable)
        super()._display(screen, renderable)  # type: ignore[arg-type]

    def _end_update(self) -> None:
        # Inside the synchronised update, so that a terminal which knows it never shows the text without the pixels.
        self.pixels.paint()
        super()._end_update()

    @on(Resize)
    def follow_font_size(self) -> None:
        """A larger font changes the cells' pixels, and may leave their number alone."""
        cell = cell_size()
        if cell is not None and cell != self.pixels.terminal.cell and not self.is_headless:
            self.pixels.change_terminal(replace(self.pixels.terminal, cell=cell))

    @on(TerminalSaid)
    def believe_late_answers(self, event: TerminalSaid) -> None:
        """Over a slow line, or on a busy machine, pictures turn into pixels when the terminal has said that it can."""
        answers = self.pixels.terminal.awaited
        if answers is None:
            return
        answers.read(event.reply.encode())
        if answers.attributes_seen:
            from tiregistry.graphics.detection import decide_again  # where all answers are in time nobody needs it

            has_truecolor = self.console.color_system == "truecolor"
            self.pixels.change_terminal(decide_again(self.pixels.terminal, answers, has_truecolor=has_truecolor))

    def write_to_terminal(self, data: str) -> None:
        """Send the terminal something that is not part of a frame."""
        if self._driver is not None and not self.is_headless:
            self._driver.write(data)
