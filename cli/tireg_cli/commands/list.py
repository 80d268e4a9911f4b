"""`tireg list`: the learned words, searched, filtered and sorted."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from tireg_cli import forms
from tireg_cli.messages import hint
from tireg_cli.output import emit_json, emit_table
from tiregistry.errors import InvalidInput
from tiregistry.quantities import count
from tiregistry.registry.registry import Registry
from tiregistry.registry.search import no_filter_hint

if TYPE_CHECKING:
    from tiregistry.concepts import BaseModel
    from tiregistry.registry.handles import RegisteredConcept

ON_A_TERMINAL = 50
SPARE = ("ORIGIN", "TYPE", "TAGS", "BASE", "UPDATED", "VERSIONS", "TOKEN")
"""Columns that a narrow terminal does without, the first one first."""
SORTS = ("name", "updated", "created", "versions", "score")


@click.command("list")
@click.argument("query", nargs=-1)
@click.option("--sort", type=click.Choice(SORTS), default="name", show_default=True)
@click.option("--reverse", is_flag=True, help="Turn the order around.")
@click.option(
    "--limit", type=click.IntRange(0), help="At most so many; 0 means all. Default: 50 on a terminal, else all."
)
@click.option("--offset", type=click.IntRange(0), default=0, help="Leave out so many first.")
@click.option(
    "--fits", default="", metavar="BASE", help="Only words with a version learned on this base model's table."
)
@click.option("--trash", is_flag=True, help="What was removed and can be restored.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(
    query: tuple[str, ...],
    sort: str,
    reverse: bool,
    limit: int | None,
    offset: int,
    fits: str,
    trash: bool,
    as_json: bool,
) -> None:
    """List the learned words, or those that match QUERY.

    Each word of QUERY must begin a word of the name, token, tags, notes, captions or base models. Filters:
    tag:x  base:x  family:sd1  type:style  origin:trained  since:2026-01-31 (or 7d)  from:hub

    With --fits, a word whose latest version does not fit is shown with the version that does: exact (vase@1).

    \b
    Examples:
      tireg list
      tireg list garden type:object since:30d --sort updated
      tireg list --sort score --limit 10
      tireg list --fits ./stable-diffusion-v1-5 --json
    """
    if trash and (fits or offset or reverse or sort != "name"):
        raise InvalidInput("--trash lists the newest first, whatever base model it fits", "give a QUERY or --limit")
    with Registry.open() as registry:
        if trash:
            _show_trash(registry, " ".join(query), limit, as_json=as_json)
            return
        base = registry.identify_base(fits) if fits else None
        if limit is None:
            limit = ON_A_TERMINAL if sys.stdout.isatty() and not as_json else 0
        order = ("-" if reverse else "") + sort
        found = registry.concepts(
            " ".join(query),
            sort=order,
            limit=limit + 1 if limit else None,
            offset=offset,
            fits=base.fingerprint if base else None,
        )
        more = bool(limit) and len(found) > limit
        found = found[:limit] if limit else found
        if as_json:
            emit_json([forms.concept_data(c, registry.best_fit(c, base.fingerprint) if base else None) for c in found])
        elif found:
            _show_table(registry, found, base, with_score=sort == "score")
        if more:
            hint(f"… and more: tireg list --offset {offset + limit}, or --limit 0 for all")
        elif not found:
            if query or fits or offset:
                hint(f"nothing matches · {no_filter_hint(' '.join(query)) or 'tireg list shows everything'}")
            elif strays := registry.strays():
                which = count(len(strays), "file")
                hint(f"no words, but {which} of some: tireg verify says what may have happened")
            else:
                hint("no words yet · learn one: tireg train NAME IMAGES… · or see it happen: tireg demo")


def _show_table(
    registry: Registry, found: Sequence[RegisteredConcept], base: BaseModel | None, *, with_score: bool
) -> None:
    headers = ["NAME", "TOKEN", "TYPE", "VERSIONS", "BASE", "ORIGIN", "UPDATED", "TAGS"]
    headers += ["SCORE"] * with_score + ["FIT"] * (base is not None)
    rows = []
    for each in found:
        row = [each.name, each.placeholder_token, each.concept_type, each.num_versions, each.base_name]
        row += [each.origin or "", forms.day(each.updated_at), " ".join(each.tags)]
        if with_score:
            row.append("–" if each.score is None else f"{each.score:.4g}")
        if base is not None:
            row.append(forms.fit_of(each, registry.best_fit(each, base.fingerprint)))
        rows.append(row)
    emit_table(headers, rows, spare=SPARE)


def _show_trash(registry: Registry, query: str, limit: int | None, *, as_json: bool) -> None:
    items = registry.trash()
    if query:
        matching = {c.id for trashed in (True, False) for c in registry.concepts(query, trashed=trashed)}
        items = [item for item in items if item.concept_id in matching]
    items = items[: limit or None]
    if as_json:
        emit_json(
            [
                {"reference": i.reference, "versions": i.num_versions, "deleted_at": forms.moment(i.deleted_at)}
                for i in items
            ]
        )
        return
    if items:
        rows = [[i.reference, i.num_versions, forms.day(i.deleted_at)] for i in items]
        emit_table(["REMOVED", "VERSIONS", "WHEN"], rows)
    if items:
        hint("tireg restore NAME brings it back")
    else:
        hint("nothing in the trash matches" if query else "the trash is empty")
