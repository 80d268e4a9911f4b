"""The trainable vectors of one word and the two ways to move them: along directions, or freely with AdamW."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

import torch

from tiregistry.training.config import TrainingConfig

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

    def state(self) -> dict[str, torch.Tensor]:
        """Everything needed to go on bit-exactly."""

    def load_state(self, state: Mapping[str, torch.Tensor]) -> None:
        """Take up what `state` returned."""


def initial_rows(base: LoadedBase, config: TrainingConfig) -> Rows:
    """The vectors a word starts from.

    The initializer phrase gives one vector per token; with `num_vectors` larger its tokens repeat in turn, with
    `num_vectors` smaller the last ones are kept (in English the head noun comes last). Without an initializer the
    word `object` or `style` serves where the vocabulary has it, else the vocabulary's mean.

    Raises:
        InvalidConfig: the initializer is unknown to the tokenizer.
    """
    rows: Rows = {}
    for tower in base.towers:
        if config.initializer:
            vectors = tower.vectors_of(config.initializer)
        elif tower.is_word(config.concept_type):
            vectors = tower.vectors_of(config.concept_type)
        else:
            mean = tower.words.table.weight.detach().float().mean(dim=0, keepdim=True).cpu()
            vectors = mean / mean.norm() * tower.mean_norm()
        count = config.num_vectors or (len(vectors) if config.initializer else 1)
        if count <= len(vectors):
            vectors = vectors[len(vectors) - count :]
        else:
            vectors = vectors[torch.arange(count) % len(vectors)]
        rows[tower.role] = vectors.clone()
    return rows


def make_vectors(base: LoadedBase, start: Rows, config: TrainingConfig) -> Vectors:
    """The recipe's kind of trainable vectors, on the base model's device."""
    if config.recipe == "classic":
        return FreeVectors(start, base.device, config.weight_decay)
    norms = {tower.role: tower.mean_norm() for tower in base.towers}
    return DirectionVectors(start, norms, base.device, config.prior_strength)


class DirectionVectors:
    """Vectors of fixed magnitude whose direction is learned on the unit sphere.

    Free vectors grow far beyond the vocabulary's norms and then drown the rest of the prompt; keeping the magnitude at
    the vocabulary's mean norm keeps words editable (Directional Textual Inversion, ICLR 2026). Each step projects the
    gradient onto the tangent space, averages it with momentum, moves by `learning_rate` radians along the averaged
    direction and returns to the sphere.
    """

    MOMENTUM = 0.9

    def __init__(self, start: Rows, norms: Mapping[str, float], device: torch.device, prior_strength: float) -> None:
        self._norms = dict(norms)
        self._prior_strength = prior_strength
        self._start = {role: unit(rows.to(device)) for role, rows in start.items()}
        self._directions = {role: d.clone().requires_grad_(True) for role, d in self._start.items()}
        self._momentum = {role: torch.zeros_like(d) for role, d in self._start.items()}

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
            gradient = gradient - self._prior_strength * self._start[role]
            tangent = gradient - (gradient * direction).sum(-1, keepdim=True) * direction
            # Unit length first: the size of a diffusion gradient says more about the timestep than about the word.
            momentum = self._momentum[role].mul_(self.MOMENTUM).add_(unit(tangent), alpha=1 - self.MOMENTUM)
            move = momentum - (momentum * direction).sum(-1, keepdim=True) * direction
            direction.copy_(unit(direction - learning_rate * move))

    def state(self) -> dict[str, torch.Tensor]:
        out = {f"direction.{role}": d.detach().cpu() for role, d in self._directions.items()}
        return out | {f"momentum.{role}": m.cpu() for role, m in self._momentum.items()}

    def load_state(self, state: Mapping[str, torch.Tensor]) -> None:
        with torch.no_grad():
            for role, direction in self._directions.items():
                direction.copy_(state[f"direction.{role}"])
                self._momentum[role].copy_(state[f"momentum.{role}"])


class FreeVectors:
    """Vectors moved freely by AdamW, as in the paper's code (Gal et al. 2022): betas 0.9 and 0.999, epsilon 1e-8."""

    def __init__(self, start: Rows, device: torch.device, weight_decay: float) -> None:
        self._rows = {role: rows.to(device).clone().requires_grad_(True) for role, rows in start.items()}
        self._optimizer = torch.optim.AdamW(list(self._rows.values()), lr=0.0, weight_decay=weight_decay)

    def rows(self) -> Rows:
        return dict(self._rows)

    def parameters(self) -> list[torch.Tensor]:
        return list(self._rows.values())

    def update(self, learning_rate: float) -> None:
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)

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
    assert config.batch_size is not None
    peak = config.learning_rate * (config.batch_size if config.recipe == "classic" else 1)
    if step < config.warmup_steps:
        return peak * (step + 1) / config.warmup_steps
    progress = (step - config.warmup_steps) / max(1, config.max_steps - config.warmup_steps)
    if config.lr_scheduler == "cosine":
        return peak * 0.5 * (1 + math.cos(math.pi * progress))
    if config.lr_scheduler == "linear":
        return peak * (1 - progress)
    return peak
