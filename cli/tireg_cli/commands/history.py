"""`tireg history`: the tree of a word's versions."""

from __future__ import annotations

from typing import Any

import click

from tireg_cli import forms
from tireg_cli.messages import hint
from tireg_cli.output import emit, emit_json, emit_wrapped, terminal_columns
from tiregistry.quantities import count
from tiregistry.registry.lineage import LineageNode
from tiregistry.registry.registry import Registry


@click.command("history")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(name: str, as_json: bool) -> None:
    """Show how the versions of a word came from each other, as a tree.

    \b
    Example:
      tireg history gnome
    """
    with Registry.open() as registry:
        concept = registry.concept(name)
        roots = registry.history(name)
        missing = None if roots else registry.without_versions(concept.name)
    if as_json:
        emit_json({"concept": concept.name, "versions": [_data(root) for root in roots]})
        return
    emit(f"{concept.name}  {concept.placeholder_token}")
    _draw(roots)
    if missing:
        hint(f"{missing.message} · {missing.hint}")


def _draw(roots: list[LineageNode]) -> None:
    """Draw without recursion: a chain of continued versions may be thousands long."""
    deepest = min(60, terminal_columns() // 2 or 60)
    stack = [(root, "", root is roots[-1]) for root in reversed(roots)]
    while stack:
        node, indent, is_last = stack.pop()
        below = indent + ("   " if is_last else "│  ")
        lead = f"{indent}{'└─' if is_last else '├─'} "
        emit_wrapped(_line(node), below, lead)
        below = below[:deepest]  # deeper than a screen is wide: go on without indenting further
        stack += [(child, below, child is node.children[-1]) for child in reversed(node.children)]


def _line(node: LineageNode) -> str:
    version = node.version
    labels = f" [{', '.join(node.aliases)}]" if node.aliases else ""
    parents = " ← " * bool(node.ancestors) + " + ".join(map(forms.ancestor, node.ancestors))
    base = f" on {version.base_name}" if version.base_name else ""
    images = f", {count(len(version.images), 'image')}" if version.images else ""
    return f"@{version.number}{labels} {version.origin} {forms.day(version.created_at)}{base}{images}{parents}"


def _data(root: LineageNode) -> dict[str, Any]:
    """A tree as nested JSON data, built without recursion."""

    def flat(node: LineageNode) -> dict[str, Any]:
        return {
            "reference": node.version.reference,
            "number": node.version.number,
            "digest": node.version.digest,
            "origin": node.version.origin,
            "base": node.version.base_name,
            "created_at": forms.moment(node.version.created_at),
            "aliases": list(node.aliases),
            "parents": [
                {"digest": a.digest, "relation": a.relation, "reference": a.reference or None, "trashed": a.is_trashed}
                for a in node.ancestors
            ],
            "children": [],
        }

    top = flat(root)
    stack = [(root, top)]
    while stack:
        node, data = stack.pop()
        for child in node.children:
            data["children"].append(flat(child))
            stack.append((child, data["children"][-1]))
    return top
