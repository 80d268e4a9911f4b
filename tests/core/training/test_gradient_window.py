"""The full-matrix preconditioner: the paper's formula, what it remembers, and that it is worth its while."""

from __future__ import annotations

import pytest
import torch

from tiregistry.training.gradient_window import GradientWindow, window_length
from tiregistry.training.vectors import DirectionVectors, unit

USED = torch.ones(2, 1, dtype=torch.bool)


def gradients(step: int, width: int = 12) -> torch.Tensor:
    drawn = torch.randn(2, width, generator=torch.Generator().manual_seed(step))
    return unit(drawn * torch.linspace(3.0, 0.1, width))


def window(steps: int, length: int = 6) -> GradientWindow:
    made = GradientWindow(2, 12, length, torch.device("cpu"))
    for step in range(steps):
        made.add(gradients(step), USED)
    return made


@pytest.mark.parametrize("steps", [1, 4, 6, 15])
def test_it_is_the_inverse_root_of_the_last_gradients_mean_outer_product(steps: int) -> None:
    last = torch.stack([gradients(step) for step in range(max(0, steps - 6), steps)], dim=1)
    covariance = (last.transpose(1, 2) @ last / last.shape[1]).double()
    values, basis = torch.linalg.eigh(covariance + torch.eye(12) / 12)
    root = basis @ torch.diag_embed(values.rsqrt()) @ basis.transpose(1, 2)
    length = (root @ covariance @ root).diagonal(dim1=1, dim2=2).sum(-1).sqrt()
    move = gradients(99)
    expected = (root @ move.double()[:, :, None])[:, :, 0] / length[:, None]
    assert torch.allclose(window(steps).precondition(move), expected.float(), atol=0.02)


def test_a_vector_in_no_caption_of_a_step_keeps_its_gradients() -> None:
    whole, part = window(3), window(3)
    part.add(gradients(7), torch.tensor([[True], [False]]))
    move = gradients(99)
    assert torch.equal(part.precondition(move)[1], whole.precondition(move)[1])
    assert not torch.equal(part.precondition(move)[0], whole.precondition(move)[0])


def test_without_gradients_a_step_stays_as_it_is() -> None:
    move = gradients(99)
    assert torch.equal(window(0).precondition(move), move)


def test_it_goes_on_from_its_state() -> None:
    first, second = window(9), window(0)
    second.load_state(first.state())
    for one in (first, second):
        one.add(gradients(20), USED)
    assert torch.equal(first.precondition(gradients(99)), second.precondition(gradients(99)))
    second.clear()
    assert torch.equal(second.precondition(gradients(99)), gradients(99))


@pytest.mark.parametrize("width", [320, 768, 1024, 768 + 1280, 768 + 1280 + 4096])
def test_a_checkpoint_stays_small(width: int) -> None:
    assert window_length(width) >= 8
    assert window_length(width) * width <= 48 * 1024


def test_a_loss_of_unequal_curvature_falls_further() -> None:
    width, drawn = 24, torch.Generator().manual_seed(5)
    basis = torch.linalg.qr(torch.randn(width, width, generator=drawn))[0]
    curvature = torch.logspace(0, 3, width)
    target = unit(torch.randn(8, width, generator=drawn))

    def loss(rows: torch.Tensor) -> torch.Tensor:
        return ((rows - target) @ basis).square() @ curvature

    ends = {}
    for preconditioning in (False, True):
        start = {"clip_l": torch.randn(8, width, generator=torch.Generator().manual_seed(6))}
        norms = {"clip_l": torch.ones(8, 1)}
        vectors = DirectionVectors(start, norms, torch.device("cpu"), 0.0, preconditioning=preconditioning)
        for step in range(60):
            torch.autograd.backward(loss(vectors.rows()["clip_l"]).sum())
            vectors.update(0.1 * (1 - step / 60))
        ends[preconditioning] = float(loss(vectors.rows()["clip_l"]).detach().mean())
    assert ends[True] < 0.7 * ends[False], ends
