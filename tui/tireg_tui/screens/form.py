"""A place with fields one below the other, and the keys that lead from one to the next."""

from __future__ import annotations

from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.widget import Widget
from textual.widgets import Checkbox, Input, Select

from tireg_tui.screens.place import Place


def field_keys(form: str) -> list[Binding]:
    """Bindings of a form; `form` begins their ids.

    They come before those of the field: a field answers Enter itself, what it lies in scrolls on the arrows, and what
    is typed ahead of a slow machine belongs to the next field.
    """
    return [
        Binding("tab", "next", show=False, id=f"{form}.next", priority=True),
        Binding("shift+tab", "app.focus_previous", show=False, id=f"{form}.previous", priority=True),
        Binding("up", "field_above", "Field before", show=False, id=f"{form}.up", priority=True),
        Binding("down", "field_below", "Next field", show=False, id=f"{form}.down", priority=True),
        Binding("enter", "field_done", "Go on to the next field", show=False, id=f"{form}.enter", priority=True),
        Binding("pageup", "fields_up", show=False, id=f"{form}.page_up", priority=True),
        Binding("pagedown", "fields_down", show=False, id=f"{form}.page_down", priority=True),
    ]


class Form(Place):
    """A place whose fields stand in a `VerticalScroll`; whoever inherits adds `field_keys` to its bindings."""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Leave keys to what has its own use for them: an open list, text of several lines, a box to check."""
        if action == "field_done":
            return isinstance(self.focused, Input)
        if action in ("field_above", "field_below", "fields_up", "fields_down"):
            return self.focused is None or isinstance(self.focused, Input | Select | Checkbox)
        return super().check_action(action, parameters)

    def action_next(self) -> None:
        """Go to the next field."""
        self.focus_next()

    def action_field_above(self) -> None:
        """Go to the field before."""
        self.focus_previous()

    def action_field_below(self) -> None:
        """Go to the next field."""
        self.focus_next()

    def action_field_done(self) -> None:
        """Go on to the next field."""
        self.focus_next()

    def action_fields_up(self) -> None:
        """Go up by as many fields as are seen; the form scrolls with the focus, never away from it."""
        self._move(-1)

    def action_fields_down(self) -> None:
        """Go down by as many fields as are seen."""
        self._move(1)

    def _move(self, pages: int) -> None:
        here = self.focused
        form = next((above for above in here.ancestors if isinstance(above, VerticalScroll)), None) if here else None
        if here is None or form is None:
            return
        fields: list[Widget] = [widget for widget in self.focus_chain if form in widget.ancestors]
        seen = sum(widget.region.overlaps(form.content_region) for widget in fields)
        wanted = fields.index(here) + pages * max(1, seen - 1)
        self.set_focus(fields[max(0, min(wanted, len(fields) - 1))])
