"""What the device is that models would run on: its name, its memory, and how fast it is, roughly.

`python -m tiregistry.bases.device_facts [WANTED]` prints it as JSON, for a front end that must not load torch itself.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict, dataclass
from typing import Any

from tiregistry.errors import TiregError
from tiregistry.quantities import count

# Dense peak in half precision, in TFLOP/s, as the makers state it; the first name that occurs in the device's counts.
_PEAKS = (
    ("H200", 990), ("H100", 990), ("B200", 2250), ("A100", 312), ("L40", 181), ("A40", 150), ("A6000", 155),
    ("A10", 125), ("L4", 121), ("V100", 125), ("T4", 65), ("5090", 210), ("4090", 165), ("4080", 97), ("4070", 58),
    ("4060", 30), ("3090", 71), ("3080", 60), ("3070", 41), ("3060", 25), ("2080", 45), ("2070", 36), ("2060", 26),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Device:
    """A device.

    Attributes:
        kind: `cpu`, `cuda` or `mps`.
        precision: `fp32`, `bf16` or `fp16`: what the frozen parts are kept in where nothing is said.
        free_memory: bytes that are free now, 0 where it is not known.
        flops: about how many floating-point operations a second it reaches in large products; 0: not known.
    """

    kind: str
    name: str
    precision: str
    free_memory: int = 0
    flops: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """JSON data; `Device(**data)` is its inverse."""
        return asdict(self)

    @property
    def label(self) -> str:
        """The device in words."""
        return self.name if self.kind == "cpu" else f"{self.kind} · {self.name}"


def look_at_device(wanted: str = "auto") -> Device:
    """Look at the device that `wanted` means here. Imports torch.

    Raises:
        InvalidConfig: it does not exist here.
    """
    from tiregistry.bases.devices import choose_device, choose_dtype

    device = choose_device(wanted)
    names = {"torch.float32": "fp32", "torch.bfloat16": "bf16", "torch.float16": "fp16"}
    precision = names[str(choose_dtype("auto", device))]
    if device.type == "cuda":
        import torch

        free, _ = torch.cuda.mem_get_info(device)
        name = torch.cuda.get_device_name(device)
        peak = next((peak for part, peak in _PEAKS if part in name), 0)
        return Device("cuda", name, precision, free, peak * 1e12)
    free = _free_memory()
    if device.type == "mps":
        return Device("mps", "Apple GPU", precision, free)
    threads = _threads()
    return Device("cpu", f"CPU, {count(threads, 'thread')}", precision, free, _measured())


def _threads() -> int:
    import torch

    return int(torch.get_num_threads())


def _measured() -> float:
    """Floating-point operations a second of a matrix product: the best of a moment, in which threads have to wake."""
    import torch

    a = torch.ones(512, 512)
    a @ a
    best, end = 0.0, time.perf_counter() + 0.3
    while (start := time.perf_counter()) < end:
        a @ a
        best = max(best, 2 * 512**3 / max(1e-9, time.perf_counter() - start))
    return best


def _free_memory() -> int:
    """Free main memory in bytes; 0 where the system does not say."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            facts = dict(line.split(":", 1) for line in file)
        return int(facts["MemAvailable"].split()[0]) * 1024
    except (OSError, ValueError, KeyError):
        return 0


def main() -> int:
    """Print the device as JSON, or what is wrong with it."""
    try:
        print(json.dumps(look_at_device(sys.argv[1] if len(sys.argv) > 1 else "auto").as_dict()))
    except TiregError as error:
        print(error, file=sys.stderr)
        return int(error.exit_code)
    return 0


if __name__ == "__main__":
    sys.exit(main())
