"""A run's checkpoint: vectors, optimiser, stopping rule and losses so far in one small file, replaced atomically."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tiregistry.errors import Damaged
from tiregistry.text import safe
from tiregistry.whole_files import write_whole

if TYPE_CHECKING:
    import torch

FILE = "checkpoint.safetensors"


@dataclass(frozen=True)
class Checkpoint:
    """The state after `step` steps.

    Attributes:
        state: what `Vectors.state` and `StopRule.state` returned.
        losses: loss of every step so far.
        threads: CPU threads of the run, whose number decides the last bits of a sum; 0 on other devices.
        seconds: how long these steps took, in all parts in which the run was at work.
        precision: that of the frozen model: `float32`, `bfloat16`, `float16`.
    """

    step: int
    state: dict[str, torch.Tensor]
    losses: list[float]
    threads: int = 0
    seconds: float = 0.0
    precision: str = ""


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint; a crash leaves the old one or the new one, never half of one.

    Raises:
        OSError: no space, or the folder cannot be written; the old checkpoint is untouched.
    """
    import torch
    from safetensors.torch import save

    tensors = {f"state.{key}": value.contiguous() for key, value in checkpoint.state.items()}
    tensors["losses"] = torch.tensor(checkpoint.losses, dtype=torch.float32)
    told = {"format": "tireg-checkpoint/1", "step": str(checkpoint.step), "threads": str(checkpoint.threads)}
    told |= {"seconds": f"{checkpoint.seconds:.3f}", "precision": checkpoint.precision}
    data = save(tensors, metadata=told)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, data)


def load_checkpoint(path: Path) -> Checkpoint | None:
    """Read a checkpoint; None when there is none.

    Raises:
        Damaged: the file is not one of ours, or is damaged.
    """
    from safetensors import SafetensorError, safe_open

    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  (no iteration otherwise)
            state = {key.removeprefix("state."): t for key, t in tensors.items() if key.startswith("state.")}
            losses = [float(x) for x in tensors["losses"]]
            threads, seconds = int(metadata.get("threads", 0)), float(metadata.get("seconds", 0))
            precision = metadata.get("precision", "")
            return Checkpoint(int(metadata["step"]), state, losses, threads, seconds, precision)
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        raise Damaged(
            f"the checkpoint of run {path.parent.name} cannot be read: {safe(error, limit=200)}",
            f"remove {safe(path)} to start the run from its beginning",
        ) from None
