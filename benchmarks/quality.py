"""How good the words of each recipe are, and how long they take: held-out concepts of the embedded world, with seeds.

Each recipe learns each concept with each seed, from the same base model and pictures. At five points of a training the
word as it would be registered is judged:

image   mean cosine between features of generated pictures of the plain prompt and of the training pictures
text    mean cosine between pictures of edit prompts ("<word> on the beach") and the text features of the same prompt
        with the word left out, as in the paper's evaluation

Features come from the base model's own vision tower and text projection, so the model must have them (the embedded one
does). `quick` is fitted in that very space, so its image score flatters it; compare it by its text score, and by eye.

Recipes: ours as they are (`direction`, `classic`, `quick`); `paper` is the paper's code (AdamW, 5e-3 x batch of 2,
weight decay 0.01, 6100 steps); `diffusers` is the example script's documented recipe (AdamW, 5e-4 x 4, batch 1
accumulated 4 times, weight decay 0.01, 3000 steps). The last two run on this engine, which changes their speed, not
their steps: --peer-step gives the script's own seconds per step, as `benchmarks/training.py` measures it. Settings can
be changed with `recipe:name=value,name=value`.

Time is CPU time of a training alone with one thread, steps times the median of ten steps: it does not depend on what
else the machine does. (To save time the trainings themselves run several concepts in one pass.)

The benchmark goes on where it was stopped or killed: what has been learned and judged stays in --cache.

Examples:
  python benchmarks/quality.py --minutes 60
  python benchmarks/quality.py --report
  python benchmarks/quality.py --concepts 4 --seeds 1 --recipes direction direction:learning_rate=0.04
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]


def main() -> None:
    arguments = _arguments()
    import torch

    torch.set_num_threads(arguments.threads)
    from benchmarks.quality_parts.judging import Judge
    from benchmarks.quality_parts.recipes import concepts
    from benchmarks.quality_parts.records import Records
    from benchmarks.quality_parts.report import report
    from benchmarks.quality_parts.training import measure_time, plan, train
    from tiregistry.bases.loading import load_base
    from tiregistry.bases.locating import embedded_folder
    from tiregistry.training.trail import trail

    folder = Path(arguments.base) if arguments.base else embedded_folder()
    base = load_base(str(folder), device=arguments.device)
    judge = Judge(base, folder, arguments.pictures)
    weights = base.identity.fingerprint
    cache = arguments.cache / (weights.text_encoder.removeprefix("sha256:")[:6] + weights.denoiser[-6:])
    records = Records.read(cache, judge.name)
    chosen = concepts(arguments.data, arguments.names, arguments.concepts)
    deadline = time.monotonic() + 60 * arguments.minutes if arguments.minutes else float("inf")

    def is_over() -> bool:
        return time.monotonic() > deadline

    every = [
        plan(base, recipe, concept, seed)
        for seed in range(arguments.seeds)
        for recipe in arguments.recipes
        for concept in chosen
    ]
    untimed = [recipe for recipe in arguments.recipes if recipe not in records.timings]
    if arguments.report and untimed:
        raise SystemExit(f"{untimed[0]} has not been timed yet: run the command once without --report")
    # Seed by seed and recipe by recipe, so that what is there at any time can be compared.
    groups = [every[at : at + len(chosen)] for at in range(0, len(every), len(chosen))]
    for group in [] if arguments.report else groups:
        if group[0].recipe not in records.timings:
            records.add(what="timing", recipe=group[0].recipe, **measure_time(base, folder, group[0]))
        for at in range(0, len(group), arguments.together):
            part = [training for training in group[at : at + arguments.together] if training.key not in records.ends]
            if part and not is_over():
                train(base, folder, records, part, is_over)
        for training in group:
            for point in trail(records.folder / training.key):
                end = records.ends.get(training.key, {"step": -1})["step"]
                wanted = point.step == end or (point.step in training.looks and not arguments.ends)
                if is_over() or not wanted or point.step in records.scores.get(training.key, {}):
                    continue
                rows = {role: torch.from_numpy(array.copy()) for role, array in point.embedding().tensors.items()}
                image, text = judge.score(rows, training.concept, list(training.pictures))
                records.add(
                    what="score", training=training.key, step=point.step, judge=judge.name, image=image, text=text
                )
        print(f"{time.strftime('%H:%M')} {group[0].recipe} seed {group[0].seed}", file=sys.stderr, flush=True)
        if is_over():
            print("time is over; the same command goes on", file=sys.stderr)
            break
    report(records, every, arguments.peer_step)
    if arguments.losses:
        from benchmarks.quality_parts.losses import print_losses

        print_losses(base, folder, records, groups)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", default="", help="diffusers folder with a vision tower (default: the embedded one)")
    parser.add_argument("--data", type=Path, default=ROOT / "tests/data/concepts", help="folder with a concepts.toml")
    parser.add_argument("--concepts", type=int, default=8, help="how many of them")
    parser.add_argument("--names", nargs="*", default=[], help="these concepts instead")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--recipes", nargs="*", default=["direction", "thorough", "quick", "diffusers", "paper"])
    parser.add_argument("--pictures", type=int, default=4, help="of the plain prompt, at each look")
    parser.add_argument("--peer-step", type=float, default=0.0, help="the diffusers script's seconds per step of 4")
    parser.add_argument("--cache", type=Path, default=ROOT / "benchmarks/.quality", help="what is done already")
    parser.add_argument("--minutes", type=float, default=0.0, help="stop after so many; 0: when all is done")
    parser.add_argument("--together", type=int, default=4, help="concepts trained in one pass")
    parser.add_argument("--report", action="store_true", help="only print the tables of what is there")
    parser.add_argument("--ends", action="store_true", help="judge words at their end only, not at the looks before")
    parser.add_argument("--losses", action="store_true", help="also print the loss of finished words on other samples")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
