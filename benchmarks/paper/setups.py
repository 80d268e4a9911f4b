"""The paper's setups on the embedded world: reconstruction against editability (Gal et al. 2022, section 5.1).

One vector, two and three, progressive, regularised, per-image tokens, low and high learning rate, beside the baselines:
the initializer word, a short and a long human caption, the prompt without any word, and the source pictures themselves.
All setups train with the paper's optimiser (`classic`); our default recipe `direction` is there to compare.

Writes results/setups.md, .json, .png (the plot) and setups-pictures.png. Stop it whenever you like: the same command
goes on.

Examples:
  python -m benchmarks.paper.setups
  python -m benchmarks.paper.setups --concepts amphora imp rover griffin --seeds 2 --steps 300
"""

from __future__ import annotations

from benchmarks.paper.lab import LONG_CAPTIONS, Lab, Row, arguments, say, timed
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


def main() -> None:
    options = arguments(__doc__).parse_args()
    lab = Lab(options)
    concepts = lab.concepts()
    rows: dict[str, Row] = {}
    shown: dict[str, list[Subject]] = {}
    for label, changes in setups(options.steps).items():
        row = rows[label] = Row(label, group="ours" if "ours" in label else "word")
        with timed(label):
            for seed in range(options.seeds):
                for concept in concepts:
                    settings = {"recipe": "classic", "batch_size": 4, "stopping": "none"} | changes
                    config = TrainingConfig(
                        concept_type="object",
                        initializer=concept.initializer,
                        max_steps=options.steps,
                        seed=seed,
                        **settings,  # type: ignore[arg-type]
                    )
                    subject = lab.learn(concept, config)
                    row.evaluations.append(lab.measure(concept, subject))
                    shown.setdefault(label, []).append(subject)
    plain = {
        "initializer word": lambda c: c.initializer,
        "short caption": lambda c: c.caption.removeprefix("a ").removeprefix("an "),
        "long caption": lambda c: LONG_CAPTIONS.get(c.name, c.caption).removeprefix("a ").removeprefix("an "),
        "prompt only": lambda c: "",
    }
    for label, words in plain.items():
        row = rows[label] = Row(label, group="baseline")
        with timed(label):
            measured = [lab.measure(c, Subject(label, phrase=words(c))) for c in concepts]
            row.evaluations = measured * options.seeds
        shown[label] = [Subject(label, phrase=words(c)) for c in concepts]
    rows["source pictures"] = lab.sources_row(concepts)
    single = rows["single word"]
    verdicts = [
        verdict("Two vectors reconstruct better", rows["two vectors"], single, "image_alignment", 1),
        verdict("Three vectors reconstruct better", rows["three vectors"], single, "image_alignment", 1),
        verdict("Three vectors are less editable", rows["three vectors"], single, "text_alignment", -1),
        verdict("Regularisation keeps editability", rows["regularised"], single, "text_alignment", 1),
        verdict("Per-image tokens reconstruct less", rows["per-image tokens"], single, "image_alignment", -1),
        verdict("A lower rate is more editable", rows["low learning rate"], single, "text_alignment", 1),
        verdict("A lower rate reconstructs less", rows["low learning rate"], single, "image_alignment", -1),
        verdict("A higher rate is less editable", rows["high learning rate"], single, "text_alignment", -1),
        verdict(
            "A learned word beats its initializer in likeness", single, rows["initializer word"], "image_alignment", 1
        ),
        verdict(
            "A learned word beats a short caption in likeness", single, rows["short caption"], "image_alignment", 1
        ),
        verdict("A learned word beats a long caption in likeness", single, rows["long caption"], "image_alignment", 1),
    ]
    everything = list(rows.values())
    text = (
        "# The paper's setups on the embedded world\n\n"
        f"{', '.join(c.name for c in concepts)}; {options.seeds} training(s) of {options.steps} steps each; means over "
        "concepts, in brackets the difference from the single word, a star where its 95 % interval leaves out zero.\n\n"
        f"{table(everything, single)}\n\nThe paper's findings:"
    )
    write("setups", lab, text, everything, verdicts)
    plot(everything, options.out / "setups.png", "Reconstruction against editability, embedded world")
    first = concepts[0]
    pictures = [first.pictures()[: len(SHOWN)]]
    pictures += [lab.pictures(subjects[0], SHOWN) for label, subjects in shown.items()]
    grid(
        pictures,
        ["source pictures", *shown],
        [s.replace("{}", "…") for s in SHOWN],
        options.out / "setups-pictures.png",
    )
    say(f"results in {options.out}")


if __name__ == "__main__":
    main()
