"""A version's facts, and two versions' differences, as names and values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from tireg_tui.texts import formatting
from tiregistry.quantities import count, duration
from tiregistry.text import safe

if TYPE_CHECKING:
    from tiregistry.concepts import Measurement
    from tiregistry.registry.difference import Difference
    from tiregistry.registry.handles import RegisteredVersion


def facts_of(version: RegisteredVersion, aliases: list[str]) -> dict[str, object]:
    """What a version's page says."""
    record = version.record()
    training = version.training
    seconds = record.get("seconds")
    return {
        "reference": version.reference,
        "aliases": ", ".join(aliases),
        "origin": version.origin,
        **_imported(record.get("import")),
        "base model": version.base_name,
        "initializer": version.started_from(),
        "recipe": training.get("recipe", ""),
        "steps": record.get("steps", ""),
        "vectors": ", ".join(f"{shape.encoder} {shape.num_vectors}×{shape.dim}" for shape in version.encoders),
        "learned from": count(len(version.images), "picture") if version.images else "",
        "took": duration(seconds) if isinstance(seconds, int | float) else "",
        "device": record.get("device", ""),
        "scores": "; ".join(map(_measured, version.measurements)),
        "parents": ", ".join(f"{each.relation} {each.reference or each.digest[7:19]}" for each in version.ancestors()),
        "run": version.run_id or "",
        "digest": version.digest,
        "notes": version.notes,
        "made": formatting.ago(version.created_at),
    }


def _imported(found: object) -> dict[str, object]:
    """What the file of an imported word was found to be; empty for other words."""
    if not isinstance(found, Mapping):
        return {}
    families = found.get("families")
    named = [each.get("family", "") for each in families if isinstance(each, Mapping)] if families else []
    return {
        "imported from": f"{found.get('file', '')} ({found.get('format', '')})",
        "fits": " or ".join(map(str, named)),
        "program": found.get("origin", ""),
    }


def _measured(measurement: Measurement) -> str:
    """`score (quick, embedded) 0.557 [0.542, 0.573]`."""
    low, high = measurement.low, measurement.high
    interval = "" if low is None or high is None else f" [{low:.3f}, {high:.3f}]"
    return f"{measurement.label} {measurement.value:.3f}{interval}"


def difference_table(difference: Difference) -> Table:
    """What distinguishes two versions, side by side."""
    table = Table(box=None, expand=True, padding=(0, 1), header_style="bold")
    table.add_column("")
    table.add_column(Text(difference.a.reference))
    table.add_column(Text(difference.b.reference))
    for change in difference.changes:
        table.add_row(Text(safe(change.what), style="dim"), _value(change.a), _value(change.b))
    for distance in difference.tensors:
        cosine = f"{sum(distance.cosines) / len(distance.cosines):.3f}" if distance.cosines else "–"
        norms = [
            f"norm {sum(norms) / len(norms):.3f}" if norms else "–" for norms in (distance.norms_a, distance.norms_b)
        ]
        table.add_row(Text(f"{distance.encoder} · cosine {cosine}", style="dim"), Text(norms[0]), Text(norms[1]))
    for score in difference.scores:
        values = (score.a and score.a.value, score.b and score.b.value)
        table.add_row(Text(safe(score.what), style="dim"), *(_value(value) for value in values))
    only = (difference.images_only_a, difference.images_only_b)
    if any(only):
        names = [", ".join(image.filename for image in images) or "–" for images in only]
        table.add_row(Text("pictures only here", style="dim"), Text(safe(names[0])), Text(safe(names[1])))
    if table.row_count == 0:
        table.add_row(Text("no difference"), Text(""), Text(""))
    return table


def _value(value: object) -> Text:
    return Text("–" if value is None else safe(value, limit=300))
