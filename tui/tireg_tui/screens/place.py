"""What all places have in common: the top line, the footer, and the app with its open registry."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar, cast

from textual import on
from textual.app import ComposeResult
from textual.events import Resize, ScreenResume
from textual.message import Message
from textual.screen import Screen

from tireg_tui.messages import RegistryChanged
from tireg_tui.widgets.bar import TopBar
from tireg_tui.widgets.job_line import JobLine
from tireg_tui.widgets.key_line import KeyLine
from tiregistry.errors import TiregError

if TYPE_CHECKING:
    from tireg_tui.app import TiregApp
    from tiregistry.registry.registry import Registry

T = TypeVar("T")
_TINY = 10
"""Lines below which there is no room for more than the table or form of a place."""


class Place(Screen[None]):
    """A screen that works on the registry."""

    HERE = ""
    """The place that the top line shows; empty for a screen that lies open on whichever place it was called from."""
    _seen_changes = -1
    _was_left = False

    def __init__(self) -> None:
        super().__init__()
        # The classes that its size will give it: with them from the start nothing has to be styled twice.
        app = self.app
        for cells, breakpoints in zip(app.size, (app.HORIZONTAL_BREAKPOINTS, app.VERTICAL_BREAKPOINTS), strict=True):
            self.add_class(*self._get_breakpoint_classes(cells, breakpoints or []), update=False)
        self._give_up_what_is_beside(app.size.height)

    @on(Resize)
    def _resized(self, event: Resize) -> None:
        self._give_up_what_is_beside(event.size.height)

    def _give_up_what_is_beside(self, height: int) -> None:
        """In a few lines all are left to what one is here for."""
        self.set_class(height < _TINY, "-tiny")

    @property
    def tireg(self) -> TiregApp:
        """The app, by its own type."""
        return cast("TiregApp", self.app)

    @property
    def registry(self) -> Registry:
        """The open registry. A place is only shown while there is one."""
        registry = self.tireg.registry
        assert registry is not None
        return registry

    @property
    def is_on_top(self) -> bool:
        """Whether nothing lies over it; Textual's `is_current` is also true of what is seen below a dialog."""
        return self.app.screen is self

    def on_screen_resume(self, event: ScreenResume) -> None:
        """Look again where the registry was changed while another place was shown."""
        # Theme or classes may have changed meanwhile; all parts of a new place have just got their styles.
        event.refresh_styles, self._was_left = self._was_left, False
        before, self._seen_changes = self._seen_changes, self.tireg.times_changed
        if before not in (-1, self._seen_changes):
            self.post_message(RegistryChanged())
        self.call_after_refresh(self.tireg.show_under_way)

    def on_screen_suspend(self) -> None:
        """Another screen covers it."""
        self._was_left = True

    async def _dispatch_message(self, message: Message) -> None:
        try:
            await super()._dispatch_message(message)
        except TiregError as error:  # what cannot be read or written is said; the place goes on
            self.tireg.report(error)

    def ask(self, question: Callable[[Registry], T], otherwise: T) -> T:
        """What the registry answers; where it cannot, that is said, and the place does without."""
        try:
            return question(self.registry)
        except TiregError as error:
            self.tireg.report(error)
            return otherwise

    def compose(self) -> ComposeResult:
        yield TopBar(self.HERE or self.app.current_mode)
        yield from self.body()
        yield JobLine()
        yield KeyLine()

    def body(self) -> ComposeResult:
        """What stands between the top line and the footer."""
        yield from ()
