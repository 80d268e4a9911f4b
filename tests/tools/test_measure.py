"""Measuring the embedded base model: words in prompts, scores, and the table against the bars."""

from unittest.mock import Mock

import numpy as np
import pytest
import torch

from tools.embedded_base import word_quality
from tools.embedded_base.concepts import TEST_THINGS, thing_pictures
from tools.embedded_base.judge import Judge
from tools.embedded_base.summary import print_summary
from tools.embedded_base.word_quality import Eyes, Trial, measure_things, mutual, text_alignment
from tools.embedded_base.words import Lesson, _segments, draw, learn_words, open_base


def test_marks_are_cut_out_of_a_prompt():
    places = {"<thing>": (7,), "<style>": (8, 9)}
    assert _segments("a <thing> in the style of <style>", places) == ["a ", (7,), " in the style of ", (8, 9), ""]
    assert _segments("a cat", places) == ["a cat"]


def test_similarity_of_different_rows():
    rows = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    assert mutual(rows) == pytest.approx(1 / 3)


@pytest.mark.slow
def test_a_word_is_learned_and_drawn_whatever_else_is_in_the_batch():
    from tests.tools.test_embedded_model import MODEL
    from tiregistry.training.config import TrainingConfig

    base = open_base(MODEL)
    thing = next(thing for thing in TEST_THINGS if thing.name == "amphora")
    lesson = Lesson(thing.name, thing_pictures(thing), thing.initializer)
    (vector,), seconds = learn_words(base, [lesson], TrainingConfig(max_steps=2, batch_size=2, stopping="none"))
    start = base.towers[0].vectors_of(thing.initializer)
    assert vector.shape == start.shape
    assert not torch.allclose(vector, start)
    assert seconds > 0
    prompts = ["a photo of a <thing>", "a photo of a vase"]
    both = draw(base, prompts, {"<thing>": vector}, seed=3, steps=2)
    alone = draw(base, prompts[:1], {"<thing>": vector}, seed=3, steps=2)
    assert np.abs(both[0].astype(int) - alone[0]).max() <= 2
    eyes = Eyes.open(base, MODEL, Judge().eval())
    assert {eye: len(seen) for eye, seen in eyes.features(both).items()} == {"judge": 2, "tower": 2}
    assert -1 <= text_alignment(base, eyes, both, ["a photo of a {}", "a photo of a vase"]) <= 1
    other = draw(base, prompts[:1], {"<thing>": base.towers[0].vectors_of("car")}, seed=3, steps=2)
    assert np.abs(other[0].astype(int) - alone[0]).max() > 10


def test_what_several_trials_need_is_drawn_once_and_goes_back_to_each(monkeypatch, tmp_path):
    """Two seeds of one thing share what is drawn without the word, and get their own pictures of it."""
    shots, grids = [], {}

    def fake_draw(base, prompts, words, *, seed, guidance):
        shots.extend(zip(prompts, seed, strict=True))
        return np.stack([np.full((64, 64, 3), number % 256, np.uint8) for number in range(len(prompts))])

    monkeypatch.setattr(word_quality, "draw", fake_draw)
    monkeypatch.setattr(
        word_quality, "save_grid", lambda pictures, columns, path: grids.setdefault(path.name, pictures)
    )
    monkeypatch.setattr(word_quality, "text_alignment", lambda *rest: 0.5)
    thing = next(thing for thing in TEST_THINGS if thing.name == "amphora")
    vector = torch.zeros(1, 192)
    eyes = Mock(judge=Judge().eval(), features=lambda pictures: {"judge": torch.ones(len(pictures), 2)})
    trials = [Trial(thing, seed, vector, vector) for seed in (0, 1)]
    results = measure_things(Mock(), eyes, trials, tmp_path, 3.5)
    assert [set(scores) >= {"text", "context_right", "judge_word"} for scores, _ in results] == [True, True]
    assert len(shots) == len(set(shots)) == 2 * (8 + 16 + 4) + 8 + 16 + 4
    for number, name in enumerate(("thing_amphora_0.png", "thing_amphora_1.png")):
        alone = [shots[int(picture[0, 0, 0])] for picture in grids[name][8:16]]
        assert alone == [(f"a photo of a <thing{number}>", 100 + i) for i in range(8)]


def test_the_table_says_which_bars_hold(capsys):
    numbers = {"judge_gap_closed": 0.8, "tower_gap_closed": 0.5, "text": 0.45, "text_initializer": 0.5}
    numbers |= {"styled_text": 0.3, "styled_text_initializer": 0.4}
    thing = {"kind_of": "thing", "context_right": 0.9, "medium_right": 0.6, **numbers}
    print_summary({"amphora 0": thing, "amphora 1": thing}, 0.75, 12)
    rows = {line.split("|")[1].strip(): line.split("|")[4].strip() for line in capsys.readouterr().out.splitlines()[2:]}
    assert rows == {
        "things: gap closed, judge (n = 2)": "yes",
        "things: gap closed, tower (n = 2)": "no",
        "text alignment of edits": "yes",
        "text alignment in a learned style": "no",
        "edits: context right": "yes",
        "edits: medium right": "no",
        "identification among 12": "yes",
    }
