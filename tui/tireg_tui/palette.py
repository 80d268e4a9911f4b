"""The command palette's own sources: every act that has a key on the screen below, and all words by name."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.dom import DOMNode

from tireg_tui.places import PLACES
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
