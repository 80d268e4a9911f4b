"""A box to check whose state is a sign and not a colour."""

from __future__ import annotations

from textual.widgets import Checkbox


class Check(Checkbox):
    """`x` when it is on, blank when it is off."""

    def __init__(self, label: str, value: bool = False, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(label, value, id=id, compact=True)
        self.BUTTON_INNER = "x" if value else " "

    def watch_value(self) -> None:
        self.BUTTON_INNER = "x" if self.value else " "
        super().watch_value()
