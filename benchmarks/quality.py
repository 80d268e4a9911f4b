"""How good the words of each recipe are, and how long they take: on the embedded world, several concepts and seeds.

For every concept and seed each recipe trains on the same base model and pictures. At some steps the word as it would be
registered is judged, outside the clock:

image   mean cosine between features of generated pictures ("a photo of a <word>") and of the training pictures
text    mean cosine between generated pictures ("<word> on the beach", …) and the text features of the same prompt
        with the word left out, as in the paper's evaluation

Features come from the base model's own vision tower and text projection, so the model must have them (the embedded one
does). `quick` is fitted in that very space, so its image score flatters it; compare it by its text score, and by eye.

Recipes: ours as they are (`direction`, `classic`, `quick`); `paper` is the paper's code (AdamW, 5e-3 x batch of 2,
weight decay 0.01, 6100 steps); `diffusers` is the example script's documented recipe (AdamW, 5e-4 x 4, batch 1
accumulated 4 times, weight decay 0.01, 3000 steps). The last two run on this engine, which changes their speed, not
their steps: --peer-step gives the script's own seconds per step, as `benchmarks/training.py` measures it at batch 4.

The last table answers: how long, and how many steps, until a recipe has the image score that `diffusers` ends with, at
equal or better text score.

Examples:
  python benchmarks/quality.py
  python benchmarks/quality.py --concepts 2 --seeds 1 --recipes direction diffusers --cap 200 --pictures 2
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

from tiregistry.training.config import TrainingConfig  # noqa: E402

RECIPES: dict[str, TrainingConfig] = {
    "direction": TrainingConfig(),
    "classic": TrainingConfig(recipe="classic"),
    "quick": TrainingConfig(recipe="quick"),
    "paper": TrainingConfig(
        recipe="classic", learning_rate=5e-3, batch_size=2, weight_decay=0.01, max_steps=6100, lr_scheduler="constant"
    ),
    "diffusers": TrainingConfig(
        recipe="classic",
        learning_rate=5e-4,
        batch_size=1,
        gradient_accumulation=4,
        weight_decay=0.01,
        max_steps=3000,
        lr_scheduler="constant",
        stratified_timesteps=False,
    ),
}
PHOTO = "a photo of a {}"
SCENES = {
    "object": ("a {} on the beach", "a {} in the snow", "an oil painting of a {}", "a {} on a table"),
    "style": ("a cat in the style of {}", "a house in the style of {}", "a car in the style of {}"),
}


@dataclass
class Course:
    """One training: what was judged, at which step and second."""

    steps: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    image: list[float] = field(default_factory=list)
    text: list[float] = field(default_factory=list)


def main() -> None:
    arguments = _arguments()
    import torch

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    from tiregistry.bases.loading import load_base
    from tiregistry.bases.locating import embedded_folder

    folder = Path(arguments.base) if arguments.base else embedded_folder()
    base = load_base(str(folder), device=arguments.device)
    judge = Judge(base, folder)
    courses: dict[str, list[Course]] = {name: [] for name in arguments.recipes}
    for concept in _concepts(arguments):
        for seed in range(arguments.seeds):
            for name in arguments.recipes:
                course = _train(base, folder, judge, concept, name, seed, arguments)
                courses[name].append(course)
                print(
                    f"{concept['name']:14} seed {seed} {name:10} {course.steps[-1]:>5} steps "
                    f"{course.seconds[-1]:>7.1f} s  image {course.image[-1]:.4f}  text {course.text[-1]:.4f}",
                    flush=True,
                )
    _report(courses, arguments)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", default="", help="diffusers folder with a vision tower (default: the embedded one)")
    parser.add_argument("--data", type=Path, default=ROOT / "tests/data/concepts", help="folder with a concepts.toml")
    parser.add_argument("--concepts", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--recipes", nargs="*", choices=tuple(RECIPES), default=list(RECIPES))
    parser.add_argument("--cap", type=int, default=0, help="most steps of any recipe; 0: its own")
    parser.add_argument("--looks", type=int, default=8, help="times a training is judged")
    parser.add_argument("--pictures", type=int, default=4, help="generated pictures per prompt")
    parser.add_argument("--peer-step", type=float, default=0.0, help="the diffusers script's seconds per step of 4")
    parser.add_argument("--set", nargs="*", default=[], help="settings for `direction`, e.g. learning_rate=0.03")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=0)
    return parser.parse_args()


def _concepts(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    tables = tomllib.loads((arguments.data / "concepts.toml").read_text(encoding="utf-8"))["concept"]
    return [table | {"path": arguments.data / table["folder"]} for table in tables[: arguments.concepts]]


class Judge:
    """Scores pictures with the base model's own vision tower and text projection."""

    def __init__(self, base: Any, folder: Path) -> None:
        from tiregistry.bases.clip_space import ClipSpace

        tower = base.towers[0]
        self._base, self._space = base, ClipSpace(tower.model, tower.tokenizer, folder)

    def _features(self, pictures: list[Any]) -> Any:
        import torch

        return torch.nn.functional.normalize(self._space.picture_features(pictures), dim=-1)

    def score(self, rows: Any, concept: dict[str, Any], pictures: list[Any], count: int) -> tuple[float, float]:
        """Image and text score of a word."""
        import torch

        sources = self._features(pictures)
        style = concept["type"] == "style"
        shown = [SCENES["style"][0]] if style else [PHOTO]
        generated = self._features(self._generate(rows, shown, count))
        image = float((generated @ sources.T).mean())
        scores = []
        for prompt in SCENES[concept["type"]]:
            made = self._features(self._generate(rows, [prompt], count))
            told = torch.nn.functional.normalize(self._text(" ".join(prompt.replace("{}", "").split())), dim=-1)
            scores.append(float((made @ told.T).mean()))
        return image, sum(scores) / len(scores)

    def _generate(self, rows: Any, prompts: list[str], count: int) -> list[Any]:
        import io

        from PIL import Image

        from tiregistry.training.previews import preview

        return [
            Image.open(io.BytesIO(preview(self._base, rows, prompt, 1000 + seed))).convert("RGB")
            for prompt in prompts
            for seed in range(count)
        ]

    def _text(self, text: str) -> Any:
        import torch

        ids = torch.tensor([self._base.towers[0].ids([text])], device=self._base.device)
        with torch.no_grad():
            return self._space.text_features(ids)


def _train(
    base: Any, folder: Path, judge: Judge, concept: dict[str, Any], name: str, seed: int, arguments: argparse.Namespace
) -> Course:
    from tiregistry.images import read_pictures
    from tiregistry.training.dataset import encode_pictures
    from tiregistry.training.loop import Word, learn, place_captions
    from tiregistry.training.starting import start_vectors
    from tiregistry.training.stopping import StopRule
    from tiregistry.training.vision_start import warm_start
    from tiregistry.training.wording import Wording

    config = replace(
        RECIPES[name], concept_type=concept["type"], initializer=concept["initializer"], seed=seed, num_vectors=1
    )
    if name == "direction":
        changes = dict(pair.split("=", 1) for pair in arguments.set)
        config = TrainingConfig.from_mapping(
            config.as_dict() | {k: tomllib.loads(f"v={v}")["v"] for k, v in changes.items()}
        )
    config = config.resolved()
    if arguments.cap:
        config = replace(config, max_steps=min(config.max_steps or 0, arguments.cap))
    config.check()
    pictures = [picture.image for picture in read_pictures([concept["path"]])[0]]
    course = Course()
    spent, began = 0.0, time.perf_counter()
    vectors, count = start_vectors(base, config)
    latents = encode_pictures(base, pictures, base.resolution, flip=config.flip)
    wording = Wording.build(config, [""] * len(pictures), "<word>")
    rule = StopRule(config) if config.stopping == "dvar" else None
    word = Word(concept["name"], vectors, latents, wording, config, count, rule=rule)
    if config.recipe == "quick":
        place_captions(base, [word])
        warm_start(base, folder, word, pictures)
    every = max(1, -(-word.last // arguments.looks))

    def look() -> None:
        image, text = judge.score(word.learned(), concept, pictures, arguments.pictures)
        course.steps.append(word.step)
        course.seconds.append(spent)
        course.image.append(image)
        course.text.append(text)

    spent += time.perf_counter() - began
    look()
    began = time.perf_counter()
    for _ in learn(base, [word]):
        if word.step % every == 0 or word.ended:
            spent += time.perf_counter() - began
            look()
            began = time.perf_counter()
    if name == "diffusers" and arguments.peer_step:
        course.seconds = [step * arguments.peer_step for step in course.steps]
    return course


def _report(courses: dict[str, list[Course]], arguments: argparse.Namespace) -> None:
    concepts = {name: len(found) for name, found in courses.items()}
    print(f"\n{max(concepts.values())} trainings of each recipe, mean ± standard deviation")
    print(f"{'recipe':10} {'steps':>11} {'seconds':>13} {'image':>15} {'text':>15}")
    for name, found in courses.items():
        columns = [
            _spread([c.steps[-1] for c in found], "{:.0f}"),
            _spread([c.seconds[-1] for c in found], "{:.1f}"),
            _spread([c.image[-1] for c in found], "{:.4f}"),
            _spread([c.text[-1] for c in found], "{:.4f}"),
        ]
        print(f"{name:10} {columns[0]:>11} {columns[1]:>13} {columns[2]:>15} {columns[3]:>15}")
    if "diffusers" not in courses:
        return
    print("\nuntil the image score that diffusers ends with, at equal or better text score")
    for name, found in courses.items():
        reached = [
            hit
            for mine, theirs in zip(found, courses["diffusers"], strict=True)
            if (hit := _first(mine, theirs.image[-1], theirs.text[-1])) is not None
        ]
        if not reached:
            print(f"{name:10} never")
            continue
        gain = statistics.mean(c.seconds[-1] for c in courses["diffusers"]) / max(
            1e-9, statistics.mean(seconds for _, seconds in reached)
        )
        print(
            f"{name:10} in {len(reached)} of {len(found)} trainings, after "
            f"{statistics.mean(step for step, _ in reached):.0f} steps, "
            f"{statistics.mean(seconds for _, seconds in reached):.1f} s: {gain:.1f} x less time"
        )


def _first(course: Course, image: float, text: float) -> tuple[int, float] | None:
    """The first look at which both scores are reached."""
    for step, seconds, one, other in zip(course.steps, course.seconds, course.image, course.text, strict=True):
        if one >= image and other >= text:
            return step, seconds
    return None


def _spread(values: list[float], form: str) -> str:
    mean = statistics.mean(values)
    return f"{form.format(mean)} ± {form.format(statistics.pstdev(values))}"


if __name__ == "__main__":
    main()
