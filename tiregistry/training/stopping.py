"""When to stop: DVAR (Voronov et al., NeurIPS 2023) on a fixed batch, looked at now and then, keeping the best."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch

from tiregistry.training.config import TrainingConfig
from tiregistry.training.vectors import Rows

if TYPE_CHECKING:
    from tiregistry.training.vectors import Vectors


STILL_FALLING = 0.05
"""Within one window the loss may still fall by this share of all it has fallen."""


def fixed_batch_size(config: TrainingConfig) -> int:
    """Samples of the fixed batch: eight batches, from 8 to 32.

    With fewer it says which vectors suit these few draws of noise, not which are better.
    """
    return min(32, 8 * (config.batch_size or 1))


class StopRule:
    """Watches the loss on one fixed batch (same pictures, noise, captions and timesteps every time).

    With everything else fixed, that loss only changes because the word does; the ordinary training loss is dominated
    by its timesteps and says nothing. Training stops when the variance over the last `stop_window` steps falls below
    `stop_threshold` of the variance over the whole course, and the loss has hardly fallen within them. The paper looks
    at every step; a look costs a forward pass, and every tenth step tells the same.

    Attributes:
        losses: loss at every look so far, the first before any training.
        best_step: step of the lowest loss.
        best_rows: the vectors at that step, on the CPU.
        ratio: the latest variance ratio; 1 until the window is full.
    """

    def __init__(self, config: TrainingConfig) -> None:
        self.every = config.stop_every
        self.threshold = config.stop_threshold
        self.window = max(3, round(config.stop_window / config.stop_every))
        self.losses: list[float] = []
        self.best_step = 0
        self.best_rows: Rows = {}
        self.ratio = 1.0

    def is_due(self, step: int, last: int) -> bool:
        """Whether the fixed batch is looked at after `step` steps; a step is never looked at twice."""
        return step == last or (step % self.every == 0 and len(self.losses) == step // self.every)

    def add(self, step: int, loss: float, vectors: Vectors) -> bool:
        """Note the loss after `step` steps; True means that the word no longer changes and training may stop."""
        if not self.losses or loss < min(self.losses):
            self.best_step = step
            self.best_rows = {role: rows.detach().float().cpu().clone() for role, rows in vectors.rows().items()}
        self.losses.append(loss)
        if len(self.losses) <= self.window:
            return False
        whole = _variance(self.losses)
        window = self.losses[-self.window :]
        self.ratio = _variance(window) / whole if whole > 0 else 0.0
        # A long steady fall has a small variance ratio, too; it must not count as standing still.
        half = len(window) // 2
        fall = sum(window[:half]) / half - sum(window[-half:]) / half
        return self.ratio < self.threshold and fall <= STILL_FALLING * (self.losses[0] - min(self.losses))

    def why(self, step: int) -> str:
        """The reason to stop at `step`, for the user."""
        return (
            f"the loss on a fixed batch no longer changes (variance of the last {self.window * self.every} steps is "
            f"{self.ratio:.2f} of all {step}, below {self.threshold:g}); kept step {self.best_step}"
        )

    def at_cap(self, step: int) -> str:
        """What is said when all `step` steps were taken, for the user."""
        best = "the last was" if self.best_step == step else f"kept step {self.best_step},"
        return f"all {step} steps taken; {best} best on the fixed batch"

    def state(self) -> dict[str, torch.Tensor]:
        """Everything needed to go on exactly."""
        out = {f"best.{role}": rows for role, rows in self.best_rows.items()}
        return out | {
            "stop_losses": torch.tensor(self.losses, dtype=torch.float64),
            "best_step": torch.tensor([self.best_step]),
        }

    def load_state(self, state: Mapping[str, torch.Tensor]) -> None:
        """Take up what `state` returned."""
        self.losses = [float(loss) for loss in state["stop_losses"]]
        self.best_step = int(state["best_step"][0])
        self.best_rows = {key.removeprefix("best."): rows for key, rows in state.items() if key.startswith("best.")}


def _variance(values: list[float]) -> float:
    mean = sum(values) / len(values)
    return sum((value - mean) ** 2 for value in values) / len(values)
