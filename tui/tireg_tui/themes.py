"""The two themes of tiregistry, beside Textual's own: quiet, one accent, colour only where it says something."""

from __future__ import annotations

from textual.theme import Theme

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
