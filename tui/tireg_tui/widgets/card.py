"""A model card as it reads: front matter as facts, the rest as Markdown."""

from __future__ import annotations

import re

from textual.containers import VerticalScroll

from tiregistry.text import safe

_LIMIT = 20_000
_FRONT = re.compile(r"\A---\n(.*?)\n---\n", re.DOTALL)


class CardPane(VerticalScroll):
    """Shows a card's text. Its links lead nowhere: they are somebody else's."""

    DEFAULT_CSS = """
    CardPane Markdown { padding: 0; background: transparent; height: auto; }
    CardPane MarkdownH1, CardPane MarkdownH2, CardPane MarkdownH3 {
        color: $accent; text-style: bold; background: transparent; margin: 0 0 1 0; content-align: left middle;
    }
    """

    async def show(self, text: str) -> None:
        """Show another card."""
        # Imported and mounted when the first card is shown: it is slow to start, and most visits need none.
        from textual.widgets import Markdown

        plain = safe(text, limit=_LIMIT, multiline=True)
        front = _FRONT.match(plain)
        if front:
            plain = f"```yaml\n{front.group(1)}\n```\n\n{plain[front.end() :]}"
        if not self.query(Markdown):
            await self.mount(Markdown(open_links=False))
        await self.query_one(Markdown).update(plain)
        self.scroll_home(animate=False)
