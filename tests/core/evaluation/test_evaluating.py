"""Measuring words on a tiny model: what is made, what is kept, what is made again, and what differences are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.core.evaluation.conftest import TINY, picture
from tiregistry.concepts import Version
from tiregistry.evaluation.evaluating import Evaluation, Evaluator, differences, mean_differences, means
from tiregistry.evaluation.judges import find_dino, find_judge
from tiregistry.evaluation.keeping import measurements
from tiregistry.evaluation.subjects import Subject, initializer_of, source_pictures
from tiregistry.generation.generator import Generator


@pytest.fixture
def evaluator(generator: Generator, base_folder: Path) -> Evaluator:
    judge = find_judge("auto", "seeing", str(base_folder), base_folder).open()
    return Evaluator(generator, judge, TINY, folder=generator.registry.home / "evaluation", batch_size=2)


def rendered(evaluator: Evaluator, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Seeds of the pictures that are really made from now on."""
    seeds: list[int] = []
    render = evaluator.generator.render_all

    def counting(jobs: Any, **options: Any) -> Any:
        jobs = list(jobs)
        seeds.extend(seed for _, seed in jobs)
        return render(jobs, **options)

    monkeypatch.setattr(evaluator.generator, "render_all", counting)
    return seeds


def test_both_measures_are_the_papers(evaluator: Evaluator, add_word: Callable[..., Version]) -> None:
    version = add_word()
    subject = Subject(version.reference, version)
    sources = source_pictures(evaluator.generator.registry, version)
    made: dict[int | None, list[Any]] = {}
    evaluator.seen = lambda _, shot, picture: made.setdefault(shot.edit, []).append(picture.image)
    found = evaluator.measure(subject, sources).intervals()
    judge = evaluator.judge
    cosines = [float(a @ b) for a in judge.pictures(made[None]) for b in judge.pictures(sources)]
    assert len(cosines) == 6
    assert found["image_alignment"].value == pytest.approx(np.mean(cosines), abs=1e-5)
    told = judge.texts(["a on the beach".removeprefix("a "), "in snow"])
    texts = [float(np.mean(judge.pictures(made[n]) @ told[n])) for n in range(2)]
    assert found["text_alignment"].value == pytest.approx(np.mean(texts), abs=1e-5)
    expected = np.sqrt(max(0, np.mean(cosines)) * max(0, np.mean(texts)))
    assert found["score"].value == pytest.approx(expected, abs=1e-5)
    for interval in found.values():
        assert interval.low <= interval.value <= interval.high


def test_stopped_work_goes_on_and_gives_the_same(
    evaluator: Evaluator, add_word: Callable[..., Version], monkeypatch: pytest.MonkeyPatch
) -> None:
    version = add_word()
    subject = Subject(version.reference, version)
    sources = source_pictures(evaluator.generator.registry, version)
    seeds = rendered(evaluator, monkeypatch)

    def stop(done: int, total: int, what: str) -> None:
        assert (total, what) == (7, "gnome@1")
        if done >= 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluator.measure(subject, sources, stop)
    assert seeds == [0, 1, 2, 3]
    first = evaluator.measure(subject, sources)
    assert seeds == list(range(7))
    again = evaluator.measure(subject, sources)
    assert seeds == list(range(7))
    assert first.intervals() == again.intervals()
    evaluator.folder = None
    fresh = evaluator.measure(subject, sources)
    assert fresh.intervals()["score"].value == pytest.approx(first.intervals()["score"].value, abs=1e-5)


def test_the_same_vectors_under_another_name_are_not_made_again(
    evaluator: Evaluator, add_word: Callable[..., Version], monkeypatch: pytest.MonkeyPatch
) -> None:
    version, twin = add_word(), add_word("twin")
    evaluator.measure(Subject(version.reference, version), [picture(1)])
    seeds = rendered(evaluator, monkeypatch)
    evaluator.measure(Subject(twin.reference, twin), [picture(1)])
    evaluator.measure(Subject("step 3", version, evaluator.generator.registry.embedding(version), step=3), [])
    assert seeds == []


def test_differences_are_pair_by_pair(evaluator: Evaluator, add_word: Callable[..., Version]) -> None:
    one, two = add_word(), add_word("imp", 1)
    sources = [picture(0)]
    a = evaluator.measure(Subject(one.reference, one), sources)
    b = evaluator.measure(Subject(two.reference, two), sources)
    assert {(i.value, i.low, i.high) for i in differences(a, a).values()} == {(0.0, 0.0, 0.0)}
    apart, back = differences(a, b), differences(b, a)
    for measure in apart:
        expected = a.intervals()[measure].value - b.intervals()[measure].value
        assert apart[measure].value == pytest.approx(expected)
        assert back[measure].low == pytest.approx(-apart[measure].high)
    both = means([a, b])["score"]
    assert both.value == pytest.approx((a.intervals()["score"].value + b.intervals()["score"].value) / 2)
    assert mean_differences([(a, b), (b, a)])["score"].value == pytest.approx(0)


def test_no_interval_leaves_what_its_measure_can_be() -> None:
    def evaluation(low: float, high: float) -> Evaluation:
        values = np.array([low, high])
        return Evaluation(Subject("x"), TINY, "judge", "", 1, values, (values, values), values)

    good, bad = evaluation(0.8, 0.94), evaluation(-0.9, -0.1)
    found = good.intervals()
    assert set(found) == {"image_alignment", "text_alignment", "score", "dino_image_alignment"}
    for interval in found.values():
        assert interval.value == pytest.approx(0.87)
        assert 0 <= interval.low < interval.value < interval.high <= 1
    assert found["image_alignment"].high == found["dino_image_alignment"].high == 1
    assert bad.intervals()["image_alignment"].low == -1
    assert bad.intervals()["score"].value == bad.intervals()["score"].low == 0
    apart = differences(good, bad)
    assert apart["image_alignment"].high == 2
    assert apart["score"].high == 1
    assert apart["score"].excludes_zero == (apart["score"].low > 0)
    assert means([good, good])["image_alignment"].high == 1


def test_plain_words_no_word_and_no_sources(evaluator: Evaluator, add_word: Callable[..., Version]) -> None:
    version = add_word()
    subject = initializer_of(evaluator.generator.registry, version)
    assert (subject.label, subject.phrase) == ("“teapot”", "teapot")
    assert set(evaluator.measure(subject, []).intervals()) == {"text_alignment"}
    assert len(evaluator.measure(Subject("prompt only"), [picture(0)]).intervals()) == 3


def test_dino_is_a_measure_of_its_own(
    evaluator: Evaluator, add_word: Callable[..., Version], dino_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = add_word()
    subject = Subject(version.reference, version)
    sources = source_pictures(evaluator.generator.registry, version)
    evaluator.measure(subject, sources)
    evaluator.dino = find_dino(str(dino_folder)).open()
    seeds = rendered(evaluator, monkeypatch)
    found = evaluator.measure(subject, sources)
    assert len(seeds) == 7  # DINO has not seen them
    kept = {m.measure: m for m in measurements(found, "seeing")}
    assert kept["dino_image_alignment"].judge.startswith("tiny-dino-")
    assert kept["score"].judge == "seeing"
    assert kept["score"].details["edits"].keys() == set(TINY.edits)
    changed = evaluator.generator.registry.add_measurements(version, kept.values())
    assert list(changed.scores) == [m.label for m in kept.values()]


def test_a_full_disk_costs_the_memory_of_it_and_not_the_result(
    evaluator: Evaluator, add_word: Callable[..., Version]
) -> None:
    version = add_word()
    assert evaluator.folder is not None
    evaluator.folder.write_text("in the way")
    found = evaluator.measure(Subject(version.reference, version), [])
    assert found.intervals()["text_alignment"].value
    assert len(evaluator.trouble) == 1
    assert "cannot be kept for later" in evaluator.trouble[0]
