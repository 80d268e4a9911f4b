"""The rendered training set on disk: pictures, what they show, and the points their names are mapped from."""

import json
import os
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch

from tools.embedded_base.world.backgrounds import CONTEXTS, SIZE
from tools.embedded_base.world.media import Style, style_vector
from tools.embedded_base.world.palette import COLOURS
from tools.embedded_base.world.scenes import MEDIUM_SHARE, Scene, draw_scene, sample_scene
from tools.embedded_base.world.things import KINDS, name_size, name_vector

MEDIA_NAMES = tuple(MEDIUM_SHARE)
ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "kind": KINDS,
    "colour": COLOURS,
    "context": tuple(CONTEXTS),
    "medium": MEDIA_NAMES,
}
"""What a judge can read from a picture, with the possible answers; the columns of `labels.npy` in this order."""

CHUNK = 1000


def scene_at(seed: int, index: int) -> tuple[Scene, np.random.Generator]:
    """The scene of picture `index` and the generator in the state in which it draws that picture."""
    rng = np.random.default_rng([seed, index])
    return sample_scene(rng), rng


def scene_labels(scene: Scene) -> list[int]:
    """Indices into `ATTRIBUTES`."""
    values = (scene.thing.kind, scene.thing.colour, scene.context, scene.medium)
    return [answers.index(value) for answers, value in zip(ATTRIBUTES.values(), values, strict=True)]


def _render_chunk(folder: str, seed: int, first: int, count: int) -> int:
    root = Path(folder)
    pictures = np.load(root / "pictures.npy", mmap_mode="r+")
    labels = np.load(root / "labels.npy", mmap_mode="r+")
    names = np.load(root / "names.npy", mmap_mode="r+")
    styles = np.load(root / "styles.npy", mmap_mode="r+")
    for i in range(first, first + count):
        scene, rng = scene_at(seed, i)
        pictures[i] = draw_scene(scene, rng)
        labels[i] = scene_labels(scene)
        names[i] = name_vector(scene.thing)
        styles[i] = style_vector(scene.style)
    return count


def render(folder: Path, count: int, seed: int) -> None:
    """Writes pictures.npy (count, 64, 64, 3) uint8, labels.npy (count, 4) uint8, names.npy and styles.npy float16.

    Every picture depends on the seed and its index only, so neither the number of processes nor `count` changes it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    done_file = folder / "rendered.json"
    wanted = {"count": count, "seed": seed}
    if done_file.exists() and json.loads(done_file.read_text()) == wanted:
        print(f"render: {count} pictures are there already")
        return
    shapes = {
        "pictures": ((count, SIZE, SIZE, 3), np.uint8),
        "labels": ((count, len(ATTRIBUTES)), np.uint8),
        "names": ((count, name_size()), np.float16),
        "styles": ((count, len(Style._fields)), np.float16),
    }
    for name, (shape, dtype) in shapes.items():
        np.lib.format.open_memmap(folder / f"{name}.npy", "w+", dtype, shape).flush()
    started, done = time.monotonic(), 0
    starts = range(0, count, CHUNK)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        jobs = [pool.submit(_render_chunk, str(folder), seed, first, min(CHUNK, count - first)) for first in starts]
        for number, job in enumerate(jobs):
            done += job.result()
            rate = done / (time.monotonic() - started)
            if number % 4 == 3 or done == count:
                print(f"render: {done}/{count}, {rate:.0f} pictures/s, {(count - done) / rate:.0f} s left", flush=True)
    done_file.write_text(json.dumps(wanted))


class Dataset:
    """The arrays of a rendered folder; the last `VALIDATION` pictures are never trained on."""

    VALIDATION = 1024

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seed: int = json.loads((folder / "rendered.json").read_text())["seed"]
        self.pictures = np.load(folder / "pictures.npy", mmap_mode="r")
        self.labels = np.load(folder / "labels.npy").astype(np.int64)
        self.names = np.load(folder / "names.npy")
        self.styles = np.load(folder / "styles.npy")
        self.training_count = len(self.pictures) - self.VALIDATION

    def __len__(self) -> int:
        return len(self.pictures)


class DeviceSet:
    """A rendered set as tensors on the device that trains; on a GPU all of it, on a CPU pictures stay in their file.

    pictures (n, 64, 64, 3) uint8, captions (n, 5, 32) int16, names and styles float16, labels (n, 4) int64.
    """

    def __init__(self, data: Dataset, device: torch.device) -> None:
        self.device, self.training_count = device, data.training_count
        # "c": torch wants memory that it may write to; nothing reaches the file.
        self.pictures = torch.from_numpy(np.load(data.folder / "pictures.npy", mmap_mode="c"))
        if device.type != "cpu":
            self.pictures = self.pictures.to(device)
        self.captions = torch.from_numpy(np.load(data.folder / "captions.npy")).to(device)
        self.names = torch.from_numpy(data.names).to(device)
        self.styles = torch.from_numpy(data.styles).to(device)
        self.labels = torch.from_numpy(data.labels).to(device)

    def rows(self, rng: np.random.Generator, batch: int) -> torch.Tensor:
        """(batch,) int64 training rows, drawn with `rng`, on the device."""
        return torch.from_numpy(np.sort(rng.integers(0, self.training_count, batch))).to(self.device)

    def pictures_at(self, rows: torch.Tensor) -> torch.Tensor:
        """(n, 3, 64, 64) float32 in -1..1."""
        return self.pictures[rows.to(self.pictures.device)].to(self.device).permute(0, 3, 1, 2).float() / 127.5 - 1
