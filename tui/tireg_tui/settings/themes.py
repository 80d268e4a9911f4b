"""The themes of tiregistry, beside Textual's own: quiet, one accent, colour only where it says something."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from rich.color import Color as RichColor
from rich.style import Style
from textual.color import Color
from textual.theme import BUILTIN_THEMES, Theme

if TYPE_CHECKING:
    from textual.app import App

DARK = Theme(
    name="tireg-dark",
    primary="#7aa2c9",
    secondary="#9d8bc4",
    accent="#e0a458",
    foreground="#d6d9de",
    background="#14171c",
    surface="#1a1e25",
    panel="#222831",
    success="#86b888",
    warning="#e0b158",
    error="#d9746c",
    dark=True,
    variables={
        "block-cursor-background": "#31465c",
        "block-cursor-foreground": "#f2f4f7",
        "block-cursor-text-style": "none",
        "block-cursor-blurred-background": "#262e38",
        "footer-key-foreground": "#e0a458",
        "border": "#3d4754",
        "border-blurred": "#2b323c",
    },
)
LIGHT = Theme(
    name="tireg-light",
    primary="#2f6690",
    secondary="#6a5495",
    accent="#a8620f",
    foreground="#23272e",
    background="#f7f6f3",
    surface="#ffffff",
    panel="#ebe9e4",
    success="#37753c",
    warning="#8f6400",
    error="#b03a31",
    dark=False,
    variables={
        "block-cursor-background": "#cfe0ee",
        "block-cursor-foreground": "#14171c",
        "block-cursor-text-style": "none",
        "block-cursor-blurred-background": "#e3e5e6",
        "footer-key-foreground": "#a8620f",
        "border": "#a9a69e",
        "border-blurred": "#d5d2cb",
    },
)
# The same with colours that a terminal of 256 has: of its cube and its grey ramp. They lie further apart than those of
# 24 bits, so that surfaces, and what the cursor stands on with the focus and without, are told apart.
DARK_256 = replace(
    DARK,
    primary="#87afd7",
    secondary="#af87d7",
    accent="#d7af5f",
    foreground="#dadada",
    background="#1c1c1c",
    surface="#262626",
    panel="#303030",
    success="#87af87",
    warning="#d7af5f",
    error="#d75f5f",
    variables=DARK.variables
    | {
        "block-cursor-background": "#005f87",
        "block-cursor-foreground": "#ffffff",
        "block-cursor-blurred-background": "#3a3a3a",
        "footer-key-foreground": "#d7af5f",
        "border": "#585858",
        "border-blurred": "#444444",
    },
)
LIGHT_256 = replace(
    LIGHT,
    primary="#005f87",
    secondary="#5f5faf",
    accent="#af5f00",
    foreground="#262626",
    background="#eeeeee",
    surface="#ffffff",
    panel="#e4e4e4",
    success="#005f00",
    warning="#875f00",
    error="#af0000",
    variables=LIGHT.variables
    | {
        "block-cursor-background": "#afd7ff",
        "block-cursor-foreground": "#000000",
        "block-cursor-blurred-background": "#dadada",
        "footer-key-foreground": "#af5f00",
        "border": "#a8a8a8",
        "border-blurred": "#c6c6c6",
    },
)
ANSI = Theme(
    name="tireg-ansi",
    primary="ansi_bright_blue",  # text: the plain blue of most palettes can hardly be read on black
    secondary="ansi_cyan",
    accent="ansi_magenta",
    foreground="ansi_default",
    background="ansi_default",
    surface="ansi_default",
    panel="ansi_default",
    boost="ansi_default",
    success="ansi_green",
    warning="ansi_yellow",
    error="ansi_red",
    dark=True,
    ansi=True,
    variables={
        "ansi-background": "ansi_default",
        "ansi-foreground": "ansi_default",
        "block-cursor-background": "ansi_blue",
        "block-cursor-foreground": "ansi_bright_white",
        "block-cursor-text-style": "none",
        # Underlined: on the grey that some palettes have, dim text would not be seen.
        "block-cursor-blurred-background": "ansi_default",
        "block-cursor-blurred-foreground": "ansi_default",
        "block-cursor-blurred-text-style": "underline",
        "footer-key-foreground": "ansi_magenta",
        "link-color": "ansi_bright_blue",
        "markdown-h3-color": "ansi_bright_blue",
        "border": "ansi_bright_black",
        "panel-lighten-1": "ansi_bright_black",
        "border-blurred": "ansi_bright_black",
        "input-cursor-background": "ansi_default",
        "input-cursor-foreground": "ansi_default",
        "input-cursor-text-style": "reverse",
    },
)
"""The terminal's own sixteen colours, so that it follows whatever the user has made of them."""

SHORT_NAMES = {"dark": DARK.name, "light": LIGHT.name, "ansi": ANSI.name}
"""How the settings call the three."""


def names() -> list[str]:
    """All themes by the names that the settings have for them, the three of tiregistry first."""
    return [*SHORT_NAMES, *sorted(BUILTIN_THEMES)]


def full_name(theme: str) -> str:
    """The name Textual knows a theme of the settings by."""
    return SHORT_NAMES.get(theme, theme)


def short_name(theme: str) -> str:
    """The name the settings know a theme of Textual by."""
    return next((short for short, full in SHORT_NAMES.items() if full == theme), theme)


def ink(app: App[Any], color: str = "", *, on: str = "", bold: bool = False, strike: bool = False) -> Style:
    """A style in colours of the present theme, for texts that are not styled by CSS.

    Args:
        color: a variable of the theme, such as `accent`; empty for the text's own.
        on: the same, for the background.
    """
    variables = app.theme_variables
    behind = variables[on or "background"]
    front = _rich(variables[color], behind) if color else None
    back = _rich(behind, variables["background"]) if on else None
    return Style(color=front, bgcolor=back, bold=bold or None, strike=strike or None)


@lru_cache(maxsize=128)
def _rich(color: str, behind: str) -> RichColor:
    """A theme's colour as it is seen on the colour behind it.

    Beside plain colours themes have some that CSS understands and no parser of colours: `auto 87%`, whichever of black
    and white can be read there, and `#81a1c1 35%`, which lets through what is behind.
    """
    name, _, share = color.partition(" ")
    opacity = float(share.removesuffix("%")) / 100 if share else 1.0
    if name == "auto":
        base = Color.parse(behind)
        return (base + base.get_contrast_text(opacity)).rich_color
    found = Color.parse(name)
    if found.ansi is not None:
        return found.rich_color
    found = found.multiply_alpha(opacity)
    return found.rich_color if found.a == 1 else (Color.parse(behind) + found).rich_color
