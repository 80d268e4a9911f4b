"""The losses against their formulas."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from tiregistry.training.objective import make_objective
from tiregistry.training.timesteps import LogitNormalTimesteps


@pytest.fixture
def samples() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    latents, noise = (torch.randn(3, 4, 8, 8, generator=generator) for _ in range(2))
    return latents, noise, torch.tensor([10, 500, 990])


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_the_right_answer_costs_nothing(loaded: Callable[..., Any], samples: Any, prediction: str) -> None:
    base = loaded("sd2", prediction)
    objective = make_objective(base)
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
    objective = make_objective(base)
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
    objective = make_objective(loaded())
    latents, noise, times = samples
    masks = torch.zeros(3, 1, 8, 8)
    masks[:, :, :4] = 1.0
    wrong_below = noise.clone()
    wrong_below[:, :, 4:] += 3.0
    assert objective.losses(wrong_below, latents, noise, times, masks).max() < 1e-10
    wrong_above = noise.clone()
    wrong_above[:, :, :4] += 3.0
    assert torch.allclose(objective.losses(wrong_above, latents, noise, times, masks), torch.full((3,), 9.0))


@pytest.mark.parametrize("family", ["sd3", "flux"])
def test_the_velocity_of_a_straight_flow(loaded: Callable[..., Any], family: str) -> None:
    base = loaded(family)
    objective = make_objective(base)
    generator = torch.Generator().manual_seed(0)
    latents, noise = (torch.randn(3, 16, 8, 8, generator=generator) for _ in range(2))
    times = torch.tensor([10.0, 500.0, 990.0])
    scheduler: Any = base.scheduler
    # The scheduler's own way to noise, at the shares of noise it knows.
    scheduler.timesteps, scheduler.sigmas = times, times / 1000
    assert torch.allclose(
        objective.noised(latents, noise, times), scheduler.scale_noise(latents, times, noise), atol=1e-6
    )
    assert objective.losses(noise - latents, latents, noise, times).max() < 1e-10
    # min-SNR caps the weight of the error of x_0 that a velocity means: x_0 = x_s - s v.
    share = (times / 1000).view(-1, 1, 1, 1)
    wrong = noise - latents + 0.5
    noised = objective.noised(latents, noise, times)
    error = (noised - share * wrong - latents).square().mean(dim=(1, 2, 3))
    snr = ((1 - times / 1000) / (times / 1000)).square()
    weighted = objective.losses(wrong, latents, noise, times, gammas=torch.full((3,), 5.0))
    assert torch.allclose(weighted, snr.clamp(max=5.0) * error, rtol=1e-3)


@pytest.mark.parametrize("shift", [1.0, 3.0])
def test_flow_timesteps_have_the_papers_density_also_within_a_range(shift: float) -> None:
    even = (torch.arange(20_000) + 0.5) / 20_000
    times = LogitNormalTimesteps(shift)(even, 0, None) / 1000
    unshifted = times / (shift - (shift - 1) * times)
    normal = torch.logit(unshifted.double())
    assert abs(float(normal.mean())) < 1e-3
    assert abs(float(normal.std()) - 1) < 1e-3
    inside = LogitNormalTimesteps(shift)(even, 200, 600)
    assert inside.min() >= 200
    assert inside.max() <= 600
    among = times[(times > 0.2) & (times < 0.6)] * 1000
    assert abs(float(inside.median() - among.median())) < 1
