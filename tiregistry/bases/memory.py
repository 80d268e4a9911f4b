"""Telling that a device's memory did not suffice from the errors that torch has for it."""

from __future__ import annotations


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory could not be had; on a CPU it is a plain RuntimeError."""
    import torch

    text = str(error)
    return isinstance(error, torch.OutOfMemoryError) or "out of memory" in text or "can't allocate memory" in text
