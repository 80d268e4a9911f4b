"""Taking back a message that no longer holds, so that it does not stand beside, or over, what is so by now."""

from __future__ import annotations

from typing import Any

from textual.app import App

STILL_GONE = "Still gone"
"""Title of what is said where a key asks for the registry while it is gone."""


def unsay(app: App[Any], *titles: str, text: str = "") -> None:
    """Take the messages with these titles, or with just this text, from the screen."""
    shown = list(app._notifications)
    stale = [each for each in shown if each.title in titles or (text and each.message == text)]
    for notification in stale:
        app._unnotify(notification, refresh=False)
    if stale:
        app._refresh_notifications()
