"""The things the registry keeps, as frozen dataclasses with no I/O: concepts, versions, runs, base models, images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

ConceptType = Literal["object", "style"]
CONCEPT_TYPES: tuple[ConceptType, ...] = ("object", "style")

Family = Literal["sd1", "sd2", "sdxl", "sd3", "flux"]
Origin = Literal["trained", "imported", "pulled", "blended"]
ParentRelation = Literal["continued", "blended", "imported", "pulled"]
RunStatus = Literal["queued", "running", "finished", "interrupted", "failed", "cancelled"]
Fit = Literal["exact", "compatible", "other", "unknown"]
"""How a word fits a base model: same table, encoder and denoiser; same token-embedding table; neither; not recorded."""


@dataclass(frozen=True, slots=True)
class EncoderShape:
    """Shape of one encoder's tensor in an embedding, without its values."""

    encoder: str
    """Encoder role: `clip_l`, `clip_g`, `clip_h`, `t5`."""
    num_vectors: int
    dim: int


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Identity of a base model: one `sha256:<hex>` per component, over tensor names, dtypes, shapes and bytes.

    A word is bound to `token_embedding` (the text encoders' token-embedding tables together): the same table makes a
    base `compatible`; the same table, text encoders and denoiser make it `exact`.
    """

    family: Family
    token_embedding: str
    text_encoder: str
    denoiser: str
    vae: str = ""

    def fit(self, other: Fingerprint | None) -> Fit:
        """How a word learned on `self` fits the base model `other`."""
        if other is None or not self.token_embedding:
            return "unknown"
        if self.token_embedding != other.token_embedding:
            return "other"
        same = self.text_encoder == other.text_encoder and self.denoiser == other.denoiser
        return "exact" if same else "compatible"

    def as_dict(self) -> dict[str, str]:
        """The JSON form used in manifests."""
        return {
            "family": self.family,
            "token_embedding": self.token_embedding,
            "text_encoder": self.text_encoder,
            "denoiser": self.denoiser,
            "vae": self.vae,
        }

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Fingerprint:
        """The inverse of `as_dict`; missing components become empty strings."""
        return cls(
            raw["family"],
            raw.get("token_embedding", ""),
            raw.get("text_encoder", ""),
            raw.get("denoiser", ""),
            raw.get("vae", ""),
        )


@dataclass(frozen=True, slots=True)
class BaseModel:
    """A frozen model that words can be learned on."""

    name: str
    """Short unique name in this registry, e.g. `embedded` or `sd15`."""
    source: str
    """`embedded`, a Hub id, a diffusers folder or a single-file checkpoint."""
    fingerprint: Fingerprint
    revision: str = ""
    """Hub revision (commit sha), empty for local sources."""
    resolution: int = 512
    """Native picture size in pixels."""
    added_at: float = 0.0
    """UNIX seconds."""

    @property
    def family(self) -> Family:
        return self.fingerprint.family


@dataclass(frozen=True, slots=True)
class SourceImage:
    """One picture a word is learned from; `digest` names its original bytes in the blob store."""

    digest: str
    filename: str
    width: int
    height: int
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Parent:
    """Where a version came from: the digest of another version, and how."""

    digest: str
    relation: ParentRelation


@dataclass(frozen=True, slots=True)
class Measurement:
    """One measured value of a version. Measurements are kept beside a version, outside its digest, and only added."""

    measure: str
    """What was measured: `image_alignment`, `text_alignment`, `dino_image_alignment`, `score`, or a name of others."""
    value: float
    low: float | None = None
    """Lower end of the 95 % interval, None when it is not known."""
    high: float | None = None
    protocol: str = ""
    """How: `quick`, `paper`; empty when it is not known."""
    judge: str = ""
    """The model that judged: `embedded` or a Hub id; empty when it is not known."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """What is needed to understand the value (pictures, seeds, settings), as JSON data."""
    measured_at: float = 0.0
    """UNIX seconds."""

    def __hash__(self) -> int:
        return hash((self.measure, self.value, self.protocol, self.judge, self.measured_at))  # mappings have none

    @property
    def label(self) -> str:
        """`image_alignment (quick, embedded)`: only values of the same label may be compared."""
        how = ", ".join(part for part in (self.protocol, self.judge) if part)
        return f"{self.measure} ({how})" if how else self.measure

    def differs_clearly(self, other: Measurement) -> bool | None:
        """Whether the two intervals do not even touch; None where one of them is not known."""
        if self.low is None or self.high is None or other.low is None or other.high is None:
            return None
        return self.high < other.low or other.high < self.low

    @classmethod
    def from_label(cls, label: str, value: float) -> Measurement:
        """The inverse of `label`; a text of any other form is a measure of an unknown protocol."""
        measure, separator, how = label.removesuffix(")").partition(" (")
        protocol, comma, judge = how.partition(", ")
        if not (label.endswith(")") and separator and comma and measure and protocol and judge):
            return cls(label, value)
        return cls(measure, value, protocol=protocol, judge=judge)


@dataclass(frozen=True, slots=True)
class Concept:
    """What is taught: a named thing or style with a placeholder token and numbered versions."""

    id: int
    name: str
    placeholder_token: str
    concept_type: ConceptType
    description: str = ""
    notes: str = ""
    licence: str = ""
    tags: tuple[str, ...] = ()
    aliases: Mapping[str, int] = field(default_factory=dict)
    """Alias name to version number; `latest` is not listed, it is always the highest living number."""
    latest_number: int | None = None
    """Highest living version number, or None when no version exists."""
    num_versions: int = 0
    origin: Origin | None = None
    """Origin of the latest version; None when no version exists."""
    base_name: str = ""
    """Base model of the latest version, as it was called when the version was registered."""
    fingerprint: Fingerprint | None = None
    """Base model of the latest version; its `vae` is not filled in here."""
    family: str = ""
    """Family of that base model; where none is recorded, the one that the imported file most likely belongs to."""
    num_vectors: int = 0
    """Vectors of the latest version."""
    score: float | None = None
    """The latest version's newest measured `score`; None when it was never measured."""
    created_at: float = 0.0
    updated_at: float = 0.0
    deleted_at: float | None = None

    def __hash__(self) -> int:
        return hash((self.id, self.name))  # mappings have none


@dataclass(frozen=True, slots=True)
class Version:
    """One immutable registered result; `digest` is the sha256 of its canonical manifest."""

    id: int
    concept: str
    number: int
    digest: str
    placeholder_token: str
    """The token it was learned with, as its manifest states; how its word is written now is the concept's."""
    concept_type: ConceptType
    embedding_digest: str
    """Tensor identity: the same vectors in any container file have the same digest."""
    encoders: tuple[EncoderShape, ...]
    origin: Origin
    fingerprint: Fingerprint | None
    base_name: str
    """Name of the base model when it was registered (a label; the fingerprint decides)."""
    manifest: Mapping[str, Any]
    images: tuple[SourceImage, ...] = ()
    parents: tuple[Parent, ...] = ()
    measurements: tuple[Measurement, ...] = ()
    """The newest of each label, in the order they were first measured; without `details`."""
    run_id: str | None = None
    notes: str = ""
    created_at: float = 0.0
    deleted_at: float | None = None

    def __hash__(self) -> int:
        return hash((self.id, self.digest))  # mappings have none

    @property
    def scores(self) -> dict[str, float]:
        """Label to newest value of everything that was measured."""
        return {measurement.label: measurement.value for measurement in self.measurements}

    @property
    def training(self) -> Mapping[str, Any]:
        """The settings it was learned with, as its manifest states them; empty where it states none.

        They may come from another's registry: a value need not have the type that `TrainingConfig` gives it.
        """
        said = self.manifest.get("training")
        return said if isinstance(said, Mapping) else {}

    def training_list(self, name: str) -> list[Any]:
        """A setting that is a list; empty where it is not said, or is none."""
        said = self.training.get(name)
        return list(said) if isinstance(said, (list, tuple)) else []

    @property
    def reference(self) -> str:
        """`name@number`, as typed on the command line."""
        return f"{self.concept}@{self.number}"

    @property
    def num_vectors(self) -> int:
        return max(shape.num_vectors for shape in self.encoders)


@dataclass(frozen=True, slots=True)
class NewVersion:
    """Everything needed to register a version; the registry adds number, digest and times."""

    concept: str
    placeholder_token: str
    concept_type: ConceptType
    origin: Origin
    fingerprint: Fingerprint | None = None
    base_name: str = ""
    images: tuple[SourceImage, ...] = ()
    """Their blobs must already be in the blob store, except those of `absent_images`."""
    absent_images: frozenset[str] = frozenset()
    """Digests among `images` whose bytes did not come along: a word pulled without its pictures is the same word."""
    training: Mapping[str, Any] | None = None
    """The training configuration, as JSON data; part of the digest."""
    parents: tuple[Parent, ...] = ()
    run_id: str | None = None
    record: Mapping[str, Any] = field(default_factory=dict)
    """What was observed (loss curve, seconds, device, library versions): kept with the version, not in the digest."""
    attachments: Mapping[str, str] = field(default_factory=dict)
    """Role to blob digest of files kept with the version, e.g. `original` for the bytes of an imported file,
    `preview/0004.png` for a preview picture; not in the digest."""
    description: str = ""
    licence: str = ""

    def __hash__(self) -> int:
        return hash((self.concept, self.placeholder_token))  # mappings have none


@dataclass(frozen=True, slots=True)
class Run:
    """One attempt to train, from queued to its end."""

    id: str
    """Short unique id, sortable by time."""
    concept: str
    status: RunStatus
    config: Mapping[str, Any]
    device: str = ""
    pid: int | None = None
    step: int = 0
    max_steps: int = 0
    loss: float | None = None
    message: str = ""
    """Why it ended, in one line."""
    version_id: int | None = None
    created_at: float = 0.0
    started_at: float | None = None
    heartbeat_at: float | None = None
    finished_at: float | None = None
    queue_place: float | None = None
    """Place among queued runs, lowest first; None means that of `created_at`."""
    held: bool = False
    """A queued run that no worker takes until it is released."""

    def __hash__(self) -> int:
        return hash(self.id)  # mappings have none


@dataclass(frozen=True, slots=True)
class AliasChange:
    """One entry of an alias's history."""

    id: int
    alias: str
    old_number: int | None
    """None: the alias was new."""
    new_number: int | None
    """None: the alias was taken away."""
    changed_at: float
    undoes: int | None = None
    """The entry that this one took back."""


@dataclass(frozen=True, slots=True)
class Remote:
    """One push or pull of a version."""

    version: str
    """Reference of the version, `name@number`."""
    digest: str
    direction: Literal["push", "pull"]
    endpoint: str
    repo_id: str
    revision: str
    """Branch or tag."""
    commit_sha: str
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Picture:
    """One generated picture, as the registry remembers it."""

    id: int
    path: str
    prompt: str
    recipe: Mapping[str, Any]
    """Everything needed to make it again, as JSON data."""
    digest: str = ""
    """sha256 of the file when it was written."""
    base_name: str = ""
    words: tuple[str, ...] = ()
    """Digests of the versions it was made with."""
    created_at: float = 0.0

    def __hash__(self) -> int:
        return hash((self.id, self.path))  # mappings have none
