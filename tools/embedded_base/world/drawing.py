"""Draws a thing in a context and a medium: three times too large for its outline, then averaged down to 64 px."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from tools.embedded_base.world.backgrounds import SIZE, X, Y, background
from tools.embedded_base.world.media import Style, finish
from tools.embedded_base.world.palette import Role, role_colours
from tools.embedded_base.world.things import Thing

FINE = 3
"""Supersampling per axis."""

_FINE_Y, _FINE_X = np.mgrid[0 : SIZE * FINE, 0 : SIZE * FINE].astype(np.float32)


class Layout(NamedTuple):
    """Half the thing's size, rotation in radians, centre; lengths relative to the picture; `mirror` is 1 or -1."""

    scale: float = 0.43
    turn: float = 0.0
    x: float = 0.5
    y: float = 0.53
    mirror: int = 1


def sample_layout(rng: np.random.Generator) -> Layout:
    """Nearly one place and size, never mirrored: variety of layout is what costs a small model most of its samples.

    A world that shows both sides of everything teaches a small denoiser two-spouted teapots.
    """
    x, y = rng.uniform(-0.03, 0.03, 2)
    return Layout(float(rng.uniform(0.405, 0.445)), float(rng.normal(0, 0.045)), 0.5 + x, 0.53 + y)


def _roles(thing: Thing, layout: Layout) -> np.ndarray:
    """(192, 192) uint8: the role at every fine pixel, 0 where the background shows."""
    edge = SIZE * FINE
    canvas = Image.new("L", (edge, edge), 0)
    draw = ImageDraw.Draw(canvas)
    cos, sin = math.cos(layout.turn) * layout.scale * edge, math.sin(layout.turn) * layout.scale * edge
    for points, role in thing.figure():
        x, y = points[:, 0] * layout.mirror, points[:, 1]
        placed = np.stack([layout.x * edge + cos * x - sin * y, layout.y * edge + sin * x + cos * y], 1)
        draw.polygon(placed.ravel().tolist(), fill=int(role))
    return np.array(canvas)


def _pattern(thing: Thing, layout: Layout) -> np.ndarray:
    """(192, 192) bool: where the pattern puts the second colour. Never more than three wide bands."""
    edge = SIZE * FINE
    dx, dy = (_FINE_X - layout.x * edge) / (layout.scale * edge), (_FINE_Y - layout.y * edge) / (layout.scale * edge)
    cos, sin = math.cos(layout.turn), math.sin(layout.turn)
    u, v = (dx * cos + dy * sin) * layout.mirror, dy * cos - dx * sin
    off = (thing.shift - 0.5) * 0.3
    if thing.pattern == "striped":
        return np.abs(u - off) < 0.19
    if thing.pattern == "banded":
        return np.abs(v - 0.12 - off) < 0.17
    if thing.pattern == "split":
        return u > off
    pitch = 0.58
    return ((u / pitch + off) % 1 - 0.5) ** 2 + ((v / pitch) % 1 - 0.5) ** 2 < 0.085


def _down(fine: np.ndarray) -> np.ndarray:
    return fine.reshape(SIZE, FINE, SIZE, FINE, *fine.shape[2:]).mean((1, 3))


def _edges(roles: np.ndarray) -> np.ndarray:
    """(64, 64, 1) float32: how much of a pixel lies on a border between two roles."""
    width = 5
    edge = np.zeros(roles.shape, np.float32)
    edge[width:] = roles[width:] != roles[:-width]
    edge[:, width:] = np.maximum(edge[:, width:], roles[:, width:] != roles[:, :-width])
    return np.minimum(_down(edge) * 1.1, 1)[..., None]


def _shaded(colour: np.ndarray, layout: Layout, amount: float) -> np.ndarray:
    """Light from the upper left and one soft highlight."""
    u, v = (X - layout.x) / layout.scale, (Y - layout.y) / layout.scale
    light = 1 + amount * (0.3 * (-0.55 * u - 0.65 * v).clip(-1, 1) - 0.05)
    highlight = np.exp(-((u + 0.32) ** 2 + (v + 0.34) ** 2) / 0.05) * 0.3 * amount
    return colour * light[..., None] + highlight[..., None]


def _cast_shadow(cover: np.ndarray, layout: Layout) -> np.ndarray:
    """(64, 64, 1) float32: the flattened, blurred outline lying on the ground."""
    height = SIZE // 3
    flat = Image.fromarray((cover * 255).astype(np.uint8)).resize((SIZE, height)).filter(ImageFilter.GaussianBlur(2))
    top = int((layout.y + 0.62 * layout.scale) * SIZE) - SIZE // 6
    first, last = max(0, top), min(SIZE, top + height)
    shadow = np.zeros((SIZE, SIZE, 1), np.float32)
    shadow[first:last, :, 0] = np.asarray(flat, np.float32)[first - top : last - top] / 255
    return shadow


Postprocess = Callable[[np.ndarray, np.ndarray, np.random.Generator], np.ndarray]
"""picture (64, 64, 3), cover (64, 64) of the thing, generator -> picture; for styles outside the chain of effects."""


def draw(
    thing: Thing,
    context: str,
    style: Style,
    layout: Layout,
    rng: np.random.Generator,
    postprocess: Postprocess | None = None,
) -> np.ndarray:
    """(64, 64, 3) uint8."""
    roles = _roles(thing, layout)
    if thing.pattern != "solid":
        roles[_pattern(thing, layout) & (roles == Role.MAIN)] = Role.SECOND
    solid = (roles > 0).astype(np.float32)
    cover = _down(solid)
    colour = (
        _down(role_colours(thing.main, thing.second)[roles] * solid[..., None]) / np.maximum(cover, 1e-3)[..., None]
    )
    if style.shading > 0:
        colour = _shaded(colour, layout, style.shading)
    ground = background(context, rng)
    ground = ground * (1 - style.background_fade) + style.paper * style.background_fade
    if style.shadow > 0:
        ground = ground * (1 - 0.42 * style.shadow * _cast_shadow(cover, layout))
    colour = colour * (1 - style.fill_fade) + style.paper * style.fill_fade
    image = ground * (1 - cover[..., None]) + colour * cover[..., None]
    if style.outline > 0:
        line = _edges(roles) * style.outline
        image = image * (1 - line) + style.ink * line
    image = finish(image.clip(0, 1), style, rng)
    if postprocess is not None:
        image = postprocess(image, cover, rng).clip(0, 1)
    return (image * 255 + 0.5).astype(np.uint8)
