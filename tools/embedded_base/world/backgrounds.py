"""The twelve contexts a thing can stand in, painted straight at the size of the picture."""

from collections.abc import Callable

import numpy as np
from PIL import Image

from tools.embedded_base.world.palette import rgb

SIZE = 64
"""Edge of a picture in pixels."""

Y, X = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32) / (SIZE - 1)
"""(64, 64) float32 grids from 0 to 1."""


def _noise_sheets() -> dict[int, np.ndarray]:
    """(256, 256) float32 sheets of smooth noise in -0.5..0.5, by grain size in pixels."""
    rng = np.random.RandomState(7)
    sheets = {}
    for grain in (1, 2, 4, 8, 16):
        coarse = Image.fromarray(rng.randint(0, 256, (256 // grain, 256 // grain)).astype(np.uint8))
        sheets[grain] = np.asarray(coarse.resize((256, 256), Image.Resampling.BICUBIC), np.float32) / 255 - 0.5
    return sheets


_SHEETS = _noise_sheets()


def noise(rng: np.random.Generator, grain: int) -> np.ndarray:
    """(64, 64, 1) float32 in -0.5..0.5 with blotches of `grain` pixels."""
    top, left = rng.integers(0, 256 - SIZE, 2)
    return _SHEETS[grain][top : top + SIZE, left : left + SIZE, None]


def _over(mask: np.ndarray, paint: np.ndarray, under: np.ndarray) -> np.ndarray:
    return np.where(mask[..., None], paint, under)


def _below(horizon: float) -> np.ndarray:
    """(64, 64, 1) float32: 0 at the horizon, 1 at the lower edge."""
    return ((Y - horizon) / (1 - horizon)).clip(0, 1)[..., None]


def _horizon(rng: np.random.Generator) -> float:
    return float(rng.uniform(0.52, 0.62))


def _disc(x: float, y: float, radius: float) -> np.ndarray:
    return (X - x) ** 2 + (Y - y) ** 2 < radius**2


def grass(rng: np.random.Generator) -> np.ndarray:
    h = _horizon(rng)
    ground = rgb(85, 160, 55) - 0.12 * (1 - _below(h)) + 0.14 * noise(rng, 2) + 0.1 * noise(rng, 4)
    return _over(h < Y, ground, rgb(150, 205, 245) + 0.12 * Y[..., None])


def beach(rng: np.random.Generator) -> np.ndarray:
    h = _horizon(rng)
    sea = rgb(40, 140, 190) + 0.14 * noise(rng, 2)
    sand = rgb(232, 208, 150) + 0.06 * noise(rng, 4)
    sky = rgb(170, 220, 250) + 0.1 * noise(rng, 16)
    return _over(h < Y, sand, _over(h - 0.17 < Y, sea, sky))


def snow(rng: np.random.Generator) -> np.ndarray:
    h = _horizon(rng)
    image = _over(h < Y, rgb(240, 244, 250) + 0.05 * noise(rng, 4), rgb(165, 187, 210) + 0.06 * noise(rng, 16)).copy()
    for x, y in rng.random((12, 2)):
        image[_disc(x, y, 0.02)] = 1.0
    return image


def night(rng: np.random.Generator) -> np.ndarray:
    h = _horizon(rng)
    image = _over(h < Y, rgb(22, 30, 42) + 0.03 * noise(rng, 4), rgb(14, 18, 56) + 0.06 * Y[..., None]).copy()
    for x, y in rng.random((12, 2)):
        image[_disc(x, y * h, 0.014)] = 0.95
    return _over(_disc(rng.uniform(0.1, 0.9), rng.uniform(0.1, 0.2), 0.08), rgb(245, 240, 200), image)


def table(rng: np.random.Generator) -> np.ndarray:
    h = _horizon(rng)
    seams = ((X - 0.5) / (1 + _below(h)[..., 0])) * rng.uniform(5, 7) % 1 < 0.09
    wood = rgb(160, 105, 60) - 0.17 * seams[..., None] + 0.08 * noise(rng, 4)
    return _over(h < Y, wood, rgb(225, 212, 190) + 0.03 * noise(rng, 16))


def brick(rng: np.random.Generator) -> np.ndarray:
    row = np.floor(Y * 8)
    mortar = ((Y * 8) % 1 < 0.16) | ((X * 4 + row % 2 * 0.5) % 1 < 0.08)
    wall = _over(mortar, np.broadcast_to(rgb(205, 195, 185), (SIZE, SIZE, 3)), rgb(165, 72, 52) + 0.1 * noise(rng, 4))
    return _over(Y > 0.87, rgb(130, 130, 132) + 0.04 * noise(rng, 2), wall)


def _plain(colour: np.ndarray, fall: float) -> Callable[[np.random.Generator], np.ndarray]:
    def paint(rng: np.random.Generator) -> np.ndarray:
        return colour - fall * Y[..., None]

    return paint


def desert(rng: np.random.Generator) -> np.ndarray:
    h = _horizon(rng) + 0.05 * np.sin(X * 7 + rng.uniform(0, 6))
    ripples = ((Y - h) * 6 % 1 < 0.2)[..., None]
    image = _over(
        h < Y,
        rgb(222, 150, 80) - 0.1 * ripples + 0.04 * noise(rng, 4),
        rgb(250, 205, 150) + 0.12 * (Y[..., None] - 0.3),
    )
    return _over(_disc(rng.uniform(0.1, 0.9), 0.17, 0.09), rgb(255, 245, 200), image)


def city(rng: np.random.Generator) -> np.ndarray:
    roofs = np.repeat(rng.uniform(0.08, 0.42, 8), SIZE // 8)
    windows = ((X * 63 % 4 < 2) & (Y * 63 % 5 < 3))[..., None]
    towers = rgb(100, 108, 128) + 0.28 * windows * np.array([1, 0.9, 0.5])
    image = _over(roofs[None, :] < Y, towers, rgb(195, 205, 220) + 0.04 * noise(rng, 16))
    lane = (np.abs(Y - 0.87) < 0.018) & (X * 5 % 1 < 0.5)
    return _over(Y > 0.7, rgb(72, 72, 78) + 0.55 * lane[..., None], image)


def forest(rng: np.random.Generator) -> np.ndarray:
    image = rgb(40, 88, 45) + 0.2 * noise(rng, 8) + 0.08 * noise(rng, 4)
    for x in (np.arange(4) + rng.uniform(0.2, 0.8, 4)) / 4:
        image = _over((np.abs(X - x) < 0.045) & (Y < 0.75), rgb(75, 52, 35) + 0.05 * noise(rng, 4), image)
    return _over(Y > 0.74, rgb(92, 80, 42) + 0.12 * noise(rng, 4), image)


def sea(rng: np.random.Generator) -> np.ndarray:
    image = rgb(24, 118, 156) - 0.22 * Y[..., None] + 0.1 * noise(rng, 16)
    for x, y in rng.random((7, 2)):
        distance = np.sqrt((X - x) ** 2 + (Y - y) ** 2)
        image = _over(np.abs(distance - 0.035) < 0.014, np.broadcast_to(rgb(190, 230, 240), image.shape), image)
    return _over(0.88 + 0.03 * np.sin(X * 9) < Y, np.broadcast_to(rgb(165, 150, 105), image.shape), image)


CONTEXTS: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
    "grass": grass,
    "beach": beach,
    "snow": snow,
    "night": night,
    "table": table,
    "brick": brick,
    "white": _plain(rgb(245, 245, 245), 0.06),
    "blue": _plain(rgb(70, 130, 225), 0.1),
    "desert": desert,
    "city": city,
    "forest": forest,
    "sea": sea,
}


def background(context: str, rng: np.random.Generator) -> np.ndarray:
    """(64, 64, 3) float32, roughly in 0..1, with a slight cast of its own."""
    return (CONTEXTS[context](rng) + rng.normal(0, 0.02, 3)).astype(np.float32)
