"""The loss against its formulas."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from tiregistry.training.objective import Objective


@pytest.fixture
def samples() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    latents, noise = (torch.randn(3, 4, 8, 8, generator=generator) for _ in range(2))
    return latents, noise, torch.tensor([10, 500, 990])


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_the_right_answer_costs_nothing(loaded: Callable[..., Any], samples: Any, prediction: str) -> None:
    base = loaded("sd2", prediction)
    objective = Objective(base)
    latents, noise, times = samples
    scheduler: Any = base.scheduler
    target = noise if prediction == "epsilon" else scheduler.get_velocity(latents, noise, times)
    assert objective.losses(target, latents, noise, times).max() < 1e-10
    assert torch.allclose(
        objective.noised(latents, noise, times), scheduler.add_noise(latents, noise, times), atol=1e-6
    )


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_min_snr_weights(loaded: Callable[..., Any], samples: Any, prediction: str) -> None:
    base = loaded("sd2", prediction)
    objective = Objective(base)
    latents, noise, times = samples
    zeros = torch.zeros_like(latents)
    plain = objective.losses(zeros, latents, noise, times)
    gammas = torch.tensor([5.0, 5.0, 0.0])
    weighted = objective.losses(zeros, latents, noise, times, gammas=gammas)
    alpha = base.scheduler.alphas_cumprod[times]
    snr = alpha / (1 - alpha)
    expected = snr.clamp(max=5.0) / (snr if prediction == "epsilon" else snr + 1)
    assert torch.allclose(weighted[:2], plain[:2] * expected[:2], rtol=1e-5)
    assert weighted[2] == plain[2]


def test_what_a_mask_hides_does_not_count(loaded: Callable[..., Any], samples: Any) -> None:
    objective = Objective(loaded())
    latents, noise, times = samples
    masks = torch.zeros(3, 1, 8, 8)
    masks[:, :, :4] = 1.0
    wrong_below = noise.clone()
    wrong_below[:, :, 4:] += 3.0
    assert objective.losses(wrong_below, latents, noise, times, masks).max() < 1e-10
    wrong_above = noise.clone()
    wrong_above[:, :, :4] += 3.0
    assert torch.allclose(objective.losses(wrong_above, latents, noise, times, masks), torch.full((3,), 9.0))
