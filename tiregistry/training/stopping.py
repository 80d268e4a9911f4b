"""When to stop: DVAR (Voronov et al., NeurIPS 2023) on a fixed batch, looked at now and then, keeping the best."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch

from tiregistry.training.config import TrainingConfig
from tiregistry.training.vectors import Rows, learning_rate_at

STILL_FALLING = 0.05
"""The best loss of one window may lie below the best before it by this share of all it has fallen."""


def fixed_batch_size(config: TrainingConfig) -> int:
    """Samples of the fixed batch: eight batches, from 8 to 32.

    With fewer it says which vectors suit these few draws of noise, not which are better.
    """
    return min(32, 8 * (config.batch_size or 1))


class StopRule:
    """Watches the loss on one fixed batch (same pictures, noise, captions and timesteps every time).

    With everything else fixed, that loss only changes because the word does; the ordinary training loss is dominated
    by its timesteps and says nothing.

    From the paper (Voronov et al. 2023): the fixed batch, and that a word has been learned when the variance of this
    loss over the last `stop_window` steps is less than `stop_threshold` of its variance over the whole course. The
    authors look at every step and train at a constant learning rate, with a window of 310 steps.

    Ours:

    - A look costs a forward pass, so there is one every `stop_every` steps, and the best vectors are kept. A course too
      short to be shortened is only looked at in its second half, for the best.
    - With a short history the first fall makes up most of the variance of the whole course, and a loss that still
      falls by half passes for one that stands still. So the best of the window must also be hardly lower than the best
      before it: by less than `STILL_FALLING` of the whole fall.
    - Where the learning rate falls along a schedule, a loss that stands still only says that the rate is too high for
      anything finer: it falls again when the rate does. So the course is not broken off but shortened: the rate falls
      to zero, along the schedule's shape, within the `stop_window` steps that follow.

    Attributes:
        losses: loss at every look so far; the first before any training, where the course can be shortened.
        best_step: step of the lowest loss.
        best_rows: the vectors at that step, on the CPU.
        ratio: the latest variance ratio; 1 until there are looks enough.
        first: step of the first look.
        settled_at: step from which the learning rate falls to its early end, or None.
        last: the cap on steps, or the early end.
    """

    def __init__(self, config: TrainingConfig) -> None:
        assert config.max_steps is not None
        self.config = config
        self.every = config.stop_every
        self.threshold = config.stop_threshold
        self.window = max(3, round(config.stop_window / config.stop_every))
        self.losses: list[float] = []
        self.best_step = 0
        self.best_rows: Rows = {}
        self.ratio = 1.0
        self.settled_at: int | None = None
        self.last = config.max_steps
        # The first chance is after two looks and a window (`add`).
        self.can_shorten = self._end_after((self.window + 1) * self.every) < self.last
        self.first = 0 if self.can_shorten else self.last // 2
        self._looked_at = -1

    def is_due(self, step: int) -> bool:
        """Whether the fixed batch is looked at after `step` steps; a step is never looked at twice."""
        is_time = step == self.last or (step % self.every == 0 and step >= self.first)
        return is_time and step > self._looked_at

    def add(self, step: int, loss: float, rows: Rows) -> bool:
        """Note the loss after `step` steps with these vectors; True means that they no longer change (`end_early`)."""
        if not self.losses or loss < min(self.losses):
            self.best_step, self.best_rows = step, rows
        self.losses.append(loss)
        self._looked_at = step
        # Two looks beside the window: the start, and one after the first fall.
        if not self.can_shorten or self.settled_at is not None:
            return False
        if len(self.losses) < self.window + 2 or step < self.config.warmup_steps:
            return False
        whole = _variance(self.losses)
        before, window = self.losses[: -self.window], self.losses[-self.window :]
        self.ratio = _variance(window) / whole if whole > 0 else 0.0
        gained = min(before) - min(window)
        return self.ratio < self.threshold and gained <= STILL_FALLING * (self.losses[0] - min(self.losses))

    def end_early(self, step: int) -> bool:
        """Shorten the course of a word that no longer changes after `step` steps.

        Returns:
            False for a course that ends as soon anyway: it is left as it is.
        """
        end = self._end_after(step)
        if end >= self.last:
            return False
        self.settled_at, self.last = step, end
        return True

    def _end_after(self, step: int) -> int:
        return step if self.config.lr_scheduler == "constant" else step + self.window * self.every

    def learning_rate(self, step: int) -> float:
        """The learning rate of step `step` (from 0)."""
        if self.settled_at is None or step < self.settled_at:
            return learning_rate_at(step, self.config)
        progress = (step - self.settled_at) / max(1, self.last - self.settled_at)
        left = 1 - progress if self.config.lr_scheduler == "linear" else 0.5 * (1 + math.cos(math.pi * progress))
        return learning_rate_at(self.settled_at, self.config) * left

    def why(self, step: int) -> str:
        """The reason why training ended at `step`, for the user."""
        kept = "the last was" if self.best_step == step else f"kept step {self.best_step},"
        if self.settled_at is None:
            return f"all {step} steps taken; {kept} best on the fixed batch"
        stood = (
            f"the loss on a fixed batch no longer changed at step {self.settled_at} (variance of the last "
            f"{self.window * self.every} steps {self.ratio:.2f} of all, below {self.threshold:g})"
        )
        if self.settled_at == step:
            return f"{stood}; {kept} best"
        return f"{stood}, {step - self.settled_at} more at a falling learning rate; {kept} best"

    def state(self) -> dict[str, torch.Tensor]:
        """Everything needed to go on exactly."""
        out = {f"best.{role}": rows for role, rows in self.best_rows.items()}
        settled = [] if self.settled_at is None else [self.settled_at, self.last]
        return out | {
            "stop_losses": torch.tensor(self.losses, dtype=torch.float64),
            "stop_ratio": torch.tensor([self.ratio], dtype=torch.float64),
            "best_step": torch.tensor([self.best_step]),
            "looked_at": torch.tensor([self._looked_at]),
            "settled": torch.tensor(settled, dtype=torch.int64),
        }

    def load_state(self, state: Mapping[str, torch.Tensor]) -> None:
        """Take up what `state` returned."""
        self.losses = [float(loss) for loss in state["stop_losses"]]
        self.ratio = float(state["stop_ratio"][0])
        self.best_step = int(state["best_step"][0])
        self._looked_at = int(state["looked_at"][0])
        self.best_rows = {key.removeprefix("best."): rows for key, rows in state.items() if key.startswith("best.")}
        settled = [int(step) for step in state["settled"]]
        if settled:
            self.settled_at, self.last = settled


def _variance(values: list[float]) -> float:
    mean = sum(values) / len(values)
    return sum((value - mean) ** 2 for value in values) / len(values)
