"""From a word named in a prompt to a version in the registry that fits the base model."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING

from tiregistry.concepts import BaseModel, Version
from tiregistry.errors import ConceptNotFound, WrongBaseModel
from tiregistry.generation.prompts import WordUse, parse_prompt, words_in

if TYPE_CHECKING:
    from tiregistry.registry.registry import Registry


def resolve_words(registry: Registry, uses: Sequence[WordUse]) -> dict[str, Version]:
    """The version of every word used, keyed by how it was typed.

    A word is looked up by its placeholder token first, then by its concept's name.

    Raises:
        ConceptNotFound: unknown word; the closest known ones are named.
        VersionNotFound: the concept has no such version or alias.
    """
    owners = registry.placeholders()
    names = set(owners.values())
    found: dict[str, Version] = {}
    for use in uses:
        concept = owners.get(f"<{use.name}>") or (use.name if use.name in names else None)
        if concept is None:
            known = {token: token for token in owners} | {f"<{name}>": f"<{name}>" for name in names}
            close = get_close_matches(f"<{use.name}>", list(known), n=3, cutoff=0.5)
            advice = f"did you mean {' or '.join(close)}?" if close else "tireg list shows the words you have"
            raise ConceptNotFound(
                f"the prompt names {use.text} at character {use.position + 1}, a word that is not in the registry",
                f"{advice} · \\<{use.name}> is plain text",
            )
        found[use.text] = registry.version(f"{concept}@{use.selector}" if use.selector else concept)
    return found


def check_fit(registry: Registry, versions: Sequence[Version], base: BaseModel, *, allow_compatible: bool) -> list[str]:
    """Refuse words that belong to another base model.

    Args:
        allow_compatible: also take words of another denoiser that share the token-embedding table.

    Returns:
        Warnings about words whose base model is not recorded.

    Raises:
        WrongBaseModel: names the word and the registered base models it fits.
    """
    warnings = []
    for version in versions:
        fit = version.fingerprint.fit(base.fingerprint) if version.fingerprint else "unknown"
        if fit == "exact" or (fit == "compatible" and allow_compatible):
            continue
        if fit == "unknown":
            warnings.append(f"{version.reference}: its base model is not recorded, so it may not fit {base.name}")
            continue
        fitting = [
            known.name
            for known in registry.bases()
            if version.fingerprint and version.fingerprint.fit(known.fingerprint) == "exact"
        ]
        if fit == "compatible":
            advice = "--allow-compatible uses it all the same"
        else:
            advice = f"it fits: {', '.join(fitting)}" if fitting else f"it was learned on {version.base_name}"
        raise WrongBaseModel(f"{version.reference} was not learned on {base.name}", advice)
    return warnings


def base_of_words(registry: Registry, prompts: Sequence[str]) -> str:
    """The base model that the words in `prompts` were learned on; empty when they name none that is registered.

    Raises:
        InvalidPrompt, ConceptNotFound, VersionNotFound: a prompt cannot be parsed, or names an unknown word.
    """
    uses = [use for prompt in prompts for use in words_in(parse_prompt(prompt))]
    known = registry.bases()
    for version in resolve_words(registry, uses).values():
        for base in known:
            if version.fingerprint is not None and version.fingerprint.fit(base.fingerprint) == "exact":
                return base.name
    return ""
