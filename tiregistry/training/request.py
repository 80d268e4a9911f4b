"""What to learn: a request, checked before anything heavy is loaded, and its form in a run's record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tiregistry.bases.devices import refuse_device
from tiregistry.bases.locating import EMBEDDED
from tiregistry.concepts import ConceptType, Family, Fingerprint, Run, SourceImage, Version
from tiregistry.errors import (
    ConceptNotFound,
    Conflict,
    Damaged,
    InvalidConfig,
    InvalidImage,
    InvalidInput,
    VersionNotFound,
    WrongBaseModel,
)
from tiregistry.images import SourcePicture, alpha_of, decode_picture, is_all_black
from tiregistry.opening import is_embedded
from tiregistry.placeholders import check_free, check_placeholder, placeholder_for
from tiregistry.references import check_name, name_key
from tiregistry.text import safe
from tiregistry.training.config import TrainingConfig
from tiregistry.training.config_check import check_masks, without_unread
from tiregistry.training.wording import Wording

if TYPE_CHECKING:
    from PIL.Image import Image

    from tiregistry.registry.registry import Registry

FORMAT = "tireg-run/1"


@dataclass(frozen=True)
class TrainingRequest:
    """What to learn, from what, on what.

    Attributes:
        concept: the concept's name; a new version is added when it exists.
        pictures: source images as `read_pictures` gives them, one or more.
        placeholder_token: empty means the concept's own, or `<name>` for a new one.
        base: a registered base model, `embedded`, a folder or a Hub id; empty means the default.
        captions: nothing, or one per picture, empty for a picture that the templates describe.
        masks: nothing, or one per picture (white is learned), None for a picture that is learned whole.
        takes_default_base: whether nobody named a base model; filled in by `check_request`.
    """

    concept: str
    pictures: Sequence[SourcePicture]
    config: TrainingConfig = field(default_factory=TrainingConfig)
    placeholder_token: str = ""
    base: str = ""
    revision: str = ""
    device: str = "auto"
    captions: Sequence[str] = ()
    masks: Sequence[SourcePicture | None] = ()
    takes_default_base: bool = False

    @property
    def all_captions(self) -> Sequence[str]:
        """One caption per picture, empty where there is none."""
        return self.captions or [""] * len(self.pictures)

    @property
    def filenames(self) -> list[str]:
        """The pictures' names, for messages."""
        return [picture.filename for picture in self.pictures]

    def mask_images(self) -> list[Image | None]:
        """One mask per picture, from files or from transparency; an empty list when there is none at all."""
        if self.config.use_alpha:
            masks = [alpha_of(picture) for picture in self.pictures]
        else:
            masks = [None if mask is None else mask.image for mask in self.masks]
        return masks if any(mask is not None for mask in masks) else []


def check_request(registry: Registry, request: TrainingRequest) -> TrainingRequest:
    """The request with its placeholder token and recipe filled in, or an error before anything heavy is loaded.

    An initializer that names a version is replaced by the version's digest.

    Raises:
        InvalidReference, InvalidPlaceholder, InvalidConfig, InvalidInput, InvalidImage: a part of the request cannot
            be used.
        PlaceholderTaken, Conflict: the token or the concept's type clashes with what is registered.
        ConceptNotFound, VersionNotFound: the initializer names a version that does not exist.
    """
    request.config.check()
    refuse_device(request.device, request.config.precision)
    if not request.pictures:
        raise InvalidInput("no pictures to learn from", "give picture files or a folder")
    for what, given in (("captions", request.captions), ("masks", request.masks)):
        if given and len(given) != len(request.pictures):
            raise InvalidInput(f"{len(given)} {what} for {len(request.pictures)} pictures", "give one for each")
    concept, token = check_names(registry, request.concept, request.placeholder_token, request.config.concept_type)
    embedded = is_embedded(registry, request.base)
    base = EMBEDDED if embedded else request.base
    config = request.config.resolved(embedded=embedded)
    check_masks(config.use_alpha, request.masks)
    if config.use_alpha and all(alpha_of(picture) is None for picture in request.pictures):
        raise InvalidInput(
            f"no picture of {concept} has transparency that could serve as a mask", "leave --mask alpha out"
        )
    for picture, mask in zip(request.pictures, request.mask_images(), strict=False):
        if mask is not None and is_all_black(mask):
            raise InvalidImage(
                f"the mask of {safe(picture.filename)} leaves nothing of its centre square to learn",
                "white is learned, black is not",
            )
    if request.masks:
        config = replace(config, masks=tuple("" if m is None else m.digest for m in request.masks))
    elif config.masks:
        raise InvalidConfig(
            "masks cannot be set, it is filled in from the masks themselves",
            "use --mask FOLDER, or masks = FOLDER of a plan's concept",
        )
    initial = _initializer_version(registry, config)
    if initial is not None:
        config = replace(config, initializer=initial.digest)
        if config.cross_initialization:
            raise InvalidConfig("cross_initialization needs a phrase, not a version", "leave one of them out")
        if config.num_vectors is not None and config.num_vectors < initial.num_vectors:
            raise InvalidConfig(
                f"{initial.reference} has {initial.num_vectors} vectors, more than {config.num_vectors}",
                "leave --num-vectors out",
            )
    Wording.build(config, request.all_captions, token, request.filenames)
    config.check()
    return replace(
        request,
        concept=concept,
        placeholder_token=token,
        config=config,
        base=base,
        takes_default_base=request.takes_default_base or not request.base,
    )


def check_names(registry: Registry, concept: str, token: str, concept_type: ConceptType) -> tuple[str, str]:
    """Under which name and placeholder token a word can be registered: those that are asked for, completed.

    Args:
        concept: its name; that of an existing concept adds a version to it.
        token: its placeholder token; empty means the concept's own, or `<name>` for a new one.

    Raises:
        InvalidReference, InvalidPlaceholder: they break the rules.
        PlaceholderTaken, Conflict: they, or the type, clash with what is registered.
    """
    concept = check_name(concept)
    try:
        known = registry.concept(concept)  # also by a name it had before
    except ConceptNotFound:
        token = check_placeholder(token or placeholder_for(concept))
        check_free(token, concept, registry.placeholders(), frozenset())
        return concept, token
    wanted = check_placeholder(token) if token else known.placeholder_token
    if name_key(wanted) != name_key(known.placeholder_token):
        check_free(wanted, known.name, registry.placeholders(), frozenset())
        raise Conflict(
            f"{known.name} has the placeholder token {known.placeholder_token}, not {wanted}",
            "leave --token out, or use another name",
        )
    if known.concept_type != concept_type:
        raise Conflict(
            f"{known.name} is of type {known.concept_type}", f"add --type {known.concept_type}, or use another name"
        )
    return known.name, known.placeholder_token


def continued_version(registry: Registry, config: TrainingConfig) -> Version | None:
    """The version that a checked configuration starts from, or None when it starts from a phrase.

    Raises:
        VersionNotFound: it is no longer in the registry.
    """
    if not config.initializer.startswith("sha256:"):
        return None
    found = registry.versions_with(digest=config.initializer)
    if not found:
        raise VersionNotFound(
            f"the version {config.initializer[:19]}… to continue is not in the registry", "restore or pull it"
        )
    return found[0]


def check_continued(
    version: Version | None,
    base: Fingerprint | None,
    base_name: str,
    family: Family | None = None,
    widths: Mapping[str, int] | None = None,
) -> None:
    """Refuse to continue a version on a base model with another token-embedding table, or of another family.

    Args:
        base: None when the model has not been read yet; then `family` and `widths` decide.
        widths: encoder role to the width of its token embeddings, of those that are known.

    Raises:
        WrongBaseModel: says which.
    """
    if version is None:
        return
    learned_on = f"add --base {version.base_name}, or start from a phrase" if version.base_name else "use a phrase"
    known = version.fingerprint
    if known is not None and (known.fit(base) == "other" or family not in (None, known.family)):
        raise WrongBaseModel(f"{version.reference} was learned on {version.base_name}, not on {base_name}", learned_on)
    for shape in version.encoders:
        width = (widths or {}).get(shape.encoder, shape.dim)
        if width != shape.dim:
            raise WrongBaseModel(
                f"{version.reference} has vectors of width {shape.dim} for {shape.encoder}, "
                f"and {base_name} needs width {width}",
                learned_on,
            )


def namesake(registry: Registry, config: TrainingConfig) -> str:
    """The concept whose name an initializer phrase happens to be, or nothing; `name@latest` would go on from it."""
    phrase = config.initializer.strip()
    try:
        return registry.concept(phrase).name if phrase and not phrase.startswith("sha256:") else ""
    except (ConceptNotFound, InvalidInput):
        return ""


def _initializer_version(registry: Registry, config: TrainingConfig) -> Version | None:
    """The version that an initializer names, if `TrainingConfig.continues_version` says that it names one."""
    if not config.continues_version:
        return None
    text = config.initializer.strip()
    if text.startswith("sha256:"):
        return continued_version(registry, replace(config, initializer=text))
    if not (text.startswith("<") and text.endswith(">")):
        return registry.version(text)
    name, _, selector = text[1:-1].partition("@")
    owner = registry.placeholders().get(f"<{name}>", name)
    return registry.version(f"{owner}@{selector}" if selector else owner)


# -- a run's record --------------------------------------------------------------------------------------------------


def run_config(
    request: TrainingRequest,
    base: tuple[str, Fingerprint],
    images: Sequence[SourceImage],
    *,
    group: str = "",
    background: bool = False,
) -> dict[str, Any]:
    """A run's configuration as JSON data: no paths, pictures by digest, the base model by name and fingerprint.

    Args:
        request: a checked request.
        base: name and fingerprint of the base model.
        images: its pictures, whose blobs are in the store, with their captions.
        group: runs of the same group are trained in one pass.
        background: a worker may take the run up again when its process dies.
    """
    return {
        "format": FORMAT,
        "concept": request.concept,
        "placeholder_token": request.placeholder_token,
        "training": request.config.as_dict(),
        "base": {"name": base[0], "fingerprint": base[1].as_dict()},
        "images": [{"digest": i.digest, "filename": i.filename, "caption": i.caption} for i in images],
        "device": request.device,
        "group": group,
        "background": background,
    }


def keep_pictures(registry: Registry, request: TrainingRequest) -> list[SourceImage]:
    """Put a request's pictures and masks into the blob store.

    Raises:
        DiskFull, RegistryReadOnly: they cannot be written.
    """
    for mask in request.masks:
        if mask is not None:
            registry.blobs.add(mask.data)
    return [
        SourceImage(registry.blobs.add(picture.data), picture.filename, *picture.size, caption=caption)
        for picture, caption in zip(request.pictures, request.all_captions, strict=True)
    ]


def request_of(registry: Registry, run: Run) -> tuple[TrainingRequest, list[SourceImage]]:
    """The request that `run_config` recorded, with its pictures read back from the blob store.

    Raises:
        Damaged: the record or a picture is not what it was.
    """
    record: Mapping[str, Any] = run.config
    try:
        entries = record["images"]
        pictures = [decode_picture(registry.blobs.read(entry["digest"]), entry["filename"]) for entry in entries]
        config = TrainingConfig.from_mapping(without_unread(record["training"]))
        config = config.resolved(embedded=record["base"]["name"] == EMBEDDED)  # what was left out is as usual again
        request = TrainingRequest(
            concept=record["concept"],
            pictures=pictures,
            config=config,
            placeholder_token=record["placeholder_token"],
            base=record["base"]["name"],
            device=record["device"],
            captions=[entry.get("caption", "") for entry in entries],
            masks=[decode_picture(registry.blobs.read(m), "mask", is_mask=True) if m else None for m in config.masks],
        )
    except (KeyError, TypeError) as error:
        raise Damaged(f"run {run.id} has no {error} in its record", "start the training again") from None
    return request, [
        SourceImage(picture.digest, picture.filename, *picture.size, caption=caption)
        for picture, caption in zip(pictures, request.captions, strict=True)
    ]
