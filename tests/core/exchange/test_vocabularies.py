"""The vocabulary of a base model on this disk, read without torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.core.embeddings.samples import safetensors, vectors
from tests.models import WORDS, tiny_sd
from tiregistry.concepts import BaseModel, Fingerprint
from tiregistry.embeddings.embedding import Embedding
from tiregistry.exchange.importing import ImportOptions, import_path
from tiregistry.exchange.vocabularies import Vocabularies
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


def test_an_unknown_width_is_told_by_the_base_model_at_hand(tmp_path):
    """The embedded base model is always at hand; its width is nobody else's."""
    vocabularies = Vocabularies([])
    dim = next((d for d in range(8, 1024) if vocabularies.find("clip_l", d)), 0)
    if not dim or dim == 768:
        pytest.skip("the embedded base model is not there")
    path = tmp_path / "word.safetensors"
    path.write_bytes(safetensors({"<word>": vectors(1, dim)}))
    with Registry.open(tmp_path / "home") as registry:
        (outcome,) = import_path(registry, path, ImportOptions(), vocabularies)
    assert outcome.found is not None
    assert outcome.found.families[0].family == "sd1"
    assert outcome.found.families[0].evidence == f"width {dim} is that of the base model embedded"


def test_models_that_are_not_there_are_passed_over(tmp_path):
    (tmp_path / "text_encoder").mkdir()
    (tmp_path / "text_encoder" / "model.safetensors").write_bytes(b"junk")
    vocabularies = Vocabularies([base(tmp_path), base(tmp_path / "no"), base(Path("owner/model"))])
    assert vocabularies.find("clip_l", 768) is None
    (inspection,) = vocabularies.inspect(Embedding({"clip_l": np.ones((1, 768), np.float32)}))
    assert inspection.base_name == ""
