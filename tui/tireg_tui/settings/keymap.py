"""Every act of the terminal UI that has a key: its id, by which the key is remapped, and what it does."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache

from textual.binding import Binding
from textual.dom import DOMNode

MOVING = frozenset({"up", "down", "left", "right", "pageup", "pagedown", "home", "end", "enter", "tab", "shift+tab"})
"""Keys that tables, lists and fields keep for themselves."""


@dataclass(frozen=True, slots=True)
class Act:
    """Something a key does.

    Attributes:
        id: what settings call it: `library.filter`.
        keys: its keys where nothing is remapped, separated by commas.
        what: what it does.
    """

    id: str
    keys: str
    what: str

    @property
    def where(self) -> str:
        """The place or widget it belongs to."""
        return self.id.partition(".")[0]


@lru_cache(maxsize=1)
def acts() -> tuple[Act, ...]:
    """All acts of all screens and widgets, sorted by id; imports them all."""
    import tireg_tui.screens
    import tireg_tui.widgets

    importlib.import_module("tireg_tui.app")
    for package in (tireg_tui.screens, tireg_tui.widgets):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    found: dict[str, Act] = {}
    for owner in _subclasses(DOMNode):
        if not owner.__module__.startswith("tireg_tui"):
            continue
        for binding in owner.__dict__.get("BINDINGS", ()):
            if isinstance(binding, Binding) and binding.id and binding.id not in found:
                what = binding.tooltip or binding.description or _words(binding.action)
                found[binding.id] = Act(binding.id, binding.key, what)
    return tuple(sorted(found.values(), key=lambda act: act.id))


def trouble_with(act_id: str) -> tuple[str, str]:
    """What is wrong with the id of an act, and what to do about it; both empty where there is such an act."""
    ids = [act.id for act in acts()]
    if act_id in ids:
        return "", ""
    close = get_close_matches(act_id, ids, n=1)
    hint = f"did you mean {close[0]}?" if close else "the settings screen of tireg tui lists them: library.filter"
    return f"there is no act {act_id[:60]!r}", hint


def keys_now(act: Act, remapped: Mapping[str, str]) -> str:
    """The keys of an act as they are now."""
    return remapped.get(act.id, act.keys)


def display(keys: str) -> str:
    """Keys as people write them: `^g F5` for `ctrl+g,f5`."""
    from textual.keys import format_key

    shown = []
    for key in keys.split(","):
        *modifiers, name = key.strip().split("+")
        text = format_key(name)
        if "ctrl" in modifiers:
            modifiers.remove("ctrl")
            text = f"^{text}"
        shown.append("+".join([*modifiers, text]))
    return " ".join(dict.fromkeys(shown))


def clashes(act: Act, keys: str, remapped: Mapping[str, str]) -> list[Act]:
    """Other acts of the same place, or of the whole app, that have one of these keys already."""
    wanted = {key.strip() for key in keys.split(",")}
    return [
        other
        for other in acts()
        if other.id != act.id
        and other.where in (act.where, "app")
        and wanted & {key.strip() for key in keys_now(other, remapped).split(",")}
    ]


def _subclasses(owner: type) -> Iterator[type]:
    child: type
    for child in owner.__subclasses__():
        yield child
        yield from _subclasses(child)


def _words(action: str) -> str:
    """A binding without a description, by the name of its action."""
    return action.partition("(")[0].rpartition(".")[2].replace("_", " ").capitalize()
