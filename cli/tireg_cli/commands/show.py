"""`tireg show`: one word or version in full."""

from __future__ import annotations

from typing import Any

import click

from tireg_cli import forms
from tireg_cli.found_facts import found_facts
from tireg_cli.output import emit, emit_fields, emit_json
from tiregistry.captions import example_prompt
from tiregistry.embeddings.families import why_no_word
from tiregistry.quantities import count, duration, sparkline
from tiregistry.references import Reference
from tiregistry.registry.handles import RegisteredConcept, RegisteredVersion
from tiregistry.registry.registry import Registry

_LOSS_COLUMNS = 40
"""Characters of the loss's course at most."""


@click.command("show")
@click.argument("reference", metavar="REF")
@click.option("--card", is_flag=True, help="Print the model card that a push would write, instead.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document, with the manifest and the record.")
def command(reference: str, card: bool, as_json: bool) -> None:
    """Show a word or one of its versions: how to use it, what it is made of, how it was learned.

    REF is a name, name@3, name@alias or name@sha256:ab12.

    \b
    Examples:
      tireg show gnome
      tireg show gnome@best --json
    """
    parsed = Reference.parse(reference)
    with Registry.open() as registry:
        concept = registry.concept(parsed.name)
        has_version = concept.latest_number is not None or not parsed.selects_latest
        version = registry.version(parsed) if has_version else None
        if card:
            from tiregistry.hub.card_preview import card_of

            shown = registry.version(parsed)
            text = card_of(registry, shown)
            if as_json:
                emit_json({"reference": shown.reference, "card": text})
            else:
                emit(text)
            return
        record = version.record() if version else {}
        if as_json:
            data = {"concept": forms.concept_data(concept), "version": None}
            if version:
                data["version"] = forms.version_data(version) | {
                    "record": record,
                    "measurements": [forms.measurement_data(m) for m in registry.measurements(version)],
                    "attachments": version.attachments(),
                    "remotes": [vars_of(remote) for remote in registry.remotes(version)],
                }
            emit_json(data)
            return
        emit_fields(
            _concept_fields(registry, concept, version)
            | (_version_fields(registry, concept, version, record) if version else {})
        )


def vars_of(remote: Any) -> dict[str, Any]:
    """A push or pull as JSON data."""
    from dataclasses import asdict

    return asdict(remote) | {"at": forms.moment(remote.at)}


def _concept_fields(
    registry: Registry, concept: RegisteredConcept, version: RegisteredVersion | None
) -> dict[str, object]:
    aliases = ", ".join(f"{alias} = {number}" for alias, number in concept.aliases.items())
    numbers = [each.number for each in concept.versions] if concept.num_versions <= 100 else []
    if version is None:
        missing = registry.without_versions(concept.name)
        reason = f"{missing.message} · {missing.hint}"
    else:
        reason = why_no_word(shape.encoder for shape in version.encoders)
    use = f'tireg gen "{example_prompt(concept.concept_type, concept.placeholder_token)}"'
    return {
        "concept": f"{concept.name} ({concept.concept_type})",
        "use it": f"no prompt can: {reason}" if reason else use,
        "description": concept.description,
        "notes": concept.notes,
        "licence": concept.licence,
        "tags": ", ".join(concept.tags),
        "versions": _ranges(numbers) if numbers else count(concept.num_versions, "version"),
        "aliases": aliases,
        "created": forms.day(concept.created_at),
    }


def _version_fields(
    registry: Registry, concept: RegisteredConcept, version: RegisteredVersion, record: dict[str, Any]
) -> dict[str, object]:
    names = [alias for alias, number in concept.aliases.items() if number == version.number]
    if version.number == concept.latest_number:
        names.append("latest")
    loss = [value for value in record.get("loss", []) if isinstance(value, (int, float))] if record else []
    family = (
        f" ({version.fingerprint.family}, table {forms.short(version.fingerprint.token_embedding)})"
        if version.fingerprint
        else ""
    )
    images = [forms.image_line(image) for image in version.images]
    remotes = [f"{r.direction} {r.repo_id}@{r.commit_sha[:7]} {forms.day(r.at)}" for r in registry.remotes(version)]
    return {
        "": "",
        "version": version.reference + (f" ({', '.join(names)})" if names else ""),
        "digest": version.digest,
        "origin": f"{version.origin} {forms.day(version.created_at)}",
        "made from": ", ".join(map(forms.ancestor, registry.ancestors(version))),
        "blend": _blend(record),
        "learned as": version.placeholder_token if version.placeholder_token != concept.placeholder_token else "",
        "vectors": forms.shapes(version),
        **_imported(record),
        "base model": (version.base_name or "not recorded") + family,
        "images": "; ".join(images[:8]) + (f"; and {len(images) - 8} more" if len(images) > 8 else ""),
        "training": forms.settings_line(forms.told_settings(registry, version.training)),
        "loss": f"{sparkline(loss, _LOSS_COLUMNS)}  {loss[0]:.4g} → {loss[-1]:.4g}" if len(loss) > 1 else "",
        "took": duration(record["seconds"]) if isinstance(record.get("seconds"), (int, float)) else "",
        "scores": " · ".join(f"{m.label} {forms.value_text(m)}" for m in version.measurements),
        "version notes": version.notes,
        "files": ", ".join(sorted(version.attachments())[:8]),
        "shared": ", ".join(remotes),
    }


def _blend(record: dict[str, Any]) -> str:
    """Where between its parents a blended word lies; empty for other words."""
    facts = record.get("blend") if record else None
    if not isinstance(facts, dict) or not isinstance(facts.get("at"), (int, float)):
        return ""
    way = "straight line" if facts.get("way") == "linear" else "arc"
    return f"{facts['at']:g} of the way from {facts.get('first', '')} to {facts.get('second', '')}, along the {way}"


def _imported(record: dict[str, Any]) -> dict[str, object]:
    """What the file of an imported word was found to be; empty for other words."""
    facts = record.get("import")
    if not isinstance(facts, dict):
        return {}
    return {
        "imported from": f"{facts.get('file', '')} ({facts.get('format', '')})",
        **found_facts(facts, facts.get("inspection") or {}),
    }


def _ranges(numbers: list[int]) -> str:
    """`1-3, 5` of 1, 2, 3, 5."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][-1] + 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    return ", ".join(str(p[0]) if len(p) == 1 else f"{p[0]}-{p[-1]}" for p in parts)
