"""Base models whose parts do not load: the line names the part."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.models import tiny_sd
from tiregistry.errors import InvalidInput


@pytest.mark.parametrize(
    ("part", "setting", "value", "says"),
    [
        ("unet", "cross_attention_dim", 48, r"weights of its unet do not fit its configuration: \S+ is \d+ x \d+ and"),
        ("vae", "latent_channels", 3, r"weights of its vae do not fit its configuration: \S+ is .* and should be"),
        ("text_encoder", "intermediate_size", 48, "weights of its text_encoder do not fit its configuration"),
    ],
)
def test_weights_of_another_shape(tmp_path: Path, part: str, setting: str, value: int, says: str) -> None:
    from tiregistry.bases.loading import load_base

    folder = tiny_sd(tmp_path / "tiny")
    config = folder / part / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {setting: value}))
    with pytest.raises(InvalidInput, match=says) as caught:
        load_base(str(folder), device="cpu")
    assert "torch.Size" not in caught.value.message
    assert caught.value.hint == "copy the model again"


def test_a_tensor_that_is_missing_is_named(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    from tiregistry.bases.loading import load_base

    file = tiny_sd(tmp_path / "base") / "unet" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(file)
    tensors["renamed"] = tensors.pop("conv_in.weight")
    save_file(tensors, file, metadata={"format": "pt"})
    with pytest.raises(InvalidInput, match=r"lack conv_in\.weight .copy the model again"):
        load_base(str(file.parents[1]), device="cpu")
