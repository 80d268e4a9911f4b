"""Captions: what a scene shows, in Textual Inversion's own sentences, described in words or named by one token."""

from typing import Any

import numpy as np

from tools.embedded_base.world.assemblies import AssemblyShape
from tools.embedded_base.world.families import CreatureShape, ToyShape, VaseShape
from tools.embedded_base.world.scenes import UNNAMED, Scene
from tools.embedded_base.world.things import Thing

THING_NAME = "<thing>"
"""Stands in a caption for the one token whose embedding is mapped from `name_vector`."""
STYLE_NAME = "<style>"
"""Stands in a caption for the one token whose embedding is mapped from `style_vector`."""

OBJECT_TEMPLATES = (
    "a photo of a {}",
    "a rendering of a {}",
    "a cropped photo of the {}",
    "the photo of a {}",
    "a photo of a clean {}",
    "a photo of a dirty {}",
    "a dark photo of the {}",
    "a photo of my {}",
    "a photo of the cool {}",
    "a close-up photo of a {}",
    "a bright photo of the {}",
    "a cropped photo of a {}",
    "a photo of the {}",
    "a good photo of the {}",
    "a photo of one {}",
    "a close-up photo of the {}",
    "a rendition of the {}",
    "a photo of the clean {}",
    "a rendition of a {}",
    "a photo of a nice {}",
    "a good photo of a {}",
    "a photo of the nice {}",
    "a photo of the small {}",
    "a photo of the weird {}",
    "a photo of the large {}",
    "a photo of a cool {}",
    "a photo of a small {}",
)
"""The object templates of Textual Inversion."""

MORE_OBJECT_TEMPLATES = ("a depiction of a {}", "a picture of a {}", "an illustration of a {}", "a {}", "the {}", "{}")

STYLE_ADJECTIVES = (
    "cropped",
    "clean",
    "dirty",
    "dark",
    "cool",
    "close-up",
    "bright",
    "good",
    "nice",
    "small",
    "weird",
    "large",
)
STYLE_TEMPLATES = (
    "a painting in the style of {}",
    "a rendering in the style of {}",
    "the painting in the style of {}",
    "a picture in the style of {}",
    "a rendition in the style of {}",
    "a depiction in the style of {}",
    "a photo in the style of {}",
    *(f"a {adjective} painting in the style of {{}}" for adjective in STYLE_ADJECTIVES),
)
"""The style templates of Textual Inversion."""

STYLED_OBJECT_TEMPLATES = (
    "a {thing} in the style of {style}",
    "a photo of a {thing} in the style of {style}",
    "a painting of a {thing} in the style of {style}",
    "a rendering of a {thing} in the style of {style}",
    "a picture of a {thing} in the style of {style}",
    "a depiction of a {thing} in the style of {style}",
    "the {thing} in the style of {style}",
)
MEDIUM_TEMPLATES = ("a {style} of a {thing}", "a {style} of the {thing}", "a {thing}, {style}")

CONTEXT_PHRASES: dict[str, tuple[str, ...]] = {
    "grass": ("on the grass", "in a green field", "in a meadow", "in the garden"),
    "beach": ("on the beach", "on a sandy beach", "at the beach"),
    "snow": ("in the snow", "on a snowy field", "in winter"),
    "night": ("at night", "under the stars", "in the night"),
    "table": ("on a wooden table", "on top of a wooden table", "on the table"),
    "brick": ("in front of a brick wall", "next to a brick wall"),
    "white": ("on a white background", "with a white background"),
    "blue": ("on a blue background", "with a blue background"),
    "desert": ("in the desert", "on the dunes"),
    "city": ("in the city", "on a city street", "in a street"),
    "forest": ("in the forest", "in the jungle", "in the woods"),
    "sea": ("under the sea", "underwater", "in the water", "in the ocean"),
}

MEDIUM_WORDS: dict[str, tuple[str, ...]] = {
    "oil painting": ("oil painting",),
    "watercolor": ("watercolor", "watercolour", "watercolor painting", "watercolour painting"),
    "pixel art": ("pixel art", "pixel art picture"),
    "cartoon": ("cartoon", "cartoon drawing"),
    "pencil drawing": ("pencil drawing", "pencil sketch"),
}

KIND_WORDS: dict[str, tuple[str, ...]] = {
    "creature": ("creature", "creature", "monster", "animal", "beast"),
    "toy": ("toy", "toy", "figure", "doll", "robot"),
    "vase": ("vase", "vase", "pot", "jar"),
    "object": ("object", "object", "thing", "statue", "machine"),
    "mug": ("mug", "mug", "cup"),
    "ball": ("ball",),
    "boat": ("boat", "boat", "sailboat", "ship"),
}

_PATTERN_WORDS = {"striped": "striped", "banded": "banded", "split": "two-tone", "spotted": "spotted"}


def _pick(rng: np.random.Generator, options: tuple[str, ...]) -> str:
    return options[int(rng.integers(len(options)))]


def _features(thing: Thing) -> tuple[list[str], list[str]]:
    """Words before and phrases after the noun that are true of a family member's shape."""
    before: list[str] = []
    after: list[str] = []
    s: Any
    if thing.kind == "creature":
        s = CreatureShape(*thing.shape)
        before += ["horned"] * (0.4 < s.horns < 0.7) + ["winged"] * (s.wing > 0.6) + ["one-eyed"] * (s.eye_count < 0.35)
        before += ["long-tailed"] * (s.tail > 0.75) + ["fat"] * (s.width > 0.75) + ["tall"] * (s.height > 0.8)
        after += (
            ["with one horn"] * (s.horns >= 0.7) + ["with ears"] * (s.ears > 0.5) + ["with long legs"] * (s.legs > 0.75)
        )
    elif thing.kind == "toy":
        s = ToyShape(*thing.shape)
        before += (
            ["square"] * (s.body_squareness > 0.75)
            + ["round"] * (0.35 < s.body_squareness < 0.6)
            + ["long-necked"] * (s.neck > 0.7)
        )
        after += (
            ["with wheels"] * (0.2 <= s.stand < 0.4)
            + ["with legs"] * (0.4 <= s.stand < 0.6)
            + ["with a spiral"] * (s.coil > 0.6)
        )
        after += (
            ["with a hat"] * (0.3 <= s.topping < 0.6)
            + ["with arms"] * (s.arms > 0.5)
            + ["with feelers"] * (0.7 <= s.topping < 0.85)
        )
    elif thing.kind == "vase":
        s = VaseShape(*thing.shape)
        before += ["tall"] * (s.height > 0.8) + ["round"] * (s.belly_radius > 0.75)
        after += (
            ["with a handle"] * (0.4 < s.handles < 0.7)
            + ["with handles"] * (s.handles >= 0.7)
            + ["with a lid"] * (s.lid > 0.6)
        )
    elif thing.kind == "object":
        s = AssemblyShape(*thing.shape)
        before += (
            ["tall"] * (s.body_height > 0.8)
            + ["fat"] * (s.body_width > 0.8)
            + ["square"] * (s.body_squareness > 0.75)
            + ["round"] * (0.35 < s.body_squareness < 0.6)
        )
    return before, after


def describe(thing: Thing, rng: np.random.Generator) -> str:
    """The thing in words; colours are always named, both of them where both can be seen on a pattern."""
    noun = _pick(rng, KIND_WORDS.get(thing.kind, (thing.kind,)))
    if thing.pattern == "solid":
        words = thing.colour
        if thing.wears_second and rng.random() < 0.4:
            words = f"{thing.colour} and {thing.second_colour}"
    else:
        words = f"{thing.colour} and {thing.second_colour}"
        if rng.random() < 0.75:
            words = f"{_PATTERN_WORDS[thing.pattern]} {words}"
    before, after = _features(thing)
    if before and rng.random() < 0.6:
        words = f"{_pick(rng, tuple(before))} {words}"
    if after and rng.random() < 0.6:
        noun = f"{noun} {_pick(rng, tuple(after))}"
    return f"{words} {noun}"


def name(thing: Thing, rng: np.random.Generator) -> str:
    """The thing by its own token, sometimes with the noun behind it."""
    return (
        THING_NAME if rng.random() < 0.85 else f"{THING_NAME} {_pick(rng, KIND_WORDS.get(thing.kind, (thing.kind,)))}"
    )


def with_articles(caption: str) -> str:
    """`a orange` -> `an orange`."""
    words = caption.split()
    for i in range(len(words) - 1):
        if words[i] in ("a", "an"):
            words[i] = "an" if words[i + 1][0] in "aeiou" and not words[i + 1].startswith(("one", "uni")) else "a"
    return " ".join(words)


def caption(scene: Scene, rng: np.random.Generator, named: bool) -> str:
    """One caption. The medium is said unless it is a photo; the context in seven of ten."""
    thing = name(scene.thing, rng) if named else describe(scene.thing, rng)
    if rng.random() < 0.7:
        thing = f"{thing} {_pick(rng, CONTEXT_PHRASES[scene.context])}"
    if scene.medium == "photo":
        templates = OBJECT_TEMPLATES if rng.random() < 0.75 else MORE_OBJECT_TEMPLATES
        return with_articles(_pick(rng, templates).format(thing))
    unnamed = scene.medium == UNNAMED
    style = STYLE_NAME if unnamed else _pick(rng, MEDIUM_WORDS[scene.medium])
    r = rng.random()
    if r < 0.12:
        return with_articles(_pick(rng, STYLE_TEMPLATES).format(style))
    if unnamed or r < 0.4:
        return with_articles(_pick(rng, STYLED_OBJECT_TEMPLATES).format(thing=thing, style=style))
    return with_articles(_pick(rng, MEDIUM_TEMPLATES).format(thing=thing, style=style))
