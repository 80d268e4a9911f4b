"""Layers as we run them: the same prediction and gradient to the bit, and what is no longer kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tiregistry.bases import frozen_layers
from tiregistry.bases.denoisers import Conditioning
from tiregistry.bases.frozen_layers import streamline
from tiregistry.bases.loading import load_base
from tiregistry.training import estimate

FAMILIES = [("sd1", "epsilon"), ("sd2", "v_prediction"), ("sdxl", "epsilon"), ("sd3", "flow"), ("flux", "flow")]


def passed(base: Any, layout: torch.memory_format = torch.contiguous_format) -> tuple[torch.Tensor, torch.Tensor, int]:
    """A denoiser's prediction, the gradient of the states it is told, and bytes kept between the two."""
    generator, made = torch.Generator().manual_seed(3), {"device": base.device, "dtype": base.dtype}
    with torch.no_grad():
        told = base.encode({tower.role: torch.tensor([tower.framed([5, 6])] * 2) for tower in base.towers})
    states = told.states.clone().requires_grad_(True)
    side = base.resolution // base.vae_factor
    noised = torch.randn(2, base.latent_channels, side, side, generator=generator).to(**made, memory_format=layout)
    weights = {parameter.untyped_storage().data_ptr() for parameter in base.denoiser.parameters()}
    kept: Counter[int] = Counter()

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        timesteps = torch.tensor([10, 600], device=base.device)
        predicted = base.predict(noised, timesteps, Conditioning(states, told.pooled))
    torch.autograd.backward(predicted.square().mean())
    assert states.grad is not None
    return predicted.detach(), states.grad, kept.total()


@pytest.mark.parametrize(("family", "prediction"), FAMILIES)
def test_the_gradient_is_the_same_and_less_is_kept(tiny: Callable[..., Path], family: str, prediction: str) -> None:
    base = load_base(str(tiny(family, prediction)), device="cpu")
    predicted, gradient, kept = passed(base)
    assert gradient.abs().max() > 0
    for spare in (False, True, False):
        streamline(base.denoiser, spare_memory=spare)
        now, same, less = passed(base)
        assert torch.equal(now, predicted)
        assert torch.equal(same, gradient)
        if spare and family in ("sd1", "sd2", "sdxl"):
            assert less < 0.7 * kept
        else:
            assert less <= kept


@pytest.mark.parametrize("family", ["sd1", "sd2", "sdxl"])
def test_every_block_of_stable_diffusion_is_run_by_us(tiny: Callable[..., Path], family: str) -> None:
    from diffusers.models.attention import BasicTransformerBlock
    from diffusers.models.resnet import ResnetBlock2D

    denoiser = load_base(str(tiny(family, "v_prediction" if family == "sd2" else "epsilon")), device="cpu").denoiser
    streamline(denoiser)
    blocks = [m for m in denoiser.modules() if isinstance(m, BasicTransformerBlock | ResnetBlock2D)]
    assert len({type(block) for block in blocks}) == 2
    assert all("forward" in vars(block) for block in blocks)


def test_blocks_that_do_more_are_left_alone(tiny: Callable[..., Path]) -> None:
    from diffusers.models.attention import BasicTransformerBlock
    from diffusers.models.attention_processor import AttnProcessor
    from diffusers.models.resnet import ResnetBlock2D

    base = load_base(str(tiny()), device="cpu")
    attending = [m for m in base.denoiser.modules() if isinstance(m, BasicTransformerBlock)]
    residual = [m for m in base.denoiser.modules() if isinstance(m, ResnetBlock2D)]
    attending[0].attn1.set_processor(AttnProcessor())
    residual[0].nonlinearity = torch.nn.GELU()
    residual[1].output_scale_factor = 2.0
    residual[2].conv1.padding_mode = "circular"
    attending[1].ff.net[0] = torch.nn.Linear(attending[1].dim, 4 * attending[1].dim)
    predicted, gradient, _ = passed(base)
    for spare in (False, True):
        streamline(base.denoiser, spare_memory=spare)
        now, same, _ = passed(base)
        assert torch.equal(now, predicted)
        assert torch.equal(same, gradient)
    ours = [m for m in (*attending, *residual) if "forward" in vars(m)]
    assert len(ours) == len(attending) + len(residual) - 4


def test_a_mask_is_heeded(tiny: Callable[..., Path]) -> None:
    base = load_base(str(tiny()), device="cpu")
    block = next(m for m in base.denoiser.modules() if type(m).__name__ == "BasicTransformerBlock")
    inputs, states = torch.randn(1, 4, block.dim), torch.randn(1, 7, base.towers[0].dim)
    mask = torch.zeros(1, 1, 7)
    mask[..., 3:] = -10000.0
    with torch.inference_mode():
        expected = block(inputs, encoder_hidden_states=states[:, :3])
        streamline(base.denoiser)
        told = block(inputs, encoder_hidden_states=states, encoder_attention_mask=mask)
    torch.testing.assert_close(told, expected)


def test_the_estimate_knows_which_layers_are_spared() -> None:
    assert estimate.CHEAP_WIDTH == frozen_layers.CHEAP_WIDTH


def test_calling_it_again_changes_nothing(tiny: Callable[..., Path]) -> None:
    base = load_base(str(tiny()), device="cpu")
    predicted, gradient, _ = passed(base)
    names = list(base.denoiser.state_dict())
    for _ in range(3):
        streamline(base.denoiser, spare_memory=True)
    now, same, _ = passed(base)
    assert torch.equal(now, predicted)
    assert torch.equal(same, gradient)
    assert list(base.denoiser.state_dict()) == names


def test_with_gradient_checkpointing_and_channels_last(tiny: Callable[..., Path]) -> None:
    base = load_base(str(tiny()), device="cpu")
    base.denoiser.to(memory_format=torch.channels_last)
    predicted, gradient, kept = passed(base, torch.channels_last)
    streamline(base.denoiser, spare_memory=True)
    base.denoiser.enable_gradient_checkpointing()
    now, same, less = passed(base, torch.channels_last)
    assert torch.equal(now, predicted)
    torch.testing.assert_close(same, gradient)
    assert less < 0.5 * kept


def test_pictures_are_made_as_before(tiny: Callable[..., Path]) -> None:
    base = load_base(str(tiny()), device="cpu")
    states = torch.randn(1, 77, base.towers[0].dim, generator=torch.Generator().manual_seed(1))
    noised = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        before = base.predict(noised, torch.tensor([500]), Conditioning(states))
        streamline(base.denoiser, spare_memory=True)
        assert torch.equal(base.predict(noised, torch.tensor([500]), Conditioning(states)), before)
