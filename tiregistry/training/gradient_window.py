"""A full-matrix preconditioner from the last few gradients: what Adam does for each coordinate, for every direction."""

from __future__ import annotations

from collections.abc import Mapping

import torch

LONGEST = 48
"""Gradients that are remembered, where the vectors are not too wide."""
_BUDGET = 48 * 1024
"""Bytes of a checkpoint that one vector's gradients may take, over all text encoders."""
_DAMPING = 1.0
"""Variance that every direction is taken to have beside the observed one, in units of the mean over all directions."""


def window_length(width: int) -> int:
    """How many gradients are remembered of vectors that are `width` numbers wide, all text encoders together."""
    return max(8, min(LONGEST, _BUDGET // width))


class GradientWindow:
    """The last gradients of each vector, and steps made short where these were large and long where they were small.

    GGT (Agarwal et al. 2019, "Efficient Full-Matrix Adaptive Regularization", algorithm 1) with gradients of length 1:
    for the window's mean outer product C, a step is multiplied by (C + damping)^(-1/2). A word is few numbers,
    and its loss bends unequally in directions that are no axis, so that a matrix helps where one number for each
    coordinate, as in Adam, does not. The matrix is never built: the root is that of the gradients'
    Gram matrix.

    Gradients are kept in eight bits, here as in a checkpoint, so that going on from one changes nothing.

    Args:
        vectors, width: shape of the rows.
        length: how many gradients of each are remembered.
    """

    def __init__(self, vectors: int, width: int, length: int, device: torch.device) -> None:
        self._codes = torch.zeros(vectors, length, width, dtype=torch.int8, device=device)
        self._scales = torch.zeros(vectors, length, device=device)
        self._counts = torch.zeros(vectors, dtype=torch.long, device=device)

    def add(self, gradients: torch.Tensor, used: torch.Tensor) -> None:
        """Remember gradients, float32 `[vectors, width]` of length 1, of the `used` vectors (bool `[vectors, 1]`)."""
        scale = gradients.abs().amax(dim=-1, keepdim=True).clamp(min=1e-12) / 127
        codes = (gradients / scale).round().to(torch.int8)
        length = self._codes.shape[1]
        place = (torch.arange(length, device=used.device) == (self._counts % length)[:, None]) & used
        self._codes = torch.where(place[:, :, None], codes[:, None], self._codes)
        self._scales = torch.where(place, scale, self._scales)
        self._counts = self._counts + used[:, 0]

    def precondition(self, steps: torch.Tensor) -> torch.Tensor:
        """`steps` `[vectors, width]` times the root, scaled so that it leaves the gradients' mean square at 1."""
        filled = self._counts.clamp(min=1, max=self._codes.shape[1]).float()
        history = self._codes.float() * (self._scales / filled[:, None].sqrt())[:, :, None]
        # Small enough for the processor, which is exact in double precision and, unlike a GPU, quick at it.
        gram = (history @ history.transpose(1, 2)).double().cpu()
        values, basis = torch.linalg.eigh(gram)
        values = values.clamp(min=0)
        damping = _DAMPING / steps.shape[-1]
        roots = (values + damping).rsqrt()
        rest = damping**-0.5
        # (C + damping)^(-1/2) = rest + V (roots - rest) V^T, and V = history^T basis / sqrt(values).
        gains = torch.where(values > 1e-9, (roots - rest) / values.clamp(min=1e-9), 0.0)
        length = (values * roots.square()).sum(dim=-1, keepdim=True).sqrt()
        inner = (basis * gains[:, None, :]) @ basis.transpose(1, 2)
        inner, length = inner.float().to(steps.device), length.float().to(steps.device)
        along = torch.einsum("nwd,nd->nw", history, steps)
        moved = rest * steps + torch.einsum("nwd,nw->nd", history, torch.einsum("nwv,nv->nw", inner, along))
        return torch.where(length > 0, moved / length.clamp(min=1e-12), steps)

    def clear(self) -> None:
        """Forget all gradients."""
        for tensor in (self._codes, self._scales, self._counts):
            tensor.zero_()

    def state(self) -> dict[str, torch.Tensor]:
        """What `load_state` takes: int8 `[vectors, length, width]`, float32 `[vectors, length]`, long `[vectors]`."""
        return {"codes": self._codes.cpu(), "scales": self._scales.cpu(), "counts": self._counts.cpu()}

    def load_state(self, state: Mapping[str, torch.Tensor]) -> None:
        """Go on with the gradients of `state`."""
        self._codes = state["codes"].to(self._codes.device)
        self._scales = state["scales"].to(self._scales.device)
        self._counts = state["counts"].to(self._counts.device)
