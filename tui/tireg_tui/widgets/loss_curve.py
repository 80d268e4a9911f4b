"""The losses of a version in one line, as wide as there is room for."""

from __future__ import annotations

from textual.reactive import reactive
from textual.widget import Widget

from tiregistry.quantities import sparkline

_WIDEST = 40
_NARROWEST = 8


class LossCurve(Widget):
    """A curve and the mean of its last tenth; nothing where there are no losses."""

    DEFAULT_CSS = "LossCurve { height: 1; display: none; }"

    losses: reactive[tuple[float, ...]] = reactive((), init=False)

    def watch_losses(self) -> None:
        self.display = bool(self.losses)

    def render(self) -> str:
        tail = self.losses[-max(1, len(self.losses) // 10) :]
        end = f"  {sum(tail) / max(1, len(tail)):.4f}"
        width = max(_NARROWEST, min(_WIDEST, self.content_size.width - len("mean loss  ") - len(end)))
        return f"mean loss  {sparkline(self.losses, width)}{end}"
