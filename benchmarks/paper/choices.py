"""Two choices that the paper leaves open, on the embedded world: the initializer, and the learning rate.

initializer    the thing's own kind, a kind that is nothing like it
rate           the paper's optimiser at several learning rates

A kind is tried only on things of which it is not the own kind, so that no word is compared with itself. Each row is
told for every thing as well: a mean over few things hides how much depends on the thing.

Writes results/choices-WHAT.md, .json and .png. The same command goes on where it was stopped.

Examples:
  python -m benchmarks.paper.choices initializer
  python -m benchmarks.paper.choices rate --concepts amphora imp --steps 300
"""

from __future__ import annotations

from benchmarks.paper.lab import THINGS, Lab, Options, run, say, timed
from benchmarks.paper.lessons import Concept
from benchmarks.paper.report import HOW, by_thing, plot, table, verdict, write
from benchmarks.paper.trials import Row

INITIALIZERS = ("house",)
RATES = (1e-3, 5e-3, 2e-2)
PAPER_RATE = 5e-3
COMPARED = {
    # What is compared, by which measure; every row with the reference.
    "initializer": (("Likeness against a start from its own kind", "image_alignment"),),
    "rate": (),
}


def choices(what: str, concepts: list[Concept]) -> dict[str, tuple[dict[str, object], list[Concept]]]:
    """Label to what differs and the things it is tried on; the first is what the others are compared with."""
    if what == "rate":
        rates = [PAPER_RATE, *(rate for rate in RATES if rate != PAPER_RATE)]
        return {f"{rate:g}": ({"learning_rate": rate}, concepts) for rate in rates}
    found: dict[str, tuple[dict[str, object], list[Concept]]] = {"its own kind": ({}, concepts)}
    for word in INITIALIZERS:
        found[f"“{word}”"] = ({"initializer": word}, [one for one in concepts if one.initializer != word])
    return {label: (changes, things) for label, (changes, things) in found.items() if things}


def main() -> None:
    parser = Options(__doc__, THINGS)
    parser.add_argument("what", choices=("initializer", "rate"))
    options = parser.parse_args()
    lab = Lab(options)
    wanted = choices(options.what, lab.concepts())
    rows = {label: Row(label) for label in wanted}
    for seed in range(options.seeds):
        for label, (changes, things) in wanted.items():
            with timed(f"{label}, training {seed}"):
                is_new = lab.fill(rows[label], changes, seed, things)
            if is_new:
                _report(lab, rows)
    _report(lab, rows)
    say(f"results in {options.out}")


def _report(lab: Lab, rows: dict[str, Row]) -> None:
    options = lab.options
    done = [row for row in rows.values() if row.trials]
    first = done[0]
    said = [
        verdict(f"{what}: {row.label}", row, first, measure, None)
        for what, measure in COMPARED[options.what]
        for row in done[1:]
    ]
    names = [concept.name for concept in lab.concepts()]
    text = (
        f"# The {options.what} on the embedded world\n\n{', '.join(names)}; {options.seeds} trainings of "
        f"{options.steps} steps each. {HOW.format(first.label)}\n\n"
        f"{table([lab.sources_row(lab.concepts()), *done], first)}\n\n"
        f"Image alignment of each thing:\n\n{by_thing(done, names, 'image_alignment')}"
    )
    write(f"choices-{options.what}", lab, text, done, said)
    plot(done, options.out / f"choices-{options.what}.png", f"Choice of the {options.what}, embedded world")


if __name__ == "__main__":
    run(main)
