"""The trainable vectors of one word and the two ways to move them: along directions, or freely with AdamW."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import torch

from tiregistry.training.config import TrainingConfig
from tiregistry.training.gradient_window import GradientWindow, window_length

if TYPE_CHECKING:
    from tiregistry.bases.loaded import LoadedBase

Rows = dict[str, torch.Tensor]
"""Encoder role to float32 `[num_vectors, dim]`."""


class Vectors(Protocol):
    """Trainable vectors with their optimiser state; always float32, whatever the model's precision."""

    def rows(self) -> Rows:
        """The vectors as the text encoders see them, connected to the gradient."""

    def parameters(self) -> list[torch.Tensor]:
        """The tensors that gather gradients."""

    def update(self, learning_rate: float) -> None:
        """One optimiser step from the accumulated gradients, which are cleared."""

    def place(self, rows: Mapping[str, torch.Tensor]) -> None:
        """Move the vectors to `rows` (of a direction recipe: their directions) and forget the optimiser's past."""

    def state(self) -> dict[str, torch.Tensor]:
        """Everything needed to go on bit-exactly."""

    def load_state(self, state: Mapping[str, torch.Tensor]) -> None:
        """Take up what `state` returned."""


def make_vectors(base: LoadedBase, start: Rows, config: TrainingConfig, norms: Rows | None = None) -> Vectors:
    """The recipe's kind of trainable vectors, on the base model's device.

    Args:
        config: resolved.
        norms: magnitudes `[num_vectors, 1]` for the direction recipes; None means `config.magnitude` times the
            vocabulary's mean norm.
    """
    if config.recipe == "classic":
        return FreeVectors(start, base.device, config)
    if norms is None:
        assert config.magnitude is not None
        # T5's own words are long already; a multiple of them could leave the range of fp16.
        times = {t.role: 1.0 if t.role == "t5" else config.magnitude for t in base.towers}
        norms = {t.role: torch.full((len(start[t.role]), 1), times[t.role] * t.mean_norm()) for t in base.towers}
    return DirectionVectors(
        start, norms, base.device, config.prior_strength, config.encoders, preconditioning=bool(config.preconditioning)
    )


class DirectionVectors:
    """Vectors of fixed magnitude whose direction is learned on the unit sphere.

    Free vectors grow far beyond the vocabulary's norms; the authors find that they then drown the rest of the prompt,
    and keep the magnitude at the vocabulary's mean norm (Directional Textual Inversion, ICLR 2026). Each step projects
    the gradient onto the tangent space, averages it with momentum, moves by `learning_rate` radians along the averaged
    direction and returns to the sphere. The average counts for what has gone into it (as in Adam, Kingma & Ba 2015,
    section 3): without that the first ten steps would hardly move.

    Args:
        preconditioning: bend each move by what the last gradients say of the loss (see `GradientWindow`).
    """

    MOMENTUM = 0.9

    def __init__(
        self,
        start: Rows,
        norms: Rows,
        device: torch.device,
        prior_strength: float,
        learned: Sequence[str] = (),
        *,
        preconditioning: bool = False,
    ) -> None:
        self._norms = {role: norm.to(device) for role, norm in norms.items()}
        self._prior_strength = prior_strength
        self._start = {role: unit(rows.to(device)) for role, rows in start.items()}
        moving = learned or tuple(start)
        self._directions = {role: d.clone().requires_grad_(role in moving) for role, d in self._start.items()}
        self._momentum = {role: torch.zeros_like(d) for role, d in self._start.items()}
        self._averaged = {role: torch.zeros_like(d[:, :1]) for role, d in self._start.items()}
        length = window_length(sum(d.shape[1] for d in self._start.values()))
        self._windows = {
            role: GradientWindow(len(d), d.shape[1], length, device)
            for role, d in self._start.items()
            if preconditioning
        }

    def rows(self) -> Rows:
        return {role: d * self._norms[role] for role, d in self._directions.items()}

    def parameters(self) -> list[torch.Tensor]:
        return list(self._directions.values())

    @torch.no_grad()
    def update(self, learning_rate: float) -> None:
        for role, direction in self._directions.items():
            gradient = direction.grad
            direction.grad = None
            if gradient is None:
                continue
            # A vector that stood in no caption of this step (a picture's own, or one yet to join) stays where it is.
            used = gradient.abs().amax(dim=-1, keepdim=True) > 0
            gradient = gradient - self._prior_strength * self._start[role]
            tangent = gradient - (gradient * direction).sum(-1, keepdim=True) * direction
            # Unit length first: the size of a diffusion gradient says more about the timestep than about the word.
            momentum, averaged = self._momentum[role], self._averaged[role].add_(used)
            momentum.copy_(torch.where(used, momentum.lerp(unit(tangent), 1 - self.MOMENTUM), momentum))
            mean = momentum / (1 - self.MOMENTUM**averaged).clamp(min=1e-12)
            if role in self._windows:
                self._windows[role].add(unit(tangent), used)
                mean = self._windows[role].precondition(mean)
            move = mean - (mean * direction).sum(-1, keepdim=True) * direction
            direction.copy_(torch.where(used, unit(direction - learning_rate * move), direction))

    @torch.no_grad()
    def place(self, rows: Mapping[str, torch.Tensor]) -> None:
        for role, direction in self._directions.items():
            direction.copy_(unit(rows[role].to(direction.device)))
            self._momentum[role].zero_()
            self._averaged[role].zero_()
        for window in self._windows.values():
            window.clear()

    def state(self) -> dict[str, torch.Tensor]:
        out = {f"direction.{role}": d.detach().cpu() for role, d in self._directions.items()}
        out |= {f"momentum.{role}": m.cpu() for role, m in self._momentum.items()}
        out |= {f"averaged.{role}": count.cpu() for role, count in self._averaged.items()}
        for role, window in self._windows.items():
            out |= {f"window.{name}.{role}": tensor for name, tensor in window.state().items()}
        return out

    def load_state(self, state: Mapping[str, torch.Tensor]) -> None:
        with torch.no_grad():
            for role, direction in self._directions.items():
                direction.copy_(state[f"direction.{role}"])
                self._momentum[role].copy_(state[f"momentum.{role}"])
                self._averaged[role].copy_(state[f"averaged.{role}"])
        for role, window in self._windows.items():
            window.load_state({name: state[f"window.{name}.{role}"] for name in window.state()})


class FreeVectors:
    """Vectors moved freely by AdamW, as in the paper's code (Gal et al. 2022): betas 0.9 and 0.999, epsilon 1e-8."""

    def __init__(self, start: Rows, device: torch.device, config: TrainingConfig) -> None:
        self._start = {role: rows.to(device) for role, rows in start.items()}
        learned = config.encoders or tuple(start)
        self._rows = {role: rows.clone().requires_grad_(role in learned) for role, rows in self._start.items()}
        self._regularization, self._max_grad_norm = config.regularization, config.max_grad_norm
        self._decays = bool(config.weight_decay)
        self._optimizer = torch.optim.AdamW(list(self._rows.values()), lr=0.0, weight_decay=config.weight_decay)

    def rows(self) -> Rows:
        return dict(self._rows)

    def parameters(self) -> list[torch.Tensor]:
        return list(self._rows.values())

    def update(self, learning_rate: float) -> None:
        if self._regularization:
            for role, rows in self._rows.items():
                if rows.grad is not None:
                    rows.grad.add_(rows.detach() - self._start[role], alpha=2 * self._regularization)
        if self._max_grad_norm:
            torch.nn.utils.clip_grad_norm_(list(self._rows.values()), self._max_grad_norm)
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate
        before = {role: rows.detach().clone() for role, rows in self._rows.items()} if self._decays else {}
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        for role, old in before.items():
            self._undo_decay(self._rows[role], old)

    @torch.no_grad()
    def _undo_decay(self, rows: torch.Tensor, old: torch.Tensor) -> None:
        """Put vectors back that have had no gradient yet, as those yet to join: decay alone would use them up."""
        squares = self._optimizer.state.get(rows, {}).get("exp_avg_sq")
        if squares is not None:
            rows.copy_(torch.where(squares.amax(dim=-1, keepdim=True) > 0, rows, old))

    @torch.no_grad()
    def place(self, rows: Mapping[str, torch.Tensor]) -> None:
        for role, own in self._rows.items():
            own.copy_(rows[role].to(own.device))
        self._optimizer.state.clear()

    def state(self) -> dict[str, torch.Tensor]:
        out = {}
        for role, rows in self._rows.items():
            kept = self._optimizer.state.get(rows, {})
            out[f"rows.{role}"] = rows.detach().cpu()
            out[f"step.{role}"] = torch.as_tensor(kept.get("step", 0.0), dtype=torch.float32).reshape(1)
            for name in ("exp_avg", "exp_avg_sq"):
                out[f"{name}.{role}"] = kept.get(name, torch.zeros_like(rows)).detach().cpu()
        return out

    def load_state(self, state: Mapping[str, torch.Tensor]) -> None:
        for role, rows in self._rows.items():
            with torch.no_grad():
                rows.copy_(state[f"rows.{role}"])
            self._optimizer.state[rows] = {
                "step": state[f"step.{role}"].reshape(()).clone(),
                "exp_avg": state[f"exp_avg.{role}"].to(rows.device).clone(),
                "exp_avg_sq": state[f"exp_avg_sq.{role}"].to(rows.device).clone(),
            }


def unit(vectors: torch.Tensor) -> torch.Tensor:
    """Each row of `[n, dim]` scaled to length 1 (a zero row stays zero)."""
    return vectors / vectors.norm(dim=-1, keepdim=True).clamp(min=1e-12)


def learning_rate_at(step: int, config: TrainingConfig) -> float:
    """The learning rate of step `step` (from 0) of a resolved configuration."""
    assert config.learning_rate is not None
    assert config.max_steps is not None
    peak = config.learning_rate * (config.samples_per_step if config.recipe == "classic" else 1)
    if step < config.warmup_steps:
        return peak * (step + 1) / config.warmup_steps
    progress = (step - config.warmup_steps) / max(1, config.max_steps - config.warmup_steps)
    if config.lr_scheduler == "cosine":
        return peak * 0.5 * (1 + math.cos(math.pi * progress))
    if config.lr_scheduler == "linear":
        return peak * (1 - progress)
    return peak
