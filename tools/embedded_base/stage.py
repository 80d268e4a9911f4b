"""One training stage: learning rate over time, workers, averaged weights, atomic checkpoints, log lines, resuming."""

import contextlib
import ctypes
import math
import os
import time
import zlib
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

Losses = dict[str, torch.Tensor]
"""Scalars to log; the one called `loss` is minimised."""

CHECKPOINT_SECONDS = 240
LOG_SECONDS = 20
FIRST_LOOK = 20
"""Steps after which the first log line is written: a loss that is no number shall not use up a budget."""
BAD_SHARE = 0.5
"""Steps between two log lines that may be left out because their gradients were no numbers."""
AVERAGE_EVERY = 4


def pick_device(name: str | None = None) -> torch.device:
    """The device asked for, otherwise cuda when there is one."""
    return torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))


def keep_freed_memory() -> None:
    """Tells glibc not to return large blocks to the system: page faults cost a tenth of a CPU step otherwise."""
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(-4, 0)  # M_MMAP_MAX
        libc.mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD


def reduced_precision(device: torch.device) -> contextlib.AbstractContextManager[None]:
    """bf16 autocast where the device computes in it, about twice as fast as float32.

    A CPU without such instructions emulates them, eight times slower than float32.
    """
    native = device.type != "cpu" or torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return torch.autocast(device.type, torch.bfloat16, enabled=native)


def save_atomically(state: object, path: Path) -> None:
    """A reader finds the old file or the new one, never half of one."""
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    os.replace(partial, path)


class Stage:
    """Trains `modules` for `minutes` in all, counted over every start, and keeps `work/<name>.pt` up to date.

    The checkpoint holds `model` (raw weights by module), `average` (averaged weights by module), `optimizer`, `step`,
    `seconds` and `extra`; only `average` is used by later stages.

    On CPUs the stage runs one single-threaded process per core, all stepping the same weights in shared memory without
    locks: that wastes no time at barriers, and a busy core slows one worker instead of all threads. Every worker keeps
    moments of its own. Batches must be drawn with `stage.rng`, which differs between workers.
    """

    def __init__(
        self,
        name: str,
        work: Path,
        minutes: float,
        device: torch.device,
        modules: dict[str, nn.Module],
        learning_rate: float,
        seed: int,
        *,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.01,
        warm_up: int = 50,
        hold: float = 0.0,
        floor: float = 0.02,
        average_decay: float = 0.992,
        extra: dict[str, object] | None = None,
    ) -> None:
        self.name, self.path, self.budget, self.device = name, work / f"{name}.pt", minutes * 60, device
        self.modules, self.learning_rate = modules, learning_rate
        self.warm_up, self.hold, self.floor, self.average_decay = warm_up, hold, floor, average_decay
        self.parameters = [p for module in modules.values() for p in module.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(
            self.parameters, learning_rate, betas=betas, weight_decay=weight_decay, fused=True
        )
        self.step, self.seconds, self.extra = 0, 0.0, extra or {}
        if self.path.exists():
            self._resume()
        else:
            self.average = {key: self._copy(module) for key, module in modules.items()}
        self._seed = [seed, zlib.crc32(name.encode()), self.step]
        self.rng = np.random.default_rng(self._seed)
        torch.manual_seed(int(self.rng.integers(2**31)))

    @staticmethod
    def _copy(module: nn.Module) -> dict[str, torch.Tensor]:
        return {name: value.detach().clone() for name, value in module.state_dict().items()}

    def _resume(self) -> None:
        state = torch.load(self.path, map_location=self.device, weights_only=False)
        for key, module in self.modules.items():
            module.load_state_dict(state["model"][key])
        self.average, self.step, self.seconds = state["average"], state["step"], state["seconds"]
        if state["optimizer"] is not None:  # carried from another machine: the moments stayed behind
            self.optimizer.load_state_dict(state["optimizer"])
        self.extra = {**self.extra, **state["extra"]}
        print(f"{self.name}: resumed at step {self.step} after {self.seconds:.0f} s", flush=True)

    def save(self) -> None:
        """Writes the checkpoint."""
        state = {
            "model": {key: module.state_dict() for key, module in self.modules.items()},
            "average": self.average,
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
            "extra": self.extra,
        }
        save_atomically(state, self.path)

    def rate_at(self, progress: float) -> float:
        """Learning rate: warm-up by steps, a plateau for `hold` of the time, then half a cosine down to `floor`."""
        fall = max(0.0, progress - self.hold) / (1 - self.hold)
        return (
            self.learning_rate
            * min(1.0, (self.step + 1) / self.warm_up)
            * (self.floor + (1 - self.floor) * 0.5 * (1 + math.cos(math.pi * fall)))
        )

    @torch.no_grad()
    def _update_average(self) -> None:
        decay = min(self.average_decay, self.step / (self.step + 60.0))
        averages, values = [], []
        for key, module in self.modules.items():
            for name, value in module.state_dict().items():
                if value.is_floating_point():
                    averages.append(self.average[key][name])
                    values.append(value)
                else:
                    self.average[key][name].copy_(value)
        torch._foreach_lerp_(averages, values, 1 - decay)

    def _show(self, milestone: Callable[[int], None]) -> None:
        """Calls `milestone` while the modules wear their averaged weights, in eval mode.

        The raw weights stay where they are: workers may be stepping them.
        """
        raw = [parameter.data for parameter in self.parameters]
        for key, module in self.modules.items():
            for name, parameter in module.named_parameters():
                parameter.data = self.average[key][name]
            module.eval()
        try:
            milestone(self.step)
        finally:
            for parameter, data in zip(self.parameters, raw, strict=True):
                parameter.data = data
            for module in self.modules.values():
                module.train()

    def _share(self) -> None:
        """Moves all weights into memory that forked workers see; their strides stay as they are."""
        for parameter in self.parameters:
            shared = torch.empty(parameter.numel(), dtype=parameter.dtype).share_memory_()
            view = shared.as_strided(parameter.size(), parameter.stride())
            view.copy_(parameter.data)
            parameter.data = view

    def _one_step(
        self, batch_losses: Callable[[], Losses], after_step: Callable[[], None] | None, seconds: float
    ) -> tuple[Losses, torch.Tensor]:
        """The losses, and 1.0 where the step was left out because its gradients were no numbers."""
        rate = self.rate_at(min(1.0, seconds / self.budget))
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        losses = batch_losses()
        self.optimizer.zero_grad()
        losses["loss"].backward()
        norm = nn.utils.clip_grad_norm_(self.parameters, 1.0)
        # What the fused optimiser reads to leave a step out, without waiting for the device to answer.
        bad = (~norm.isfinite()).float().to(norm.device)
        self.optimizer.grad_scale, self.optimizer.found_inf = None, bad
        self.optimizer.step()
        if after_step:
            after_step()
        return losses, bad

    def _assist(
        self,
        number: int,
        shared: torch.Tensor,
        batch_losses: Callable[[], Losses],
        after_step: Callable[[], None] | None,
    ) -> None:
        """A forked worker: steps until the first process ends; `shared` is [seconds, finished, steps ...]."""
        parent = os.getppid()
        self.rng = np.random.default_rng([*self._seed, number])
        torch.manual_seed(int(self.rng.integers(2**31)))
        while not shared[1] and os.getppid() == parent:
            self._one_step(batch_losses, after_step, float(shared[0]))
            self.step += 1
            shared[1 + number] += 1

    def _fork(
        self, count: int, batch_losses: Callable[[], Losses], after_step: Callable[[], None] | None
    ) -> torch.Tensor:
        shared = torch.zeros(count + 1, dtype=torch.float64).share_memory_()
        shared[0] = self.seconds
        for number in range(1, count):
            if os.fork() == 0:
                status = 1
                try:
                    self._assist(number, shared, batch_losses, after_step)
                    status = 0
                finally:
                    os._exit(status)
        return shared

    def run(
        self,
        batch_losses: Callable[[], Losses],
        batch_size: int,
        *,
        after_step: Callable[[], None] | None = None,
        milestone: Callable[[int], None] | None = None,
        milestone_minutes: float = 5.0,
        compiled: bool = False,
    ) -> None:
        """Steps until the time is used up. `after_step` may repair weights; `milestone` sees the averaged weights."""
        workers = max(1, torch.get_num_threads()) if self.device.type == "cpu" else 1
        if workers > 1:
            torch.set_num_threads(1)
            self._share()
        if compiled:
            batch_losses()["loss"].backward()  # compiles before the fork, once for all workers
        shared = self._fork(workers, batch_losses, after_step)
        sums: dict[str, torch.Tensor | float] = defaultdict(float)
        own, first_step, logged_step = 0, self.step, self.step
        counted, left_out = 0, torch.zeros((), device=self.device)
        last = logged = saved = time.monotonic()
        next_milestone = self.seconds + milestone_minutes * 60
        while self.seconds < self.budget:
            losses, bad = self._one_step(batch_losses, after_step, self.seconds)
            own += 1
            self.step = first_step + own + int(shared[2:].sum())
            if own % AVERAGE_EVERY == 0:
                self._update_average()
            for key, value in losses.items():  # read when logged: a GPU must not be waited for at every step
                sums[key] += value.detach().nan_to_num(posinf=0.0, neginf=0.0)
            left_out += bad
            counted += 1
            now = time.monotonic()
            self.seconds, last = self.seconds + now - last, now
            shared[0] = self.seconds
            if own == FIRST_LOOK or now - logged > LOG_SECONDS:
                good = counted - int(left_out)
                if good < (1 - BAD_SHARE) * counted:
                    shared[1] = 1
                    raise SystemExit(
                        f"{self.name}: {counted - good} of {counted} steps before step {self.step} had gradients that"
                        f" are no numbers; {self.path.name} keeps what was saved before"
                    )
                numbers = " ".join(f"{key} {float(value) / good:.4f}" for key, value in sums.items())
                numbers += f" ({counted - good} steps left out)" if good < counted else ""
                rate = (self.step - logged_step) * batch_size / (now - logged)
                learning_rate = self.optimizer.param_groups[0]["lr"]
                left = self.budget - self.seconds
                print(
                    f"{self.name}: step {self.step} {numbers} lr {learning_rate:.1e}"
                    f" {rate:.0f} img/s, {left:.0f} s left",
                    flush=True,
                )
                sums.clear()
                left_out.zero_()
                counted, logged, logged_step = 0, now, self.step
            if milestone and self.seconds >= next_milestone:
                next_milestone += milestone_minutes * 60
                self._show(milestone)
            if now - saved > CHECKPOINT_SECONDS:
                self.save()
                saved = now
        shared[1] = 1
        self.save()
        if milestone:
            self._show(milestone)
        print(f"{self.name}: done, {self.step} steps in {self.seconds:.0f} s", flush=True)


def load_average(work: Path, name: str, key: str) -> dict[str, torch.Tensor]:
    """The averaged weights of one module of a stage that has run."""
    path = work / f"{name}.pt"
    if not path.exists():
        raise SystemExit(f"{path} is missing: run --stage {name} first")
    return torch.load(path, map_location="cpu", weights_only=False)["average"][key]
