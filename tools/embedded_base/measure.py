"""Measures an exported base: `python -m tools.embedded_base.measure --model FOLDER --work DIR --out DIR`.

What a judge that saw only renders reads from generated pictures, and what single learned vectors reach. Prints one
JSON line per measurement and saves every grid that the numbers come from, because numbers saturate on blobs.
"""

import argparse
import json
import os
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from tools.embedded_base.autoencoder import to_tensor
from tools.embedded_base.concepts import (
    MORE_STYLES,
    MORE_THINGS,
    TEST_STYLES,
    TEST_THINGS,
    HeldOutStyle,
    HeldOutThing,
    style_pictures,
    thing_pictures,
)
from tools.embedded_base.dataset import ATTRIBUTES, scene_labels
from tools.embedded_base.inversion import WORD, Base
from tools.embedded_base.judge import Judge, judge_pictures, load_judge
from tools.embedded_base.pictures import save_grid
from tools.embedded_base.world.backgrounds import CONTEXTS
from tools.embedded_base.world.captions import CONTEXT_PHRASES, with_articles
from tools.embedded_base.world.kinds import NAMED_KINDS
from tools.embedded_base.world.media import MEDIA
from tools.embedded_base.world.palette import COLOUR_RGB, COLOURS
from tools.embedded_base.world.scenes import Scene, draw_scene, held_out
from tools.embedded_base.world.things import Thing

EDIT_CONTEXTS = ("beach", "snow", "night", "brick")
EDIT_MEDIA = ("oil painting", "watercolor", "pixel art", "cartoon")


def _report(**values: object) -> None:
    print(json.dumps({k: round(v, 4) if isinstance(v, float) else v for k, v in values.items()}), flush=True)


def _prompt(scene: Scene) -> str:
    what = f"{scene.thing.colour} {scene.thing.kind} {CONTEXT_PHRASES[scene.context][0]}"
    return with_articles(f"a photo of a {what}" if scene.medium == "photo" else f"a {scene.medium} of a {what}")


def _plain_scenes(count: int, held: bool, rng: np.random.Generator) -> list[Scene]:
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


def _accuracy(judge: Judge, pictures: np.ndarray, scenes: list[Scene]) -> dict[str, float]:
    """Share of right answers; colour is not asked of pencil drawings, which have none."""
    read, labels = judge_pictures(judge, pictures), np.array([scene_labels(scene) for scene in scenes])
    coloured = np.array([scene.medium != "pencil drawing" for scene in scenes])
    result = {}
    for i, key in enumerate(ATTRIBUTES):
        right = read[key] == labels[:, i]
        result[key] = float((right[coloured] if key == "colour" else right).mean())
    return result


def measure_prompts(base: Base, judge: Judge, count: int, out: Path, guidance: float) -> None:
    """Accuracy on seen and on never-trained combinations, and of the judge on renders of the latter."""
    rng = np.random.default_rng(5)
    for held in (False, True):
        scenes = _plain_scenes(count, held, rng)
        prompts = [_prompt(scene) for scene in scenes]
        started = time.monotonic()
        drawn = [base.draw(prompts[i : i + 32], seed=i, guidance=guidance) for i in range(0, count, 32)]
        pictures = np.concatenate(drawn)
        seconds = (time.monotonic() - started) / count
        name = "never trained" if held else "trained"
        save_grid(pictures[:96], 12, out / f"prompts_{name.replace(' ', '_')}.png")
        _report(measure=f"prompts, combinations {name}", n=count, **_accuracy(judge, pictures, scenes), seconds=seconds)
    renders = np.stack([draw_scene(scene, rng) for scene in scenes])
    _report(measure="renders of the same, the judge's limit", n=count, **_accuracy(judge, renders, scenes))


@torch.no_grad()
def judge_features(judge: Judge, pictures: np.ndarray) -> torch.Tensor:
    """(n, 192) unit vectors."""
    return F.normalize(judge.features(to_tensor(pictures)), dim=-1)


def _similarity(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a @ b.T).mean())


def _gap_closed(start: float, reached: float, best: float) -> float:
    return (reached - start) / max(best - start, 1e-3)


def measure_thing(
    base: Base, judge: Judge, held: HeldOutThing, options: dict[str, float], out: Path, guidance: float, seed: int
) -> torch.Tensor:
    """Learns it, draws it alone and in edits, reports and saves a grid; returns the judge's features of it alone."""
    sources = thing_pictures(held)
    learned = base.learn(sources, held.initializer, seed=seed, **options)
    article = "an" if held.initializer[0] in "aeiou" else "a"
    before = base.draw([f"a photo of {article} {held.initializer}"] * 4, seed=1, guidance=guidance)
    alone = base.draw([f"a photo of a {WORD}"] * 8, learned.vector, seed=1, guidance=guidance)
    edits = [f"a photo of a {WORD} {CONTEXT_PHRASES[c][0]}" for c in EDIT_CONTEXTS for _ in range(2)]
    edits += [with_articles(f"a {m} of a {WORD}") for m in EDIT_MEDIA for _ in range(2)]
    edited = base.draw(edits, learned.vector, seed=2, guidance=guidance)
    read = judge_pictures(judge, edited)
    contexts = np.repeat([list(ATTRIBUTES["context"]).index(c) for c in EDIT_CONTEXTS], 2)
    media = np.repeat([list(ATTRIBUTES["medium"]).index(m) for m in EDIT_MEDIA], 2)
    own, start, reached = (judge_features(judge, pictures) for pictures in (sources, before, alone))
    best = (float((own @ own.T).sum()) - len(own)) / (len(own) * (len(own) - 1))
    save_grid(np.concatenate([sources, before, alone, edited]), 8, out / f"thing_{held.name}_{seed}.png")
    _report(
        measure="thing",
        name=held.name,
        seed=seed,
        initializer=_similarity(start, own),
        learned=_similarity(reached, own),
        sources=best,
        gap_closed=_gap_closed(_similarity(start, own), _similarity(reached, own), best),
        context_right=float((read["context"][:8] == contexts).mean()),
        medium_right=float((read["medium"][8:] == media).mean()),
        seconds_per_step=learned.seconds_per_step,
        loss=learned.loss,
    )
    return reached


def measure_style(
    base: Base, judge: Judge, held: HeldOutStyle, options: dict[str, float], out: Path, guidance: float, seed: int
) -> None:
    """Learns it from four things and puts it on four others."""
    sources = style_pictures(held)
    learned = base.learn(sources, held.initializer, style=True, seed=seed, **options)
    subjects = (
        "red house on the grass",
        "blue flower in the snow",
        "yellow fish under the sea",
        "purple star at night",
    )
    before = base.draw([f"a {s} in the style of {held.initializer}" for s in subjects], seed=1, guidance=guidance)
    after = base.draw(
        [f"a {s} in the style of {WORD}" for s in subjects * 2], learned.vector, seed=1, guidance=guidance
    )
    own, start, reached = (judge_features(judge, pictures) for pictures in (sources, before, after))
    best = (float((own @ own.T).sum()) - len(own)) / (len(own) * (len(own) - 1))
    kinds = np.array([ATTRIBUTES["kind"].index(s.split()[1]) for s in subjects * 2])
    save_grid(np.concatenate([sources, before, after]), 8, out / f"style_{held.name}_{seed}.png")
    _report(
        measure="style",
        name=held.name,
        seed=seed,
        initializer=_similarity(start, own),
        learned=_similarity(reached, own),
        sources=best,
        kind_right=float((judge_pictures(judge, after)["kind"] == kinds).mean()),
        seconds_per_step=learned.seconds_per_step,
        loss=learned.loss,
    )


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="the exported folder")
    parser.add_argument("--work", type=Path, required=True, help="the work folder of training, for judge.pt")
    parser.add_argument("--out", type=Path, required=True, help="folder for the grids")
    parser.add_argument("--prompts", type=int, default=256, help="pictures for the prompt accuracies, 0 to skip")
    parser.add_argument("--concepts", nargs="*", help="names of held-out things and styles; all test ones by default")
    parser.add_argument("--all-concepts", action="store_true", help="also the concepts kept for the final table")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--rate", type=float, default=0.05, help="radians a step, or with --plain AdamW's rate")
    parser.add_argument("--plain", action="store_true", help="plain AdamW instead of a fixed norm")
    parser.add_argument("--guidance", type=float, default=3.5)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    torch.set_num_threads(arguments.threads)
    base, judge = Base(arguments.model, torch.device("cpu")), load_judge(arguments.work)
    out, guidance = arguments.out, arguments.guidance
    if arguments.prompts:
        measure_prompts(base, judge, arguments.prompts, out, guidance)
    things = TEST_THINGS + (MORE_THINGS if arguments.all_concepts else ())
    styles = TEST_STYLES + (MORE_STYLES if arguments.all_concepts else ())
    if arguments.concepts is not None:
        things = tuple(t for t in TEST_THINGS + MORE_THINGS if t.name in arguments.concepts)
        styles = tuple(s for s in TEST_STYLES + MORE_STYLES if s.name in arguments.concepts)
    options = {"max_steps": arguments.steps, "learning_rate": arguments.rate, "fixed_norm": not arguments.plain}
    found = []
    sources = torch.stack([judge_features(judge, thing_pictures(t)).mean(0) for t in things]) if things else None
    for seed in range(arguments.seeds):
        for number, thing in enumerate(things):
            features = measure_thing(base, judge, thing, options, out, guidance, seed)
            found.append(float(((features @ sources.T).argmax(1) == number).float().mean()))
        for style in styles:
            measure_style(base, judge, style, options, out, guidance, seed)
    if len(things) > 1:
        _report(measure="identification", things=len(things), right=float(np.mean(found)), chance=1 / len(things))


if __name__ == "__main__":
    main()
