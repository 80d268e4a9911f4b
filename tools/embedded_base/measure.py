"""Measures an exported base: `python -m tools.embedded_base.measure --model FOLDER --work DIR --out DIR`.

What a judge that saw only renders reads from generated pictures, and what single learned words reach on things and
styles that were held out whole. Every result is a line in OUT/results.jsonl and every word a file in OUT/words, so
that a measurement goes on where it was stopped; the grids that the numbers come from are saved beside them, because
numbers saturate on blobs. Prints the table against the bars at the end.
"""

import argparse
import datetime
import json
import multiprocessing
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from tools.embedded_base.concepts import (
    MORE_STYLES,
    MORE_THINGS,
    STYLE_CAPTIONS,
    TEST_STYLES,
    TEST_THINGS,
    HeldOutStyle,
    HeldOutThing,
    style_pictures,
    thing_pictures,
)
from tools.embedded_base.summary import print_summary

if TYPE_CHECKING:
    from tools.embedded_base.words import Lesson

PASS, GPU_PASS = 8, 96
"""Words that are learned in one pass."""


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="the exported folder")
    parser.add_argument("--work", type=Path, required=True, help="the work folder of training, for judge.pt")
    parser.add_argument("--out", type=Path, required=True, help="folder for results, words and grids")
    parser.add_argument("--prompts", type=int, default=256, help="pictures for each prompt accuracy, 0 to skip")
    parser.add_argument("--concepts", nargs="*", help="names of held-out things and styles; all test ones by default")
    parser.add_argument("--all-concepts", action="store_true", help="also the concepts kept for the final table")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--set", nargs="*", default=[], metavar="FIELD=VALUE", help="settings of the training, as JSON")
    parser.add_argument("--no-captions", action="store_true", help="styles, too, are learned from templates alone")
    parser.add_argument("--guidance", type=float, default=3.5)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    return parser.parse_args()


def _concepts(arguments: argparse.Namespace) -> tuple[tuple[HeldOutThing, ...], tuple[HeldOutStyle, ...]]:
    if arguments.concepts is not None:
        wanted = set(arguments.concepts)
        return (
            tuple(t for t in TEST_THINGS + MORE_THINGS if t.name in wanted),
            tuple(s for s in TEST_STYLES + MORE_STYLES if s.name in wanted),
        )
    more = arguments.all_concepts
    return TEST_THINGS + (MORE_THINGS if more else ()), TEST_STYLES + (MORE_STYLES if more else ())


def _settings(arguments: argparse.Namespace) -> dict[str, Any]:
    pairs = dict(pair.split("=", 1) for pair in arguments.set)
    settings = {}
    for key, value in pairs.items():
        try:
            settings[key] = json.loads(value)
        except ValueError:
            settings[key] = value
    return settings


def read_results(out: Path) -> dict[str, dict[str, Any]]:
    """Results so far by name."""
    path = out / "results.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return {entry["name"]: entry for entry in map(json.loads, lines)}


def _note(out: Path, name: str, values: dict[str, Any]) -> None:
    rounded = {key: round(value, 4) if isinstance(value, float) else value for key, value in values.items()}
    line = json.dumps({"name": name, **rounded})
    with (out / "results.jsonl").open("a") as file:
        file.write(line + "\n")
    print(line, flush=True)


def _work_share(arguments: argparse.Namespace, share: int) -> None:
    """Every `processes`-th job, on one thread."""
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // arguments.processes))
    from tiregistry.training.config import TrainingConfig
    from tools.embedded_base.judge import load_judge
    from tools.embedded_base.prompt_accuracy import measure_prompts
    from tools.embedded_base.word_quality import WORN, Eyes, Trial, measure_style, measure_things
    from tools.embedded_base.words import learn_words, open_base

    base, out, guidance = open_base(arguments.model), arguments.out, arguments.guidance
    eyes = Eyes.open(base, arguments.model, load_judge(arguments.work))
    things, styles = _concepts(arguments)
    config = TrainingConfig.from_mapping(_settings(arguments))
    done = read_results(out)
    tested: tuple[HeldOutThing | HeldOutStyle, ...] = (*things, *styles)
    every = [
        (seed, held)
        for seed in range(arguments.seeds)
        for number, held in enumerate(tested)
        if number % arguments.processes == share
    ]
    # Every thing is also drawn in this learned style.
    words = {(seed, held.name): held for seed, held in every}
    if any(isinstance(held, HeldOutThing) for held in words.values()):
        words |= {(seed, WORN.name): TEST_STYLES[0] for seed in range(arguments.seeds)}
    missing = [(seed, held) for (seed, name), held in words.items() if not _word_file(out, name, seed).exists()]
    size = PASS if base.device.type == "cpu" else GPU_PASS
    for first in range(0, len(missing), size):
        jobs = missing[first : first + size]
        lessons = [_lesson(held, seed, captions=not arguments.no_captions) for seed, held in jobs]
        vectors, seconds = learn_words(base, lessons, config)
        for (seed, held), vector in zip(jobs, vectors, strict=True):
            path = _word_file(out, held.name, seed)
            partial = path.with_suffix(f".{os.getpid()}")
            save_file({"word": vector.contiguous()}, partial, metadata={"seconds_per_step": f"{seconds:.4f}"})
            os.replace(partial, path)
    for number, held_combinations in enumerate((False, True)):
        name = f"prompts, combinations {'never trained' if held_combinations else 'trained'}"
        if arguments.prompts and number % arguments.processes == share and name not in done:
            scores = measure_prompts(base, eyes.judge, arguments.prompts, out, guidance, held=held_combinations)
            _note(out, name, {"kind_of": "prompts", "n": arguments.prompts, **scores})
    trials = []
    for seed, held in every:
        name = f"{held.name} {seed}"
        if name in done:
            continue
        vector = load_file(_word_file(out, held.name, seed))["word"]
        if isinstance(held, HeldOutStyle):
            scores = measure_style(base, eyes, held, vector, out / "grids", guidance, seed)
            _note(out, name, {"kind_of": "style", **scores})
        else:
            style = load_file(_word_file(out, WORN.name, seed))["word"]
            trials.append(Trial(held, seed, vector, style))
    together = 1 if base.device.type == "cpu" else GPU_PASS
    for first in range(0, len(trials), together):
        group = trials[first : first + together]
        for trial, (scores, features) in zip(
            group, measure_things(base, eyes, group, out / "grids", guidance), strict=True
        ):
            np.save(out / "words" / f"{trial.held.name}_{trial.seed}.npy", features.numpy())
            _note(out, f"{trial.held.name} {trial.seed}", {"kind_of": "thing", **scores})


def _lesson(held: HeldOutThing | HeldOutStyle, seed: int, *, captions: bool) -> "Lesson":
    from tools.embedded_base.words import Lesson

    if isinstance(held, HeldOutThing):
        return Lesson(held.name, thing_pictures(held), held.initializer, seed=seed)
    said = STYLE_CAPTIONS if captions else ()
    return Lesson(held.name, style_pictures(held), held.initializer, said, style=True, seed=seed)


def _word_file(out: Path, name: str, seed: int) -> Path:
    return out / "words" / f"{name}_{seed}.safetensors"


def identification(out: Path, work: Path, things: tuple[HeldOutThing, ...], seeds: int) -> float | None:
    """Share of generated pictures that the judge's features match to their own thing's sources among all `things`."""
    from tools.embedded_base.autoencoder import to_tensor
    from tools.embedded_base.judge import load_judge

    files = [(i, out / "words" / f"{t.name}_{s}.npy") for i, t in enumerate(things) for s in range(seeds)]
    if len(things) < 2 or not all(path.exists() for _, path in files):
        return None
    judge = load_judge(work)
    with torch.no_grad():
        seen = [judge.features(to_tensor(thing_pictures(thing))) for thing in things]
    sources = torch.stack([torch.nn.functional.normalize(s, dim=-1).mean(0) for s in seen])
    sources = torch.nn.functional.normalize(sources, dim=-1)
    right = [(torch.from_numpy(np.load(path)) @ sources.T).argmax(1) == number for number, path in files]
    return float(torch.cat(right).float().mean())


def main() -> None:
    arguments = parse()
    (arguments.out / "words").mkdir(parents=True, exist_ok=True)
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_work_share, args=(arguments, i)) for i in range(arguments.processes)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if any(worker.exitcode for worker in workers):
        raise SystemExit("a worker failed; what was measured is kept: run the same command again")
    things, _ = _concepts(arguments)
    tested = tuple(thing for thing in things if thing in TEST_THINGS)
    right = identification(arguments.out, arguments.work, tested, arguments.seeds)
    today = datetime.datetime.now().astimezone().date()
    print(f"\n{today}, {arguments.processes} processes, guidance {arguments.guidance}\n")
    print_summary(read_results(arguments.out), right, len(tested))


if __name__ == "__main__":
    main()
