"""Telling that a device's memory did not suffice from the errors that torch has for it."""

from __future__ import annotations


# torch's allocator on a CPU; C++'s on Linux and on Windows; oneDNN, which says no more when it gets no memory.
_SAYINGS = (
    "out of memory",
    "can't allocate memory",
    "std::bad_alloc",
    "bad allocation",
    "could not create a primitive",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory could not be had; on a CPU it is mostly a plain RuntimeError."""
    import torch

    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(saying in str(error) for saying in _SAYINGS)
