"""The pictures of docs/embedded-model.md, cut from the grids of a measurement: all of them, and the worst of them.

python -m tools.embedded_base.showcase --measured DIR --styles DIR --target docs/images
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from tools.embedded_base.concepts import MORE_STYLES, TEST_STYLES, TEST_THINGS
from tools.embedded_base.measure import read_results
from tools.embedded_base.pictures import grid

SIZE, ZOOM, GAP = 64, 2, 2
# Row and column in the grid that `measure` saves for a thing.
SHOWN = ((0, 0), (0, 4), (1, 0), (1, 1), (2, 0), (2, 2), (2, 4), (3, 0), (3, 4), (3, 6), (4, 0))
"""A source; the initializer; the word twice; beach, snow, night; oil painting, pixel art, cartoon; a learned style."""


FAILED = (*((0, i) for i in range(4)), *((1, i) for i in range(8)), (3, 2), (3, 4), (3, 6))
"""Sources; the word alone, every picture that was drawn; watercolour, pixel art, cartoon."""
WORST = 4
STYLED = (*((0, i) for i in range(4)), *((0, i) for i in range(4, 8)), *((1, i) for i in range(4)))
"""The sources; four known things in the style of the initializer, and in the learned style."""


def cells(path: Path) -> np.ndarray:
    """A saved grid as (rows, columns, 64, 64, 3) uint8."""
    pixels = np.asarray(Image.open(path).convert("RGB"))[::ZOOM, ::ZOOM]
    rows, columns = pixels.shape[0] // SIZE, pixels.shape[1] // SIZE
    return pixels.reshape(rows, SIZE, columns, SIZE, 3).swapaxes(1, 2)


def _save(pictures: np.ndarray, columns: int, path: Path) -> None:
    framed = np.pad(pictures, ((0, 0), (0, GAP), (0, GAP), (0, 0)), constant_values=255)
    image = Image.fromarray(grid(framed, columns))
    image.quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.FLOYDSTEINBERG).save(path, optimize=True)
    print(f"{path}: {image.width} x {image.height}, {path.stat().st_size // 1024} KiB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measured", type=Path, required=True, help="--out of the measurement")
    parser.add_argument("--styles", type=Path, required=True, help="--out of the measurement of all styles")
    parser.add_argument("--target", type=Path, required=True)
    arguments = parser.parse_args()
    unseen = cells(arguments.measured / "prompts_never_trained.png")
    _save(unseen.reshape(-1, SIZE, SIZE, 3), 12, arguments.target / "embedded-unseen.png")
    drawn = {t.name: cells(arguments.measured / "grids" / f"thing_{t.name}_0.png") for t in TEST_THINGS}
    learned = [cell[place] for cell in drawn.values() for place in SHOWN]
    _save(np.stack(learned), len(SHOWN), arguments.target / "embedded-learned.png")
    results = read_results(arguments.measured)
    worst = sorted(drawn, key=lambda name: results[f"{name} 0"]["judge_gap_closed"])[:WORST]
    failed = [drawn[name][place] for name in worst for place in FAILED]
    _save(np.stack(failed), len(FAILED), arguments.target / "embedded-failures.png")
    print("worst:", *worst)
    names = [style.name for style in TEST_STYLES + MORE_STYLES]
    grids = [cells(arguments.styles / "grids" / f"style_{name}_0.png") for name in names]
    _save(
        np.stack([g[place] for g in grids for place in STYLED]), len(STYLED), arguments.target / "embedded-styles.png"
    )


if __name__ == "__main__":
    main()
