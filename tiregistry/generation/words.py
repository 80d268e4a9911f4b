"""From a word named in a prompt to a version in the registry that fits the base model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING

from tiregistry.bases.families import ENCODER_ROLES
from tiregistry.concepts import BaseModel, Version
from tiregistry.embeddings.families import why_no_word
from tiregistry.errors import ConceptNotFound, InvalidReference, NotFound, WrongBaseModel
from tiregistry.generation.grammar import WordName
from tiregistry.generation.prompts import names_in, parse_prompt
from tiregistry.references import name_key

if TYPE_CHECKING:
    from tiregistry.registry.registry import Registry


def resolve_words(
    registry: Registry,
    names: Sequence[tuple[WordName, int]],
    pinned: Mapping[str, Version] | None = None,
    what: str = "the prompt",
) -> dict[WordName, Version]:
    """The version of every word used.

    A word is looked up by its placeholder token first, then by its concept's name; upper and lower case are the same.

    Args:
        names: words with their positions in the prompt.
        pinned: versions that some words (as `WordName.text`) must mean, whatever the registry says today.
        what: how an error calls the prompt.

    Raises:
        ConceptNotFound: unknown word; the closest known ones are named.
        VersionNotFound: the concept has no such version or alias.
        WrongBaseModel: it is kept, but no base model can use it (P+/XTI, foreign encoders).
    """
    pinned = pinned or {}
    if all(name.text in pinned for name, _ in names):
        return {name: pinned[name.text] for name, _ in names}
    owners = registry.placeholders()
    concepts = set(owners.values())
    by_token = {name_key(token): concept for token, concept in owners.items()}
    by_name = {name_key(concept): concept for concept in concepts}
    found: dict[WordName, Version] = {}
    for name, position in names:
        if name.text in pinned:
            found[name] = pinned[name.text]
        elif name not in found:
            token = f"<{name.name}>"
            concept = owners.get(token) or by_token.get(name_key(token)) or by_name.get(name_key(name.name))
            if concept is None:
                close = get_close_matches(token, {*owners, *(f"<{c}>" for c in concepts)}, n=3, cutoff=0.5)
                advice = f"did you mean {' or '.join(close)}?" if close else "tireg list shows the words you have"
                raise ConceptNotFound(
                    f"{what} names {name.text} at character {position + 1}, a word that is not in the registry",
                    f"{advice} · \\<{name.name}> is plain text",
                )
            try:
                found[name] = registry.version(f"{concept}@{name.selector}" if name.selector else concept)
            except (NotFound, InvalidReference) as error:
                error.message = f"{name.text} at character {position + 1} of {what}: {error.message}"
                raise
            refuse_no_word(found[name])
    return found


def refuse_no_word(version: Version) -> None:
    """Refuse vectors that were kept though no prompt can use them.

    Raises:
        WrongBaseModel: says why.
    """
    if reason := why_no_word(shape.encoder for shape in version.encoders):
        raise WrongBaseModel(
            f"{version.reference} is kept, but no prompt can use it: {reason}",
            f"tireg export {version.reference} FILE --format original gives its file back",
        )


def check_fit(registry: Registry, versions: Sequence[Version], base: BaseModel, *, allow_compatible: bool) -> list[str]:
    """Refuse words that belong to another base model.

    Args:
        allow_compatible: also take words of another denoiser that share the token-embedding table.

    Returns:
        Warnings about words whose base model is not recorded, or is only compatible.

    Raises:
        WrongBaseModel: names the word and the registered base models it fits.
    """
    warnings = []
    for version in versions:
        refuse_no_word(version)
        fit = version.fingerprint.fit(base.fingerprint) if version.fingerprint else "unknown"
        if fit == "exact":
            continue
        if fit == "compatible" and allow_compatible:
            warnings.append(
                f"{version.reference} was learned on {version.base_name or 'another model'}, not {base.name}"
            )
            continue
        if fit == "unknown":
            _check_encoders(registry, version, base)
            warnings.append(f"{version.reference}: its base model is not recorded, so it may not fit {base.name}")
            continue
        fitting = [
            known.name
            for known in registry.bases()
            if version.fingerprint and version.fingerprint.fit(known.fingerprint) == "exact"
        ]
        if fitting:
            advice = f"it fits: {', '.join(f'--base {name}' for name in fitting)}"
        else:
            advice = f"it was learned on {version.base_name or 'a model that is not registered here'}"
        if fit == "compatible":
            advice += f" · {base.name} has the same vocabulary: --allow-compatible uses it all the same"
        raise WrongBaseModel(f"{version.reference} was not learned on {base.name}", advice)
    return warnings


def _check_encoders(registry: Registry, version: Version, base: BaseModel) -> None:
    """Refuse a word of unknown origin that lacks vectors for one of the base model's text encoders."""
    has = {shape.encoder for shape in version.encoders}
    missing = [role for role in ENCODER_ROLES.get(base.family, ()) if role not in has]
    if missing:
        fitting = [known.name for known in registry.bases() if set(ENCODER_ROLES.get(known.family, ())) == has]
        raise WrongBaseModel(
            f"{version.reference} has vectors for {' and '.join(sorted(has))} and none for {' and '.join(missing)}, "
            f"which {base.name} needs",
            f"it may fit: {', '.join(f'--base {name}' for name in fitting)}"
            if fitting
            else "no base model with these encoders is registered here · tireg base add adds one",
        )


def base_of_words(registry: Registry, prompts: Sequence[str], negative: str = "") -> str:
    """The base model that the words of prompts, then of the negative one, were learned on; empty for none registered.

    Raises:
        InvalidPrompt, ConceptNotFound, VersionNotFound: a prompt cannot be parsed, or names an unknown word.
        Damaged: the vectors of a word are missing or damaged.
    """
    names = [name for prompt in prompts for name in names_in(parse_prompt(prompt))]
    found = list(resolve_words(registry, names).values())
    what = "the negative prompt"
    found += resolve_words(registry, names_in(parse_prompt(negative, what)), what=what).values()
    for version in found:
        registry.embedding(version)  # a few kilobytes, while a model that is loaded in vain takes seconds
    return base_of_versions(registry, found)


def check_words(registry: Registry, prompt: str, negative: str = "") -> None:
    """Refuse a prompt whose words do not fit the base model it would be drawn with, from what the registry knows.

    It reads neither vectors nor a model. A base model that was never used here is not known, and fits.

    Raises:
        InvalidPrompt, ConceptNotFound, VersionNotFound: as `base_of_words`.
        WrongBaseModel: as `check_fit`.
    """
    what = "the negative prompt"
    found = [*resolve_words(registry, names_in(parse_prompt(prompt))).values()]
    found += resolve_words(registry, names_in(parse_prompt(negative, what)), what=what).values()
    name = base_of_versions(registry, found) or registry.default_base
    for base in registry.bases():
        if base.name == name:
            check_fit(registry, found, base, allow_compatible=False)


def base_of_versions(registry: Registry, versions: Sequence[Version]) -> str:
    """The registered base model that the first of `versions` fits exactly, preferring the default one; else empty."""
    known = sorted(registry.bases(), key=lambda base: base.name != registry.default_base)
    for version in versions:
        for base in known:
            if version.fingerprint is not None and version.fingerprint.fit(base.fingerprint) == "exact":
                return base.name
    return ""
