"""What the experiments share: learning words on the embedded world, measuring them, and writing tables and pictures.

Everything lies in a work folder (a registry of its own, features of pictures): an experiment that is stopped goes on
where it was, and a second experiment uses what the first one learned. Another embedded base model starts afresh.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import time
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
ROOT = Path(__file__).resolve().parents[2]
RESULTS = Path(__file__).parent / "results"
CONCEPTS = ROOT / "tests" / "data" / "concepts"

import numpy as np  # noqa: E402
from PIL import Image  # noqa: E402

from tiregistry.evaluation.evaluating import Evaluation, Evaluator  # noqa: E402
from tiregistry.evaluation.judges import find_judge  # noqa: E402
from tiregistry.evaluation.measures import image_alignment, text_alignment  # noqa: E402
from tiregistry.evaluation.protocols import Protocol, protocol, without_word  # noqa: E402
from tiregistry.evaluation.subjects import Subject  # noqa: E402
from tiregistry.training.config import TrainingConfig  # noqa: E402

LONG_CAPTIONS = {
    "amphora": "a tall teal vase with a narrow neck, two round handles, an orange band around its belly and a foot",
    "imp": "a small orange creature with a teal belly, two horns, round eyes and a long thin tail",
    "rover": "a yellow toy on four round wheels with a purple square body and a thin aerial with a ball on top",
    "griffin": "a tall purple creature with one yellow wing, one horn on its head, two round eyes and long legs",
}


@dataclass(frozen=True)
class Concept:
    """A thing that the base model has never seen."""

    name: str
    kind: str
    folder: Path
    initializer: str
    caption: str

    def pictures(self) -> list[Image.Image]:
        """Its source pictures."""
        from tiregistry.images import read_pictures

        return [picture.image for picture in read_pictures([self.folder])[0]]


@dataclass
class Row:
    """One line of a table: what it is, and one evaluation per concept (and seed)."""

    label: str
    evaluations: list[Evaluation] = field(default_factory=list)
    group: str = "word"
    """`word`, `baseline` or `reference`: decides the colour in the plot."""
    values: dict[str, float] | None = None
    """For a reference without generated pictures: its values."""


def arguments(text: str | None, **extra: Any) -> argparse.ArgumentParser:
    """The options that every experiment has."""
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--concepts", nargs="*", default=["amphora", "imp"], help="names in tests/data/concepts")
    parser.add_argument("--seeds", type=int, default=1, help="trainings of each")
    parser.add_argument("--steps", type=int, default=150, help="steps of each training")
    parser.add_argument("--work", type=Path, default=Path.home() / ".cache" / "tireg-paper", help="kept between calls")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--pictures", type=int, default=8, help="pictures of the plain prompt")
    parser.add_argument("--edit-pictures", type=int, default=2, help="pictures of each of the 8 edits")
    parser.add_argument("--inference-steps", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1)
    return parser


class Lab:
    """Learns and measures words on the embedded base model."""

    def __init__(self, options: argparse.Namespace) -> None:
        import torch

        from tiregistry.bases.locating import EMBEDDED, embedded_folder
        from tiregistry.generation.generator import Generator
        from tiregistry.registry.registry import Registry

        torch.set_num_threads(options.threads)
        self.options = options
        base = Registry.open(options.work / "bases").identify_base(EMBEDDED)
        # A word fits one base model; a newer one gets a registry of its own.
        self.base_digest = base.fingerprint.denoiser[7:19]
        self.registry = Registry.open(options.work / self.base_digest)
        self.generator = Generator(EMBEDDED, self.registry, device="cpu")
        self.judge = find_judge("auto", EMBEDDED, EMBEDDED, embedded_folder()).open()

    def concepts(self, kind: str = "object") -> list[Concept]:
        """The chosen concepts of a kind."""
        tables = tomllib.loads((CONCEPTS / "concepts.toml").read_text(encoding="utf-8"))["concept"]
        known = {
            t["name"]: Concept(t["name"], t["type"], CONCEPTS / t["folder"], t["initializer"], t["caption"])
            for t in tables
        }
        return [known[name] for name in self.options.concepts if known[name].kind == kind]

    def protocol(self, kind: str = "object") -> Protocol:
        """The quick protocol's prompts, with the chosen numbers."""
        from dataclasses import replace

        options = self.options
        chosen = protocol("quick", kind, "embedded").changed(  # type: ignore[arg-type]
            pictures=options.pictures, edit_pictures=options.edit_pictures
        )
        return replace(chosen, settings=replace(chosen.settings, num_inference_steps=options.inference_steps))

    def learn(self, concept: Concept, config: TrainingConfig) -> Subject:
        """The word that a configuration gives; trained when it is not there, taken up where it was stopped."""
        from tiregistry.images import read_pictures
        from tiregistry.training.run import TrainingRequest, resume, train

        config = config.resolved()
        key = hashlib.sha256(json.dumps(config.as_dict(), sort_keys=True).encode()).hexdigest()[:10]
        name = f"{concept.name}-{key}"
        found = [c for c in self.registry.concepts(name) if c.name == name and c.latest_number]
        if not found:
            began = time.perf_counter()
            stopped = [run for run in self.registry.runs(concept=name) if run.status != "finished"]
            if stopped:
                events = resume(self.registry, stopped[0])
            else:
                request = TrainingRequest(name, read_pictures([concept.folder])[0], config, base="embedded")
                events = train(self.registry, request)
            for _ in events:
                pass
            say(f"  learned {name} in {time.perf_counter() - began:.0f} s")
        version = self.registry.version(name)
        return Subject(version.reference, version)

    def measure(self, concept: Concept, subject: Subject) -> Evaluation:
        """One subject against a concept's pictures."""
        evaluator = Evaluator(
            self.generator,
            self.judge,
            self.protocol(concept.kind),
            folder=self.registry.home / "evaluation",
            batch_size=8,
        )
        return evaluator.measure(subject, concept.pictures())

    def sources_row(self, concepts: Sequence[Concept]) -> Row:
        """The source pictures themselves: each compared with the others, and with the edits' texts."""
        image, text = [], []
        for concept in concepts:
            features = self.judge.pictures(concept.pictures())
            others = [np.delete(features, n, axis=0) for n in range(len(features))]
            image.append(float(np.mean([image_alignment(features[n : n + 1], o)[0] for n, o in enumerate(others)])))
            told = self.judge.texts([without_word(edit) for edit in self.protocol(concept.kind).edits])
            text.append(float(np.mean([text_alignment(features, t[None]).mean() for t in told])))
        values = {"image_alignment": float(np.mean(image)), "text_alignment": float(np.mean(text))}
        return Row("source pictures", group="reference", values=values)

    def pictures(self, subject: Subject, templates: Sequence[str], seed: int = 0) -> list[Image.Image]:
        """One picture per prompt."""
        settings = self.protocol().settings
        prepared = [
            self.generator.prepare(subject.prompt(template), settings, pinned=subject.pinned) for template in templates
        ]
        return [picture.image for item in prepared for picture in self.generator.render(item, [seed])]


def say(line: str) -> None:
    """One line now."""
    print(line, flush=True)


@contextlib.contextmanager
def timed(what: str) -> Iterator[None]:
    """Says how long something took."""
    began = time.perf_counter()
    yield
    say(f"{what}: {time.perf_counter() - began:.0f} s")
