"""One pass of several words' samples through the frozen model: micro-batches, shared captions, memory that runs out."""

from __future__ import annotations

import contextlib
import gc
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch

from tiregistry.bases.frozen_layers import streamline
from tiregistry.bases.memory import is_out_of_memory
from tiregistry.errors import DeviceError
from tiregistry.training.caption_states import CaptionStates
from tiregistry.training.dataset import Draw
from tiregistry.training.objective import make_objective
from tiregistry.training.samples import Samples

if TYPE_CHECKING:
    from tiregistry.bases.denoisers import Conditioning
    from tiregistry.bases.loaded import LoadedBase
    from tiregistry.training.word import Word

# Gradients of an fp16 model can fall below its smallest number; a scaled loss keeps them above it. Where the scaled
# ones overflow, the next smaller scale is tried, so the scale of a step depends on nothing but the step.
_FP16_SCALES = (1024.0, 64.0, 4.0, 1.0)


class ModelPass:
    """Runs samples through text encoders and denoiser.

    Attributes:
        objective: the loss.
        notices: what the user should know about memory, for the caller to take away.
    """

    def __init__(self, base: LoadedBase, words: Sequence[Word]) -> None:
        self.base = base
        self.objective = make_objective(base)
        self.notices: list[str] = []
        self._micro_batch = _micro_batch(words)
        self._batch = max(8, sum(word.config.batch_size or 1 for word in words))
        self._captions = CaptionStates(base, words)
        # A compiled denoiser finds out by itself what to keep; a transformer has hardly any such layers.
        compiled = any(word.config.compile for word in words)
        self._spares = compiled or base.is_flow or any(word.config.spare_memory for word in words)
        self._recomputes = any(word.config.gradient_checkpointing for word in words)
        self._uses_onednn = True
        self._denoiser = _prepared_denoiser(base, words)

    def gradients(self, words: Sequence[Word], draws: Sequence[Draw]) -> list[float]:
        """Accumulate the gradients of every word's mean loss, and return these losses.

        A loss that is not finite comes back as it is, with gradients that must not be used.

        Raises:
            DeviceError: memory ran out with a single sample.
        """
        scales = _FP16_SCALES if self.base.dtype == torch.float16 else (1.0,)
        for scale in scales:
            losses, finite = self._retrying(words, draws, scale)
            if all(finite) or scale == scales[-1]:
                break
            _clear(words)
        return [loss if sound else float("nan") for loss, sound in zip(losses, finite, strict=True)]

    @torch.no_grad()
    def losses(self, words: Sequence[Word], draws: Sequence[Draw | None]) -> list[float]:
        """Every word's mean loss, without gradients; 0 for a word without a draw."""
        return self._retrying(words, draws, 0.0)[0]

    def _retrying(
        self, words: Sequence[Word], draws: Sequence[Draw | None], scale: float
    ) -> tuple[list[float], list[bool]]:
        """`_run`, without what does not work here and in less and less memory, until it succeeds."""
        while True:
            try:
                with contextlib.nullcontext() if self._uses_onednn else _without_onednn():
                    return self._run(words, draws, scale)
            except (RuntimeError, MemoryError) as error:
                failed_to_compile = self._denoiser is not self.base.denoiser and _is_of_compiler(error)
                if not failed_to_compile and not is_out_of_memory(error):
                    raise
                lines = str(error).splitlines()[: 2 if failed_to_compile else 1]
                reason = " ".join(line.strip() for line in lines)[:120] or "none is left"
            # Outside the handler: the exception holds the frames, and with them the tensors, of the failed pass.
            _clear(words)
            gc.collect()
            if failed_to_compile:
                self._denoiser = self.base.denoiser
                self.notices.append(f"compile does not work here, training goes on without: {reason}")
                continue
            if self.base.device.type == "cuda":
                torch.cuda.empty_cache()
            total = sum(len(draw) for draw in draws if draw is not None)
            self.notices.append(self._make_do(total, reason, needs_gradients=bool(scale)))

    def _make_do(self, total: int, reason: str, *, needs_gradients: bool) -> str:
        """Need less memory from now on, in the next of several ways; returns what the user should know of it.

        First the denoiser's layers keep less, then the micro-batch is halved, in the end activations are recomputed.

        Args:
            total: samples of the pass that failed.
            reason: what it failed with.

        Raises:
            DeviceError: there is nothing left to do without.
        """
        device = self.base.device
        if "create a primitive" in reason and self._uses_onednn:
            # Once it has had no memory it gets none any more, however small the batch.
            self._uses_onednn = False
            return f"oneDNN gets no memory on {device}: from now on without it, slower; the result is the same"
        if needs_gradients and not self._spares:
            self._spares = True
            streamline(self.base.denoiser, spare_memory=True)
            return (
                f"out of memory on {device}: from now on the denoiser keeps less on the way to the loss "
                "(spare_memory), a few percent slower; the result is the same"
            )
        size = min(self._micro_batch or total, total)
        if size > 1:
            self._micro_batch = (size + 1) // 2
            return (
                f"out of memory on {device}: from now on {self._micro_batch} of {total} samples at once; "
                "the result is the same"
            )
        if needs_gradients and not self._recomputes:
            self._recomputes = True
            checkpoint_activations(self.base)
            self._captions.recompute()
            return (
                f"out of memory on {device} with one sample: from now on activations are recomputed "
                "(gradient checkpointing), about a third slower; the result is the same"
            )
        # What was tried is said here: notices are not heard where a step fails.
        tried = " even with spare_memory and gradient checkpointing" if needs_gradients else ""
        raise DeviceError(
            f"{device} has too little memory for one sample{tried} ({reason})",
            "use a smaller --resolution, or begin with --batch-size 1"
            + (", or use --device cpu" if device.type != "cpu" else ""),
        )

    def _run(self, words: Sequence[Word], draws: Sequence[Draw | None], scale: float) -> tuple[list[float], list[bool]]:
        """Forward over all words' samples in micro-batches, and backward where `scale` is not zero.

        The device is read once, at the end, and written to before anything is queued: in between it never waits for
        Python, nor Python for it.

        Returns:
            Every word's mean loss, and whether its gradients are finite.
        """
        samples = Samples.of(words, draws, self.base.device)
        # The fixed batch of a stopping rule is larger than a step's; it must not need more memory.
        size = self._micro_batch or (len(samples) if scale else self._batch)
        losses = []
        for start in range(0, len(samples), size):
            part = slice(start, start + size)
            told, index = self._captions.encode(words, samples.owner[part], samples.captions[part])
            loss = self._denoise(told if index is None else told[index], samples, part)
            loss = loss * samples.weight[part]
            if scale:
                torch.autograd.backward(loss.sum() * scale)
            losses.append(loss.detach())
        gradients = _gradients(words)
        if scale not in (0.0, 1.0):
            for _, gradient in gradients:
                gradient.div_(scale)
        peaks = [gradient.abs().amax().reshape(1) for _, gradient in gradients]
        read = torch.cat([*losses, *peaks]).cpu()
        totals = torch.zeros(len(words)).index_add_(0, samples.owner, read[: len(samples)])
        finite = [True] * len(words)
        for (owner, _), peak in zip(gradients, read[len(samples) :].tolist(), strict=True):
            finite[owner] &= math.isfinite(peak)
        return totals.tolist(), finite

    def _denoise(self, told: Conditioning, samples: Samples, part: slice) -> torch.Tensor:
        """Losses float32 `[b]` of some samples."""
        latents, noise, timesteps = samples.latents[part], samples.noise[part], samples.timesteps[part]
        noised = self.objective.noised(latents, noise, timesteps).to(self.base.dtype)
        if self.base.device.type == "cuda" and not self.base.is_flow:
            noised = noised.to(memory_format=torch.channels_last)
        # Looks are rare and of another batch size, for which a compiled denoiser would be compiled once more.
        denoiser = self._denoiser if torch.is_grad_enabled() else self.base.denoiser
        predicted = self.base.predict(noised, timesteps, told, denoiser=denoiser)
        masks = None if samples.masks is None else samples.masks[part]
        gammas = None if samples.gammas is None else samples.gammas[part]
        return self.objective.losses(predicted, latents, noise, timesteps, masks, gammas)


def _prepared_denoiser(base: LoadedBase, words: Sequence[Word]) -> Any:
    """The denoiser as training wants it: fast memory layout, layers of few calls, checkpointing, compiled, as asked."""
    denoiser = base.denoiser
    if base.device.type == "cuda" and not base.is_flow:
        denoiser.to(memory_format=torch.channels_last)
    if any(word.config.gradient_checkpointing for word in words):
        checkpoint_activations(base)
    streamline(denoiser, spare_memory=any(word.config.spare_memory for word in words))
    return torch.compile(denoiser) if any(word.config.compile for word in words) else denoiser


@contextlib.contextmanager
def _without_onednn() -> Iterator[None]:
    # Not torch's own context manager, which also sets what it is not asked to, and warns of it.
    torch.backends.mkldnn.enabled = False
    try:
        yield
    finally:
        torch.backends.mkldnn.enabled = True


def _is_of_compiler(error: Exception) -> bool:
    """Whether torch.compile failed, for instance for want of a C++ compiler."""
    from torch._dynamo.exc import TorchDynamoException

    return isinstance(error, TorchDynamoException) and not is_out_of_memory(error)


def checkpoint_activations(base: LoadedBase) -> None:
    """Have denoiser and text encoders recompute their activations on the way back.

    Frozen as they are, they keep all of them on the way from the loss to the text input otherwise.
    """
    base.denoiser.enable_gradient_checkpointing()
    for tower in base.towers:
        _checkpoint_encoder(tower.model)


def _checkpoint_encoder(model: Any) -> None:
    """Let a text encoder recompute its layers, without the dropout that training mode would bring."""
    from transformers.modeling_layers import GradientCheckpointingLayer

    # Newer versions of transformers call it by the first name, and warn of the second.
    enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
    enable({"use_reentrant": False})
    for layer in model.modules():
        if isinstance(layer, GradientCheckpointingLayer):
            layer.training = True  # the layer's own flag, which it asks; its parts stay as they are


def _micro_batch(words: Sequence[Word]) -> int:
    """Samples at once: the smallest that a word asks for; with gradient accumulation one batch of every word."""
    asked = [word.config.micro_batch for word in words if word.config.micro_batch]
    if asked:
        return min(asked)
    if any(word.config.gradient_accumulation > 1 for word in words):
        return sum(word.config.batch_size or 1 for word in words)
    return 0


def _gradients(words: Sequence[Word]) -> list[tuple[int, torch.Tensor]]:
    """Each gradient with the index of its word."""
    return [(i, p.grad) for i, word in enumerate(words) for p in word.vectors.parameters() if p.grad is not None]


def _clear(words: Sequence[Word]) -> None:
    for word in words:
        for parameter in word.vectors.parameters():
            parameter.grad = None
