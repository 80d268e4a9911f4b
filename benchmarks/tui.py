"""How fast the terminal UI is: first frame by size of the registry, key to paint, bytes and time per picture.

python benchmarks/tui.py                  # everything; a few minutes
python benchmarks/tui.py frames keys      # parts: frames, keys, pictures

Times depend on what else the machine does: the load average is printed with them.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "cli"), str(ROOT / "tui")]

_FIRST_FRAME = """
import time; began = time.perf_counter()
import asyncio, json, sys
sys.path[:0] = json.loads(sys.argv[1])
from pathlib import Path
from tireg_tui.app import TiregApp
from tireg_tui.widgets.concept_table import ConceptTable
async def main():
    app = TiregApp(home=Path(sys.argv[2]))
    async with app.run_test(size=(120, 36)) as pilot:
        first = time.perf_counter() - began
        while not app.screen.query(ConceptTable) or not app.screen.query_one(ConceptTable).names:
            await asyncio.sleep(0.001)
        print(json.dumps([first, time.perf_counter() - began]))
asyncio.run(main())
"""


def registry_of(folder: Path, count: int) -> Path:
    """A registry of `count` concepts."""
    from tiregistry.registry.registry import Registry

    with Registry.open(folder) as registry, registry.database.write():
        for number in range(count):
            registry.create_concept(f"word-{number:05d}", f"<word-{number:05d}>", "object")
    return folder


def frames(folder: Path) -> None:
    """From the start of the interpreter to the first frame, and to the first rows."""
    for count in (10, 1000, 10000):
        home = registry_of(folder / str(count), count)
        found = []
        for _ in range(3):
            path = json.dumps(sys.path[:3])
            command = [sys.executable, "-c", _FIRST_FRAME, path, str(home)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            found.append(json.loads(done.stdout.splitlines()[-1]))
        first, rows = (min(values) for values in zip(*found, strict=True))
        print(f"{count:>6} concepts: first frame {first:.2f} s, first rows {rows:.2f} s (best of 3)")


def keys(folder: Path) -> None:
    """From a key to the painted cursor, while another process writes into the registry."""
    home = registry_of(folder / "keys", 1000)
    writer = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import json, sys, time; sys.path[:0] = json.loads(sys.argv[1])\n"
            "from pathlib import Path\nfrom tiregistry.registry.registry import Registry\n"
            "registry = Registry.open(Path(sys.argv[2]))\n"
            "run = registry.create_run('word-00001', {}, 1000)\n"
            "for step in range(100000):\n"
            "    registry.update_run(run.id, step=step, loss=1 / (step + 1), heartbeat_at=time.time())\n"
            "    time.sleep(0.05)\n",
            json.dumps(sys.path[:3]),
            str(home),
        ]
    )

    async def measure() -> list[float]:
        from tireg_tui.app import TiregApp
        from tireg_tui.widgets.concept_table import ConceptTable

        app = TiregApp(home=home)
        found = []
        async with app.run_test(size=(120, 36)) as pilot:
            while not app.screen.query(ConceptTable) or not app.screen.query_one(ConceptTable).names:
                await asyncio.sleep(0.01)
            for number in range(60):
                before = time.perf_counter()
                await pilot.press("j" if number % 20 < 15 else "k")
                found.append(time.perf_counter() - before)
                await asyncio.sleep(0.02)
        return found

    try:
        found = sorted(asyncio.run(measure()))
    finally:
        writer.kill()
        writer.wait()
    print(f"key to paint: median {statistics.median(found) * 1e3:.0f} ms, 95 % {found[-4] * 1e3:.0f} ms (60 keys)")


def pictures() -> None:
    """Encoding of one picture of 512 x 512 pixels."""
    from PIL import Image

    from tiregistry.graphics import kitty
    from tiregistry.graphics.halfblocks import halfblocks
    from tiregistry.graphics.sixel import sixel

    ramp = Image.linear_gradient("L").resize((512, 512))
    image = Image.merge("RGB", (ramp, ramp.rotate(90), Image.effect_noise((512, 512), 40)))
    ways = {
        "kitty": lambda: "".join(kitty.transmit(image, 1)),
        "sixel, 256 colours": lambda: sixel(image),
        "sixel, 64 colours": lambda: sixel(image, 64),
        "half blocks, 64 x 32 cells": lambda: "\n".join(halfblocks(image, 64, 32)),
    }
    for name, encode in ways.items():
        seconds = []
        for _ in range(3):
            before = time.perf_counter()
            data = encode()
            seconds.append(time.perf_counter() - before)
        print(f"{name:<28} {len(data.encode()) / 1024:7.0f} KiB {min(seconds) * 1e3:7.0f} ms")


def main(parts: list[str]) -> None:
    """Print what was asked for."""
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    with tempfile.TemporaryDirectory() as folder:
        for part in parts or ["frames", "keys", "pictures"]:
            if part == "frames":
                frames(Path(folder))
            elif part == "keys":
                keys(Path(folder))
            elif part == "pictures":
                pictures()
            else:
                raise SystemExit(f"no part is named {part!r}: frames, keys, pictures")


if __name__ == "__main__":
    main(sys.argv[1:])
