"""What the library shows beside the table: a concept's picture and the facts one looks for first."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from textual import work
from textual.containers import Vertical, VerticalScroll
from textual.widgets import Static

from tireg_tui.pictures.sources import PictureSource, from_attachment, from_blob, from_file
from tireg_tui.texts import formatting
from tireg_tui.widgets.captioned import Captioned
from tireg_tui.widgets.fields import Fields
from tireg_tui.widgets.loss_curve import LossCurve
from tiregistry.errors import NotFound, TiregError
from tiregistry.quantities import count, duration
from tiregistry.text import safe

if TYPE_CHECKING:
    from tiregistry.registry.handles import RegisteredConcept, RegisteredVersion
    from tiregistry.registry.registry import Registry


@dataclass(frozen=True)
class Looked:
    """A concept with what belongs to it, read in one go."""

    concept: RegisteredConcept
    version: RegisteredVersion | None
    picture: PictureSource | None
    losses: list[float]
    seconds: float | None


def look(registry: Registry, name: str) -> Looked:
    """Read what the detail shows.

    Raises:
        ConceptNotFound: the concept is gone.
    """
    concept = registry.concept(name)
    try:
        version = concept.latest
    except NotFound:
        return Looked(concept, None, None, [], None)
    record = version.record()
    losses = [float(value) for value in record.get("loss", []) if isinstance(value, int | float)]
    seconds = record.get("seconds")
    return Looked(
        concept, version, best_picture(registry, version), losses, seconds if isinstance(seconds, int | float) else None
    )


def best_picture(registry: Registry, version: RegisteredVersion) -> PictureSource | None:
    """The picture that says most about a version: the newest made with it, a preview, or one it was learned from."""
    for picture in registry.pictures(version, limit=3):
        if Path(picture.path).is_file():
            return from_file(Path(picture.path), f"{picture.prompt} · seed {picture.recipe.get('seed', '?')}")
    previews = sorted(role for role in version.attachments() if role.startswith("preview"))
    if previews:
        return from_attachment(registry, version.attachments()[previews[-1]], f"{version.reference} · {previews[-1]}")
    if version.images:
        source = from_blob(registry, version.images[0])
        return PictureSource(source.key, f"learned from {source.caption}", source.load)
    return None


class ConceptDetail(Vertical):
    """Picture and facts of the concept under the cursor; empty until it is asked to show one."""

    _has_parts = False

    async def _make_parts(self) -> None:
        if not self._has_parts:
            self._has_parts = True
            facts = VerticalScroll(
                Static("", id="detail-title", markup=False),
                Fields(id="detail-fields"),
                LossCurve(id="detail-loss"),
                Static("", id="detail-notes", markup=False),
                id="detail-facts",
                can_focus=False,
            )
            await self.mount(Captioned(id="detail-picture"), facts)

    @work(exclusive=True, group="detail", exit_on_error=False)
    async def show(self, registry: Registry, name: str) -> None:
        """Show a concept; an empty name shows none."""
        await self._make_parts()
        if not name:
            self._clear("Nothing here")
            return
        await asyncio.sleep(0.03)  # a cursor that runs through the table asks for many
        try:
            looked = await asyncio.to_thread(look, registry, name)
        except TiregError as error:
            self._clear(error.message)
            return
        concept, version = looked.concept, looked.version
        picture = self.query_one("#detail-picture", Captioned)
        picture.set_class(looked.picture is None, "-none")
        picture.show(looked.picture)
        self.query_one("#detail-title", Static).update(safe(concept.placeholder_token))
        facts: dict[str, object] = {"name": concept.name, "type": concept.concept_type}
        if version is not None:
            aliases = [alias for alias, number in concept.aliases.items() if number == version.number]
            facts |= {
                "latest": f"{version.reference}{' · ' + ', '.join(aliases) if aliases else ''}",
                "versions": str(concept.num_versions),
                "base model": version.base_name,
                "vectors": version.num_vectors,
                "learned from": count(len(version.images), "picture") if version.images else "",
                "origin": version.origin,
                "took": duration(looked.seconds) if looked.seconds else "",
            }
        else:
            facts["versions"] = "none yet"
        changed = formatting.ago(concept.updated_at)
        facts |= {"tags": " ".join(concept.tags), "licence": concept.licence, "changed": changed}
        self.query_one("#detail-fields", Fields).show(facts)
        self.query_one(LossCurve).losses = tuple(looked.losses)
        notes = "\n\n".join(part for part in (concept.description, concept.notes) if part)
        self.query_one("#detail-notes", Static).update(safe(notes, multiline=True))

    def _clear(self, text: str) -> None:
        picture = self.query_one("#detail-picture", Captioned)
        picture.set_class(True, "-none")
        picture.show(None)
        self.query_one("#detail-title", Static).update(safe(text))
        self.query_one("#detail-fields", Fields).show({})
        self.query_one(LossCurve).losses = ()
        self.query_one("#detail-notes", Static).update("")
