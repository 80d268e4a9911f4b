"""Which device and precision a base model gets, and what a user should know about the choice."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tiregistry.errors import InvalidConfig
from tiregistry.text import safe

if TYPE_CHECKING:
    import torch

PRECISIONS = ("auto", "fp32", "bf16", "fp16")


_KINDS = ("cpu", "cuda", "mps", "xpu")


def refuse_device(wanted: str, precision: str = "auto") -> None:
    """Refuse what is known to be impossible here without importing torch, which takes seconds.

    What passes may still be refused by `choose_device` and `choose_dtype`.

    Raises:
        InvalidConfig: an unknown kind of device, one for which this torch is not built, or fp16 on a CPU.
    """
    kind, _, number = (wanted or "auto").partition(":")
    if kind != "auto":
        if kind not in _KINDS or (":" in wanted and not number.isdecimal()):
            raise _unusable(wanted, f"devices are {', '.join(_KINDS)}, or cuda:1 and the like")
        if kind == "mps" and sys.platform != "darwin":
            raise _unusable(wanted, "mps is for macOS")
        if kind == "cuda" and not _torch_knows_gpus():
            raise _unusable(wanted, "torch is installed without CUDA")
    without_gpu = kind == "auto" and sys.platform != "darwin" and not _torch_knows_gpus()
    if precision == "fp16" and (kind == "cpu" or without_gpu):
        raise _fp16_on_cpu()


def _torch_knows_gpus() -> bool:
    """Whether the installed torch is built for CUDA or ROCm; True where it does not say."""
    found = importlib.util.find_spec("torch")
    if found is None or not found.submodule_search_locations:
        return True
    try:
        text = (Path(found.submodule_search_locations[0]) / "version.py").read_text(encoding="utf-8")
    except OSError:
        return True
    built_for = re.findall(r"^(?:cuda|hip)\b.*=\s*(\S+)\s*$", text, re.MULTILINE)
    return not built_for or any(version != "None" for version in built_for)


def _fp16_on_cpu() -> InvalidConfig:
    return InvalidConfig("fp16 does not work on a CPU", "use --precision fp32 or bf16")


def _unusable(wanted: str, why: str) -> InvalidConfig:
    return InvalidConfig(f"device {wanted!r} cannot be used here: {safe(why, limit=160)}", "try --device cpu")


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
        raise _unusable(wanted, str(error).splitlines()[0]) from None
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
        raise _fp16_on_cpu()
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
