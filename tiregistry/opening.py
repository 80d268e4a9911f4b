"""From what a user calls a base model to a loaded one: registered names first, then folders and Hub ids."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tiregistry.bases.locating import EMBEDDED, locate_base, looks_like_hub_id
from tiregistry.concepts import BaseModel
from tiregistry.errors import BaseModelNotFound
from tiregistry.references import check_name, name_key

if TYPE_CHECKING:
    from tiregistry.bases.loaded import LoadedBase
    from tiregistry.registry.registry import Registry


def identify_base(registry: Registry, wanted: str = "", revision: str = "") -> tuple[str, str, str]:
    """Name, source and revision of the base model that `wanted` means, without loading anything.

    Args:
        wanted: a registered name, `embedded`, a diffusers folder or a Hub id; empty means the registry's default.

    Raises:
        BaseModelNotFound, InvalidInput, HubError: it is not there, or is no base model.
    """
    if is_embedded(registry, wanted):
        return EMBEDDED, EMBEDDED, ""
    wanted = wanted or registry.default_base
    try:
        known = registry.base(wanted)
    except BaseModelNotFound:
        if not looks_like_hub_id(wanted) and not Path(wanted).expanduser().exists():
            raise
    else:
        locate_base(known.source, revision or known.revision)
        return known.name, known.source, revision or known.revision
    folder = locate_base(wanted, revision)
    source = wanted if looks_like_hub_id(wanted) else str(folder.resolve())
    for base in registry.bases():
        if base.source == source:
            return base.name, source, revision or base.revision
    return _new_name(registry, source), source, revision


def is_embedded(registry: Registry, wanted: str = "") -> bool:
    """Whether `wanted`, or where it is empty the registry's default, is the base model that ships with tiregistry."""
    return name_key(wanted or registry.default_base) == EMBEDDED


def open_base(
    registry: Registry, wanted: str = "", *, revision: str = "", device: str = "auto", precision: str = "auto"
) -> LoadedBase:
    """Load a base model and remember it in the registry under its name.

    Raises:
        BaseModelNotFound, InvalidInput, HubError, DeviceError, InvalidConfig: see `load_base`.
    """
    from tiregistry.bases.fingerprints import fingerprint_folder
    from tiregistry.bases.loading import load_base

    name, source, revision = identify_base(registry, wanted, revision)
    loaded = load_base(
        source,
        name=name,
        revision=revision,
        device=device,
        precision=precision,
        fingerprint=lambda folder: fingerprint_folder(folder, cache=registry.file_hashes),
    )
    if not registry.readonly and not _is_known(registry, loaded.identity):
        registry.add_base(loaded.identity)
    return loaded


def _is_known(registry: Registry, base: BaseModel) -> bool:
    return any(
        known.name == base.name and known.source == base.source and known.fingerprint == base.fingerprint
        for known in registry.bases()
    )


def _new_name(registry: Registry, source: str) -> str:
    """A free name made from the last part of a path or Hub id."""
    from tiregistry.bases.identify import name_from

    stem = name_from(source)[:50].strip("-_.")
    taken = {base.name.casefold() for base in registry.bases()} | {EMBEDDED}
    name, count = stem, 2
    while name.casefold() in taken:
        name, count = f"{stem}-{count}", count + 1
    return check_name(name, "base model's name")
