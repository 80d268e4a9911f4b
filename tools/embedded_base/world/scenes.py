"""A scene: one thing in one context and medium, drawn at random under the rule of what is held out."""

import zlib
from typing import NamedTuple

import numpy as np

from tools.embedded_base.world.backgrounds import CONTEXTS
from tools.embedded_base.world.drawing import Layout, draw, sample_layout
from tools.embedded_base.world.media import MEDIA, Style, random_style, vary
from tools.embedded_base.world.things import Thing, sample_thing

HELD_OUT_SHARE = 0.15
UNNAMED = "unnamed"
"""The medium of a picture whose style no word names, only a style name."""

MEDIUM_SHARE = {
    "photo": 0.52,
    "oil painting": 0.075,
    "watercolor": 0.075,
    "pixel art": 0.075,
    "cartoon": 0.075,
    "pencil drawing": 0.055,
    UNNAMED: 0.125,
}


class Scene(NamedTuple):
    """Everything that a picture shows."""

    thing: Thing
    context: str
    medium: str
    style: Style


def held_out(kind: str, colour: str, context: str) -> bool:
    """Whether this combination is never in a training picture; a fixed 15 % of all combinations."""
    return zlib.crc32(f"{kind}|{colour}|{context}".encode()) / 2**32 < HELD_OUT_SHARE


def sample_style(rng: np.random.Generator) -> tuple[str, Style]:
    """A medium's name with a style of it, or `UNNAMED` with a random style."""
    medium = str(rng.choice(list(MEDIUM_SHARE), p=list(MEDIUM_SHARE.values())))
    return medium, random_style(rng) if medium == UNNAMED else vary(MEDIA[medium], rng)


def sample_scene(rng: np.random.Generator, held: bool = False) -> Scene:
    """A random scene whose combination is (`held`) or is not (default) held out."""
    while True:
        thing = sample_thing(rng)
        context = str(rng.choice(list(CONTEXTS)))
        if held_out(thing.kind, thing.colour, context) == held:
            return Scene(thing, context, *sample_style(rng))


def draw_scene(scene: Scene, rng: np.random.Generator, layout: Layout | None = None) -> np.ndarray:
    """(64, 64, 3) uint8."""
    return draw(scene.thing, scene.context, scene.style, layout or sample_layout(rng), rng)
