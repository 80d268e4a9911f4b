"""How vectors move: on their sphere, or as AdamW says; and that nothing else moves."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tiregistry.training.config import TrainingConfig
from tiregistry.training.stopping import StopRule
from tiregistry.training.vectors import DirectionVectors, FreeVectors, learning_rate_at


def start(count: int = 2) -> dict[str, torch.Tensor]:
    return {"clip_l": torch.randn(count, 6, generator=torch.Generator().manual_seed(1))}


def directions(count: int = 2, prior: float = 1e-4) -> DirectionVectors:
    return DirectionVectors(start(count), {"clip_l": torch.full((count, 1), 0.4)}, torch.device("cpu"), prior)


def free(**settings: Any) -> FreeVectors:
    return FreeVectors(start(), torch.device("cpu"), TrainingConfig(recipe="classic", **settings).resolved())


def pull(vectors: Any, towards: torch.Tensor) -> None:
    loss = (vectors.rows()["clip_l"] - towards).square().sum()
    torch.autograd.backward(loss)


def test_directions_keep_their_magnitude_and_find_their_target() -> None:
    vectors = directions()
    target = torch.randn(2, 6, generator=torch.Generator().manual_seed(2))
    for _ in range(200):
        pull(vectors, target)
        vectors.update(0.05)
    rows = vectors.rows()["clip_l"].detach()
    assert torch.allclose(rows.norm(dim=-1), torch.full((2,), 0.4), atol=1e-5)
    assert torch.cosine_similarity(rows, target, dim=-1).min() > 0.98


def test_a_vector_without_gradient_does_not_move() -> None:
    vectors = directions(3, prior=0.1)
    before = vectors.rows()["clip_l"].detach().clone()
    for _ in range(5):
        torch.autograd.backward(vectors.rows()["clip_l"][0].sum())
        vectors.update(0.1)
    after = vectors.rows()["clip_l"].detach()
    assert torch.equal(after[1:], before[1:])
    assert not torch.equal(after[0], before[0])


def test_the_first_step_is_as_long_as_the_learning_rate_says() -> None:
    vectors = directions()
    before = vectors.rows()["clip_l"].detach().clone()
    pull(vectors, torch.randn(2, 6, generator=torch.Generator().manual_seed(3)))
    vectors.update(0.1)
    turned = torch.cosine_similarity(vectors.rows()["clip_l"].detach(), before, dim=-1).clamp(max=1).acos()
    assert torch.allclose(turned, torch.full((2,), 0.1).atan(), atol=1e-3)


def test_free_vectors_move_as_adamw() -> None:
    vectors = free(weight_decay=0.01)
    parameter = start()["clip_l"].clone().requires_grad_(True)
    reference = torch.optim.AdamW([parameter], lr=0.02, weight_decay=0.01)
    target = torch.zeros(2, 6)
    for _ in range(5):
        pull(vectors, target)
        vectors.update(0.02)
        torch.autograd.backward((parameter - target).square().sum())
        reference.step()
        reference.zero_grad()
    assert torch.equal(vectors.rows()["clip_l"].detach(), parameter.detach())


def test_regularization_pulls_back_to_the_start() -> None:
    strong, none = free(regularization=10.0), free()
    for vectors in (strong, none):
        for _ in range(50):
            pull(vectors, torch.zeros(2, 6))
            vectors.update(0.02)
    origin = start()["clip_l"]
    far = {v: (v.rows()["clip_l"].detach() - origin).norm() for v in (strong, none)}
    assert far[strong] < 0.5 * far[none]


def test_clipping_looks_at_all_vectors_together() -> None:
    vectors = free(max_grad_norm=1e-3)
    pull(vectors, torch.full((2, 6), 100.0))
    parameter = vectors.parameters()[0]
    torch.nn.utils.clip_grad_norm_([parameter], 1e-3)
    assert parameter.grad is not None
    assert abs(float(parameter.grad.norm()) - 1e-3) < 1e-5


@pytest.mark.parametrize("make", [directions, free])
def test_state_goes_on_exactly(make: Any) -> None:
    target = torch.ones(2, 6)
    one, two = make(), make()
    for _ in range(3):
        pull(one, target)
        one.update(0.03)
    two.load_state({key: value.clone() for key, value in one.state().items()})
    for _ in range(3):
        for vectors in (one, two):
            pull(vectors, target)
            vectors.update(0.03)
    assert torch.equal(one.rows()["clip_l"], two.rows()["clip_l"])


def test_learning_rates() -> None:
    cosine = TrainingConfig(max_steps=100, warmup_steps=10, learning_rate=1.0).resolved()
    assert learning_rate_at(0, cosine) == pytest.approx(0.1)
    assert learning_rate_at(10, cosine) == pytest.approx(1.0)
    assert learning_rate_at(55, cosine) == pytest.approx(0.5)
    assert learning_rate_at(99, cosine) < 0.01
    classic = TrainingConfig(recipe="classic", batch_size=4, gradient_accumulation=2, learning_rate=5e-3).resolved()
    assert learning_rate_at(0, classic) == pytest.approx(5e-3 * 8)
    linear = TrainingConfig(max_steps=10, lr_scheduler="linear", learning_rate=1.0).resolved()
    assert learning_rate_at(5, linear) == pytest.approx(0.5)


def rule(**settings: Any) -> StopRule:
    return StopRule(TrainingConfig(stop_every=10, stop_window=50, stop_threshold=0.1, **settings).resolved())


def test_stopping_when_nothing_changes_any_more() -> None:
    watched, vectors = rule(), directions()
    steps = range(0, 1000, 10)
    stopped = next(step for step in steps if watched.add(step, 1.0 / (1 + step / 20), vectors))
    assert 50 < stopped < 400
    assert "no longer changes" in watched.why(stopped)


def test_no_stopping_while_it_still_falls() -> None:
    watched, vectors = rule(), directions()
    assert not any(watched.add(step, 1.0 - step / 1000, vectors) for step in range(0, 450, 10))
    assert watched.at_cap(440) == "all 440 steps taken; the last was best on the fixed batch"
    watched.add(450, 2.0, vectors)
    assert watched.at_cap(450) == "all 450 steps taken; kept step 440, best on the fixed batch"


def test_the_best_vectors_are_kept_and_survive_a_checkpoint() -> None:
    watched, vectors = rule(), directions()
    for step, loss in ((0, 3.0), (10, 1.0), (20, 2.0)):
        if step == 20:
            pull(vectors, torch.ones(2, 6))
            vectors.update(0.5)
        watched.add(step, loss, vectors)
    assert watched.best_step == 10
    assert not torch.equal(watched.best_rows["clip_l"], vectors.rows()["clip_l"].detach())
    again = rule()
    again.load_state(watched.state())
    assert again.losses == watched.losses
    assert torch.equal(again.best_rows["clip_l"], watched.best_rows["clip_l"])
    assert again.is_due(30, 300)
    assert not again.is_due(20, 300)
