"""What the judge reads from pictures of plain prompts, on combinations that were trained and that never were."""

import time
from pathlib import Path

import numpy as np

from tiregistry.bases.loaded import LoadedBase
from tools.embedded_base.dataset import ATTRIBUTES, scene_labels
from tools.embedded_base.judge import Judge, judge_pictures
from tools.embedded_base.pictures import save_grid
from tools.embedded_base.words import draw
from tools.embedded_base.world.backgrounds import CONTEXTS
from tools.embedded_base.world.captions import CONTEXT_PHRASES, with_articles
from tools.embedded_base.world.kinds import NAMED_KINDS
from tools.embedded_base.world.media import MEDIA
from tools.embedded_base.world.palette import COLOUR_RGB, COLOURS
from tools.embedded_base.world.scenes import Scene, draw_scene, held_out
from tools.embedded_base.world.things import Thing


def scene_prompt(scene: Scene) -> str:
    """The scene in plain words."""
    what = f"{scene.thing.colour} {scene.thing.kind} {CONTEXT_PHRASES[scene.context][0]}"
    return with_articles(f"a photo of a {what}" if scene.medium == "photo" else f"a {scene.medium} of a {what}")


def plain_scenes(count: int, held: bool, rng: np.random.Generator) -> list[Scene]:
    """Named kinds in one colour; half of them photos, the rest in the other media."""
    scenes: list[Scene] = []
    while len(scenes) < count:
        kind, context = str(rng.choice(list(NAMED_KINDS))), str(rng.choice(list(CONTEXTS)))
        colour = int(rng.integers(len(COLOURS)))
        if held_out(kind, COLOURS[colour], context) != held:
            continue
        medium = "photo" if len(scenes) % 2 == 0 else str(rng.choice(list(MEDIA)[1:]))
        second = COLOUR_RGB[(colour + 1 + int(rng.integers(len(COLOURS) - 1))) % len(COLOURS)]
        scenes.append(Scene(Thing(kind, COLOUR_RGB[colour], second), context, medium, MEDIA[medium]))
    return scenes


def accuracy(judge: Judge, pictures: np.ndarray, scenes: list[Scene]) -> dict[str, float]:
    """Share of right answers; colour is not asked of pencil drawings, which have none."""
    read, labels = judge_pictures(judge, pictures), np.array([scene_labels(scene) for scene in scenes])
    coloured = np.array([scene.medium != "pencil drawing" for scene in scenes])
    result = {}
    for i, key in enumerate(ATTRIBUTES):
        right = read[key] == labels[:, i]
        result[key] = float((right[coloured] if key == "colour" else right).mean())
    return result


def measure_prompts(
    base: LoadedBase, judge: Judge, count: int, out: Path, guidance: float, *, held: bool
) -> dict[str, float]:
    """Accuracies on `count` pictures, those of the judge on renders of the same scenes (`limit_…`), seconds a picture.

    Saves prompts_….png with the first 96 pictures and prompts_…_wrong.png with those whose kind was misread.
    """
    rng = np.random.default_rng(6 if held else 5)
    scenes = plain_scenes(count, held, rng)
    started = time.monotonic()
    pictures = draw(base, [scene_prompt(scene) for scene in scenes], seed=1000, guidance=guidance)
    seconds = (time.monotonic() - started) / count
    name = "never_trained" if held else "trained"
    save_grid(pictures[:96], 12, out / f"prompts_{name}.png")
    labels = np.array([scene_labels(scene) for scene in scenes])
    wrong = pictures[judge_pictures(judge, pictures)["kind"] != labels[:, 0]]
    if len(wrong):
        save_grid(wrong[:48], 12, out / f"prompts_{name}_wrong.png")
    renders = np.stack([draw_scene(scene, rng) for scene in scenes])
    limit = {f"limit_{key}": value for key, value in accuracy(judge, renders, scenes).items()}
    return accuracy(judge, pictures, scenes) | limit | {"seconds": seconds}
