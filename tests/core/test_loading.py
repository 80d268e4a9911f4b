"""Base models whose parts do not load: the line names the part."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.flow_models import tiny_flow
from tests.models import tiny_sd
from tiregistry.bases.fitting import misfit
from tiregistry.errors import DeviceError, InvalidInput


@pytest.mark.parametrize(
    ("part", "setting", "value", "says"),
    [
        ("unet", "in_channels", 5, r"weights of its unet do not fit its configuration: \S+ is .* and should be"),
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


def test_a_signal_while_a_library_makes_a_class_is_no_fault_of_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tiregistry.bases import loading

    class Interrupting:
        def __set_name__(self, owner: type, name: str) -> None:
            raise KeyboardInterrupt

    def load(*_: object) -> None:
        with loading._naming("unet"):
            type("Made", (), {"field": Interrupting()})  # wrapped in a RuntimeError by Python 3.11

    monkeypatch.setattr(loading, "_load_parts", load)
    with pytest.raises(KeyboardInterrupt):
        loading.load_base(str(tiny_sd(tmp_path / "tiny")), device="cpu")


@pytest.mark.parametrize("family", ["sd1", "sdxl"])
def test_a_text_encoder_of_another_model(tmp_path: Path, family: str) -> None:
    """The weights fit their configuration, and yet nothing could be made of them together."""
    from tiregistry.bases.loading import load_base

    folder, other = tiny_sd(tmp_path / "tiny", family), tiny_sd(tmp_path / "other", "sdxl")
    own, foreign = ("text_encoder", "text_encoder_2") if family == "sd1" else ("text_encoder_2", "text_encoder")
    shutil.rmtree(folder / own)
    shutil.copytree(other / foreign, folder / own)
    with pytest.raises(InvalidInput, match=r"its text encoders make states of width \d+, its denoiser takes \d+"):
        load_base(str(folder), device="cpu")


@pytest.mark.parametrize("family", ["sd1", "sd2", "sdxl", "sd3", "flux"])
def test_parts_of_one_model_fit(tmp_path: Path, family: Any) -> None:
    flow = family in ("sd3", "flux")
    folder = tiny_flow(tmp_path / "tiny", family) if flow else tiny_sd(tmp_path / "tiny", family)
    assert misfit(folder, family) == ""
    config = folder / ("transformer" if flow else "unet") / "config.json"
    name = "joint_attention_dim" if flow else "cross_attention_dim"
    config.write_text(json.dumps(json.loads(config.read_text()) | {name: 7}))
    assert misfit(folder, family).endswith("its denoiser takes 7")


@pytest.mark.parametrize(
    "made",
    ["EulerDiscreteScheduler", "DPMSolverMultistepScheduler", "PNDMScheduler", "DDIMScheduler", "LCMScheduler"],
)
def test_no_sampler_clips_latents(tmp_path: Path, made: str) -> None:
    """Whatever the model's own scheduler leaves unsaid: clipped to -1 and 1, latents are a blur."""
    import diffusers

    from tiregistry.bases.loading import load_base
    from tiregistry.generation.settings import SCHEDULERS

    folder = tiny_sd(tmp_path / "tiny")
    getattr(diffusers, made)(beta_start=0.00085, beta_end=0.012).save_pretrained(folder / "scheduler")
    file = folder / "scheduler" / "scheduler_config.json"
    told = json.loads(file.read_text())
    file.write_text(json.dumps({key: told[key] for key in told if key not in ("clip_sample", "thresholding")}))
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps(index | {"scheduler": ["diffusers", made]}))
    base = load_base(str(folder), device="cpu")
    for name, (class_name, options) in SCHEDULERS.items():
        config = getattr(diffusers, class_name).from_config(base.scheduler.config, **options).config
        assert not config.get("clip_sample"), name
        assert not config.get("thresholding"), name
        assert config["beta_start"] == 0.00085


def test_a_model_of_another_formulation(tmp_path: Path) -> None:
    from diffusers import EDMEulerScheduler

    from tiregistry.bases.loading import load_base

    folder = tiny_sd(tmp_path / "tiny", "sdxl")
    EDMEulerScheduler().save_pretrained(folder / "scheduler")
    with pytest.raises(InvalidInput, match="was trained in the EDM formulation"):
        load_base(str(folder), device="cpu")


def test_latents_with_a_mean_and_a_deviation(tmp_path: Path) -> None:
    """Per channel, as in some autoencoders' configurations; diffusers' pipelines read them so."""
    import torch

    from tiregistry.bases.autoencoder import scaled, unscaled
    from tiregistry.bases.loading import load_base

    folder = tiny_sd(tmp_path / "tiny", "sdxl")
    config = folder / "vae" / "config.json"
    told = {"latents_mean": [1.0, -2.0, 0.5, 0.0], "latents_std": [2.0, 4.0, 1.0, 0.5], "scaling_factor": 0.5}
    config.write_text(json.dumps(json.loads(config.read_text()) | told))
    base = load_base(str(folder), device="cpu")
    latents = torch.randn(3, 4, 2, 2)
    known = scaled(base, latents)
    torch.testing.assert_close(known[:, 1], (latents[:, 1] + 2.0) * 0.5 / 4.0)
    torch.testing.assert_close(unscaled(base, known), latents)


@pytest.mark.parametrize("family", ["sdxl", "sd3", "flux"])
def test_a_pooled_state_of_another_width(tmp_path: Path, family: Any) -> None:
    folder = tiny_sd(tmp_path / "tiny", family) if family == "sdxl" else tiny_flow(tmp_path / "tiny", family)
    part, name = ("text_encoder", "hidden_size") if family == "flux" else ("text_encoder_2", "projection_dim")
    config = folder / part / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {name: 7}))
    assert "its text encoders pool a text into " in misfit(folder, family)


def test_a_tensor_that_is_missing_is_named(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    from tiregistry.bases.loading import load_base

    file = tiny_sd(tmp_path / "base") / "unet" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(file)
    tensors["renamed"] = tensors.pop("conv_in.weight")
    save_file(tensors, file, metadata={"format": "pt"})
    with pytest.raises(InvalidInput, match=r"lack conv_in\.weight .copy the model again"):
        load_base(str(file.parents[1]), device="cpu")


def test_memory_that_does_not_suffice_is_not_called_a_bad_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tiregistry.bases import loading

    def no_memory(*_: Any) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")

    monkeypatch.setattr(loading, "_frozen", no_memory)
    folder = tiny_sd(tmp_path / "tiny")
    with pytest.raises(DeviceError, match="does not fit the memory of cpu") as caught:
        loading.load_base(str(folder), device="cpu")
    assert caught.value.hint == "close other programs"


def test_the_libraries_are_as_loud_after_loading_as_before(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    from tiregistry.bases.loading import load_base

    def loudness() -> list[object]:
        libraries = (diffusers_logging, transformers_logging)
        return [each for library in libraries for each in (library.get_verbosity(), library.is_progress_bar_enabled())]

    before = loudness()
    folder = tiny_sd(tmp_path / "tiny")
    capfd.readouterr()
    load_base(str(folder), device="cpu")
    assert loudness() == before
    captured = capfd.readouterr()
    assert captured.out + captured.err == ""
