"""The vocabulary of a base model on this disk, read without torch."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.core.embeddings.samples import safetensors, vectors
from tests.models import WORDS, tiny_sd
from tiregistry.concepts import BaseModel, Fingerprint
from tiregistry.embeddings.embedding import Embedding
from tiregistry.exchange.importing import ImportOptions, import_path
from tiregistry.exchange.vocabularies import Vocabularies, _words
from tiregistry.registry.registry import Registry


def base(folder: Path) -> BaseModel:
    return BaseModel("tiny", str(folder), Fingerprint("sdxl", "", "", ""))


@pytest.mark.slow
def test_words_are_found_in_the_models_own_files(tmp_path):
    from safetensors.numpy import load_file

    folder = tiny_sd(tmp_path / "model", "sdxl")
    vocabularies = Vocabularies([base(folder)])
    for encoder, dim, sub in (("clip_l", 32, "text_encoder"), ("clip_g", 64, "text_encoder_2")):
        vocabulary = vocabularies.find(encoder, dim)
        assert vocabulary is not None
        assert set(WORDS) <= set(vocabulary.words)
        tensors = load_file(folder / sub / "model.safetensors")
        (name,) = [key for key in tensors if key.endswith("token_embedding.weight")]
        assert np.array_equal(vocabulary.table, tensors[name])
        word = vocabulary.table[list(vocabulary.words).index("teapot")]
        (inspection,) = vocabularies.inspect(Embedding({encoder: word[None]}))
        assert inspection.nearest[0][0][0] == "teapot"
        assert inspection.base_name == "tiny"


def test_tokens_of_bytes_are_read_as_text_and_parts_of_letters_are_no_words(tmp_path):
    tokens = ["cat</w>", "caf\u00c3\u00a9</w>", "\u0141</w>", "\u0120</w>", "ca", "\u9676</w>"]
    (tmp_path / "vocab.json").write_text(json.dumps({token: number for number, token in enumerate(tokens)}))
    assert _words(tmp_path, 7) == ["cat", "café", "", "", "", "陶", ""]


def test_an_unknown_width_is_told_by_the_base_model_at_hand(tmp_path):
    """The embedded base model is always at hand; its width is nobody else's."""
    vocabularies = Vocabularies([])
    dim = next((d for d in range(8, 1024) if vocabularies.find("clip_l", d)), 0)
    assert dim not in (0, 768)
    path = tmp_path / "word.safetensors"
    path.write_bytes(safetensors({"<word>": vectors(1, dim)}))
    with Registry.open(tmp_path / "home") as registry:
        (outcome,) = import_path(registry, path, ImportOptions(), vocabularies)
    assert outcome.found is not None
    assert outcome.found.families[0].family == "sd1"
    assert outcome.found.families[0].evidence == f"width {dim} is that of the base model embedded"
    assert outcome.notes == ()


def test_a_width_of_nobodys_is_said(tmp_path):
    path = tmp_path / "word.safetensors"
    path.write_bytes(safetensors({"<word>": vectors(1, 100)}))
    with Registry.open(tmp_path / "home") as registry:
        (outcome,) = import_path(registry, path, ImportOptions(), Vocabularies([]))
    assert outcome.status == "imported"
    assert outcome.notes == ("width 100 is that of no known text encoder and of no base model here",)


def test_models_that_are_not_there_are_passed_over(tmp_path):
    (tmp_path / "text_encoder").mkdir()
    (tmp_path / "text_encoder" / "model.safetensors").write_bytes(b"junk")
    vocabularies = Vocabularies([base(tmp_path), base(tmp_path / "no"), base(Path("owner/model"))])
    assert vocabularies.find("clip_l", 768) is None
    (inspection,) = vocabularies.inspect(Embedding({"clip_l": np.ones((1, 768), np.float32)}))
    assert inspection.base_name == ""


# -- where vocabularies are found -----------------------------------------------------------------------------------


def lay_base(folder: Path, part: str, table: str, dim: int, index: dict[str, list[str]], **tokenizer: object) -> Path:
    """A base model as far as a vocabulary needs it: an index, one table, one tokenizer file."""
    rows = vectors(4, dim, 3)
    (folder / part).mkdir(parents=True)
    (folder / part / "model.safetensors").write_bytes(safetensors({table: rows}))
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "Pipeline", **index}))
    for name, content in tokenizer.items():
        place = folder / part.replace("text_encoder", "tokenizer")
        place.mkdir(exist_ok=True)
        (place / f"{name}.json").write_text(json.dumps(content))
    return folder


def nearest(vocabularies: Vocabularies, encoder: str, dim: int, row: int) -> list[str]:
    (inspection,) = vocabularies.inspect(Embedding({encoder: vectors(4, dim, 3)[row : row + 1]}))
    assert inspection.vocabulary_norm is not None
    return [word for words in inspection.nearest for word, _ in words]


def test_a_t5_vocabulary_and_a_tokenizer_in_one_file(tmp_path):
    flux = lay_base(
        tmp_path / "flux",
        "text_encoder_2",
        "shared.weight",
        4096,
        {"transformer": ["diffusers", "FluxTransformer2DModel"]},
        tokenizer={"model": {"type": "Unigram", "vocab": [["<pad>", 0.0], ["▁snow", -1.0], ["flake", -2.0]]}},
    )
    vocabularies = Vocabularies([BaseModel("f", str(flux), Fingerprint("flux", "", "", ""))])
    assert nearest(vocabularies, "t5", 4096, 1) == ["snow"]
    sd2 = lay_base(
        tmp_path / "sd2",
        "text_encoder",
        "text_model.embeddings.token_embedding.weight",
        1024,
        {"unet": ["diffusers", "UNet2DConditionModel"]},
        tokenizer={"model": {"type": "BPE", "vocab": {"a": 0, "cat</w>": 2, "dog</w>": 3}}},
    )
    (sd2 / "text_encoder" / "config.json").write_text('{"hidden_act": "gelu"}')
    vocabularies = Vocabularies([BaseModel("s", str(sd2), Fingerprint("sd2", "", "", ""))])
    assert nearest(vocabularies, "clip_h", 1024, 3)[0] == "dog"
    assert vocabularies.find("clip_l", 1024) is None


def test_a_checkpoint_file_has_norms_but_no_words(tmp_path):
    file = tmp_path / "v1.safetensors"
    table = "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight"
    file.write_bytes(safetensors({table: vectors(4, 768, 3), "model.diffusion_model.x": vectors(1, 8)}))
    vocabularies = Vocabularies([BaseModel("v1", str(file), Fingerprint("sd1", "", "", ""))])
    assert nearest(vocabularies, "clip_l", 768, 0) == []
    # Vectors of attention layers are compared with their encoder's vocabulary.
    assert nearest(vocabularies, "clip_l.IN01", 768, 0) == []


def test_a_model_in_the_hub_clients_cache_is_at_hand(tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    commit = "ab" * 20
    lay_base(
        tmp_path / "models--owner--model" / "snapshots" / commit,
        "text_encoder",
        "text_model.embeddings.token_embedding.weight",
        768,
        {"unet": ["diffusers", "UNet2DConditionModel"]},
        vocab={"cat</w>": 0, "dog</w>": 1},
    )
    (tmp_path / "models--owner--model" / "refs").mkdir()
    (tmp_path / "models--owner--model" / "refs" / "main").write_text(commit)
    (tmp_path / "models--owner--model" / "snapshots" / commit / "text_encoder" / "config.json").write_text(
        '{"hidden_act": "quick_gelu"}'
    )
    for revision in (commit, ""):
        known = BaseModel("hub", "owner/model", Fingerprint("sd1", "", "", ""), revision=revision)
        assert nearest(Vocabularies([known]), "clip_l", 768, 1)[0] == "dog"
    absent = BaseModel("hub", "owner/other", Fingerprint("sd1", "", "", ""))
    assert Vocabularies([absent]).find("clip_l", 768) is None
