"""A prompt without alternatives as the generator takes it: pieces of text and learned words, each with its weight."""

from __future__ import annotations

from dataclasses import dataclass

from tiregistry.errors import InvalidPrompt
from tiregistry.generation.grammar import Choice, Hole, Text, Tree, Weighted, Wildcard, WordName, WordUse, parse_tree


@dataclass(frozen=True, slots=True)
class PromptPart:
    """A piece of a prompt.

    Attributes:
        content: literal text, or a learned word.
        weight: how much it counts; 1 is ordinary.
    """

    content: str | WordUse
    weight: float = 1.0


def parse_prompt(prompt: str, what: str = "the prompt") -> tuple[PromptPart, ...]:
    """Split one prompt into text and words with their weights.

    Args:
        what: how an error calls it.

    Raises:
        InvalidPrompt: it cannot be parsed, or still holds alternatives, wildcards or an empty `<>`.
    """
    try:
        tree = parse_tree(prompt)
    except InvalidPrompt as error:
        if what != "the prompt":
            error.message = f"{what}: {error.message}"
        raise
    return flatten(tree, what)


def flatten(tree: Tree, what: str = "the prompt") -> tuple[PromptPart, ...]:
    """The pieces of a parsed prompt in order; neighbouring text of the same weight is one piece.

    Raises:
        InvalidPrompt: as `parse_prompt`.
    """
    parts: list[PromptPart] = []
    _collect(tree, 1.0, what, parts)
    return tuple(parts)


def words_in(parts: tuple[PromptPart, ...]) -> list[WordUse]:
    """The learned words of a parsed prompt, in order."""
    return [part.content for part in parts if isinstance(part.content, WordUse)]


def names_in(parts: tuple[PromptPart, ...]) -> list[tuple[WordName, int]]:
    """Every registered word that a prompt needs, with its position; a mix needs two."""
    return [(name, use.position) for use in words_in(parts) for name in use.names]


def _collect(tree: Tree, weight: float, what: str, parts: list[PromptPart]) -> None:
    for node in tree:
        match node:
            case Text():
                last = parts[-1] if parts else None
                if last is not None and isinstance(last.content, str) and last.weight == weight:
                    parts[-1] = PromptPart(last.content + node.literal, weight)
                else:
                    parts.append(PromptPart(node.literal, weight))
            case WordUse():
                parts.append(PromptPart(node, weight))
            case Weighted():
                _collect(node.inner, weight * node.weight, what, parts)
            case Hole():
                raise InvalidPrompt(
                    f"<> at character {node.position + 1} of {what} names no word",
                    "write <name>; or fill <> with --words a,b or --blend a b",
                )
            case Choice() | Wildcard():
                written = "{…|…}" if isinstance(node, Choice) else f"__{node.name}__"
                raise InvalidPrompt(
                    f"{what} holds {written}, which stands for several prompts",
                    "expand it first, or write \\{ and \\_ for the characters",
                )
