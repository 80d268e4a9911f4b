"""What is known about the terminal: how it can show pictures, how large its cells are, who it says it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from tiregistry.errors import InvalidConfig
from tiregistry.graphics.halfblocks import Colors
from tiregistry.graphics.queries import Answers
from tiregistry.graphics.terminfo import colors_in_terminfo

Protocol = Literal["kitty", "kitty-direct", "sixel", "halfblocks", "ascii", "off"]
PROTOCOLS: tuple[Protocol, ...] = ("kitty", "kitty-direct", "sixel", "halfblocks", "ascii", "off")
"""Ways to show a picture: kitty's with unicode placeholders (they scroll and clip like text), kitty's with direct
placement (older kitty), sixel, half blocks, ASCII characters, and not at all."""
PIXELS: frozenset[Protocol] = frozenset({"kitty", "kitty-direct", "sixel"})
"""The protocols that show real pixels."""
DEFAULT_CELL = (8, 16)
"""Assumed cell size in pixels where the terminal tells none."""

_COLORLESS = range(8)
"""Numbers of colours that are too few to say anything with."""
_ALIASES: dict[str, Protocol] = {
    "halfblock": "halfblocks",
    "half-blocks": "halfblocks",
    "blocks": "halfblocks",
    "none": "off",
    "text": "ascii",
}


@dataclass(frozen=True, slots=True)
class Terminal:
    """The result of detection.

    Attributes:
        protocol: how pictures are drawn.
        colors: how half blocks are coloured.
        cell: width and height of one cell in pixels.
        reason: why this protocol, in a few words for the user.
        name: who the terminal says it is (`kitty(0.41.1)`), of the outer one inside tmux; empty when it does not say.
        in_tmux: escape sequences for the outer terminal must be wrapped.
        answered: the terminal answered the questions in time (True when none was asked).
        facts: each thing that was found out, for `tireg doctor`.
        awaited: what a terminal that has not said all in time had said by then, for who reads on; None where nothing
            that it may still say changes the choice.
        typed: keys that were pressed while it was asked, for who reads keys from now on.
    """

    protocol: Protocol
    colors: Colors = "truecolor"
    cell: tuple[int, int] = DEFAULT_CELL
    reason: str = ""
    name: str = ""
    in_tmux: bool = False
    answered: bool = True
    facts: Mapping[str, str] = field(default_factory=dict)
    awaited: Answers | None = field(default=None, compare=False)
    typed: bytes = field(default=b"", compare=False)

    @property
    def has_pixels(self) -> bool:
        """Whether pictures are shown as real pixels."""
        return self.protocol in PIXELS


def parse_protocol(text: str, where: str) -> Protocol | None:
    """The protocol a user names; None for `auto` and for an empty text.

    Raises:
        InvalidConfig: it names none; `where` says what to correct.
    """
    wanted = text.strip().lower()
    if wanted in ("", "auto"):
        return None
    wanted = _ALIASES.get(wanted, wanted)
    for protocol in PROTOCOLS:
        if protocol == wanted:
            return protocol
    raise InvalidConfig(f"{where}: {text!r} is no way to show pictures", f"one of: auto, {', '.join(PROTOCOLS)}")


def colors_of(environment: Mapping[str, str]) -> Colors:
    """How half blocks are coloured: in 24 bits where the terminal announces that, not at all where it has no colour.

    Else in 256 colours, unless the terminfo database says that there are none; a terminal that it does not know is
    taken to have them. `NO_COLOR` and a dumb terminal mean no colour.
    """
    if environment.get("NO_COLOR") or environment.get("TERM", "dumb") in ("dumb", "", "unknown"):
        return "none"
    if environment.get("COLORTERM", "").lower() in ("truecolor", "24bit") or environment["TERM"].endswith("-direct"):
        return "truecolor"
    # Any other value is what terminals that have colour say, too.
    if not environment.get("COLORTERM") and colors_in_terminfo(environment) in _COLORLESS:
        return "none"
    return "256"
