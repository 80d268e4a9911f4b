"""From one prompt with alternatives and wildcards to many prompts without: all combinations, or n random ones.

The library dynamicprompts was tried and does not fit: its last release (0.31.0) is of March 2024, a brace cannot be
escaped, brackets are torn apart (`{(a|b)|c}` gives the prompts `(a` and `b)`), a `$` anywhere is an exception, an
unknown wildcard is left in the prompt, and no position of an error is known. What is needed of it fits this file.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

from tiregistry.errors import FileMissing, InvalidPrompt
from tiregistry.generation.grammar import (
    Choice,
    Hole,
    Node,
    Text,
    Tree,
    Weighted,
    Wildcard,
    WordUse,
    parse_tree,
    parse_word,
    write_tree,
)
from tiregistry.settings import Settings
from tiregistry.text import safe

MAX_PROMPTS = 10_000
_MAX_FILE = 4 << 20  # bytes of one wildcard file


def usual_folders(settings: Settings, home: Path, named: Sequence[Path] = ()) -> tuple[Path, ...]:
    """Where wildcards are looked for: folders that are named, that of the settings, `./wildcards`, the registry's."""
    of_settings = [Path(settings.wildcards).expanduser()] if settings.wildcards else []
    return (*named, *of_settings, Path("wildcards"), home / "wildcards")


@dataclass
class Wildcards:
    """Wildcard files `name.txt` in folders; the first folder that has the name wins.

    One entry per line in the prompt grammar (entries may hold words, alternatives and further wildcards); blank lines
    and lines that begin with `#` are skipped.
    """

    folders: Sequence[Path] = ()
    _entries: dict[str, tuple[Tree, ...]] = field(default_factory=dict)
    _counts: dict[str, int] = field(default_factory=dict)
    _open: list[str] = field(default_factory=list)

    def entries(self, wildcard: Wildcard) -> tuple[Tree, ...]:
        """The parsed lines of a wildcard's file.

        Raises:
            FileMissing: there is no such file.
            InvalidPrompt: it is empty or too large, or a line of it cannot be parsed.
        """
        name = wildcard.name
        if name not in self._entries:
            self._entries[name] = self._read(wildcard)
        return self._entries[name]

    def count(self, wildcard: Wildcard) -> int:
        """How many prompts a wildcard stands for, everything inside its lines included.

        Raises:
            FileMissing, InvalidPrompt: as `entries`, or wildcards that name each other in a circle.
        """
        name = wildcard.name
        if name in self._counts:
            return self._counts[name]
        if name in self._open:
            circle = " -> ".join([*self._open[self._open.index(name) :], name])
            raise InvalidPrompt(f"wildcards name each other in a circle: {circle}", "take one of them out")
        self._open.append(name)
        try:
            total = sum(count_prompts(entry, self) for entry in self.entries(wildcard))
        finally:
            self._open.pop()
        self._counts[name] = total
        return total

    def _read(self, wildcard: Wildcard) -> tuple[Tree, ...]:
        path = self._find(wildcard)
        try:
            if path.stat().st_size > _MAX_FILE:
                raise InvalidPrompt(f"the wildcard file {safe(path)} is larger than 4 MiB", "split it")
            lines = path.read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise InvalidPrompt(f"the wildcard file {safe(path)} cannot be read: {reason}", "correct it") from None
        entries = []
        for number, line in enumerate(lines, 1):
            if line.strip() and not line.lstrip().startswith("#"):
                try:
                    entries.append(parse_tree(line.strip()))
                except InvalidPrompt as error:
                    raise InvalidPrompt(f"{safe(path)}, line {number}: {error.message}", error.hint) from None
        if not entries:
            raise InvalidPrompt(f"the wildcard file {safe(path)} has no entries", "write one entry per line")
        return tuple(entries)

    def _find(self, wildcard: Wildcard) -> Path:
        # The grammar allows no dots and no leading slash in a name, so a path cannot leave its folder.
        for folder in self.folders:
            path = folder / f"{wildcard.name}.txt"
            if path.is_file():
                return path
            if path.exists():
                raise InvalidPrompt(
                    f"__{safe(wildcard.name)}__ at character {wildcard.position + 1}: {safe(path)} is no ordinary file",
                    "put a text file there",
                )
        known = sorted(
            {
                path.relative_to(folder).with_suffix("").as_posix()
                for folder in self.folders
                if folder.is_dir()
                for path in folder.rglob("*.txt")
            }
        )
        close = get_close_matches(wildcard.name, known, n=3, cutoff=0.5)
        if close:
            advice = f"did you mean {' or '.join(f'__{name}__' for name in close)}?"
        else:
            where = f"looked in {', '.join(str(folder) for folder in self.folders)}" if self.folders else ""
            advice = f"{where or '--wildcards names the folder'} · \\_ is a plain underscore"
        raise FileMissing(
            f"__{safe(wildcard.name)}__ at character {wildcard.position + 1}: there is no {safe(wildcard.name)}.txt",
            advice,
        )


def expand(
    prompt: str | Tree, wildcards: Wildcards | None = None, *, sample: int | None = None, seed: int = 0
) -> list[str]:
    """The prompts that a prompt with alternatives and wildcards stands for.

    Args:
        sample: None for all combinations, in order, the leftmost changing slowest; a number for so many different
            ones chosen at random (all of them when there are no more).
        seed: of the random choice; the same seed chooses the same prompts.

    Returns:
        Prompts without alternatives and wildcards; a prompt that has none comes back as it was typed.

    Raises:
        InvalidPrompt: it cannot be parsed, a wildcard file is broken, or there are more than 10,000.
        FileMissing: there is no such wildcard file.
    """
    tree = parse_tree(prompt) if isinstance(prompt, str) else prompt
    wildcards = wildcards or Wildcards()
    total = count_prompts(tree, wildcards)
    wanted = total if sample is None else min(sample, total)
    if wanted > MAX_PROMPTS:
        raise InvalidPrompt(
            f"the prompt stands for {total:,} prompts, more than {MAX_PROMPTS:,}", "choose some with --random 20"
        )
    chosen: Sequence[int] = range(total) if sample is None else _sample(total, wanted, random.Random(seed))
    return [_nth(tree, index, wildcards) for index in chosen]


def count_prompts(tree: Tree, wildcards: Wildcards) -> int:
    """How many prompts a tree stands for."""
    total = 1
    for node in tree:
        total *= _count(node, wildcards)
    return total


def fill_holes(prompt: str, word: str) -> str:
    """`prompt` with every `<>` replaced by a word, given as in a prompt with or without its brackets.

    Raises:
        InvalidPrompt: the prompt cannot be parsed, has no `<>`, or `word` names no word.
    """
    inner = word[1:-1] if word.startswith("<") and word.endswith(">") else word
    if not re.fullmatch(r"[^<>\s]+", inner):
        raise InvalidPrompt(f"{safe(word)!r} names no word", "write a reference such as gnome or gnome@3")
    use = parse_word(inner)
    tree = parse_tree(prompt)
    filled = _fill(tree, use)
    if filled == tree:
        raise InvalidPrompt(
            "the prompt has no <> that words could fill", 'write <> where the word goes: "a photo of <>"'
        )
    return write_tree(filled)


def _fill(tree: Tree, use: WordUse) -> Tree:
    out: list[Node] = []
    for node in tree:
        match node:
            case Hole():
                out.append(use)
            case Weighted():
                out.append(Weighted(_fill(node.inner, use), node.weight, node.opening, node.closing))
            case Choice():
                out.append(Choice(tuple(_fill(option, use) for option in node.options)))
            case _:
                out.append(node)
    return tuple(out)


def _count(node: Node, wildcards: Wildcards) -> int:
    match node:
        case Choice():
            return sum(count_prompts(option, wildcards) for option in node.options)
        case Weighted():
            return count_prompts(node.inner, wildcards)
        case Wildcard():
            return wildcards.count(node)
    return 1


def _nth(tree: Tree, index: int, wildcards: Wildcards) -> str:
    """The prompt number `index` of a tree: the nodes' choices are the digits of a number in mixed radix."""
    out: list[str] = []
    for node in reversed(tree):
        index, digit = divmod(index, _count(node, wildcards))
        out.append(_nth_of(node, digit, wildcards))
    return "".join(reversed(out))


def _nth_of(node: Node, index: int, wildcards: Wildcards) -> str:
    match node:
        case Choice():
            return _nth_option(node.options, index, wildcards)
        case Wildcard():
            return _nth_option(wildcards.entries(node), index, wildcards)
        case Weighted():
            return node.opening + _nth(node.inner, index, wildcards) + node.closing
        case Text() | WordUse() | Hole():
            return write_tree((node,))


def _nth_option(options: Sequence[Tree], index: int, wildcards: Wildcards) -> str:
    for option in options:
        count = count_prompts(option, wildcards)
        if index < count:
            return _nth(option, index, wildcards)
        index -= count
    raise IndexError(index)


def _sample(total: int, wanted: int, source: random.Random) -> list[int]:
    """`wanted` different numbers below `total`, which may be astronomically large."""
    if total <= 1_000_000:
        return source.sample(range(total), wanted)
    chosen: dict[int, None] = {}
    while len(chosen) < wanted:
        chosen[source.randrange(total)] = None
    return list(chosen)
