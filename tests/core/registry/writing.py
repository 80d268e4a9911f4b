"""A process that makes many changes to a shared registry.

python -m tests.core.registry.writing HOME NUMBER WRITES
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.core.registry.making import add_version
from tiregistry.registry.registry import Registry


def main(home: Path, number: int, writes: int) -> None:
    """Make exactly `writes` changes, of which every second one is a version, half of them in a shared concept."""
    with Registry.open(home) as registry:
        registry.create_concept(f"own-{number}", f"<own-{number}>", "object")
        run = registry.create_run("shared", {"writer": number}, writes)
        done = 2
        seed = number * 10_000
        while done < writes:
            seed += 1
            kind = done % 6
            if kind % 2 == 0:
                add_version(registry, "shared" if kind < 3 else f"own-{number}", seed, images=seed % 2)
            elif kind == 1:
                registry.set_alias(f"own-{number}", f"a-{done}") if registry.concept(
                    f"own-{number}"
                ).num_versions else registry.tag(f"own-{number}", add=["waiting"])
            elif kind == 3:
                registry.update_run(run.id, step=done)
            else:
                registry.tag("shared", add=[f"w{number}-{done}"])
            done += 1


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
