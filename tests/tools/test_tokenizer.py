"""The tokenizer: whole words of the world, and any text spelled without loss."""

import numpy as np
import pytest

from tools.embedded_base.tokenizer import LENGTH, CaptionEncoder, build_tokenizer, world_words
from tools.embedded_base.world.captions import OBJECT_TEMPLATES, STYLE_TEMPLATES, caption
from tools.embedded_base.world.scenes import sample_scene


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    build_tokenizer(folder)
    return CaptionEncoder(folder)


def test_every_word_of_the_world_is_one_token(encoder):
    ids = encoder.tokenizer(world_words(), add_special_tokens=False)["input_ids"]
    assert [word for word, row in zip(world_words(), ids, strict=True) if len(row) != 1] == []


def test_captions_have_no_unknown_tokens_and_fit_the_window(encoder):
    rng = np.random.default_rng(0)
    for number in range(300):
        ids = encoder(caption(sample_scene(rng), rng, named=number % 2 == 0))
        assert ids.shape == (LENGTH,)
        length = int((ids == encoder.end).argmax())
        assert 1 < length < LENGTH
        assert encoder.end not in ids[:length]


def test_a_caption_and_the_pipeline_see_the_same_ids(encoder):
    for template in OBJECT_TEMPLATES + STYLE_TEMPLATES:
        text = template.format("red mug")
        padded = encoder.tokenizer(text, padding="max_length", truncation=True)["input_ids"]
        assert encoder(text).tolist() == padded


@pytest.mark.parametrize(
    "text", ["café", "日本語", "😀 👩‍🚀", "naïve façade", "Привет", "q1w2e3", "x_y-z", "\u202eabc", "ﷺ"]
)
def test_any_text_is_spelled_without_loss(encoder, text):
    ids = encoder.tokenizer(text, add_special_tokens=False)["input_ids"]
    assert encoder.tokenizer.unk_token_id not in ids
    spelled = encoder.tokenizer.decode(ids).replace(" ", "")
    assert spelled == text.lower().replace(" ", "")


def test_both_spellings_of_watercolour_are_words(encoder):
    assert len(encoder.tokenizer("watercolor watercolour", add_special_tokens=False)["input_ids"]) == 2


def test_building_twice_gives_the_same_files(tmp_path):
    for name in ("a", "b"):
        build_tokenizer(tmp_path / name)
    for file in ("vocab.json", "merges.txt", "tokenizer_config.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
