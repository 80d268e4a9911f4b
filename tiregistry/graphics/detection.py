"""Choosing how to show pictures: the user's wish first, then what the terminal can do; never at import."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import replace

from tiregistry.graphics import tmux
from tiregistry.graphics.asking import ask, cell_size, keys_wait, patience
from tiregistry.graphics.halfblocks import Colors
from tiregistry.graphics.queries import Answers
from tiregistry.graphics.terminal import DEFAULT_CELL, Protocol, Terminal, colors_of, parse_protocol
from tiregistry.settings import Settings

# They accept kitty's pictures but draw placeholders as characters.
_NO_PLACEHOLDERS = frozenset({"konsole", "wezterm", "warp"})
_KITTIES = frozenset({"xterm-kitty", "xterm-ghostty"})
"""Values of TERM that only terminals with kitty's placeholders have."""
_SIXEL_BRANDS = frozenset({"xterm", "foot", "mlterm", "konsole", "wezterm", "contour", "mintty", "iterm2", "blackbox"})


def wish(option: str = "") -> tuple[Protocol | None, str]:
    """The protocol the user asks for and where: an option, `TIREG_IMAGES`, or `settings.toml`; None means auto.

    Raises:
        InvalidConfig: a value that names no protocol, or settings that cannot be read.
    """
    if option:
        return parse_protocol(option, "--images"), "--images"
    if os.environ.get("TIREG_IMAGES"):
        return parse_protocol(os.environ["TIREG_IMAGES"], "TIREG_IMAGES"), "TIREG_IMAGES"
    return parse_protocol(Settings.load().images, "settings.toml, images"), "settings.toml"


def detect(
    option: str = "",
    *,
    seconds: float | None = None,
    in_ui: bool = False,
) -> Terminal:
    """Find out how this process's terminal (on stderr) can show pictures.

    Takes a few milliseconds where the terminal answers, at most half a second (one second over ssh)
    where it does not. Without a terminal nothing is asked and nothing is written; nor is where keys wait to be read,
    unless by the UI.

    Args:
        option: what the user gave as `--images`; wins over `TIREG_IMAGES` and the settings.
        seconds: longest wait for answers.
        in_ui: the pictures stand in a full-screen UI, whose text obeys `NO_COLOR`.

    Raises:
        InvalidConfig: the wish names no protocol.
    """
    environment = os.environ
    wanted, source = wish(option)
    asked_for, colors = f"asked for by {source}", colors_of(environment)
    unaskable = _forced(wanted, asked_for, colors) or _without_terminal(wanted, asked_for, colors, environment)
    if unaskable is not None:
        return unaskable
    # The answers come where the keys do: who asks must read them all, what was typed for the next program included.
    if not in_ui and keys_wait():
        return _unasked(wanted, asked_for, colors, environment)
    limit = patience(environment) if seconds is None else seconds
    here, outer, answered = ask(environment, limit)
    if outer is not None and not outer.name:
        outer.name = tmux.outer_name()
    cell = cell_size() or here.cell or DEFAULT_CELL
    said = Terminal(
        "ascii",
        colors,
        cell,
        name=(outer or here).name,
        in_tmux=outer is not None,
        answered=answered,
        facts=_facts(here, outer, "yes" if answered else "no", cell, environment),
        typed=here.typed + (outer.typed if outer is not None else b""),
    )
    if wanted is not None:
        is_colorless = in_ui and "NO_COLOR" in environment
        protocol, reason = _possible(wanted, asked_for, said.in_tmux, is_colorless)
        return replace(said, protocol=protocol, reason=reason)
    return _from_answers(said, here, outer)


def _forced(wanted: Protocol | None, asked_for: str, colors: Colors) -> Terminal | None:
    """The choice where the user wants no pictures, or some that every terminal shows."""
    if wanted not in ("off", "ascii", "halfblocks"):
        return None
    chosen = colors if wanted == "halfblocks" else "none"
    return Terminal(wanted, chosen, cell_size() or DEFAULT_CELL, asked_for)


def _without_terminal(
    wanted: Protocol | None, asked_for: str, colors: Colors, environment: Mapping[str, str]
) -> Terminal | None:
    """The choice where there is no terminal, or one that only writes letters."""
    if sys.__stderr__ is None or not sys.__stderr__.isatty():
        return Terminal(wanted or "off", colors, reason=asked_for if wanted else "no terminal")
    if environment.get("TERM", "dumb") in ("dumb", "", "unknown") and wanted is None:
        return Terminal("ascii", "none", reason="a dumb terminal")
    return None


def _from_answers(said: Terminal, here: Answers, outer: Answers | None) -> Terminal:
    """The choice for a terminal that was asked, where the user leaves it to us.

    Args:
        said: what it said of itself.
        here, outer: as `choose` takes them.
    """
    protocol, reason = choose(here, outer, said.colors != "none")
    if protocol == "halfblocks" and not said.answered:
        reason = "the terminal did not answer in time"
    colors: Colors = "truecolor" if protocol in ("kitty", "kitty-direct") else said.colors
    # Inside tmux two terminals answer on one line; tmux itself is near, and is not awaited for longer.
    awaited = None if said.answered or said.in_tmux else here
    return replace(said, protocol=protocol, reason=reason, colors=colors, awaited=awaited)


def _unasked(wanted: Protocol | None, asked_for: str, colors: Colors, environment: Mapping[str, str]) -> Terminal:
    """The choice for a terminal that cannot be asked at the moment."""
    in_tmux, cell = tmux.inside(environment), cell_size() or DEFAULT_CELL
    if wanted is not None:
        protocol, reason = _possible(wanted, asked_for, in_tmux, False)
        return Terminal(protocol, colors, cell, reason, in_tmux=in_tmux)
    why = "something was typed meanwhile, so the terminal was not asked"
    if colors == "none":
        return Terminal("ascii", colors, cell, why, in_tmux=in_tmux)
    if environment.get("TERM") in _KITTIES and not in_tmux:
        return Terminal("kitty", "truecolor", cell, why)
    return Terminal("halfblocks", colors, cell, why, in_tmux=in_tmux)


def decide_again(terminal: Terminal, answers: Answers, *, has_truecolor: bool) -> Terminal:
    """The choice for a terminal that has said all after detection was over.

    Args:
        terminal: what detection found, with `awaited`.
        answers: everything that has been answered by now.
        has_truecolor: 24-bit colours reach the terminal, so that placeholders can be told apart.
    """
    protocol, reason = choose(answers, None, terminal.colors != "none")
    if protocol == "kitty" and not has_truecolor:
        protocol, reason = "kitty-direct", "kitty graphics; too few colours for placeholders"
    cell = cell_size() or answers.cell or terminal.cell
    return replace(
        terminal,
        protocol=protocol,
        cell=cell,
        reason=f"{reason}; the terminal answered late",
        name=answers.name,
        answered=True,
        facts=_facts(answers, None, "late", cell, os.environ),
        awaited=None,
    )


def _possible(wanted: Protocol, reason: str, in_tmux: bool, colorless: bool) -> tuple[Protocol, str]:
    """The wish, or the next best where it cannot work whatever the terminal is."""
    if wanted == "kitty" and colorless:
        if in_tmux:
            return "ascii", "NO_COLOR takes away the colours that name kitty's pictures in tmux"
        return "kitty-direct", f"{reason}, without placeholders since NO_COLOR takes away the colours that name them"
    if wanted == "kitty-direct" and in_tmux:
        return "halfblocks", "pictures placed directly do not follow tmux's panes"
    return wanted, reason


def choose(here: Answers, outer: Answers | None, has_color: bool) -> tuple[Protocol, str]:
    """The best protocol for what a terminal answered, and why.

    Args:
        here: the terminal, or tmux.
        outer: the terminal outside tmux, None when there is no tmux.
    """
    if not has_color:
        return "ascii", "NO_COLOR or a terminal without colour"
    who = outer or here
    if who.brand not in _NO_PLACEHOLDERS:
        recent = who.brand == "ghostty" or (who.brand == "kitty" and who.version >= (0, 28))
        # Old kitty stays silent when asked about placeholders; others are believed.
        if who.kitty and (recent or (who.kitty_placeholders and who.brand != "kitty")):
            return "kitty", "kitty graphics with placeholders" + (" through tmux" if outer else "")
        if who.kitty and outer is None and not here.sixel:
            return "kitty-direct", "kitty graphics without placeholders"
    if here.sixel and outer is None:
        return "sixel", "the terminal announces sixel"
    # tmux announces sixel whatever is outside, so the outer terminal must be known to draw it.
    if here.sixel and outer is not None and (outer.sixel or (not outer.attributes_seen and who.brand in _SIXEL_BRANDS)):
        return "sixel", "sixel in tmux and outside it"
    return "halfblocks", "no picture protocol announced"


def _facts(
    here: Answers,
    outer: Answers | None,
    answered: str,
    cell: tuple[int, int],
    environment: Mapping[str, str],
) -> dict[str, str]:
    def yes(value: bool) -> str:
        return "yes" if value else "no"

    who = outer or here
    facts = {
        "terminal": here.name or environment.get("TERM_PROGRAM", "") or "does not say",
        "TERM": environment.get("TERM", ""),
        "COLORTERM": environment.get("COLORTERM", ""),
        "answered": answered,
        "sixel": yes(here.sixel),
        "kitty graphics": yes(who.kitty),
        "kitty placeholders": yes(who.kitty and who.kitty_placeholders),
        "cell": f"{cell[0]}×{cell[1]} pixels",
    }
    if outer is not None:
        facts["outside tmux"] = outer.name or "unknown"
        facts["passthrough"] = yes(bool(outer.attributes_seen))
    return facts
