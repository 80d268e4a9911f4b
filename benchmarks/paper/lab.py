"""What the experiments share: options, the loaded embedded world, words learned on it and what is measured of them.

Everything lies in a work folder (words, features of pictures): an experiment that is stopped goes on where it was, and
a second experiment uses what the first one learned. Another embedded base model starts afresh.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

os.environ.setdefault("HF_HUB_OFFLINE", "1")
ROOT = Path(__file__).resolve().parents[2]
RESULTS = Path(__file__).parent / "results"
CONCEPTS = ROOT / "tests" / "data" / "concepts"

import numpy as np  # noqa: E402
from PIL import Image  # noqa: E402

from benchmarks.paper.lessons import Concept, Lesson, learn_words  # noqa: E402
from benchmarks.paper.trials import MEASURES, Row  # noqa: E402
from tiregistry.evaluation.evaluating import Evaluator  # noqa: E402
from tiregistry.evaluation.judges import find_judge  # noqa: E402
from tiregistry.evaluation.measures import image_alignment, text_alignment  # noqa: E402
from tiregistry.evaluation.protocols import Protocol, protocol, without_word  # noqa: E402
from tiregistry.evaluation.subjects import Subject  # noqa: E402
from tiregistry.training.config import TrainingConfig  # noqa: E402

THINGS = ["amphora", "rover", "griffin"]
"""A vase, a toy on wheels and a creature, which the judge tells apart."""
APART = 100_000
"""Between the first picture seeds of two trainings."""
KNOWN = 2.0
"""Seconds of work on one word from which it was not known already."""
LONG_CAPTIONS = {
    "amphora": "a tall teal vase with a narrow neck, two round handles, an orange band around its belly and a foot",
    "imp": "a small orange creature with a teal belly, two horns, round eyes and a long thin tail",
    "rover": "a yellow toy on four round wheels with a purple square body and a thin aerial with a ball on top",
    "griffin": "a tall purple creature with one yellow wing, one horn on its head, two round eyes and long legs",
}


def known_concepts() -> dict[str, Concept]:
    """What tests/data/concepts has."""
    tables = tomllib.loads((CONCEPTS / "concepts.toml").read_text(encoding="utf-8"))["concept"]
    return {
        t["name"]: Concept(t["name"], t["type"], CONCEPTS / t["folder"], t["initializer"], t["caption"]) for t in tables
    }


class Options(argparse.ArgumentParser):
    """The options that every experiment has.

    Args:
        concepts: names in tests/data/concepts that are taken when none is given.
        things, styles: how many of each an experiment needs.
    """

    def __init__(self, text: str | None, concepts: Sequence[str], *, things: int = 1, styles: int = 0) -> None:
        super().__init__(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
        self._things, self._styles = things, styles
        self.add_argument("--concepts", nargs="+", default=list(concepts), help="names in tests/data/concepts")
        self.add_argument("--seeds", type=_at_least(1), default=2, help="trainings of each")
        self.add_argument("--steps", type=_at_least(1), default=100, help="steps of each training")
        self.add_argument("--pictures", type=_at_least(1), default=8, help="pictures of the plain prompt per training")
        self.add_argument("--edit-pictures", type=_at_least(1), default=1, help="pictures of each of the 8 edits")
        self.add_argument("--inference-steps", type=_at_least(1), default=12)
        self.add_argument("--together", type=_at_least(1), default=6, help="words learned in one pass")
        self.add_argument("--threads", type=_at_least(1), default=1)
        self.add_argument(
            "--work", type=Path, default=Path.home() / ".cache" / "tireg-paper", help="kept between calls"
        )
        self.add_argument("--out", type=Path, default=RESULTS)

    def error(self, message: str) -> NoReturn:
        """One line, status 2."""
        self.exit(2, f"{self.prog}: {message}\n")

    def parse_args(self, *given: Any, **more: Any) -> Any:
        """Exits with one line and status 2 when a name is unknown or there are too few of a kind."""
        options = super().parse_args(*given, **more)
        known = known_concepts()
        for name in options.concepts:
            if name not in known:
                self.error(f"there is no concept {name!r}: {', '.join(known)}")
        options.concepts = list(dict.fromkeys(options.concepts))
        kinds = [known[name].kind for name in options.concepts]
        for kind, needed in (("object", self._things), ("style", self._styles)):
            if kinds.count(kind) < needed:
                names = ", ".join(name for name, concept in known.items() if concept.kind == kind)
                self.error(f"--concepts needs {needed} {kind}{'s' if needed > 1 else ''} of: {names}")
        return options


def _at_least(least: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if int(text) < least:
            raise argparse.ArgumentTypeError(f"{text} is less than {least}")
        return int(text)

    return number


class Lab:
    """Learns and measures words on the embedded base model."""

    def __init__(self, options: argparse.Namespace) -> None:
        import torch

        from tiregistry.bases.loading import load_base
        from tiregistry.bases.locating import EMBEDDED, embedded_folder
        from tiregistry.generation.generator import Generator
        from tiregistry.registry.registry import Registry

        torch.set_num_threads(options.threads)
        self.options = options
        self.base = load_base(str(embedded_folder()), device="cpu", precision="fp32")
        self.base_digest = self.base.identity.fingerprint.denoiser[7:19]
        self.generator = Generator(self.base, Registry.open(options.work / "registry"))
        self.judge = find_judge("auto", EMBEDDED, EMBEDDED, embedded_folder()).open()

    def concepts(self, kind: str = "object") -> list[Concept]:
        """The chosen concepts of a kind."""
        known = known_concepts()
        return [known[name] for name in self.options.concepts if known[name].kind == kind]

    def protocol(self, seed: int, kind: str = "object") -> Protocol:
        """The quick protocol's prompts, with the chosen numbers and noises of a training's own."""
        options = self.options
        chosen = protocol("quick", kind, "embedded")  # type: ignore[arg-type]
        settings = replace(chosen.settings, num_inference_steps=options.inference_steps)
        numbers = {"pictures": options.pictures, "edit_pictures": options.edit_pictures}
        return replace(chosen, name="custom", settings=settings, seed=APART * seed, **numbers)

    def paper_lesson(self, concept: Concept, seed: int, changes: dict[str, object]) -> Lesson:
        """A word as the paper learns it (`classic`, a batch of two as in its code), with what an experiment changes."""
        settings: dict[str, Any] = {"recipe": "classic", "batch_size": 2, "initializer": concept.initializer}
        settings |= {"num_vectors": 1, "max_steps": self.options.steps, "stopping": "none", "seed": seed} | changes
        return Lesson(concept, TrainingConfig(concept_type=concept.kind, **settings).resolved())  # type: ignore[arg-type]

    def learn(self, lessons: Sequence[Lesson]) -> list[Subject]:
        """The words of all lessons, those learned in one pass that are not there yet."""
        return learn_words(self.base, self.options.work / "words", lessons, self.options.together)

    def measure(self, row: Row, concept: Concept, subject: Subject, seed: int) -> None:
        """Both alignments of one subject with a concept's pictures, as a trial of the row."""
        evaluator = Evaluator(
            self.generator,
            self.judge,
            self.protocol(seed, concept.kind),
            folder=self.options.work / "evaluation",
            batch_size=16,
        )
        found = evaluator.measure(subject, concept.pictures())
        assert found.image is not None
        each = dict(zip(MEASURES, (found.image, np.concatenate(found.texts)), strict=True))
        row.pictures[concept.name, seed] = each
        row.trials[concept.name, seed] = {measure: float(values.mean()) for measure, values in each.items()}

    def fill(self, row: Row, changes: dict[str, object], seed: int, concepts: Sequence[Concept]) -> bool:
        """Learn and measure one training of each concept; whether something had to be learned or drawn for it."""
        began = time.process_time()
        missing = [concept for concept in concepts if (concept.name, seed) not in row.trials]
        words = self.learn([self.paper_lesson(concept, seed, changes) for concept in missing])
        for concept, word in zip(missing, words, strict=True):
            self.measure(row, concept, word, seed)
        return time.process_time() - began > KNOWN * len(missing)

    def sources_row(self, concepts: Sequence[Concept]) -> Row:
        """The source pictures themselves: each compared with the others, and with the edits' texts."""
        row = Row("source pictures", "reference")
        for concept in concepts:
            features = self.judge.pictures(concept.pictures())
            others = [np.delete(features, n, axis=0) for n in range(len(features))]
            image = np.mean([image_alignment(features[n : n + 1], o)[0] for n, o in enumerate(others)])
            told = self.judge.texts([without_word(edit) for edit in self.protocol(0, concept.kind).edits])
            text = np.mean([text_alignment(features, t[None]).mean() for t in told])
            for seed in range(self.options.seeds):  # what every training is compared with
                row.trials[concept.name, seed] = dict(zip(MEASURES, (float(image), float(text)), strict=True))
        return row

    def make(self, prompt: str, words: Sequence[Subject], seeds: Sequence[int]) -> list[Image.Image]:
        """Pictures of one prompt that names words as `<name>`."""
        pinned = {}
        for word in words:
            assert word.version is not None
            assert word.embedding is not None
            self.generator.lend(word.version, word.embedding)
            pinned[f"<{word.version.concept}>"] = word.version
        item = self.generator.prepare(prompt, self.protocol(0).settings, pinned=pinned)
        return [picture.image for picture in self.generator.render(item, seeds, batch_size=16)]

    def pictures(self, subjects: Sequence[Subject], templates: Sequence[str]) -> list[list[Image.Image]]:
        """Per subject one picture of each prompt, all from the same noise."""
        settings = self.protocol(0).settings
        jobs = []
        for subject in subjects:
            if subject.version is not None and subject.embedding is not None:
                self.generator.lend(subject.version, subject.embedding)
            prompts = [subject.prompt(template) for template in templates]
            jobs += [(self.generator.prepare(prompt, settings, pinned=subject.pinned), 0) for prompt in prompts]
        made = [picture.image for picture in self.generator.render_all(jobs, batch_size=16)]
        return [made[at : at + len(templates)] for at in range(0, len(made), len(templates))]


def say(line: str) -> None:
    """One line now."""
    print(line, flush=True)


@contextlib.contextmanager
def timed(what: str) -> Iterator[None]:
    """Says how long something took."""
    began = time.perf_counter()
    yield
    say(f"{what}: {time.perf_counter() - began:.0f} s")


def run(main: Callable[[], None]) -> None:
    """An experiment as a command: Ctrl-C and what a user can do wrong end with one line."""
    from tiregistry.errors import TiregError

    try:
        main()
    except KeyboardInterrupt:
        print("stopped; the same command goes on", file=sys.stderr)
        sys.exit(130)
    except (TiregError, OSError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(1)
