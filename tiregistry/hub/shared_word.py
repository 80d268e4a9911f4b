"""`tireg.json`: what a repository says about the version in it, from which another registry gets the same version."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tiregistry.bases.locating import EMBEDDED, is_shareable
from tiregistry.concepts import NewVersion, SourceImage, Version
from tiregistry.embeddings.provenance import Provenance
from tiregistry.errors import Damaged, TiregError
from tiregistry.registry.foreign_values import a_list, a_number, a_sha256, a_text, a_whole_number
from tiregistry.registry.manifest import embedding_digest, version_of
from tiregistry.registry.registry import Registry
from tiregistry.text import safe

SCHEMA = "tireg-repository/1"
_ANY_SCHEMA = re.compile(r"tireg-repository/[0-9]{1,9}")
_RECORDED = ("steps", "stop_reason", "seconds", "precision", "software")
_CURVE_POINTS = 200


@dataclass(frozen=True, slots=True)
class SharedPicture:
    """A source picture in the repository: which one it is, and the hash of the file there."""

    path: str
    position: int
    sha256: str
    width: int
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedWord:
    """A version as a repository describes it."""

    digest: str
    manifest: Mapping[str, Any]
    """The canonical manifest, whose sha256 is the digest."""
    name: str
    number: int
    created_at: float
    base_name: str = ""
    base_model: str = ""
    """Hub id of the base model, where it has one."""
    description: str = ""
    licence: str = ""
    tags: tuple[str, ...] = ()
    scores: Mapping[str, float] = field(default_factory=dict)
    record: Mapping[str, Any] = field(default_factory=dict)
    pictures: tuple[SharedPicture, ...] = ()
    previews: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    """Path to sha256 of every file that the push wrote, besides the card and `tireg.json`."""

    @property
    def placeholder_token(self) -> str:
        return str(self.manifest["placeholder_token"])

    @property
    def embedding_digest(self) -> str:
        return embedding_digest(self.manifest)

    def to_json(self, provenance: Provenance) -> str:
        """The file's text. It begins as the provenance block that `tireg import` understands in any folder."""
        block: dict[str, Any] = json.loads(provenance.to_json())
        block |= {
            "repository": SCHEMA,
            "manifest": self.manifest,
            "name": self.name,
            "number": self.number,
            "base_model": self.base_model,
            "description": self.description,
            "licence": self.licence,
            "tags": list(self.tags),
            "scores": dict(self.scores),
            "record": dict(self.record),
            "pictures": [
                {"path": p.path, "position": p.position, "sha256": p.sha256, "width": p.width, "height": p.height}
                for p in self.pictures
            ],
            "previews": list(self.previews),
            "files": dict(self.files),
        }
        return json.dumps(block, indent=1, sort_keys=True, ensure_ascii=True) + "\n"

    @classmethod
    def parse(cls, data: bytes, repo_id: str) -> SharedWord | None:
        """Read the file; None when it is another program's, a later tireg's, or that of an exported word.

        Args:
            data: the file's bytes.
            repo_id: the repository, for messages.

        Raises:
            Damaged: it is cut off, no JSON object, or ours with parts that do not agree.
        """
        raw = _document(data, repo_id)
        if raw.get("repository") != SCHEMA:
            return None
        try:
            return cls._checked(raw)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError, TiregError) as error:
            raise Damaged(
                f"{safe(repo_id)}/tireg.json contradicts itself: {safe(error, limit=200)}", "ask its owner"
            ) from None

    @classmethod
    def _checked(cls, raw: dict[str, Any]) -> SharedWord:
        manifest, digest = raw["manifest"], raw["version"]
        version_of(manifest, digest, "", "pulled")
        return cls(
            digest=digest,
            manifest=manifest,
            name=safe(raw["name"], limit=100),
            number=a_whole_number(raw["number"], 1, 10**9),
            created_at=a_number(raw.get("created_at", 0.0), 2**40),
            base_name=safe(raw.get("base_name", ""), limit=100),
            base_model=safe(raw.get("base_model", ""), limit=200),
            description=a_text(raw.get("description", ""), 20_000),
            licence=a_text(raw.get("licence", ""), 200),
            tags=tuple(a_text(tag, 64) for tag in a_list(raw.get("tags", []), 100)),
            scores={a_text(k, 64): a_number(v, 1e12) for k, v in list(raw.get("scores", {}).items())[:100]},
            record=_record(raw.get("record", {})),
            pictures=tuple(_picture(item) for item in a_list(raw.get("pictures", []), 64)),
            previews=tuple(a_text(path, 200) for path in a_list(raw.get("previews", []), 64)),
            files={a_text(k, 400): a_sha256(v) for k, v in list(raw.get("files", {}).items())[:500]},
        )

    def new_version(self, name: str, record: Mapping[str, Any], images: tuple[SourceImage, ...]) -> NewVersion:
        """The version to register, under a concept's name; `images` tells what is known of the pictures."""
        known = {image.digest: image for image in images}
        return replace(
            version_of(self.manifest, self.digest, name, "pulled", known),
            base_name=self.base_name,
            record=record,
            description=self.description,
            licence=self.licence,
        )


def why_unread(data: bytes, repo_id: str) -> str:
    """What the user should know of a `tireg.json` of which `SharedWord.parse` makes nothing, in words.

    Empty for the file of an exported word, which says nothing that the vectors' own file does not say.

    Raises:
        Damaged: it is cut off, or no JSON object.
    """
    raw = _document(data, repo_id)
    form = raw.get("repository")
    if form is None and Provenance.parse(data.decode("utf-8", "replace")) is not None:
        return ""
    is_ours = isinstance(form, str) and _ANY_SCHEMA.fullmatch(form)
    what = f"the format {safe(form, limit=60)}" if isinstance(form, str) else "a format without a name"
    return (
        f"its tireg.json is of {what}, which this tireg does not read: training record, description, tags and scores "
        f"did not come with it{'; after an update of tireg, pull again' if is_ours else ''}"
    )


def _document(data: bytes, repo_id: str) -> dict[str, Any]:
    try:
        raw = json.loads(data)
    except (ValueError, RecursionError):
        raw = None
    if not isinstance(raw, dict):
        raise Damaged(f"{safe(repo_id)}/tireg.json is damaged: it is cut off, or no JSON", "ask its owner")
    return raw


def shared_word(
    registry: Registry,
    version: Version,
    number: int,
    *,
    pictures: tuple[SharedPicture, ...],
    previews: tuple[str, ...],
    files: Mapping[str, str],
) -> SharedWord:
    """What a push says about a version. File names, notes and devices stay at home."""
    concept = registry.concept(version.concept)
    return SharedWord(
        digest=version.digest,
        manifest=version.manifest,
        name=version.concept,
        number=number,
        created_at=original_time(registry, version),
        base_name=version.base_name,
        base_model=base_model_of(registry, version),
        description=concept.description,
        licence=concept.licence,
        tags=concept.tags,
        scores={name: value for name, value in sorted(version.scores.items()) if abs(value) < 1e12},
        record=_record(registry.record(version)),
        pictures=pictures,
        previews=previews,
        files=files,
    )


def original_time(registry: Registry, version: Version) -> float:
    """When the version was made; of a pulled one, as its maker's registry says."""
    pulled = registry.record(version).get("hub")
    value = pulled.get("created_at") if isinstance(pulled, dict) else None
    return float(value) if isinstance(value, (int, float)) and 0 < value < 2**40 else version.created_at


def base_model_of(registry: Registry, version: Version) -> str:
    """The Hub id of the base model, where it has one: a folder on this disk is nobody else's business."""
    try:
        source = registry.base(version.base_name).source if version.base_name else ""
    except TiregError:
        source = ""
    if source and source != EMBEDDED and is_shareable(source):
        return source
    pulled = registry.record(version).get("hub")
    stated = pulled.get("base_model") if isinstance(pulled, dict) else ""
    return stated if isinstance(stated, str) else ""


def _record(raw: Any) -> dict[str, Any]:
    """The observations that are shared, each checked: a foreign record is read by the same rule."""
    if not isinstance(raw, Mapping):
        return {}
    kept: dict[str, Any] = {}
    for key in _RECORDED:
        value = raw.get(key)
        if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e12:
            kept[key] = value
        elif isinstance(value, str):
            kept[key] = safe(value, limit=100)
        elif isinstance(value, Mapping):
            kept[key] = {safe(k, limit=60): safe(v, limit=60) for k, v in list(value.items())[:20]}
    loss = raw.get("loss")
    if isinstance(loss, list) and loss and all(type(x) in (int, float) and abs(x) < 1e12 for x in loss[:100_000]):
        stride = max(1, -(-len(loss) // _CURVE_POINTS))
        kept["loss"] = [round(float(x), 6) for x in loss[::stride]]
    return kept


# -- checked pieces --------------------------------------------------------------------------------------------------


def _picture(raw: Mapping[str, Any]) -> SharedPicture:
    return SharedPicture(
        a_text(raw["path"], 200),
        a_whole_number(raw["position"], 0, 10_000),
        a_sha256(raw["sha256"]),
        a_whole_number(raw["width"], 0, 10**6),
        a_whole_number(raw["height"], 0, 10**6),
    )
