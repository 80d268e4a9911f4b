"""A model card as it reads: front matter as facts, the rest as Markdown."""

from __future__ import annotations

import re

from textual.widgets import Markdown

from tiregistry.text import safe

_LIMIT = 20_000
_FRONT = re.compile(r"\A---\n(.*?)\n---\n", re.DOTALL)


class Card(Markdown):
    """Shows a card's text. Its links lead nowhere: they are somebody else's."""

    DEFAULT_CSS = """
    Card { padding: 0; background: transparent; height: auto; }
    Card MarkdownH1, Card MarkdownH2, Card MarkdownH3 {
        color: $accent; text-style: bold; background: transparent; margin: 0 0 1 0; content-align: left middle;
    }
    """

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, open_links=False)

    def show(self, text: str) -> None:
        """Show another card."""
        plain = safe(text, limit=_LIMIT, multiline=True)
        front = _FRONT.match(plain)
        if front:
            plain = f"```yaml\n{front.group(1)}\n```\n\n{plain[front.end() :]}"
        self.update(plain)
