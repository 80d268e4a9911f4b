"""Where versions come from: the tree of a concept's versions by their parents."""

from __future__ import annotations

from dataclasses import dataclass, field

from tiregistry.concepts import Version
from tiregistry.registry.database import Database


@dataclass(frozen=True, slots=True)
class Ancestor:
    """A parent of a version, as far as this registry knows it."""

    digest: str
    relation: str
    reference: str = ""
    """`name@number` where it lives here; empty when it does not."""
    is_trashed: bool = False


@dataclass(slots=True)
class LineageNode:
    """A version and the versions made from it."""

    version: Version
    aliases: tuple[str, ...] = ()
    ancestors: tuple[Ancestor, ...] = ()
    children: list[LineageNode] = field(default_factory=list)


def tree(db: Database, versions: list[Version], aliases: dict[str, int]) -> list[LineageNode]:
    """The roots of the tree of `versions` (of one concept, by number).

    A version hangs under its first parent among `versions`; every parent, also one of another concept or one that
    does not live here, is listed in `ancestors`.
    """
    labels: dict[int, list[str]] = {}
    for alias, number in aliases.items():
        labels.setdefault(number, []).append(alias)
    if versions:
        labels.setdefault(versions[-1].number, []).append("latest")
    known = references(db, {parent.digest for version in versions for parent in version.parents})
    nodes = {
        version.digest: LineageNode(
            version, tuple(sorted(labels.get(version.number, ()))), tuple(_ancestors(version, known))
        )
        for version in versions
    }
    # Numbers do not order them: a child that was imported or pulled first has a smaller number than its parent.
    above = _parents(nodes)
    roots: list[LineageNode] = []
    for digest, node in nodes.items():
        parent = above[digest]
        (roots if parent is None else nodes[parent].children).append(node)
    return roots


def _parents(nodes: dict[str, LineageNode]) -> dict[str, str | None]:
    """By digest of a node: that of its first parent among them.

    A digest contains its parents' digests, so that only damaged rows can make a circle; it is cut open, or nothing of
    it would hang under a root.
    """
    above = {
        digest: next((each.digest for each in node.ancestors if each.digest in nodes), None)
        for digest, node in nodes.items()
    }
    settled: set[str] = set()
    for start in nodes:
        path: set[str] = set()
        digest: str | None = start
        while digest is not None and digest not in settled:
            if digest in path:
                above[digest] = None
                break
            path.add(digest)
            digest = above[digest]
        settled |= path
    return above


def ancestors(db: Database, version: Version) -> list[Ancestor]:
    """The parents of one version."""
    return _ancestors(version, references(db, {parent.digest for parent in version.parents}))


def _ancestors(version: Version, known: dict[str, tuple[str, bool]]) -> list[Ancestor]:
    return [
        Ancestor(parent.digest, parent.relation, *known.get(parent.digest, ("", False))) for parent in version.parents
    ]


def references(db: Database, digests: set[str]) -> dict[str, tuple[str, bool]]:
    """The references under which versions live here, by digest, and whether they lie in the trash."""
    found: dict[str, tuple[str, bool]] = {}
    for digest in digests:
        row = db.row(
            "SELECT c.name || '@' || v.number AS reference, v.deleted_at IS NOT NULL OR c.deleted_at IS NOT NULL "
            "AS trashed FROM versions v JOIN concepts c ON c.id = v.concept_id WHERE v.digest = ? "
            "ORDER BY trashed, v.id LIMIT 1",
            digest,
        )
        if row is not None:
            found[digest] = (row["reference"], bool(row["trashed"]))
    return found
