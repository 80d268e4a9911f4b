"""What an embedding file was found to hold, as lines for people; from JSON data, so that no array is needed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_SHOWN_ENCODERS = 4
_SHOWN_WORDS = 3


def found_facts(found: Mapping[str, Any], inspection: Mapping[str, Any]) -> dict[str, object]:
    """Label to text; what is not known is empty.

    Args:
        found: `FoundEmbedding.as_dict()`.
        inspection: encoder role to `Inspection.as_dict()`.
    """
    encoders = _items(found.get("encoders"))
    step = found.get("step")
    return {
        "dtype": ", ".join(sorted({str(facts.get("dtype", "")) for _, facts in encoders})),
        "family": "; ".join(f"{c['family']} ({c['evidence']})" for c in found.get("families") or ()),
        "norm": "; ".join(_norm(role, facts) for role, facts in _items(inspection)[:_SHOWN_ENCODERS]),
        "nearest": " | ".join(line for _, facts in _items(inspection) for line in _nearest(facts)),
        "step": "" if step is None else step,
        "program": found.get("origin", ""),
    }


def _items(data: Any) -> list[tuple[str, Mapping[str, Any]]]:
    return list(data.items()) if isinstance(data, Mapping) else []


def _norm(role: str, facts: Mapping[str, Any]) -> str:
    """Mean norm of the vectors beside that of the vocabulary's rows."""
    norms = facts.get("norms") or [0.0]
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
        ", ".join(f"{entry['word']} {entry['cosine']:.2f}" for entry in words[:_SHOWN_WORDS])
        for words in facts.get("nearest", ())[:_SHOWN_WORDS]
    ]
