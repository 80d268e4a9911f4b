"""The command palette's own sources: every act that has a key on the screen below, words and themes by name."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.dom import DOMNode

from tireg_tui.places import PLACES
from tireg_tui.settings.themes import SHORT_NAMES, full_name, names
from tiregistry.errors import TiregError
from tiregistry.text import safe

if TYPE_CHECKING:
    from tireg_tui.app import TiregApp

_MOST_WORDS = 20


@dataclass(frozen=True, slots=True)
class _Act:
    text: str
    help: str
    run: Callable[[], Awaitable[object]]


class Acts(Provider):
    """What can be done on the screen below, with its key."""

    async def startup(self) -> None:
        found: dict[tuple[DOMNode, str], _Act] = {}
        for active in self.screen.active_bindings.values():
            binding = active.binding
            text, key = binding.tooltip or binding.description, f"key {self.app.get_key_display(binding)}"
            place = next((known for known in PLACES if binding.id == f"app.{known.id}"), None)
            if place is not None:  # looked for by its name; the others by what they do
                text, key = place.label, f"{place.what} · {key}"
            of_app = binding.action.startswith("app.")  # else an action is looked up where its binding was found
            act = (self.app if of_app else active.node, binding.action.removeprefix("app."))
            # What has no id moves a cursor about in a widget, and Esc goes back; neither needs a menu.
            is_act = binding.id and binding.key != "escape" and binding.action != "command_palette"
            if text and is_act and active.enabled and act not in found:
                found[act] = _Act(text, key, partial(self.app.run_action, binding.action, active.node))
        self._acts = list(found.values())

    async def discover(self) -> Hits:
        for act in self._acts:
            yield DiscoveryHit(act.text, act.run, help=act.help)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for act in self._acts:
            score = matcher.match(act.text)
            if score > 0:
                yield Hit(score, matcher.highlight(act.text), act.run, help=act.help)


class Words(Provider):
    """Concepts by name, to be opened."""

    async def search(self, query: str) -> Hits:
        app = cast("TiregApp", self.app)
        registry = app.registry
        if registry is None:
            return
        try:
            found = await asyncio.to_thread(registry.concepts, query, limit=_MOST_WORDS)
        except TiregError:  # what is typed need not be a query
            return
        matcher = self.matcher(query)
        for concept in found:
            text = safe(concept.placeholder_token, limit=80)
            yield Hit(
                max(matcher.match(text), 0.1),
                matcher.highlight(text),
                partial(app.open_concept, concept.name),
                help=f"Open the word {safe(concept.name, limit=60)}",
            )


class _OfThemes(Provider):
    """The themes, by the names that the settings have for them, the three of tiregistry first."""

    def _take(self, name: str) -> None:
        self.app.theme = full_name(name)

    def _hit(self, word: str, name: str, what: str | None = None) -> Hit | None:
        """A theme that a word is found in; the less else its name holds, the better."""
        matcher = self.matcher(word)
        score = matcher.match(name)
        found = score + len(word) / len(name)
        return Hit(found, matcher.highlight(name), partial(self._take, name), help=what) if score > 0 else None


class ThemesAmongAll(_OfThemes):
    """Themes among everything else: only those whose names hold what is typed."""

    async def search(self, query: str) -> Hits:
        words = [word for word in query.lower().split() if word != "theme"]
        for name in names() if words else ():
            if all(word in name for word in words) and (hit := self._hit(words[0], name, "Use this theme")):
                # Words and acts are looked for more often than the many themes of Textual.
                yield hit if name in SHORT_NAMES else replace(hit, score=hit.score / 2)


class Themes(_OfThemes):
    """Themes alone."""

    async def discover(self) -> Hits:
        for name in names():
            yield DiscoveryHit(name, partial(self._take, name))

    async def search(self, query: str) -> Hits:
        for name in names():
            if hit := self._hit(query, name):
                yield hit
