"""A thing: one individual with a kind, two colours, a pattern and, in a family, its own shape."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from tools.embedded_base.world.families import FAMILIES
from tools.embedded_base.world.geometry import Figure
from tools.embedded_base.world.kinds import NAMED_KINDS, TWO_COLOURED_KINDS
from tools.embedded_base.world.palette import COLOUR_RGB, COLOURS, Rgb, colour_bins, nearest_colour

KINDS = (*NAMED_KINDS, *FAMILIES)
PATTERNS = ("solid", "striped", "banded", "split", "spotted")

_FAMILY_SHARE = {"creature": 0.15, "toy": 0.17, "vase": 0.08, "object": 0.22}
_PATTERN_SHARE = {"named": (0.6, 0.1, 0.12, 0.1, 0.08), "family": (0.44, 0.13, 0.17, 0.14, 0.12)}


@dataclass(frozen=True)
class Thing:
    """`main` and `second` are (3,) float32, `shape` the family's parameters in 0..1 (empty for a named kind)."""

    kind: str
    main: Rgb
    second: Rgb
    pattern: str = "solid"
    shift: float = 0.5
    shape: tuple[float, ...] = ()
    outline: Callable[[], Figure] | None = field(default=None, compare=False)

    @property
    def colour(self) -> str:
        return COLOURS[nearest_colour(self.main)]

    @property
    def second_colour(self) -> str:
        return COLOURS[nearest_colour(self.second)]

    @property
    def wears_second(self) -> bool:
        """Whether the second colour can be seen on it."""
        return self.pattern != "solid" or self.kind in TWO_COLOURED_KINDS or self.kind in FAMILIES

    def figure(self) -> Figure:
        """Its parts, back to front; `outline` overrides the kind's drawing for things outside the world."""
        if self.outline is not None:
            return self.outline()
        if self.kind in NAMED_KINDS:
            return NAMED_KINDS[self.kind]()
        family = FAMILIES[self.kind]
        return family.draw(family.shape(*self.shape))


def sample_kind(rng: np.random.Generator) -> str:
    """A family with its share, otherwise one of the named kinds, all equally often."""
    r = rng.random()
    for family, share in _FAMILY_SHARE.items():
        if r < share:
            return family
        r -= share
    return str(rng.choice(list(NAMED_KINDS)))


def sample_thing(rng: np.random.Generator, kind: str | None = None) -> Thing:
    """A random individual; a third of the family members wear colours from between the named ones."""
    kind = kind or sample_kind(rng)
    in_family = kind in FAMILIES
    first = int(rng.integers(len(COLOURS)))
    second = (first + int(rng.integers(1, len(COLOURS)))) % len(COLOURS)
    pair = COLOUR_RGB[[first, second]] + rng.normal(0, 0.03, (2, 3))
    if in_family and rng.random() < 0.33:
        pair = 0.05 + 0.9 * rng.random((2, 3))
    pair = pair.clip(0, 1).astype(np.float32)
    shape = tuple(float(v) for v in rng.random(FAMILIES[kind].size)) if in_family else ()
    pattern = str(rng.choice(PATTERNS, p=_PATTERN_SHARE["family" if in_family else "named"]))
    return Thing(kind, pair[0], pair[1], pattern, float(rng.random()), shape)


def name_size() -> int:
    """Length of `name_vector`."""
    return len(KINDS) + 2 * (len(COLOURS) + 3) + len(PATTERNS) + 1 + sum(family.size for family in FAMILIES.values())


def name_vector(thing: Thing) -> np.ndarray:
    """(name_size(),) float32: the individual as a point, from which its one-token name is mapped linearly.

    Colours are soft bins besides raw values, because a text tower does not learn to read raw values alone.
    """
    kind = np.zeros(len(KINDS), np.float32)
    kind[KINDS.index(thing.kind)] = 1.5
    pattern = np.zeros(len(PATTERNS), np.float32)
    pattern[PATTERNS.index(thing.pattern)] = 1.2
    patterned = thing.pattern != "solid"
    second_weight = 1.2 if patterned else 0.8 if thing.wears_second else 0.0
    pieces: list[np.ndarray] = [
        kind,
        1.4 * colour_bins(thing.main),
        thing.main * 2 - 1,
        second_weight * colour_bins(thing.second),
        second_weight * (thing.second * 2 - 1),
        pattern,
        np.array([(thing.shift * 2 - 1) * 0.5 if patterned else 0.0], np.float32),
    ]
    for family, (_, _, size) in FAMILIES.items():
        own = np.array(thing.shape, np.float32) * 2 - 1 if family == thing.kind else np.zeros(size, np.float32)
        pieces.append(own)
    return np.concatenate(pieces).astype(np.float32)
