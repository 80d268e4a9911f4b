"""Two learned words in one prompt, on the embedded world: a thing in a style, two things (Gal et al. 2022, section 4).

Rows are things, columns are styles; the first column is the thing alone, the first row the style on a cat. The table
says how much of each survives: the composition's image alignment with the thing's pictures and with the style's, beside
those of each word alone. Then both things in one prompt, which a world of one thing per picture cannot draw.

Writes results/composition.md and composition.png. The same command goes on where it was stopped.

Examples:
  python -m benchmarks.paper.composition
  python -m benchmarks.paper.composition --concepts amphora imp ink_wash stained_glass
"""

from __future__ import annotations

import numpy as np

from benchmarks.paper.lab import Concept, Lab, arguments, say, timed
from benchmarks.paper.report import grid, write
from tiregistry.evaluation.measures import image_alignment
from tiregistry.evaluation.subjects import Subject
from tiregistry.training.config import TrainingConfig


def main() -> None:
    parser = arguments(__doc__)
    parser.set_defaults(concepts=["amphora", "imp", "ink_wash"])
    options = parser.parse_args()
    lab = Lab(options)
    things, styles = lab.concepts("object"), lab.concepts("style")
    words: dict[str, Subject] = {}
    for concept in (*things, *styles):
        with timed(concept.name):
            words[concept.name] = lab.learn(concept, _config(concept, options.steps))
    names = {name: f"<{word.version.concept}>" for name, word in words.items() if word.version is not None}
    lines = ["| | thing alone | thing in the style | style alone | style on the thing |", "|---|---|---|---|---|"]
    top = [None, *(_make(lab, f"a cat in the style of {names[style.name]}")[0] for style in styles)]
    pictures, labels = [top], [""]
    for thing in things:
        alone = _make(lab, f"a photo of a {names[thing.name]}")
        row = [alone[0]]
        for style in styles:
            both = _make(lab, f"a {names[thing.name]} in the style of {names[style.name]}")
            plain = _make(lab, f"a cat in the style of {names[style.name]}")
            row.append(both[0])
            pairs = ((alone, thing), (both, thing), (plain, style), (both, style))
            values = [_like(lab, made, concept) for made, concept in pairs]
            lines.append(f"| {thing.name} in {style.name} | {' | '.join(f'{value:.3f}' for value in values)} |")
        pictures.append(row)
        labels.append(thing.name)
    if len(things) > 1:
        first, second = things[:2]
        pair = _make(lab, f"a {names[first.name]} next to a {names[second.name]}")
        pictures.append([*pair[:1], *[None] * len(styles)])
        labels.append(f"{first.name} next to {second.name}")
        alike = [f"{_like(lab, pair, thing):.3f}" for thing in (first, second)]
        lines.append(f"| {first.name} next to {second.name} | | {alike[0]} | | {alike[1]} |")
    options.out.mkdir(parents=True, exist_ok=True)
    grid(pictures, labels, ["alone", *(style.name for style in styles)], options.out / "composition.png")
    text = (
        "# Composition of two words on the embedded world\n\nImage alignment with the thing's pictures (first two "
        f"columns) and with the style's (last two), {options.pictures} pictures each.\n\n" + "\n".join(lines)
    )
    write("composition", lab, text, [])
    say(f"results in {options.out}")


def _make(lab: Lab, prompt: str) -> list[object]:
    item = lab.generator.prepare(prompt, lab.protocol().settings)
    return [picture.image for picture in lab.generator.render(item, range(lab.options.pictures), batch_size=8)]


def _like(lab: Lab, made: list[object], concept: Concept) -> float:
    sources = lab.judge.pictures(concept.pictures())
    return float(np.mean(image_alignment(lab.judge.pictures(made), sources)))  # type: ignore[arg-type]


def _config(concept: Concept, steps: int) -> TrainingConfig:
    return TrainingConfig(
        concept_type=concept.kind,  # type: ignore[arg-type]
        initializer=concept.initializer,
        learning_rate=4e-2,
        max_steps=steps,
        stopping="none",
    )


if __name__ == "__main__":
    main()
