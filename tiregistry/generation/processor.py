"""What computed a picture: its rounding, and with it now and then the last bit of a pixel, depends on the processor."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from tiregistry.quantities import count

if TYPE_CHECKING:
    import torch

# More threads than processors compute the same; very many more take forever.
_THREADS_PER_PROCESSOR = 4


def processor_of(device: torch.device) -> dict[str, Any]:
    """JSON data: the GPU's name; or of a CPU the instructions that torch uses and the threads that share the work."""
    import torch

    if device.type == "cpu":
        return {"name": torch.backends.cpu.get_cpu_capability(), "threads": torch.get_num_threads()}
    if device.type == "cuda":
        return {"name": torch.cuda.get_device_name(device)}
    return {"name": device.type}


def described(processor: object) -> str:
    """A recorded processor in words; empty when nothing is recorded."""
    if not isinstance(processor, Mapping) or not processor.get("name"):
        return ""
    threads = processor.get("threads")
    if not isinstance(threads, int) or not threads:
        return str(processor["name"])
    return f"{processor['name']} with {count(threads, 'thread')}"


def recorded_threads(recipe: Mapping[str, Any]) -> int | None:
    """The CPU threads that a recipe's picture was made with; None on a GPU, or when that is not recorded."""
    processor = recipe.get("processor")
    threads = processor.get("threads") if isinstance(processor, Mapping) else None
    return threads if type(threads) is int and threads >= 1 else None


def computing_as(threads: int | None) -> AbstractContextManager[None]:
    """Within it torch shares work among as many CPU threads as it did for a recorded picture, for the same rounding.

    Args:
        threads: None, or far more than there are processors: it goes on as it is.
    """
    from tiregistry.bases.cpu_threads import using_threads

    if threads is None or threads > _THREADS_PER_PROCESSOR * (os.cpu_count() or 1):
        return nullcontext()
    return using_threads(threads)
