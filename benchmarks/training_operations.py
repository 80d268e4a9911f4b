"""How many tensor operations one training step takes, part by part, inside the denoiser and outside it.

At a small batch a fast GPU waits for the processor that starts its operations, so what a step costs there is their
number. It can be counted without a GPU: the architecture has all its layers, each but a few channels wide. Operations
are those that reach PyTorch's dispatcher, views included.

draw        pictures, captions, noise and timesteps of the step, on the CPU
text        text encoders forward, with the learned rows looked up
denoiser    forward
back        the way back through denoiser and loss; `text back` that through the text encoders to the rows
update      the optimiser
between     all else: bringing draws to the device, conditions, noising, loss, reading the result

Examples:
  python benchmarks/training_operations.py
  python benchmarks/training_operations.py --base sdxl --recipe classic --batch 4 --words 1 4
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

os.environ.setdefault("HF_HUB_OFFLINE", "1")
ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]
PARTS = ("draw", "text", "denoiser", "back", "text back", "update", "between")
SIDE = 128
STEPS = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", choices=("sd15", "sdxl"), default="sd15")
    parser.add_argument("--recipe", choices=("direction", "classic"), default="direction")
    parser.add_argument("--batch", type=int, nargs="*", default=[1, 4])
    parser.add_argument("--words", type=int, nargs="*", default=[1])
    arguments = parser.parse_args()
    import warnings

    import torch
    from transformers.utils import logging

    from benchmarks.random_models import random_base
    from tiregistry.bases.loading import load_base

    warnings.simplefilter("ignore")
    logging.disable_progress_bar()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        base = load_base(str(random_base(Path(scratch), arguments.base, narrow=True)), device="cpu", precision="fp32")
        print(f"operations of a step, {arguments.base}, recipe {arguments.recipe}")
        print(f"{'words':>5} {'batch':>5} " + " ".join(f"{part:>9}" for part in PARTS) + "   outside the denoiser")
        with Counting(base) as counting:
            for count in arguments.words:
                for batch in arguments.batch:
                    found = counting.of_a_step(_words(base, arguments.recipe, batch, count))
                    outside = sum(found[part] for part in PARTS if part not in ("denoiser", "back"))
                    share = outside / (found["denoiser"] + found["back"])
                    numbers = " ".join(f"{found[part]:>9.0f}" for part in PARTS)
                    print(f"{count:>5} {batch:>5} {numbers}   {outside:.0f}, {share:.0%} of what is inside", flush=True)


def _words(base: Any, recipe: str, batch: int, count: int) -> list[Any]:
    from PIL import Image

    from tiregistry.training.config import TrainingConfig
    from tiregistry.training.dataset import encode_pictures
    from tiregistry.training.starting import start_vectors
    from tiregistry.training.word import Word
    from tiregistry.training.wording import Wording

    pictures = [Image.new("RGB", (SIDE, SIDE), colour) for colour in ("red", "green", "blue", "white")]
    words = []
    for number in range(count):
        config = TrainingConfig(
            recipe=recipe,  # type: ignore[arg-type]
            initializer="object",
            batch_size=batch,
            max_steps=1 + STEPS,
            stopping="none",
            seed=number,
        ).resolved(embedded=False)
        vectors, rows = start_vectors(base, config)
        latents = encode_pictures(base, pictures, SIDE, flip=True)
        wording = Wording.build(config, [""] * len(pictures), f"<word{number}>")
        words.append(Word(f"word{number}", vectors, latents, wording, config, rows))
    return words


class Counting:
    """Counts what reaches the dispatcher while words learn, by the part of the step it belongs to."""

    def __init__(self, base: Any) -> None:
        self._base = base
        self._part = "between"
        self._counts: Counter[str] = Counter()
        self._undo: list[Callable[[], None]] = []

    def __enter__(self) -> Self:
        import torch

        import tiregistry.training.loop as loop
        from tiregistry.training.frozen_encoder import FrozenEncoder
        from tiregistry.training.vectors import DirectionVectors, FreeVectors

        self._mark(loop, "draw", "draw")
        self._mark(self._base.denoiser, "forward", "denoiser")
        self._mark(FrozenEncoder, "encode", "text")
        self._mark(DirectionVectors, "update", "update")
        self._mark(FreeVectors, "update", "update")
        self._mark(torch.autograd, "backward", "back")
        join = type(self._base).join

        def joined(base: Any, encoded: Any) -> Any:
            told = join(base, encoded)
            if told.states.requires_grad:
                # The gradient of what the denoiser is told is ready: what follows is the text encoders'.
                told.states.register_hook(lambda _: setattr(self, "_part", "text back"))
            return told

        self._replace(type(self._base), "join", joined)
        return self

    def __exit__(self, *_: object) -> None:
        for undo in reversed(self._undo):
            undo()

    def of_a_step(self, words: list[Any]) -> dict[str, float]:
        """Mean operations of a step, the first one left out."""
        from torch.utils._python_dispatch import TorchDispatchMode

        from tiregistry.training.loop import learn

        counts = self._counts
        owner = self

        class Noting(TorchDispatchMode):
            def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
                counts[owner._part] += 1
                return function(*args, **kwargs or {})

        steps = learn(self._base, words)
        next(steps)
        counts.clear()
        with Noting():
            for _ in steps:
                pass
        return {part: counts[part] / STEPS for part in PARTS}

    def _mark(self, owner: Any, name: str, part: str) -> None:
        function = getattr(owner, name)

        def marked(*args: Any, **kwargs: Any) -> Any:
            before, self._part = self._part, part
            try:
                return function(*args, **kwargs)
            finally:
                self._part = before

        self._replace(owner, name, marked)

    def _replace(self, owner: Any, name: str, value: Any) -> None:
        before = getattr(owner, name)
        setattr(owner, name, value)
        self._undo.append(lambda: setattr(owner, name, before))


if __name__ == "__main__":
    main()
