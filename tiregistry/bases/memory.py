"""Telling that a device's memory did not suffice from the errors that torch has for it."""

from __future__ import annotations

_SAYINGS = (
    "out of memory",
    "can't allocate memory",  # torch's own allocator on a CPU
    "std::bad_alloc",
    "bad allocation",  # the same on Windows
    "could not create a primitive",  # all that oneDNN says when it gets no memory
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory could not be had; on a CPU it is mostly a plain RuntimeError."""
    import torch

    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(saying in str(error) for saying in _SAYINGS)
