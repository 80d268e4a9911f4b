"""The prompt grammar: text, words in angle brackets, weights, alternatives and wildcards, parsed into a tree.

Every node keeps its source exactly as it was typed, so that a tree written out again is the same prompt.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tiregistry.errors import InvalidPrompt
from tiregistry.text import safe

MAX_CHARACTERS = 20_000
MAX_DEPTH = 40
MAX_WEIGHT = 10.0
UP = 1.1
"""`(text)` weighs this much, `[text]` its inverse: the convention that users know from AUTOMATIC1111's web UI."""


@dataclass(frozen=True, slots=True)
class WordName:
    """A reference to a learned word.

    Attributes:
        name: what stands before `@`: a concept's name, or the inside of its placeholder token.
        selector: what stands after `@` (number, alias or `sha256:…`), empty for the latest version.
    """

    name: str
    selector: str = ""

    @property
    def text(self) -> str:
        """As a prompt names it, `<gnome@3>`."""
        return f"<{self.name}@{self.selector}>" if self.selector else f"<{self.name}>"


@dataclass(frozen=True, slots=True)
class WordUse:
    """A learned word in a prompt, or a mix of two, `<gnome~imp~0.3>`.

    Attributes:
        text: as it was typed, with the brackets.
        position: index of `<` in the prompt.
        first: the word.
        second: the word it is mixed with, or None.
        at: how far from `first` (0) to `second` (1).
    """

    text: str
    position: int
    first: WordName
    second: WordName | None = None
    at: float = 0.0

    @property
    def names(self) -> tuple[WordName, ...]:
        """The registered words it needs."""
        return (self.first,) if self.second is None else (self.first, self.second)


@dataclass(frozen=True, slots=True)
class Text:
    """Plain text; `raw` still has its backslashes."""

    raw: str

    @property
    def literal(self) -> str:
        """The text that is meant: `\\<` is `<`."""
        return _ESCAPE.sub(r"\1", self.raw)


@dataclass(frozen=True, slots=True)
class Weighted:
    """`(inner)`, `(inner:1.3)` or `[inner]`; `opening` and `closing` are the brackets as typed."""

    inner: Tree
    weight: float
    opening: str
    closing: str


@dataclass(frozen=True, slots=True)
class Choice:
    """`{one|two|three}`: each option is a tree, possibly empty."""

    options: tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class Wildcard:
    """`__name__`: one line of the wildcard file of that name."""

    name: str
    position: int


@dataclass(frozen=True, slots=True)
class Hole:
    """`<>`: the place that a grid fills with one word after the other."""

    position: int


Node = Text | WordUse | Weighted | Choice | Wildcard | Hole
Tree = tuple[Node, ...]

_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")
_TOKEN = re.compile(
    r"(?P<escape>\\[!-/:-@\[-`{-~])"
    r"|<(?P<word>[^<>\s]*)>"
    r"|(?P<unclosed><(?=\w))"
    r"|__(?P<wildcard>[^\W_](?:(?:[\w/\-](?!__))*[\w\-])?)__"
    r"|__(?P<foreign>[^\s_\\<>()\[\]{}|:](?:(?!__)[^\s\\<>()\[\]{}|:])*)__"
    r"|:[ \t]*(?P<weight>[-+]?[0-9.][0-9.eE+\-]*)[ \t]*\)"
    r"|:[ \t]*(?P<number>(?:[-+]?(?:[0-9.][0-9.,]*[ \t]*%?|nan|inf(?:inity)?))?)[ \t]*\)"
    r"|(?P<bracket>[()\[\]{}|])"
    r"|(?P<plain>[^\\<>_:()\[\]{}|]+|.)",
    re.DOTALL | re.IGNORECASE,
)
# Control characters other than white space, and halves of characters (undecodable bytes of a command line).
_UNUSABLE = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_CLOSES = {")": "(", "]": "[", "}": "{"}
_MEANING = {"(": "weight", "[": "weight", "{": "alternative"}


class _Frame:
    """An opened bracket: where it is, and what was read inside it so far."""

    def __init__(self, opening: str, position: int) -> None:
        self.opening, self.position = opening, position
        self.options: list[Tree] = []
        self.nodes: list[Node] = []
        self.text = ""

    def add(self, node: Node) -> None:
        self.end_text()
        self.nodes.append(node)

    def end_text(self) -> None:
        if self.text:
            self.nodes.append(Text(self.text))
            self.text = ""

    def end_option(self) -> Tree:
        self.end_text()
        tree, self.nodes = tuple(self.nodes), []
        self.options.append(tree)
        return tree


def parse_tree(prompt: str) -> Tree:
    """Parse a prompt with everything the grammar knows (`docs/prompts.md`).

    Raises:
        InvalidPrompt: a bracket is not closed or closes nothing, a word or weight is written wrongly, brackets are
            nested deeper than 40, the prompt holds control characters, or it is longer than 20,000 characters; the
            message has the position.
    """
    if len(prompt) > MAX_CHARACTERS:
        raise InvalidPrompt(
            f"the prompt has {len(prompt)} characters, one too many at character {MAX_CHARACTERS + 1}",
            "shorten it",
        )
    if unusable := _UNUSABLE.search(prompt):
        raise InvalidPrompt(
            f"U+{ord(unusable.group()):04X} at character {unusable.start() + 1} is no text, but a control character "
            "or half a character",
            "take it out",
        )
    frames = [_Frame("", 0)]
    for match in _TOKEN.finditer(prompt):
        kind, piece, at = match.lastgroup, match.group(), match.start()
        top = frames[-1]
        if kind == "word":
            top.add(_word(match["word"], at))
        elif kind == "unclosed":
            holds = "holds a blank" if re.match(r"<[^<>]*>", prompt[at:]) else "is not closed"
            raise InvalidPrompt(
                f"the word that opens at character {at + 1} {holds}", "write <name>, or \\< for the character"
            )
        elif kind == "wildcard":
            top.add(Wildcard(match["wildcard"], at))
        elif kind == "foreign":
            raise InvalidPrompt(
                f"'{safe(piece, limit=80)}' at character {at + 1} can name no wildcard file",
                "__name__ has letters, digits, _, - and /; \\_ is a plain underscore",
            )
        elif kind == "number" and top.opening == "(":
            raise _no_weight(match["number"], at)
        elif kind == "weight" and top.opening == "(":
            weight = _weight(match["weight"], at)
            frames.pop()
            frames[-1].add(Weighted(top.end_option(), weight, "(", piece))
        elif kind in ("weight", "number"):
            # A colon and a number before a bracket that this level did not open: the colon is text, `)` is an error.
            raise _closes_nothing(")", match.end() - 1)
        elif kind == "bracket":
            _bracket(frames, piece, at)
        else:
            top.text += piece
    if len(frames) > 1:
        opened = frames[-1]
        raise InvalidPrompt(
            f"the {opened.opening} at character {opened.position + 1} is not closed",
            f"close the {_MEANING[opened.opening]}, or write \\{opened.opening} for the character",
        )
    return frames[0].end_option()


def write_tree(tree: Tree) -> str:
    """The prompt that `parse_tree` read; exactly what was typed."""
    out = []
    for node in tree:
        match node:
            case Text():
                out.append(node.raw)
            case WordUse():
                out.append(node.text)
            case Weighted():
                out.append(node.opening + write_tree(node.inner) + node.closing)
            case Choice():
                out.append("{" + "|".join(write_tree(option) for option in node.options) + "}")
            case Wildcard():
                out.append(f"__{node.name}__")
            case Hole():
                out.append("<>")
    return "".join(out)


def escape(text: str) -> str:
    """`text` so that a prompt takes it literally."""
    return re.sub(r"([\\<>()\[\]{}|:_#])", r"\\\1", text)


def parse_word(inner: str, position: int = 0) -> WordUse:
    """A word from what stands between its angle brackets: `gnome`, `gnome@3`, `gnome~imp`, `gnome~imp~0.3`.

    Raises:
        InvalidPrompt: it is written otherwise.
    """
    parts = inner.split("~")
    names = [_name(part) for part in parts[:2]]
    if len(parts) > 3 or any(name is None for name in names):
        raise InvalidPrompt(
            f"'<{safe(inner)}>' at character {position + 1} names no word",
            "write <name>, <name@3> or <name@alias>; <one~other~0.3> mixes two",
        )
    first, second = names[0], names[1] if len(names) > 1 else None
    assert first is not None
    at = 0.0 if second is None else 0.5
    if len(parts) == 3:
        try:
            at = float(parts[2])
        except ValueError:
            at = -1.0
        if not 0 <= at <= 1:
            raise InvalidPrompt(
                f"'<{safe(inner)}>' at character {position + 1} mixes at {safe(parts[2])!r}",
                "write a number from 0 to 1, as in <one~other~0.3>",
            )
    return WordUse(f"<{inner}>", position, first, second, at)


def _word(inner: str, position: int) -> WordUse | Hole:
    return parse_word(inner, position) if inner else Hole(position)


def _name(text: str) -> WordName | None:
    name, at, selector = text.partition("@")
    return None if not name or (at and not selector) else WordName(name, selector)


def _weight(text: str, position: int) -> float:
    try:
        weight = float(text)
    except ValueError:
        weight = -1.0
    if not 0 <= weight <= MAX_WEIGHT:
        raise _no_weight(text, position)
    return weight


def _no_weight(text: str, position: int) -> InvalidPrompt:
    what = (
        f"the weight {text} at character {position + 1} is not" if text else f"the : at character {position + 1} lacks"
    )
    return InvalidPrompt(f"{what} a number from 0 to {MAX_WEIGHT:g}", "write (text:1.3), or \\: for the character")


def _bracket(frames: list[_Frame], piece: str, at: int) -> None:
    """Open, close or divide at one of the characters `()[]{}|`."""
    top = frames[-1]
    if piece in "([{":
        if len(frames) > MAX_DEPTH:
            raise InvalidPrompt(f"brackets are nested deeper than {MAX_DEPTH} at character {at + 1}", "simplify it")
        top.end_text()
        frames.append(_Frame(piece, at))
    elif piece == "|":
        if top.opening == "{":
            top.end_option()
        else:
            top.text += piece
    elif top.opening != _CLOSES[piece]:
        raise _closes_nothing(piece, at)
    else:
        tree = top.end_option()
        frames.pop()
        if piece == "}":
            frames[-1].add(Choice(tuple(top.options)))
        else:
            frames[-1].add(Weighted(tree, UP if piece == ")" else 1 / UP, top.opening, piece))


def _closes_nothing(piece: str, at: int) -> InvalidPrompt:
    return InvalidPrompt(f"the {piece} at character {at + 1} closes nothing", f"write \\{piece} for the character")
