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


def test_what_has_not_joined_does_not_decay() -> None:
    """As the second vector of a progressive word: no gradient for forty steps, and none of it is used up."""
    vectors = free(weight_decay=1.0)
    begun = vectors.rows()["clip_l"].detach().clone()
    for _ in range(40):
        torch.autograd.backward(vectors.rows()["clip_l"][:1].square().sum())
        vectors.update(0.02)
    after = vectors.rows()["clip_l"].detach()
    assert torch.equal(after[1], begun[1])
    assert after[0].norm() < 0.7 * begun[0].norm()


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
    usual: dict[str, Any] = {"stop_every": 10, "stop_window": 50, "max_steps": 400}
    return StopRule(TrainingConfig(**(usual | settings)).resolved())


def plateau(watched: StopRule, steps: int = 400) -> int | None:
    """The first step at which a loss that falls and then stands still counts as standing still."""
    noise = (0.002, -0.001, 0.0, 0.001, -0.002)
    return next((s for s in range(0, steps, 10) if watched.add(s, 0.3 + 0.1 * 0.95**s + noise[s // 10 % 5], {})), None)


def test_a_constant_learning_rate_ends_where_nothing_changes_any_more() -> None:
    watched = rule(lr_scheduler="constant")
    step = plateau(watched)
    assert step is not None
    assert 60 < step < 150
    assert watched.end_early(step)
    assert watched.last == step
    assert watched.why(step).startswith(f"the loss on a fixed batch no longer changed at step {step} (variance")


def test_a_falling_learning_rate_is_brought_down_early() -> None:
    watched = rule(learning_rate=0.3)
    step = plateau(watched)
    assert step is not None
    assert watched.end_early(step)
    assert watched.last == step + 50
    at_plateau = learning_rate_at(step, watched.config)
    assert watched.learning_rate(step - 1) == learning_rate_at(step - 1, watched.config)
    assert watched.learning_rate(step) == pytest.approx(at_plateau)
    assert watched.learning_rate(step + 25) == pytest.approx(at_plateau / 2)
    assert watched.learning_rate(step + 49) < 0.01 * at_plateau
    assert watched.is_due(step + 50)
    assert not watched.add(step + 10, 0.3, {})  # it is decided once
    assert "50 more at a falling learning rate" in watched.why(step + 50)


def test_a_course_that_ends_as_soon_is_left_as_it_is() -> None:
    watched = rule(max_steps=100)
    assert not watched.end_early(80)
    assert watched.last == 100
    assert watched.learning_rate(90) == learning_rate_at(90, watched.config)


def test_a_course_too_short_to_be_shortened_is_only_looked_at_for_its_best() -> None:
    watched = rule(max_steps=95)
    assert [step for step in range(96) if watched.is_due(step)] == [50, 60, 70, 80, 90, 95]
    assert not any(watched.add(step, 0.3, {}) for step in (50, 60, 70, 80, 90, 95))
    assert [step for step in range(401) if rule().is_due(step)] == list(range(0, 401, 10))
    assert rule(max_steps=95, lr_scheduler="constant").is_due(0)


def test_the_first_fall_alone_does_not_make_a_plateau() -> None:
    watched = rule(stop_every=20, stop_window=60)
    # A sixth of the fall still comes within the window; its variance is small beside that of the first step down.
    losses = (0.40, 0.30, 0.295, 0.29, 0.28)
    assert not any(watched.add(20 * at, loss, {}) for at, loss in enumerate(losses))
    assert watched.ratio < watched.threshold


def test_no_stopping_while_it_still_falls() -> None:
    watched = rule(max_steps=440)
    assert not any(watched.add(step, 1.0 - step / 1000, {}) for step in range(0, 450, 10))
    assert watched.why(440) == "all 440 steps taken; the last was best on the fixed batch"
    watched.add(450, 2.0, {})
    assert watched.why(450) == "all 450 steps taken; kept step 440, best on the fixed batch"


def test_the_rule_survives_a_checkpoint() -> None:
    watched = rule()
    step = plateau(watched)
    assert step is not None
    watched.best_rows = {"clip_l": torch.ones(2, 6)}
    assert watched.end_early(step)
    again = rule()
    again.load_state(watched.state())
    assert again.losses == watched.losses
    assert (again.settled_at, again.last, again.ratio) == (step, watched.last, watched.ratio)
    assert torch.equal(again.best_rows["clip_l"], watched.best_rows["clip_l"])
    assert again.why(again.last) == watched.why(watched.last)
    assert not again.is_due(step)
