"""From the options of `tireg train` to training requests: one concept, a folder for each, or a plan."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from click import UsageError

from tireg_cli.messages import hint, warn
from tiregistry.errors import ConceptNotFound, InvalidConfig, InvalidInput
from tiregistry.quantities import count
from tiregistry.settings import Settings
from tiregistry.text import safe
from tiregistry.training.again import over
from tiregistry.training.config import TrainingConfig
from tiregistry.training.config_check import refuse_unread

if TYPE_CHECKING:
    from tiregistry.training.again import Material
    from tiregistry.training.request import TrainingRequest


# Settings whose option has another name.
_OPTIONS = {
    "concept_type": "type",
    "initializer": "init",
    "learning_rate": "lr",
    "preview_prompts": "preview",
    "stopping": "no-stop",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainOptions:
    """What the user asked of `tireg train`, as far as it says what is learned and how."""

    name: str
    images: tuple[Path, ...]
    each: bool
    plan: Path | None
    token: str
    base: str
    device: str
    mask: str | None
    captions: Path | None
    no_captions: bool
    settings: tuple[str, ...]
    """Pairs `name=value` of `--set`."""
    named: Mapping[str, Any]
    """Training settings that have an option of their own; None: not given."""

    @classmethod
    def of(cls, *, previews: Sequence[str], no_stop: bool, **options: Any) -> TrainOptions:
        """From the command's parameters: those that are no field here are training settings."""
        own = {key: options.pop(key) for key in cls.__dataclass_fields__ if key in options}
        named = {**options, "preview_prompts": list(previews) or None, "stopping": "none" if no_stop else None}
        return cls(**own, named=named)


def requests_of(options: TrainOptions) -> list[TrainingRequest]:
    """What is to be learned: a plan's concepts, a word again, one of each folder, or one from pictures.

    Raises:
        UsageError: options that do not go together, or too few.
        TiregError: what they name cannot be used.
    """
    _check_usage(options)
    if options.device == "auto":
        options = replace(options, device=Settings.load().device)
    if options.plan is not None:
        _check_beside_plan(options)
        return requests_from_plan(options.plan, base=options.base, device=options.device)
    if not options.images and not options.each:
        return [_again(options)]
    return _from_pictures(options)


def _check_usage(options: TrainOptions) -> None:
    if options.plan is not None:
        if options.name or options.each:
            raise UsageError("--from takes its concepts from the plan: no NAME, no images, no --each")
    elif not options.name:
        raise UsageError("Missing argument 'NAME'" if not options.each else "--each needs at least one folder")
    if options.each and options.token:
        raise UsageError("--token names one word; --each gives every folder its own, <FOLDER>")
    if options.captions is not None and options.no_captions:
        raise UsageError("--captions and --no-captions exclude each other")


def _check_beside_plan(options: TrainOptions) -> None:
    beside = {
        "set": options.settings,
        "token": options.token,
        "mask": options.mask,
        "captions": options.captions,
        "no-captions": options.no_captions,
    }
    given = [_OPTIONS.get(key, key) for key, value in options.named.items() if value is not None]
    given += [key for key, value in beside.items() if value]
    if given:
        raise UsageError(f"--{given[0].replace('_', '-')} stands in the plan, not beside it")


def _again(options: TrainOptions) -> TrainingRequest:
    """A word from what it was learned from before."""
    material = _material(options)
    config, _ = mask_of(options.mask or "", config_from(options.named, options.settings, material.settings))
    return request_again(material, config, token=options.token, base=options.base, device=options.device)


def _material(options: TrainOptions) -> Material:
    """What a word was learned from that is to be learned again."""
    from tiregistry.registry.registry import Registry
    from tiregistry.training.again import material_of

    beside = {
        "mask": options.mask not in (None, "alpha"),
        "captions": options.captions,
        "no-captions": options.no_captions,
    }
    for option, given in beside.items():
        if given:
            raise UsageError(f"--{option} goes with picture files: give IMAGES, too")
    try:
        with Registry.open() as registry:
            return material_of(registry, options.name)
    except ConceptNotFound:
        if "@" in options.name:  # which no new word can be called
            raise
        raise UsageError(f"Missing argument 'IMAGES...': {safe(options.name)} is a new word") from None


def _from_pictures(options: TrainOptions) -> list[TrainingRequest]:
    """A word from picture files, or with `--each` one from each folder."""
    config = config_from(options.named, options.settings)
    shared: dict[str, Any] = {
        "base": options.base,
        "device": options.device,
        "captions": options.captions,
        "use_captions": not options.no_captions,
    }
    if options.each:
        return requests_for_each([Path(options.name), *options.images], config, mask=options.mask or "", **shared)
    config, masks = mask_of(options.mask or "", config)
    return [request_for(options.name, options.images, config, token=options.token, masks=masks, **shared)]


def config_from(
    options: Mapping[str, Any], settings: Sequence[str], usual: Mapping[str, Any] | None = None
) -> TrainingConfig:
    """A checked configuration from named options (None: not given) and `--set name=value` pairs.

    Args:
        usual: settings that hold where nothing else is given.

    Raises:
        InvalidConfig: a value is out of range, or a setting is unknown or given twice.
    """
    values = {key: value for key, value in options.items() if value is not None}
    for pair in settings:
        name, mark, text = pair.partition("=")
        if not mark:
            raise InvalidConfig(f"--set {pair!r} has no value", f"write --set {pair.strip() or 'min_snr_gamma'}=VALUE")
        name = name.strip().replace("-", "_")
        if name in values:
            raise InvalidConfig(f"{name} is given twice", "once, as an option or with --set")
        try:
            values[name] = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            values[name] = text.strip()
    config = TrainingConfig.from_mapping(over(usual or {}, values))
    refuse_unread(values, config)
    return config


def mask_of(mask: str, config: TrainingConfig) -> tuple[TrainingConfig, Path | None]:
    """The configuration and the folder of masks that `--mask alpha` or `--mask FOLDER` means."""
    if mask == "alpha":
        return replace(config, use_alpha=True), None
    return config, Path(mask) if mask else None


def request_for(
    name: str,
    images: Sequence[Path],
    config: TrainingConfig,
    *,
    token: str = "",
    base: str = "",
    revision: str = "",
    device: str = "auto",
    captions: Path | None = None,
    use_captions: bool = True,
    masks: Path | None = None,
) -> TrainingRequest:
    """Read a concept's pictures, captions and masks; warns of what the user should know."""
    from tiregistry.training.gathering import gather
    from tiregistry.training.request import TrainingRequest

    found = gather(images, captions=captions, use_captions=use_captions, masks=masks)
    named = f"{name}: " if name else ""
    for note in found.notes:
        warn(named + note)
    for note in found.used:
        hint(named + note)
    if len(found.pictures) == 1:
        warn(
            f"{named}one picture teaches the picture as much as the thing; "
            "3 to 5 with different surroundings work better"
        )
    return TrainingRequest(
        name,
        found.pictures,
        config,
        token,
        base,
        revision,
        device,
        captions=found.captions,
        masks=found.masks,
    )


def request_again(material: Material, config: TrainingConfig, *, token: str, base: str, device: str) -> TrainingRequest:
    """Learn a word from the pictures, captions and masks of one of its versions, on the same base model."""
    from tiregistry.training.request import TrainingRequest

    version = material.version
    hint(f"learning from the {count(len(material.pictures), 'picture')} of {version.reference}")
    return TrainingRequest(
        version.concept,
        material.pictures,
        config,
        token,
        base or material.base,
        device=device,
        captions=material.captions,
        masks=() if config.use_alpha else material.masks,
    )


def requests_for_each(
    folders: Sequence[Path], config: TrainingConfig, *, mask: str, captions: Path | None = None, **shared: Any
) -> list[TrainingRequest]:
    """One request for each folder, named after it; folders of masks and captions may hold a folder for each concept.

    Raises:
        InvalidInput: one of them is no folder, or it is not clear whose the masks or captions are.
    """
    requests = []
    names = [folder.resolve().name if folder.name in ("", "..") else folder.name for folder in folders]
    for name, folder in zip(names, folders, strict=True):
        if folder.exists() and not folder.is_dir():
            raise InvalidInput(f"{folder} is not a folder", "--each takes one folder of pictures for each concept")
        own, masks = mask_of(mask, config)
        masks = _own_folder(masks, "--mask", name, folder, folders)
        texts = _own_folder(captions, "--captions", name, folder, folders)
        requests.append(request_for(name, [folder], own, masks=masks, captions=texts, **shared))
    return requests


def _own_folder(given: Path | None, option: str, name: str, folder: Path, folders: Sequence[Path]) -> Path | None:
    """Where the masks or captions of one of several concepts lie: `given/NAME`, or `given` itself.

    Files belong to pictures by their names, so `given` itself serves several concepts only while no name comes twice.

    Raises:
        InvalidInput: a name does.
    """
    if given is None or (given / name).is_dir():
        return None if given is None else given / name
    mine = _stems(folder)
    for other in folders:
        if other != folder and (twice := sorted(mine & _stems(other))):
            raise InvalidInput(
                f"{option} {given} cannot tell {twice[0]!r} of {folder} from that of {other}",
                f"give each concept a folder of its own, {given / name}, or use a plan",
            )
    return given


def _stems(folder: Path) -> set[str]:
    from tiregistry.images import find_images

    return {path.stem.casefold() for path in find_images([folder])} if folder.is_dir() else set()


def requests_from_plan(path: Path, *, base: str, device: str) -> list[TrainingRequest]:
    """The requests of a plan; `--base` and `--device` on the command line win over the plan's."""
    from tiregistry.training.plan import read_plan

    plan = read_plan(path)
    return [
        request_for(
            concept.name,
            concept.images,
            concept.config,
            token=concept.token,
            base=base or plan.base,
            revision="" if base else plan.revision,
            device=device if device != "auto" else plan.device or "auto",
            captions=concept.captions,
            masks=concept.masks,
        )
        for concept in plan.concepts
    ]
