"""Media and styles: one chain of picture effects whose strengths are all in 0..1."""

import math
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageFilter

from tools.embedded_base.world.backgrounds import SIZE, X, Y, noise


class Style(NamedTuple):
    """Strengths in 0..1. Effects work on lightness, edges and large areas: grain would die in the autoencoder."""

    shading: float = 0.0
    shadow: float = 0.0
    outline: float = 0.0
    outline_r: float = 0.0
    outline_g: float = 0.0
    outline_b: float = 0.0
    fill_fade: float = 0.0
    background_fade: float = 0.0
    paper_r: float = 0.97
    paper_g: float = 0.97
    paper_b: float = 0.95
    margin: float = 0.0
    saturation: float = 0.5
    duotone: float = 0.0
    dark_r: float = 0.0
    dark_g: float = 0.0
    dark_b: float = 0.0
    light_r: float = 1.0
    light_g: float = 1.0
    light_b: float = 1.0
    smear: float = 0.0
    pixels: float = 0.0
    poster: float = 0.0
    hatch: float = 0.0
    hatch_angle: float = 0.25
    dabs: float = 0.0

    @property
    def paper(self) -> np.ndarray:
        return np.array([self.paper_r, self.paper_g, self.paper_b], np.float32)

    @property
    def ink(self) -> np.ndarray:
        return np.array([self.outline_r, self.outline_g, self.outline_b], np.float32)


MEDIA: dict[str, Style] = {
    "photo": Style(shading=1, shadow=1),
    "oil painting": Style(
        shading=0.7,
        shadow=0.4,
        saturation=0.72,
        smear=0.75,
        dabs=0.6,
        duotone=0.22,
        dark_r=0.2,
        dark_g=0.08,
        light_g=0.88,
        light_b=0.55,
    ),
    "watercolor": Style(fill_fade=0.3, background_fade=0.55, margin=0.9, saturation=0.6, smear=0.4, dabs=0.35),
    "pixel art": Style(pixels=0.75, poster=0.5, saturation=0.7, shading=0.25),
    "cartoon": Style(outline=1, saturation=0.85, background_fade=0.25, poster=0.35),
    "pencil drawing": Style(
        outline=0.8,
        outline_r=0.2,
        outline_g=0.2,
        outline_b=0.22,
        saturation=0,
        shading=0.5,
        fill_fade=0.35,
        background_fade=0.65,
        hatch=0.75,
        hatch_angle=0.75,
    ),
}
"""The media that captions name. Photo is what a caption means when it names none."""

_CHANCE = {
    "shading": 0.5,
    "shadow": 0.4,
    "outline": 0.5,
    "fill_fade": 0.25,
    "background_fade": 0.4,
    "margin": 0.2,
    "duotone": 0.5,
    "smear": 0.3,
    "pixels": 0.15,
    "poster": 0.25,
    "hatch": 0.3,
    "dabs": 0.25,
}
"""How often a random style uses an effect at all; fields that are not named always have a random value."""


def style_vector(style: Style) -> np.ndarray:
    """(fields,) float32 in -1..1: the style as a point, from which the embedding of its one-token name is mapped."""
    return np.array(style, np.float32) * 2 - 1


def random_style(rng: np.random.Generator) -> Style:
    """A style that nobody named; effects that are on are at least at a third of their strength, so that they show."""
    values = {}
    for name in Style._fields:
        value = float(rng.random())
        if name in _CHANCE:
            value = 0.35 + 0.65 * value if rng.random() < _CHANCE[name] else 0.0
        if name == "fill_fade":
            value *= 0.6
        values[name] = value
    return Style(**values)


def vary(style: Style, rng: np.random.Generator) -> Style:
    """The same medium by a slightly different hand."""
    return Style(*(float(min(1.0, max(0.0, v + rng.normal(0, 0.025)))) if v else 0.0 for v in style))


def _as_image(picture: np.ndarray) -> Image.Image:
    return Image.fromarray((picture.clip(0, 1) * 255).astype(np.uint8))


def _as_array(image: Image.Image) -> np.ndarray:
    return np.asarray(image, np.float32) / 255


def _smear(picture: np.ndarray, amount: float) -> np.ndarray:
    return _as_array(_as_image(picture).filter(ImageFilter.MedianFilter(5 if amount > 0.7 else 3)))


def _dabs(picture: np.ndarray, amount: float, rng: np.random.Generator) -> np.ndarray:
    """Brush dabs: every pixel takes its colour from a little further off, and the paint lies unevenly."""
    pull = 4.0 * amount
    rows = (np.arange(SIZE)[:, None] + pull * noise(rng, 4)[..., 0]).round().astype(int).clip(0, SIZE - 1)
    columns = (np.arange(SIZE)[None, :] + pull * noise(rng, 4)[..., 0]).round().astype(int).clip(0, SIZE - 1)
    return picture[rows, columns] + 0.28 * amount * noise(rng, 4)


def _pixels(picture: np.ndarray, amount: float) -> np.ndarray:
    edge = 32 if amount < 0.5 else 16
    return _as_array(
        _as_image(picture).resize((edge, edge), Image.Resampling.BOX).resize((SIZE, SIZE), Image.Resampling.NEAREST)
    )


def _margin(picture: np.ndarray, amount: float, paper: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Bare paper around the picture, with a ragged edge."""
    edge = np.minimum(np.minimum(X, 1 - X), np.minimum(Y, 1 - Y))[..., None] + 0.1 * noise(rng, 8)
    bare = ((0.02 + 0.1 * amount - edge) * 25).clip(0, 1)
    return picture * (1 - bare) + paper * bare


def finish(picture: np.ndarray, style: Style, rng: np.random.Generator) -> np.ndarray:
    """All effects that work on the whole picture, (64, 64, 3) float32 in 0..1 in and out."""
    image = picture
    if style.saturation != 0.5:
        grey = image.mean(2, keepdims=True)
        gain = style.saturation * 2 if style.saturation < 0.5 else 1 + (style.saturation - 0.5) * 1.4
        image = grey + (image - grey) * gain
    if style.duotone > 0:
        dark = np.array([style.dark_r, style.dark_g, style.dark_b], np.float32) * 0.45
        light = 0.5 + 0.5 * np.array([style.light_r, style.light_g, style.light_b], np.float32)
        lightness = image.mean(2, keepdims=True).clip(0, 1)
        image = image * (1 - style.duotone) + style.duotone * (dark + (light - dark) * lightness)
    if style.smear > 0:
        image = _smear(image, style.smear)
    if style.dabs > 0:
        image = _dabs(image, style.dabs, rng)
    if style.pixels > 0:
        image = _pixels(image, style.pixels)
    if style.poster > 0:
        steps = round(8 - 5 * style.poster)
        image = np.round(image.clip(0, 1) * steps) / steps
    if style.hatch > 0:
        angle = style.hatch_angle * math.pi
        wave = np.sin((X * math.cos(angle) + Y * math.sin(angle)) * SIZE * math.tau / 7)[..., None]
        image = image + 0.2 * style.hatch * wave * (1.15 - image.mean(2, keepdims=True))
    if style.margin > 0:
        image = _margin(image, style.margin, style.paper, rng)
    return image.clip(0, 1)
