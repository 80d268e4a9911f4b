"""Two learned words in one prompt, on the embedded world: a thing in a style, two things (Gal et al. 2022, sec. 4.4).

How much of each survives is told by three likenesses (image alignment with its source pictures): of pictures of the
other word alone ("floor"), of pictures of both words, and of pictures of it alone. The share is how far the composition
gets from the floor to the word alone. Each training has noises of its own.

Writes results/composition.md, .json and .png. The same command goes on where it was stopped.

Examples:
  python -m benchmarks.paper.composition
  python -m benchmarks.paper.composition --concepts amphora imp ink_wash stained_glass --seeds 5
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from benchmarks.paper.lab import APART, Lab, Options, run, say, timed
from benchmarks.paper.lessons import Concept, Lesson
from benchmarks.paper.report import grid, span, write
from benchmarks.paper.trials import Row, difference, mean
from tiregistry.evaluation.measures import image_alignment
from tiregistry.evaluation.subjects import Subject
from tiregistry.training.config import TrainingConfig

KEY = "image_alignment"
PAPER = {
    "style": "A thing in a style (the paper: two words in one prompt combine)",
    "pair": "Two things side by side (the paper: that fails)",
}


@dataclass
class Survival:
    """What becomes of one word in one composition: likeness with its pictures, per training.

    Attributes:
        kind: `style` for a thing in a style, `pair` for two things.
    """

    composition: str
    word: str
    kind: str
    floor: Row = field(default_factory=lambda: Row("floor"))
    both: Row = field(default_factory=lambda: Row("both"))
    alone: Row = field(default_factory=lambda: Row("alone"))

    def rows(self) -> list[Row]:
        """For the table of values."""
        name = f"{self.composition}, likeness with {self.word}"
        return [Row(f"{name}: {row.label}", trials=row.trials) for row in (self.floor, self.both, self.alone)]

    def line(self) -> str:
        """A line of the table."""
        floor, both, alone = (mean(row, KEY).value for row in (self.floor, self.both, self.alone))
        gained, lost = difference(self.both, self.floor, KEY), difference(self.both, self.alone, KEY)
        assert gained is not None
        assert lost is not None
        share = f"{100 * (both - floor) / (alone - floor):.0f} %" if alone > floor else "no room"
        cells = [f"{floor:.3f}", f"{both:.3f}", f"{alone:.3f}", share]
        cells += [f"{apart.value:+.3f}{'*' if apart.excludes_zero else ''} {span(apart)}" for apart in (gained, lost)]
        return f"| {self.composition} | {self.word} | {' | '.join(cells)} |"


def main() -> None:
    options = Options(__doc__, ["rover", "griffin", "ink_wash", "dusk"], things=2, styles=1).parse_args()
    lab = Lab(options)
    things, styles = lab.concepts("object"), lab.concepts("style")
    found: dict[tuple[str, str], Survival] = {}
    sheet: list[list[object]] = []
    for seed in range(options.seeds):
        with timed(f"training {seed}"):
            pictures = _one_training(lab, things, styles, seed, found)
        sheet = sheet or pictures
        _report(lab, list(found.values()), things, styles, sheet)
    say(f"results in {options.out}")


def _one_training(
    lab: Lab, things: Sequence[Concept], styles: Sequence[Concept], seed: int, found: dict[tuple[str, str], Survival]
) -> list[list[object]]:
    concepts = [*things, *styles]
    lessons = [Lesson(concept, _config(concept, lab.options.steps, seed)) for concept in concepts]
    words = dict(zip([concept.name for concept in concepts], lab.learn(lessons), strict=True))
    seeds = range(APART * seed, APART * seed + lab.options.pictures)

    def made(prompt: str, *named: Concept) -> list[object]:
        used: list[Subject] = [words[concept.name] for concept in named]
        return list(lab.make(prompt.format(*(f"<{concept.name}>" for concept in named)), used, seeds))

    def note(key: str, kind: str, word: Concept, floor: list[object], both: list[object], alone: list[object]) -> None:
        survival = found.setdefault((key, word.name), Survival(key, word.name, kind))
        for row, pictures in ((survival.floor, floor), (survival.both, both), (survival.alone, alone)):
            row.trials[key, seed] = {KEY: _like(lab, pictures, word)}

    alone = {thing.name: made("a photo of a {}", thing) for thing in things}
    plain = {style.name: made("a cat in the style of {}", style) for style in styles}
    sheet: list[list[object]] = [[None, *(plain[style.name][0] for style in styles)]]
    for thing in things:
        row = [alone[thing.name][0]]
        for style in styles:
            both = made("a {} in the style of {}", thing, style)
            key = f"{thing.name} in {style.name}"
            note(key, "style", thing, plain[style.name], both, alone[thing.name])
            note(key, "style", style, alone[thing.name], both, plain[style.name])
            row.append(both[0])
        sheet.append(row)
    for one, other in itertools.pairwise(things):
        both = made("a {} next to a {}", one, other)
        key = f"{one.name} next to {other.name}"
        note(key, "pair", one, alone[other.name], both, alone[one.name])
        note(key, "pair", other, alone[one.name], both, alone[other.name])
        sheet.append([*both[: 1 + len(styles)]])
    return sheet


def _report(
    lab: Lab,
    found: Sequence[Survival],
    things: Sequence[Concept],
    styles: Sequence[Concept],
    sheet: Sequence[Sequence[object]],
) -> None:
    options = lab.options
    options.out.mkdir(parents=True, exist_ok=True)
    pairs = [f"{one.name} next to {other.name}" for one, other in itertools.pairwise(things)]
    labels = ["", *(thing.name for thing in things), *pairs]
    columns = ["alone", *(style.name for style in styles)]
    grid(sheet, labels, columns, options.out / "composition.png")  # type: ignore[arg-type]
    lines = ["| composition | likeness with | floor | both | alone | share | both - floor | both - alone |"]
    lines += ["|---|---|---|---|---|---|---|---|", *(survival.line() for survival in found)]
    text = (
        "# Composition of two words on the embedded world\n\nImage alignment with the pictures of one of the two "
        f"words, of {options.pictures} pictures each and {options.seeds} trainings of {options.steps} steps: of the "
        "other word alone (floor), of both in one prompt, of the word alone; the share of the way from the floor to "
        "the word alone. A star where the 95 % interval over trainings (Student's t) leaves out zero.\n\n"
        + "\n".join(lines)
    )
    said = [_verdict(kind, [one for one in found if one.kind == kind]) for kind in PAPER]
    write("composition", lab, text, [row for survival in found for row in survival.rows()], said)


def _verdict(kind: str, found: Sequence[Survival]) -> str:
    """How many words are clearly there, and how many compositions have both."""
    there: dict[str, list[bool]] = {}
    for survival in found:
        gained = difference(survival.both, survival.floor, KEY)
        there.setdefault(survival.composition, []).append(gained is not None and gained.low > 0)
    both = [name for name, clear in there.items() if all(clear)]
    one = [name for name, clear in there.items() if any(clear) and not all(clear)]
    none = [name for name, clear in there.items() if not any(clear)]
    told = [
        f"{what}: {', '.join(names)}"
        for what, names in (("both words clearly above their floor", both), ("one of them", one), ("none", none))
        if names
    ]
    return f"{PAPER[kind]}: {'; '.join(told)}"


def _like(lab: Lab, made: Sequence[object], concept: Concept) -> float:
    sources = lab.judge.pictures(concept.pictures())
    return float(np.mean(image_alignment(lab.judge.pictures(made), sources)))  # type: ignore[arg-type]


def _config(concept: Concept, steps: int, seed: int) -> TrainingConfig:
    return TrainingConfig(
        concept_type=concept.kind,  # type: ignore[arg-type]
        initializer=concept.initializer,
        learning_rate=4e-2,
        batch_size=2,
        num_vectors=1,
        max_steps=steps,
        stopping="none",
        seed=seed,
    ).resolved()


if __name__ == "__main__":
    run(main)
