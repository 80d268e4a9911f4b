"""Grids of pictures as PNG files."""

from pathlib import Path

import numpy as np
from PIL import Image


def grid(pictures: np.ndarray, columns: int) -> np.ndarray:
    """(n, h, w, 3) uint8 -> one picture, row by row; the last row is filled up with white."""
    missing = -len(pictures) % columns
    if missing:
        pictures = np.concatenate([pictures, np.full((missing, *pictures.shape[1:]), 255, np.uint8)])
    rows = [np.concatenate(list(pictures[i : i + columns]), 1) for i in range(0, len(pictures), columns)]
    return np.concatenate(rows, 0)


def save_grid(pictures: np.ndarray, columns: int, path: Path, zoom: int = 2) -> None:
    """Saves a grid, every pixel `zoom` pixels wide."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(grid(pictures, columns))
    image.resize((image.width * zoom, image.height * zoom), Image.Resampling.NEAREST).save(path)
