"""Putting runs into the queue: everything checked and kept, nothing heavy loaded."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tiregistry.bases.families import resolution_of_folder
from tiregistry.bases.fingerprints import fingerprint_folder
from tiregistry.bases.locating import locate_base
from tiregistry.concepts import BaseModel, Run
from tiregistry.opening import identify_base
from tiregistry.training.base_check import check_base
from tiregistry.training.beginning import device_name
from tiregistry.training.one_pass import check_requests
from tiregistry.training.request import TrainingRequest, keep_pictures, run_config

if TYPE_CHECKING:
    from tiregistry.registry.registry import Registry


def enqueue(registry: Registry, requests: Sequence[TrainingRequest]) -> list[Run]:
    """Add one queued run per request; several are trained in one pass.

    Everything a run needs is recorded: its settings, its pictures and masks as blobs, the base model by name and
    fingerprint. torch is not loaded; a base model seen for the first time is hashed, which may take seconds.

    Raises:
        InvalidInput and its kin: anything wrong with a request.
    """
    checked = check_requests(registry, requests)
    for request in checked:
        check_base(registry, request)
    base = _remember_base(registry, checked[0])
    group = f"{time.time_ns():x}" if len(checked) > 1 else ""
    runs: list[Run] = []
    for request in checked:
        config = run_config(
            request,
            (base.name, base.fingerprint),
            keep_pictures(registry, request),
            group=group,
            background=True,
        )
        device = "" if request.device in ("", "auto") else device_name(request.device)
        runs.append(registry.create_run(request.concept, config, request.config.max_steps or 0, device))
    return runs


def _remember_base(registry: Registry, request: TrainingRequest) -> BaseModel:
    """The base model of a request, added to the registry when it is new there."""
    name, source, revision = identify_base(registry, request.base, request.revision)
    folder = locate_base(source, revision)
    fingerprint = fingerprint_folder(folder, cache=registry.file_hashes)
    for known in registry.bases():
        if known.name == name and known.source == source and known.fingerprint == fingerprint:
            return known
    resolution = resolution_of_folder(folder, fingerprint.family)
    return registry.add_base(BaseModel(name, source, fingerprint, revision, resolution))
