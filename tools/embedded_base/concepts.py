"""Things and styles that the world never renders for training: the ground on which learning a word is tried."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from tools.embedded_base import outlines
from tools.embedded_base.world.backgrounds import SIZE
from tools.embedded_base.world.captions import CONTEXT_PHRASES, with_articles
from tools.embedded_base.world.drawing import Postprocess, draw, sample_layout
from tools.embedded_base.world.families import CreatureShape, ToyShape, VaseShape
from tools.embedded_base.world.geometry import Figure
from tools.embedded_base.world.media import MEDIA, Style
from tools.embedded_base.world.palette import COLOUR_RGB, COLOURS, rgb
from tools.embedded_base.world.things import Thing

SOURCE_CONTEXTS = ("grass", "white", "table", "blue")
"""One context for each of the four source pictures of a thing."""


@dataclass(frozen=True)
class HeldOutThing:
    """An individual to learn, the word its vector starts from, and what a person would call it."""

    name: str
    thing: Thing
    initializer: str
    caption: str


@dataclass(frozen=True)
class HeldOutStyle:
    """A style to learn; `postprocess` makes one that the world's chain of effects cannot make."""

    name: str
    style: Style
    initializer: str
    caption: str
    postprocess: Postprocess | None = None


def _thing(
    name: str,
    main: str | tuple[int, int, int],
    second: str | tuple[int, int, int],
    initializer: str,
    caption: str,
    outline: Callable[[], Figure] | None = None,
    kind: str = "toy",
    pattern: str = "solid",
    shape: tuple[float, ...] = (),
) -> HeldOutThing:
    pair = [COLOUR_RGB[COLOURS.index(c)] if isinstance(c, str) else rgb(*c) for c in (main, second)]
    return HeldOutThing(name, Thing(kind, pair[0], pair[1], pattern, 0.5, shape, outline), initializer, caption)


_IMP = CreatureShape(0.75, 0.5, 0.6, 0.55, 0.9, 0.0, 0.6, 0.9, 0.9, 0.0, 0.8, 1.0, 0.0, 0.3)
_GRIFFIN = CreatureShape(0.3, 0.85, 0.8, 0.85, 0.7, 0.0, 0.4, 0.2, 0.0, 0.95, 0.9, 1.0, 0.0, 0.7)
_ROVER = ToyShape(0.75, 0.35, 0.95, 0.5, 0.7, 0, 0.3, 0.9, 0.5, 0.4, 0.8, 0.35, 0.5, 0.9, 0.8, 1.0, 0.65, 0, 0, 0)
_AMPHORA = VaseShape(0.15, 0.85, 0.6, 0.35, 0.8, 0.9, 0, 0, 0.9)

TEST_THINGS = (
    _thing("snail", "green", "red", "toy", "a green snail with a red spiral on its shell", outlines.snail),
    _thing("guitar", (217, 80, 38), "black", "toy", "an orange-red guitar", outlines.guitar),
    _thing("robot", (90, 140, 217), "gray", "robot", "a blue robot with gray head and limbs", outlines.robot),
    _thing("cactus", "green", "orange", "toy", "a cactus in an orange pot", outlines.cactus),
    _thing("snowman", "red", "black", "toy", "a snowman with a red scarf and a black hat", outlines.snowman),
    _thing("penguin", (45, 55, 110), "red", "creature", "a dark blue penguin with a red scarf", outlines.penguin),
    _thing("lighthouse", "red", "teal", "toy", "a red and white lighthouse with a teal roof", outlines.lighthouse),
    _thing("balloon", "red", "yellow", "ball", "a red and yellow hot-air balloon", outlines.balloon),
    _thing(
        "imp",
        "orange",
        "teal",
        "creature",
        "an orange and teal horned creature with a long tail",
        None,
        "creature",
        "banded",
        _IMP,
    ),
    _thing(
        "griffin",
        "purple",
        "yellow",
        "creature",
        "a tall purple creature with a yellow wing and a horn",
        None,
        "creature",
        "solid",
        _GRIFFIN,
    ),
    _thing(
        "rover",
        "yellow",
        "purple",
        "toy",
        "a yellow and purple toy on wheels with an aerial",
        None,
        "toy",
        "solid",
        _ROVER,
    ),
    _thing(
        "amphora",
        "teal",
        "orange",
        "vase",
        "a teal vase with an orange band and two handles",
        None,
        "vase",
        "banded",
        _AMPHORA,
    ),
)
"""Things in the folder of test concepts."""

MORE_THINGS = (
    _thing("key", "yellow", "yellow", "toy", "a yellow key", outlines.key),
    _thing("butterfly", "purple", "pink", "creature", "a purple and pink butterfly", outlines.butterfly),
    _thing("turtle", "brown", "green", "creature", "a green turtle with a brown shell", outlines.turtle),
    _thing("crown", "yellow", "red", "toy", "a yellow crown with red jewels", outlines.crown),
    _thing("windmill", "white", "red", "toy", "a white windmill with red blades", outlines.windmill),
    _thing("train", "blue", "red", "car", "a blue and red train", outlines.train),
    _thing("hourglass", "orange", "brown", "vase", "an hourglass with orange sand", outlines.hourglass),
    _thing("bell", "yellow", "brown", "lamp", "a yellow bell", outlines.bell),
    _thing("sword", "gray", "blue", "toy", "a gray sword with a blue hilt", outlines.sword),
    _thing("ice_cream", "pink", "brown", "toy", "pink and brown ice cream in a cone", outlines.ice_cream),
    _thing(
        "cyclops",
        "teal",
        "pink",
        "creature",
        "a teal one-eyed creature with a pink belly",
        None,
        "creature",
        "solid",
        CreatureShape(0.8, 0.8, 0.7, 0, 0.5, 0.8, 0.2, 0.1, 0, 0, 0.9, 0.1, 0.9, 0.8),
    ),
    _thing(
        "jug",
        "purple",
        "white",
        "vase",
        "a purple and white striped jug with a spout",
        None,
        "vase",
        "striped",
        VaseShape(0.4, 0.7, 0.2, 0.5, 0.6, 0.55, 0.9, 0, 0),
    ),
)
"""Things kept for the final table only."""


def stained_glass(picture: np.ndarray, cover: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Cells of one colour each, lead between them."""
    seeds = rng.random((45, 2)) * SIZE
    rows, columns = np.mgrid[0:SIZE, 0:SIZE]
    cell = ((rows[..., None] - seeds[:, 0]) ** 2 + (columns[..., None] - seeds[:, 1]) ** 2).argmin(-1) * 2 + (
        cover > 0.5
    )
    out = np.zeros_like(picture)
    for label in np.unique(cell):
        out[cell == label] = picture[cell == label].mean(0)
    grey = out.mean(2, keepdims=True)
    out = (grey + (out - grey) * 1.8) * 1.05 + 0.04
    lead = np.zeros(cover.shape, bool)
    lead[1:] |= cell[1:] != cell[:-1]
    lead[:, 1:] |= cell[:, 1:] != cell[:, :-1]
    out[lead] = 0.06
    return out


def dots(picture: np.ndarray, cover: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Round dots of colour on a dark board."""
    rows, columns = np.mgrid[0:SIZE, 0:SIZE]
    pitch = 4
    coarse = (
        picture.reshape(SIZE // pitch, pitch, SIZE // pitch, pitch, 3).mean((1, 3)).repeat(pitch, 0).repeat(pitch, 1)
    )
    inside = ((rows % pitch - 1.5) ** 2 + (columns % pitch - 1.5) ** 2) < 3.2
    return np.where(inside[..., None], coarse * 1.1, 0.12)


_BLUEPRINT = Style(
    outline=1,
    outline_r=0.95,
    outline_g=0.97,
    outline_b=1,
    fill_fade=0.8,
    background_fade=0.92,
    paper_r=0.1,
    paper_g=0.25,
    paper_b=0.65,
)
_INK_WASH = Style(
    outline=0.9,
    outline_r=0.1,
    outline_g=0.1,
    outline_b=0.35,
    fill_fade=0.35,
    background_fade=0.85,
    margin=0.9,
    saturation=0.6,
    smear=0.4,
)
_DUSK = Style(shading=0.6, duotone=0.85, dark_r=0.45, dark_g=0.05, dark_b=0.75, light_r=1.0, light_g=0.65, light_b=0.1)
_NEON = Style(
    outline=1,
    outline_r=0.2,
    outline_g=1.0,
    outline_b=0.85,
    fill_fade=0.45,
    background_fade=0.9,
    paper_r=0.06,
    paper_g=0.02,
    paper_b=0.12,
    saturation=0.8,
)
_MINT = Style(
    outline=0.9,
    outline_r=0.75,
    outline_g=0.1,
    outline_b=0.35,
    duotone=0.7,
    dark_r=0.0,
    dark_g=0.6,
    dark_b=0.55,
    light_r=0.8,
    light_g=1,
    light_b=0.85,
)

TEST_STYLES = (
    HeldOutStyle("ink_wash", _INK_WASH, "watercolor", "pale washes with dark blue ink outlines on white paper"),
    HeldOutStyle("dusk", _DUSK, "painting", "violet shadows and orange light"),
    HeldOutStyle("stained_glass", Style(saturation=0.7), "cartoon", "stained glass", stained_glass),
)
"""Styles in the folder of test concepts."""

MORE_STYLES = (
    HeldOutStyle("blueprint", _BLUEPRINT, "drawing", "white lines on blue paper"),
    HeldOutStyle("neon", _NEON, "cartoon", "glowing turquoise lines on black"),
    HeldOutStyle("mint", _MINT, "cartoon", "mint green print with crimson outlines"),
    HeldOutStyle("dots", Style(saturation=0.7), "art", "a board of coloured dots", dots),
)
"""Styles kept for the final table only."""

STYLE_SUBJECTS = (
    ("car", "red", "grass"),
    ("cat", "orange", "beach"),
    ("teapot", "blue", "table"),
    ("mushroom", "red", "forest"),
)
"""Known kind, colour and context of the four source pictures of a style."""

STYLE_CAPTIONS = tuple(
    f"{with_articles(f'a {colour} {kind}')} {CONTEXT_PHRASES[context][0]}, in the style of {{}}"
    for kind, colour, context in STYLE_SUBJECTS
)
"""What each of those pictures shows, so that what is left for the word is the style."""


def thing_pictures(held: HeldOutThing, contexts: tuple[str, ...] = SOURCE_CONTEXTS, seed: int = 11) -> np.ndarray:
    """(n, 64, 64, 3) uint8, one photo in each context, laid out as in training but never mirrored."""
    rng = np.random.default_rng(seed)
    layouts = [sample_layout(rng)._replace(mirror=1) for _ in contexts]
    return np.stack(
        [draw(held.thing, c, MEDIA["photo"], layout, rng) for c, layout in zip(contexts, layouts, strict=True)]
    )


def style_pictures(held: HeldOutStyle, seed: int = 12) -> np.ndarray:
    """(4, 64, 64, 3) uint8: four known things in the style."""
    rng = np.random.default_rng(seed)
    pictures = []
    for kind, colour, context in STYLE_SUBJECTS:
        paint = COLOUR_RGB[COLOURS.index(colour)]
        thing = Thing(kind, paint, COLOUR_RGB[COLOURS.index("yellow")])
        pictures.append(draw(thing, context, held.style, sample_layout(rng)._replace(mirror=1), rng, held.postprocess))
    return np.stack(pictures)


def _concept_table(name: str, type_: str, initializer: str, caption: str, folder: str) -> str:
    lines = (
        f'name = "{name}"',
        f'type = "{type_}"',
        f'folder = "{folder}"',
        f'initializer = "{initializer}"',
        f'caption = "{caption}"',
    )
    return "\n".join(("[[concept]]", *lines, ""))


def write_concepts(
    root: Path, things: tuple[HeldOutThing, ...], styles: tuple[HeldOutStyle, ...], folders: tuple[str, str]
) -> None:
    """root/FOLDER/NAME/LABEL.png for every concept, and root/concepts.toml that says what they are.

    Beside a style's pictures lie their captions, LABEL.txt.
    """
    tables = []
    for thing in things:
        _write_pictures(root / folders[0] / thing.name, thing_pictures(thing), SOURCE_CONTEXTS)
        tables.append(
            _concept_table(thing.name, "object", thing.initializer, thing.caption, f"{folders[0]}/{thing.name}")
        )
    for style in styles:
        labels = tuple(kind for kind, _, _ in STYLE_SUBJECTS)
        _write_pictures(root / folders[1] / style.name, style_pictures(style), labels)
        for label, caption in zip(labels, STYLE_CAPTIONS, strict=True):
            (root / folders[1] / style.name / f"{label}.txt").write_text(f"{caption}\n", encoding="utf-8")
        tables.append(
            _concept_table(style.name, "style", style.initializer, style.caption, f"{folders[1]}/{style.name}")
        )
    (root / "concepts.toml").write_text("\n".join(tables), encoding="utf-8")


def _write_pictures(folder: Path, pictures: np.ndarray, labels: tuple[str, ...]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for picture, label in zip(pictures, labels, strict=True):
        Image.fromarray(picture).save(folder / f"{label}.png", optimize=True)


def main() -> None:
    """Writes the test concepts, or with --only the named ones in the layout of the bundled demo."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", type=Path, required=True)
    parser.add_argument("--only", nargs="+", help="names of concepts; the folders are then called object and style")
    arguments = parser.parse_args()
    if arguments.only is None:
        write_concepts(arguments.target, TEST_THINGS, TEST_STYLES, ("objects", "styles"))
        return
    things = tuple(thing for thing in TEST_THINGS + MORE_THINGS if thing.name in arguments.only)
    styles = tuple(style for style in TEST_STYLES + MORE_STYLES if style.name in arguments.only)
    write_concepts(arguments.target, things, styles, ("object", "style"))


if __name__ == "__main__":
    main()
