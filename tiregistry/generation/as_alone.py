"""Pictures made together on a CPU, each computed to the last bit as if it were made alone.

Nothing in a denoiser mixes the pictures of a batch, but a library may add up a row in another order when there are more
rows: MKL does for small matrices, such as the embedding of the time. So each such kind of operation (function, shapes,
layout) is computed both ways when it is first met. Where the bits are the same, it is computed for the whole batch at
once from then on; where they are not, for one picture after the other. The VAE, which gains nothing from batches on a
CPU, always decodes one picture after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode

if TYPE_CHECKING:
    from tiregistry.bases.loaded import LoadedBase

# Operations that add up, where the order matters, or compute a curve, which is done otherwise where numbers lie apart;
# with the number of leading arguments that hold the batch. Of `torch.einsum` its equation says which do.
_DEPENDING: dict[Any, int] = {
    F.linear: 1,
    F.scaled_dot_product_attention: 4,
    F.group_norm: 1,
    torch.group_norm: 1,
    F.layer_norm: 1,
    torch.layer_norm: 1,
    F.rms_norm: 1,
    torch.conv2d: 1,
    torch.matmul: 2,
    torch.bmm: 2,
    F.gelu: 1,
    F.silu: 1,
    F.softmax: 1,
    torch.softmax: 1,
    torch.sigmoid: 1,
}
_HOLDING_THE_BATCH = frozenset({"input", "query", "key", "value", "attn_mask"})
"""The same arguments where they are given by name."""

Known = dict[Any, bool]
"""Kinds of operations, and whether a batch of them gives the bits that each picture gets alone."""


class AsAlone(TorchFunctionMode):
    """Within it, operations on a guided batch of `count` pictures round as they do on one picture.

    A tensor holds the batch when its first dimension is twice `count`: the unconditional and the conditional half, one
    after the other, as diffusers lays them for guidance. Without guidance a picture alone is a batch of one, whose
    tensors may be laid out as no larger batch's are, so that there is nothing to compare with.

    Args:
        count: pictures in the batch.
        known: what was found so far; filled here.
    """

    def __init__(self, count: int, known: Known) -> None:
        super().__init__()
        self._count, self._known = count, known

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Carry out one function of torch."""
        kwargs = kwargs or {}
        if func not in _DEPENDING and func is not torch.einsum:
            return func(*args, **kwargs)
        held = _held_of_einsum(args) if func is torch.einsum else range(_DEPENDING[func])
        given: list[tuple[int | str, Any]] = [(place, args[place]) for place in held if place < len(args)]
        given += [(name, value) for name, value in kwargs.items() if name in _HOLDING_THE_BATCH]
        batch = {place: value for place, value in given if isinstance(value, torch.Tensor) and value.dim()}
        rows = next((value.shape[0] for value in batch.values()), 0)
        if rows != (self._count if func is torch.einsum else 2 * self._count):
            return func(*args, **kwargs)
        key = (func, self._count, torch.get_num_threads(), *_kinds(args), *kwargs, *_kinds(kwargs.values()))
        same = self._known.get(key)
        if same:
            return func(*args, **kwargs)
        alone = self._one_by_one(func, args, kwargs, {p: v for p, v in batch.items() if v.shape[0] == rows})
        if same is None:
            together = func(*args, **kwargs)
            # Any order of adding up zeros gives the same, which shows nothing.
            shows = 2 * int(torch.count_nonzero(together)) > together.numel()
            alike = together.stride()[1:] == alone.stride()[1:]
            self._known[key] = shows and alike and torch.equal(together, alone)
        return alone

    def _one_by_one(
        self, func: Callable[..., Any], args: Any, kwargs: Mapping[str, Any], batch: Mapping[int | str, torch.Tensor]
    ) -> torch.Tensor:
        outs: list[torch.Tensor] = []
        for number in range(self._count):
            own = {place: self._of_one(value, number) for place, value in batch.items()}
            outs.append(
                func(
                    *(own.get(place, value) for place, value in enumerate(args)),
                    **{name: own.get(name, value) for name, value in kwargs.items()},
                )
            )
        return self._joined(outs)

    def _joined(self, outs: list[torch.Tensor]) -> torch.Tensor:
        """The results as one batch, laid out as each is: what comes next may round by that."""
        first = outs[0]
        span = 1 + sum((size - 1) * stride for size, stride in zip(first.shape[1:], first.stride()[1:], strict=True))
        halves = first.shape[0]
        rows = max(span, first.stride(0) if halves > 1 else 0)
        joined = torch.empty_strided(
            (halves * self._count, *first.shape[1:]),
            (rows, *first.stride()[1:]),
            dtype=first.dtype,
            device=first.device,
        )
        for number, out in enumerate(outs):
            joined.unflatten(0, (halves, self._count))[:, number].copy_(out)
        return joined

    def _of_one(self, value: torch.Tensor, number: int) -> torch.Tensor:
        """One picture's rows, in memory of their own and laid out as the batch's: both can change the rounding."""
        taken = value.unflatten(0, (-1, self._count))[:, number]
        own = torch.empty_strided(taken.shape, value.stride(), dtype=value.dtype, device=value.device)
        return own.copy_(taken)


@contextmanager
def computing_as_alone(count: int, base: LoadedBase, known: Known) -> Iterator[None]:
    """Within it a guided batch of `count` pictures is computed as each would be alone; on a CPU only."""
    if count == 1 or not is_exact_in_batches(base.device):
        yield
        return
    before = base.vae.use_slicing
    base.vae.use_slicing = True
    try:
        with AsAlone(count, known):
            yield
    finally:
        base.vae.use_slicing = before


def is_exact_in_batches(device: torch.device) -> bool:
    """Whether a picture is the same to the last bit however many are made at a time.

    A GPU chooses other kernels for nearly every size of a batch: one by one would be all that is left of the batch.
    """
    return bool(device.type == "cpu")


def is_laid_in_halves(base: LoadedBase, guidance_scale: float) -> bool:
    """Whether diffusers denoises with and without the prompt in one batch; FLUX's pipeline never does."""
    told = getattr(base.denoiser.config, "time_cond_proj_dim", None)
    return bool(base.family != "flux" and guidance_scale > 1 and told is None)


def _held_of_einsum(args: Any) -> list[int]:
    """Places of the operands whose first index is the result's first: UniPC adds up its history with `k,bkc...`."""
    inputs, _, output = str(args[0]).replace(" ", "").partition("->")
    return [place for place, indices in enumerate(inputs.split(","), 1) if output and indices[:1] == output[0]]


def _kinds(values: Iterable[Any]) -> Iterator[object]:
    for value in values:
        if isinstance(value, torch.Tensor):
            # Libraries choose by alignment as well; 64 bytes is the widest they care for.
            yield tuple(value.shape), value.stride(), value.dtype, value.data_ptr() % 64
        else:
            yield value if isinstance(value, (int, float, str, bool, type(None))) else repr(value)
