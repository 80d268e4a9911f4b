"""What a training will need, before anything is loaded: memory from the model's files, time from earlier trainings.

Only headers of weight files and small JSON files are read. The numbers are rough, and say on what they rest.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tiregistry.bases.device_facts import Device
from tiregistry.bases.families import (
    family_of_folder,
    read_config,
    resolution_of_folder,
    token_window,
    vae_factor_of_folder,
)
from tiregistry.bases.fingerprints import weight_files
from tiregistry.bases.locating import locate_base
from tiregistry.bases.tensor_files import StoredTensor, read_tensors
from tiregistry.errors import TiregError
from tiregistry.opening import identify_base
from tiregistry.quantities import size
from tiregistry.training.request import TrainingRequest

if TYPE_CHECKING:
    from tiregistry.registry.registry import Registry

_BYTES = {"fp32": 4, "bf16": 2, "fp16": 2}
CHEAP_WIDTH = 640
"""As in `frozen_layers`, which needs torch."""
_RUNTIME = {"cpu": 350_000_000, "cuda": 800_000_000, "mps": 800_000_000}
"""What torch and its kernels take by themselves."""
_EFFICIENCY = {"cpu": 0.35, "cuda": 0.25, "mps": 0.25}
"""Share of the peak that such models reach."""
_PASSES = 2.0
"""Forward and, through inputs alone, backward; no weight has a gradient."""
_BLOCK = re.compile(r"^(down|up)_blocks\.(\d+)\.")
_EARLIER = 5
_VOCABULARY = "token_embedding.weight"
"""How a text encoder's table of token embeddings is called; it stays on the CPU (see `CaptionWords`)."""


class _Kept(NamedTuple):
    """Values that a residual block, and each transformer block's attentions and feed-forward layer, keep for the way
    back, per channel and position. `benchmarks/training_memory.py` counts them in the real architectures.
    """

    residual: float
    attention: float
    feed_forward: float


_KEPT, _KEPT_SPARING = _Kept(8.5, 9, 12), _Kept(4, 9, 8)


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a training will need.

    Attributes:
        parameters: of the frozen parts.
        memory: bytes at the peak; 0 where the model's files do not tell.
        seconds: for all of `max_steps` on a machine as busy as then; None where nothing is known.
        basis: on what the time rests, in words.
        may_stop_earlier: a stopping rule may end it before.
        problems: what speaks against it, one line each.
    """

    parameters: int
    memory: int
    seconds: float | None
    basis: str
    may_stop_earlier: bool
    problems: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """JSON data."""
        return asdict(self) | {"problems": list(self.problems)}


def estimate_training(registry: Registry, request: TrainingRequest, device: Device) -> Estimate:
    """Estimate a checked request on the base model that it names.

    Raises:
        BaseModelNotFound, InvalidInput, HubError: it is not there; a Hub model that is not in the cache is fetched.
    """
    name, source, revision = identify_base(registry, request.base, request.revision)
    return estimate(registry, replace(request, base=name), locate_base(source, revision), device)


def estimate_pass(registry: Registry, requests: Sequence[TrainingRequest], device: Device) -> Estimate:
    """Estimate several checked requests that are trained in one pass over the base model they share.

    The memory is that of all their samples at once. The time is what they take one after the other: a CPU wins little
    by putting them together, a large GPU much.

    Raises:
        As `estimate_training`.
    """
    alone = [estimate_training(registry, request, device) for request in requests]
    configs = [request.config for request in requests]
    asked = [config.micro_batch for config in configs if config.micro_batch]
    together = replace(
        configs[0],
        batch_size=sum(config.batch_size or 1 for config in configs),
        micro_batch=min(asked, default=0),
        spare_memory=any(config.spare_memory for config in configs),
        gradient_checkpointing=any(config.gradient_checkpointing for config in configs),
    )
    whole = estimate_training(registry, replace(requests[0], config=together), device)
    seconds = [each.seconds for each in alone if each.seconds is not None]
    return replace(
        whole,
        seconds=sum(seconds) if len(seconds) == len(alone) else None,
        basis=alone[0].basis,
        may_stop_earlier=any(each.may_stop_earlier for each in alone),
    )


def estimate(registry: Registry, request: TrainingRequest, folder: Path, device: Device) -> Estimate:
    """Estimate a checked request on a base model's folder.

    Args:
        request: as `check_request` returns it, with its recipe's values; its base model is named as runs name it.
        folder: the base model, as `locate_base` finds it.
        device: where it would run.
    """
    config = request.config
    assert config.batch_size is not None
    assert config.max_steps is not None
    unet = read_config(folder / "unet")
    resolution = config.resolution or resolution_of_folder(folder, family_of_folder(folder))
    side = resolution // vae_factor_of_folder(folder)
    denoiser = _tensors(folder / "unet")
    encoders = [tensor for part in ("text_encoder", "text_encoder_2") for tensor in _tensors(folder / part)]
    parameters = sum(_count(tensor) for tensor in [*denoiser, *encoders])
    precision = config.precision if config.precision in _BYTES else device.precision
    at_once = min(config.micro_batch or config.batch_size, config.batch_size)
    kept = values_kept(unet, side, sparing=config.spare_memory) * at_once
    if config.gradient_checkpointing:
        kept /= 4
    away = 0 if device.kind == "cpu" else sum(_count(t) for t in encoders if t.name.endswith(_VOCABULARY))
    memory = int((parameters - away + kept) * _BYTES[precision]) + _RUNTIME.get(device.kind, 0) if parameters else 0
    samples = config.samples_per_step * config.max_steps
    seconds, basis = _from_earlier(registry, request, device, samples, resolution)
    if seconds is None and device.flops and denoiser:
        window = token_window(folder, "text_encoder", "tokenizer")
        work = _operations(denoiser, unet, side, window) * _PASSES * samples
        seconds, basis = work / (device.flops * _EFFICIENCY[device.kind]), f"reckoned for {device.name}"
    problems = []
    if memory and device.free_memory and memory > device.free_memory:
        problems.append(
            f"about {size(memory)} of memory is needed and {size(device.free_memory)} is free: "
            "a smaller batch size or resolution needs less"
        )
    return Estimate(parameters, memory, seconds, basis, config.stopping == "dvar", tuple(problems))


def _from_earlier(
    registry: Registry, request: TrainingRequest, device: Device, samples: int, resolution: int
) -> tuple[float | None, str]:
    """From the newest trainings on the same base model and kind of device, scaled by samples and pixels."""
    rates = []
    for run in registry.runs(status="finished", limit=60):
        if run.config.get("base", {}).get("name") != request.base or run.version_id is None:
            continue
        try:
            record = registry.version_by_id(run.version_id).record()
        except TiregError:  # removed since
            continue
        training = run.config.get("training", {})
        seconds, steps = record.get("seconds"), record.get("steps")
        if not (isinstance(seconds, int | float) and isinstance(steps, int) and seconds > 0 and steps > 0):
            continue
        if str(record.get("device", "")).partition(":")[0] != device.kind:
            continue
        each = int(training.get("batch_size") or 1) * int(training.get("gradient_accumulation") or 1)
        scale = (resolution / training["resolution"]) ** 2 if training.get("resolution") else 1.0
        rates.append(seconds / (steps * each) * scale)
        if len(rates) == _EARLIER:
            break
    if not rates:
        return None, ""
    what = f"{len(rates)} earlier trainings" if len(rates) > 1 else "an earlier training"
    return statistics.median(rates) * samples, f"as in {what} on it"


def _tensors(part: Path) -> list[StoredTensor]:
    """The tensors of one part; none where they are not in safetensors files."""
    try:
        return [tensor for file in weight_files(part) if file.suffix == ".safetensors" for tensor in read_tensors(file)]
    except TiregError:
        return []


def _count(tensor: StoredTensor) -> int:
    size = 1
    for side in tensor.shape:
        size *= side
    return size


def _levels(unet: dict[str, Any]) -> list[int]:
    channels = unet.get("block_out_channels")
    return [int(c) for c in channels] if isinstance(channels, list) and channels else [320, 640, 1280, 1280]


def values_kept(unet: dict[str, Any], side: int, *, sparing: bool) -> float:
    """Values that one sample keeps on its way through the denoiser for the way back, with fused attention.

    Args:
        unet: the denoiser's `config.json`.
        side: of the latents.
        sparing: as `TrainingConfig.spare_memory`.
    """
    kept = _KEPT_SPARING if sparing else _KEPT
    channels = _levels(unet)
    layers = unet.get("layers_per_block")
    depths, kinds = unet.get("transformer_layers_per_block"), unet.get("down_block_types")
    total = 0.0
    for level, width in enumerate(channels):
        depth = int(depths[level]) if isinstance(depths, list) and level < len(depths) else 1
        each = kept.attention + (0 if sparing and width <= CHEAP_WIDTH else kept.feed_forward)
        residual = attending = 2 * (layers if isinstance(layers, int) else 2) + 1
        if isinstance(kinds, list) and level < len(kinds) and "CrossAttn" not in str(kinds[level]):
            attending = 0
        if level == len(channels) - 1:  # and the block in the middle
            residual, attending = residual + 2, attending + 1
        total += width * (side / 2**level) ** 2 * (residual * kept.residual + attending * depth * each)
    return total


def _operations(tensors: Iterable[StoredTensor], unet: dict[str, Any], side: int, window: int) -> float:
    """Floating-point operations of one forward pass: two for each weight at each position it is used at.

    Args:
        window: tokens of a caption, at which the keys and values of cross attention are reckoned.
    """
    last = len(_levels(unet)) - 1
    total = 0.0
    for tensor in tensors:
        if len(tensor.shape) < 2:
            continue
        found = _BLOCK.match(tensor.name)
        level = 0
        if tensor.name.startswith("mid_block."):
            level = last
        elif found:
            level = int(found[2]) if found[1] == "down" else last - int(found[2])
        text = ".attn2.to_k." in tensor.name or ".attn2.to_v." in tensor.name or "time_emb" in tensor.name
        total += 2 * _count(tensor) * (window if text else (side / 2**level) ** 2)
    return total
