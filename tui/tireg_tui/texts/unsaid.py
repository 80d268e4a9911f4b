"""Taking back a message that no longer holds, so that it does not stand beside, or over, what is so by now."""

from __future__ import annotations

from typing import Any

from textual.app import App

STILL_GONE = "Still gone"
"""Title of what is said where a key asks for the registry while it is gone."""


def unsay(app: App[Any], *titles: str) -> None:
    """Take the messages with these titles from the screen."""
    stale = [notification for notification in app._notifications if notification.title in titles]
    for notification in stale:
        app._unnotify(notification, refresh=False)
    if stale:
        app._refresh_notifications()
