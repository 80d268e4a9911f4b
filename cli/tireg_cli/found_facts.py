"""What an embedding file was found to hold, as lines for people; from JSON data, so that no array is needed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_SHOWN = 3
"""Vectors whose nearest words are shown, and how many words of each."""


def found_facts(found: Mapping[str, Any], inspection: Mapping[str, Any]) -> dict[str, object]:
    """Label to text; what is not known is empty.

    Args:
        found: `FoundEmbedding.as_dict()`.
        inspection: encoder role to `Inspection.as_dict()`.
    """
    step = found.get("step")
    nearest = [line for _, facts in _items(inspection) for line in _nearest(facts)]
    return {
        "dtype": ", ".join(sorted({str(facts.get("dtype", "")) for _, facts in _items(found.get("encoders"))})),
        "family": "; ".join(f"{c['family']} ({c['evidence']})" for c in found.get("families") or ()),
        "norm": "; ".join(_norm(role, entries) for role, entries in _by_encoder(inspection).items()),
        "nearest": " | ".join(nearest[: 2 * _SHOWN]),
        "step": "" if step is None else step,
        "program": found.get("origin", ""),
    }


def short_families(found: Mapping[str, Any]) -> str:
    """The candidates' names alone, best first: `sd1/flux/sdxl`."""
    return "/".join(str(candidate["family"]) for candidate in found.get("families") or ())


def short_shapes(encoders: Mapping[str, Any]) -> str:
    """`clip_l 2x768, clip_g 2x1280`; of words with a part per layer only how many there are."""
    shapes = [f"{role} {facts['num_vectors']}x{facts['dim']}" for role, facts in encoders.items()]
    return ", ".join(shapes) if len(shapes) <= 4 else f"{len(shapes)} layers {shapes[0].split()[-1]}"


def _items(data: Any) -> list[tuple[str, Mapping[str, Any]]]:
    return list(data.items()) if isinstance(data, Mapping) else []


def _by_encoder(inspection: Mapping[str, Any]) -> dict[str, list[Mapping[str, Any]]]:
    """The inspections of one encoder together: words with a part per attention layer have many (`clip_l.IN01`)."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for role, facts in _items(inspection):
        found.setdefault(role.partition(".")[0], []).append(facts)
    return found


def _norm(role: str, entries: list[Mapping[str, Any]]) -> str:
    """Mean norm of the vectors beside that of the vocabulary's rows."""
    norms = [norm for facts in entries for norm in facts.get("norms") or ()] or [0.0]
    facts = entries[0]
    if facts.get("vocabulary_norm"):
        beside = f"vocabulary of {facts['base']}: {facts['vocabulary_norm']:.2f}"
    elif facts.get("typical_norm"):
        beside = f"vocabulary: about {facts['typical_norm']}"
    else:
        beside = "no base model with this vocabulary here to compare with"
    return f"{role} {sum(norms) / len(norms):.2f} ({beside})"


def _nearest(facts: Mapping[str, Any]) -> list[str]:
    """The nearest words of the first vectors."""
    return [
        ", ".join(f"{entry['word']} {entry['cosine']:.2f}" for entry in words[:_SHOWN])
        for words in facts.get("nearest", ())[:_SHOWN]
    ]
