"""Which device and precision a base model gets, and what a user should know about the choice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiregistry.errors import InvalidConfig
from tiregistry.text import safe

if TYPE_CHECKING:
    import torch

PRECISIONS = ("auto", "fp32", "bf16", "fp16")


def choose_device(wanted: str = "auto") -> torch.device:
    """The torch device to use: `auto` takes cuda, then mps, then cpu.

    Raises:
        InvalidConfig: the named device does not exist here.
    """
    import torch

    if wanted in ("", "auto"):
        if torch.cuda.is_available():
            return torch.device("cuda")
        if torch.backends.mps.is_available():
            return torch.device("mps")
        return torch.device("cpu")
    try:
        device = torch.device(wanted)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InvalidConfig(
            f"device {wanted!r} cannot be used here: {safe(str(error).splitlines()[0], limit=160)}", "try --device cpu"
        ) from None
    return device


def choose_dtype(precision: str, device: torch.device) -> torch.dtype:
    """The dtype of the frozen parts: `auto` is bf16 on a GPU that computes in it (else fp16), and fp32 on a CPU.

    Raises:
        InvalidConfig: unknown precision, or fp16 on a CPU (its kernels overflow to NaN there).
    """
    import torch

    if precision not in PRECISIONS:
        raise InvalidConfig(f"unknown precision {precision!r}", f"one of: {', '.join(PRECISIONS)}")
    if precision == "auto":
        if device.type == "cuda":
            return torch.bfloat16 if computes_in_bf16(device) else torch.float16
        return torch.float16 if device.type == "mps" else torch.float32
    if precision == "fp16" and device.type == "cpu":
        raise InvalidConfig("fp16 does not work on a CPU", "use --precision fp32 or bf16")
    return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]


def computes_in_bf16(device: torch.device) -> bool:
    """Whether a device has instructions for bf16; without them it is emulated, many times slower than fp32."""
    import torch

    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        try:
            return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
        except (AttributeError, RuntimeError):
            return False
    return True


def precision_note(dtype: torch.dtype, device: torch.device) -> str:
    """What a user should know about a precision on a device, in one line; empty when there is nothing to say."""
    import torch

    if dtype == torch.bfloat16 and not computes_in_bf16(device):
        what = "CPU" if device.type == "cpu" else "GPU"
        return f"this {what} only emulates bf16: expect several times the time of --precision fp32"
    return ""
