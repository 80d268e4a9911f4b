"""The paper's setups on the embedded world: reconstruction against editability (Gal et al. 2022, section 5.1).

One vector, two and three, progressive, regularised, per-image tokens, low and high learning rate, beside the baselines:
the initializer word, a short and a long human caption, the prompt without any word, and the source pictures themselves.
All setups train with the paper's optimiser (`classic`); our default recipe `direction` is there to compare.

Writes results/setups.md, .json, .png (the plot), setups-near.png (its crowded corner) and setups-pictures.png. Stop it
whenever you like: the same command goes on.

Examples:
  python -m benchmarks.paper.setups
  python -m benchmarks.paper.setups --concepts amphora imp rover griffin --seeds 2 --steps 300
"""

from __future__ import annotations

from benchmarks.paper.lab import LONG_CAPTIONS, Concept, Lab, Row, arguments, say, timed
from benchmarks.paper.report import grid, plot, table, verdict, write
from tiregistry.evaluation.subjects import Subject
from tiregistry.training.config import TrainingConfig

SHOWN = ("a photo of a {}", "a photo of a {} on the beach", "an oil painting of a {}")


def setups(steps: int) -> dict[str, dict[str, object]]:
    """Label to what differs from the paper's plain setup."""
    return {
        "single word": {},
        "two vectors": {"num_vectors": 2},
        "three vectors": {"num_vectors": 3},
        "progressive": {"num_vectors": 3, "progressive_steps": max(1, steps // 3)},
        "regularised": {"regularization": 1e-2},
        "per-image tokens": {"per_image_tokens": True},
        "low learning rate": {"learning_rate": 1e-3},
        "high learning rate": {"learning_rate": 2e-2},
        "direction (ours)": {"recipe": "direction", "learning_rate": 4e-2},
    }


PLAIN = {
    "initializer word": lambda concept: concept.initializer,
    "short caption": lambda concept: _bare(concept.caption),
    "long caption": lambda concept: _bare(LONG_CAPTIONS.get(concept.name, concept.caption)),
    "prompt only": lambda concept: "",
}
FAR = ("source pictures", "prompt only", "initializer word")
"""Rows so far from the others that these lie on one spot beside them."""
FINDINGS = (
    # The paper's finding, the row it is about, the row it is compared with, the measure, the expected sign.
    ("Two vectors reconstruct better", "two vectors", "single word", "image_alignment", 1),
    ("Three vectors reconstruct better", "three vectors", "single word", "image_alignment", 1),
    ("Three vectors are less editable", "three vectors", "single word", "text_alignment", -1),
    ("Regularisation keeps editability", "regularised", "single word", "text_alignment", 1),
    ("Per-image tokens reconstruct less", "per-image tokens", "single word", "image_alignment", -1),
    ("A lower rate is more editable", "low learning rate", "single word", "text_alignment", 1),
    ("A lower rate reconstructs less", "low learning rate", "single word", "image_alignment", -1),
    ("A higher rate is less editable", "high learning rate", "single word", "text_alignment", -1),
    ("A learned word is more like it than its initializer", "single word", "initializer word", "image_alignment", 1),
    ("A learned word is more like it than a short caption", "single word", "short caption", "image_alignment", 1),
    ("A learned word is more like it than a long caption", "single word", "long caption", "image_alignment", 1),
)


def main() -> None:
    options = arguments(__doc__).parse_args()
    lab = Lab(options)
    concepts = lab.concepts()
    rows: dict[str, Row] = {"source pictures": lab.sources_row(concepts)}
    shown: dict[str, Subject] = {}
    for label, words in PLAIN.items():
        with timed(label):
            measured = [lab.measure(c, Subject(label, phrase=words(c))) for c in concepts]
        rows[label] = Row(label, measured * options.seeds, "baseline")
        shown[label] = Subject(label, phrase=words(concepts[0]))
    wanted = setups(options.steps)
    for label, changes in wanted.items():
        with timed(label):
            row = Row(label, group="ours" if "ours" in label else "word")
            for seed in range(options.seeds):
                for concept in concepts:
                    subject = lab.learn(concept, _config(concept, options.steps, seed, changes))
                    row.evaluations.append(lab.measure(concept, subject))
                    shown.setdefault(label, subject)
        rows[label] = row
        _report(lab, rows, [one for one in wanted if one not in rows])
    _pictures(lab, concepts[0], shown)
    say(f"results in {options.out}")


def _config(concept: Concept, steps: int, seed: int, changes: dict[str, object]) -> TrainingConfig:
    settings = {"recipe": "classic", "batch_size": 4, "stopping": "none"} | changes
    return TrainingConfig(
        concept_type="object",
        initializer=concept.initializer,
        max_steps=steps,
        seed=seed,
        **settings,  # type: ignore[arg-type]
    )


def _report(lab: Lab, rows: dict[str, Row], missing: list[str]) -> None:
    """Written after every setup: whoever stops the experiment has what is done."""
    options = lab.options
    everything = list(rows.values())
    said = [
        verdict(claim, rows[first], rows[second], measure, sign)
        for claim, first, second, measure, sign in FINDINGS
        if first in rows and second in rows
    ]
    names = ", ".join(concept.name for concept in lab.concepts())
    text = (
        "# The paper's setups on the embedded world\n\n"
        f"{names}; {options.seeds} training(s) of {options.steps} steps each; means "
        "over concepts, in brackets the difference from the single word, a star where its 95 % interval leaves out "
        f"zero.\n\n{table(everything, rows['single word'])}\n\n"
        + (f"Not run yet: {', '.join(missing)}.\n\n" if missing else "")
        + "The paper's findings:"
    )
    write("setups", lab, text, everything, said)
    title = "Reconstruction against editability, embedded world"
    plot(everything, options.out / "setups.png", title)
    near = [row for row in everything if row.label not in FAR]
    plot(near, options.out / "setups-near.png", f"{title}: the learned words and the captions")


def _pictures(lab: Lab, concept: Concept, shown: dict[str, Subject]) -> None:
    pictures = [concept.pictures()[: len(SHOWN)]]
    pictures += [lab.pictures(subject, SHOWN) for subject in shown.values()]
    columns = [template.replace("{}", "…") for template in SHOWN]
    grid(pictures, ["source pictures", *shown], columns, lab.options.out / "setups-pictures.png")


def _bare(caption: str) -> str:
    return caption.removeprefix("a ").removeprefix("an ")


if __name__ == "__main__":
    main()
