"""Every family from pictures to a registered version, on models with the real classes and fields."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tiregistry.images import read_pictures
from tiregistry.training.config import TrainingConfig
from tiregistry.training.events import Finished, Notice
from tiregistry.training.run import TrainingRequest, train


@pytest.mark.parametrize(
    ("family", "prediction", "roles"),
    [
        ("sd1", "epsilon", {"clip_l": 32}),
        ("sd2", "epsilon", {"clip_h": 32}),
        ("sd2", "v_prediction", {"clip_h": 32}),
        ("sdxl", "epsilon", {"clip_l": 32, "clip_g": 64}),
        ("sd3", "flow", {"clip_g": 24, "clip_l": 16, "t5": 48}),
        ("flux", "flow", {"clip_l": 16, "t5": 48}),
    ],
)
@pytest.mark.parametrize("recipe", ["direction", "classic"])
def test_a_word_of_each_family(
    registry: Any,
    tiny: Callable[..., Path],
    pictures: Path,
    family: str,
    prediction: str,
    roles: dict[str, int],
    recipe: Any,
) -> None:
    config = TrainingConfig(
        recipe=recipe,
        initializer="old teapot",
        max_steps=2,
        batch_size=2,
        resolution=64,
        preview_prompts=("{} on the beach",),
    )
    request = TrainingRequest("pot", read_pictures([pictures])[0], config, base=str(tiny(family, prediction)))
    events = list(train(registry, request))
    last = events[-1]
    assert isinstance(last, Finished)
    warned = any(isinstance(event, Notice) and "experimental" in event.what for event in events)
    assert warned == (prediction == "flow")
    version = registry.version(last.reference)
    assert {shape.encoder: (shape.num_vectors, shape.dim) for shape in version.encoders} == {
        role: (2, dim) for role, dim in roles.items()
    }
    assert version.fingerprint.family == family
    assert "preview/0002.png" in registry.attachments(version)
    for array in registry.embedding(version).tensors.values():
        assert np.isfinite(array).all()


def test_both_encoders_of_sdxl_learn(loaded: Callable[..., Any], make_word: Callable[..., Any]) -> None:
    from tiregistry.training.loop import learn

    word = make_word(family="sdxl", recipe="classic", max_steps=2)
    before = {role: rows.detach().clone() for role, rows in word.vectors.rows().items()}
    for _ in learn(loaded("sdxl"), [word]):
        pass
    for role, rows in word.vectors.rows().items():
        assert not torch.equal(rows, before[role]), role


def test_sdxl_pools_at_the_end_token_although_learned_rows_have_higher_ids(loaded: Callable[..., Any]) -> None:
    base = loaded("sdxl")
    tower = base.towers[1]
    assert tower.model.config.eos_token_id == 2  # as the real files say, wrongly
    first = tower.words.first_id
    ids = torch.tensor([tower.ids(["a photo of a ", (first,)])])
    rows = {t.role: t.words.table.weight[:1].clone() for t in base.towers}
    with torch.no_grad(), base.using_rows(rows):
        encoded = base.encode({t.role: ids for t in base.towers})
        states = tower.model(ids).last_hidden_state
        end = ids[0].tolist().index(tower.tokenizer.eos_token_id)
        expected = tower.model.text_projection(states[:, end])
    assert torch.allclose(encoded.pooled, expected, atol=1e-6)


def test_the_pooled_state_of_plain_text_is_what_transformers_says(loaded: Callable[..., Any]) -> None:
    from transformers import CLIPTextModelWithProjection

    base = loaded("sdxl")
    plain: Any = CLIPTextModelWithProjection.from_pretrained(Path(base.identity.source) / "text_encoder_2")
    ids = torch.tensor([base.towers[1].ids(["a photo of a cat"])])
    with torch.no_grad():
        expected = plain(ids).text_embeds
        encoded = base.encode({tower.role: ids for tower in base.towers})
    assert torch.allclose(encoded.pooled, expected, atol=1e-5)


def test_a_model_that_is_only_there_in_fp16(registry: Any, tiny: Callable[..., Path], tmp_path: Path) -> None:
    import shutil

    from tiregistry.bases.loading import load_base

    folder = tmp_path / "half"
    shutil.copytree(tiny(), folder)
    for file in folder.glob("*/*.safetensors"):
        file.rename(file.with_name(file.name.replace(".safetensors", ".fp16.safetensors")))
    assert load_base(str(folder), device="cpu").family == "sd1"
