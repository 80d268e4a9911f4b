"""The paper's setups on the embedded world: reconstruction against editability (Gal et al. 2022, section 5).

One vector, two and three, progressive, regularised, per-image tokens, low and high learning rate, beside the baselines:
the initializer word, a short and a long human caption, the prompt without any word, and the source pictures themselves.
All setups train with the paper's optimiser (`classic`); our default recipe `direction` is there to compare.

Writes results/setups.md, .json, .png (the plot), setups-near.png (its crowded corner) and setups-pictures.png. Stop it
whenever you like: the same command goes on.

Examples:
  python -m benchmarks.paper.setups
  python -m benchmarks.paper.setups --concepts amphora imp rover griffin --seeds 5 --steps 300
"""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.paper.lab import LONG_CAPTIONS, THINGS, Lab, Options, run, say, timed
from benchmarks.paper.lessons import Concept
from benchmarks.paper.report import HOW, grid, plot, spread_text, table, verdict, write
from benchmarks.paper.trials import Row
from tiregistry.evaluation.subjects import Subject

SHOWN = ("a photo of a {}", "a photo of a {} on the beach", "an oil painting of a {}")


def setups(steps: int) -> dict[str, dict[str, object]]:
    """Label to what differs from the paper's plain setup."""
    return {
        "single word": {},
        "two vectors": {"num_vectors": 2},
        "three vectors": {"num_vectors": 3},
        "regularised": {"regularization": 1e-2},
        "per-image tokens": {"per_image_tokens": True},
        "low learning rate": {"learning_rate": 1e-3},
        "high learning rate": {"learning_rate": 2e-2},
        "progressive": {"num_vectors": 3, "progressive_steps": max(1, steps // 3)},
        "direction (ours)": {"recipe": "direction", "learning_rate": 4e-2},
    }


PLAIN: dict[str, Callable[[Concept], str]] = {
    "initializer word": lambda concept: concept.initializer,
    "short caption": lambda concept: _bare(concept.caption),
    "long caption": lambda concept: _bare(LONG_CAPTIONS.get(concept.name, concept.caption)),
    "prompt only": lambda concept: "",
}
FAR = ("source pictures", "prompt only", "initializer word")
"""Rows so far from the others that these lie on one spot beside them."""
FINDINGS = (
    # What the paper found (section 5.3), the row it is about, the one it is compared with, the measure, the sign; 0 is
    # "alike". Its rates are 1e-4, 5e-3 and 2e-2; in a hundred steps the lowest would not move.
    (
        "A word reconstructs about as well as the source pictures",
        "single word",
        "source pictures",
        "image_alignment",
        0,
    ),
    ("One word reconstructs about as well as two", "two vectors", "single word", "image_alignment", 0),
    ("One word reconstructs about as well as three", "three vectors", "single word", "image_alignment", 0),
    ("Two vectors are less editable", "two vectors", "single word", "text_alignment", -1),
    ("Three vectors are less editable", "three vectors", "single word", "text_alignment", -1),
    ("A progressive word is less editable", "progressive", "single word", "text_alignment", -1),
    ("Regularisation keeps a word editable", "regularised", "single word", "text_alignment", 1),
    ("Regularisation loses details", "regularised", "single word", "image_alignment", -1),
    ("A low rate is more editable", "low learning rate", "single word", "text_alignment", 1),
    ("A low rate reconstructs less", "low learning rate", "single word", "image_alignment", -1),
    ("A high rate is less editable", "high learning rate", "single word", "text_alignment", -1),
    ("A high rate reconstructs better", "high learning rate", "single word", "image_alignment", 1),
    ("A word is more like it than a short caption", "single word", "short caption", "image_alignment", 1),
    ("A word is more like it than a long caption", "single word", "long caption", "image_alignment", 1),
    ("A short caption is less editable than a word", "short caption", "single word", "text_alignment", -1),
    ("A long caption is less editable than a word", "long caption", "single word", "text_alignment", -1),
)
OURS = (
    ("A word against its initializer: likeness", "single word", "initializer word", "image_alignment"),
    ("Per-image tokens against plain: likeness", "per-image tokens", "single word", "image_alignment"),
    ("Per-image tokens against plain: editing", "per-image tokens", "single word", "text_alignment"),
    ("Our recipe against the paper's: likeness", "direction (ours)", "single word", "image_alignment"),
    ("Our recipe against the paper's: editing", "direction (ours)", "single word", "text_alignment"),
)
"""Differences that are told without a claim of the paper beside them."""


def main() -> None:
    options = Options(__doc__, THINGS).parse_args()
    lab = Lab(options)
    concepts, wanted = lab.concepts(), setups(options.steps)
    rows = {"source pictures": lab.sources_row(concepts)}
    rows |= {label: Row(label, "baseline") for label in PLAIN}
    rows |= {label: Row(label, "ours" if "ours" in label else "word") for label in wanted}
    # Seed by seed, so that what is there at any time can be compared.
    for seed in range(options.seeds):
        for label, words in PLAIN.items():
            with timed(f"{label}, noises of training {seed}"):
                for concept in concepts:
                    lab.measure(rows[label], concept, Subject(label, phrase=words(concept)), seed)
        for label, changes in wanted.items():
            with timed(f"{label}, training {seed}"):
                is_new = lab.fill(rows[label], changes, seed, concepts)
            if is_new:
                _report(lab, rows)
    _report(lab, rows)
    shown = {label: Subject(label, phrase=words(concepts[0])) for label, words in PLAIN.items()}
    for label, changes in wanted.items():
        (shown[label],) = lab.learn([lab.paper_lesson(concepts[0], 0, changes)])
    _pictures(lab, concepts[0], shown)
    say(f"results in {options.out}")


def _report(lab: Lab, rows: dict[str, Row]) -> None:
    """Written after every setup: whoever stops the experiment has what is done."""
    options = lab.options
    done = {label: row for label, row in rows.items() if row.trials}
    everything = list(done.values())
    plain = done["single word"]
    said = [
        verdict(claim, done[first], done[second], measure, sign)
        for claim, first, second, measure, sign in FINDINGS
        if first in done and second in done
    ]
    said += [verdict(what, done[a], done[b], m, None) for what, a, b, m in OURS if a in done and b in done]
    wanted = options.seeds * len(lab.concepts())
    missing = [
        f"{label} ({len(row.trials)} of {wanted} trainings)"
        for label, row in rows.items()
        if row.group in ("word", "ours") and len(row.trials) < wanted
    ]
    names = ", ".join(concept.name for concept in lab.concepts())
    text = (
        f"# The paper's setups on the embedded world\n\n{names}; {options.seeds} trainings of {options.steps} steps "
        f"each. {HOW.format('the single word')}\n\n{table(everything, plain)}\n\n"
        + (f"Not done yet: {', '.join(missing)}.\n\n" if missing else "")
        + f"{spread_text([row for row in everything if row.group in ('word', 'ours')], plain)}\n\n"
        + "The paper's findings, then differences it does not speak of:"
    )
    write("setups", lab, text, everything, said)
    title = "Reconstruction against editability, embedded world"
    plot(everything, options.out / "setups.png", title)
    near = [row for row in everything if row.label not in FAR]
    plot(near, options.out / "setups-near.png", f"{title}: the learned words and the captions")


def _pictures(lab: Lab, concept: Concept, shown: dict[str, Subject]) -> None:
    pictures = [concept.pictures()[: len(SHOWN)], *lab.pictures(list(shown.values()), SHOWN)]
    columns = [template.replace("{}", "…") for template in SHOWN]
    grid(pictures, ["source pictures", *shown], columns, lab.options.out / "setups-pictures.png")


def _bare(caption: str) -> str:
    return caption.removeprefix("a ").removeprefix("an ")


if __name__ == "__main__":
    run(main)
