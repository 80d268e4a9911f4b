"""Two choices on the embedded world: the initializer, and the learning rate (Gal et al. 2022, section 5.1).

initializer    the word's own kind, other kinds, the vocabulary's mean
rate           the paper's optimiser at several learning rates

Writes results/choices-WHAT.md, .json and .png. The same command goes on where it was stopped.

Examples:
  python -m benchmarks.paper.choices initializer
  python -m benchmarks.paper.choices rate --concepts amphora imp --steps 300
"""

from __future__ import annotations

from benchmarks.paper.lab import Concept, Lab, Row, arguments, say, timed
from benchmarks.paper.report import plot, table, write
from tiregistry.training.config import TrainingConfig

INITIALIZERS = ("", "vase", "toy", "creature", "ball", "house")
RATES = (5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2e-2)


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("what", choices=("initializer", "rate"))
    options = parser.parse_args()
    lab = Lab(options)
    choices: dict[str, dict[str, object]]
    if options.what == "initializer":
        choices = {"its own kind": {}} | {
            f"“{word}”" if word else "vocabulary's mean": {"initializer": word} for word in INITIALIZERS
        }
    else:
        choices = {f"{rate:g}": {"learning_rate": rate} for rate in RATES}
    rows: list[Row] = [lab.sources_row(lab.concepts())]
    for label, changes in choices.items():
        with timed(label):
            row = Row(label)
            for seed in range(options.seeds):
                for concept in lab.concepts():
                    subject = lab.learn(concept, _config(concept, options, seed, changes))
                    row.evaluations.append(lab.measure(concept, subject))
        rows.append(row)
        first = rows[1]
        text = (
            f"# The {options.what} on the embedded world\n\n{', '.join(c.name for c in lab.concepts())}; "
            f"{options.seeds} training(s) of {options.steps} steps; in brackets the difference from {first.label}, a "
            f"star where its 95 % interval leaves out zero.\n\n{table(rows, first)}"
        )
        write(f"choices-{options.what}", lab, text, rows)
        plot(rows, options.out / f"choices-{options.what}.png", f"Choice of the {options.what}, embedded world")
    say(f"results in {options.out}")


def _config(concept: Concept, options: object, seed: int, changes: dict[str, object]) -> TrainingConfig:
    settings: dict[str, object] = {"initializer": concept.initializer, "recipe": "classic", "batch_size": 4}
    settings |= {"stopping": "none", "max_steps": options.steps, "seed": seed} | changes  # type: ignore[attr-defined]
    return TrainingConfig(concept_type="object", **settings)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
