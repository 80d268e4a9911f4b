"""Text encoders as training runs them: what transformers' say, and gradients, in fewer operations."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tiregistry.bases.loading import load_base
from tiregistry.bases.towers import Encoded
from tiregistry.bases.word_rows import WordRows
from tiregistry.training.caption_words import CaptionWords
from tiregistry.training.frozen_encoder import FrozenEncoder

FAMILIES = [("sd1", "epsilon"), ("sd2", "v_prediction"), ("sdxl", "epsilon"), ("sd3", "flow"), ("flux", "flow")]


def encoded(base: Any, tower: Any, encode: Callable[..., Any]) -> tuple[Any, torch.Tensor]:
    """What an encoder says of two prompts with a learned word, and the gradient of its vectors."""
    rows = torch.randn(2, tower.dim, generator=torch.Generator().manual_seed(1)).requires_grad_(True)
    first = tower.words.first_id
    ids = torch.tensor([tower.framed([5, first, first + 1, 6]), tower.framed([first])])
    with base.using_rows({each.role: rows for each in base.towers}):
        told = encode(ids)
    weights = torch.randn(told.states.shape, generator=torch.Generator().manual_seed(2))
    total = (told.states * weights).sum()
    if told.pooled is not None:
        total = total + (told.pooled * weights[:, 0, : told.pooled.shape[1]]).sum()
    torch.autograd.backward(total)
    assert rows.grad is not None
    return told, rows.grad


def of_ids(frozen: FrozenEncoder) -> Callable[[torch.Tensor], Encoded]:
    return lambda ids: frozen.encode(frozen.places(ids))


@pytest.mark.parametrize(("family", "prediction"), FAMILIES)
def test_it_says_what_transformers_says(tiny: Callable[..., Path], family: str, prediction: str) -> None:
    base = load_base(str(tiny(family, prediction)), device="cpu")
    towers = [tower for tower in base.towers if tower.role != "t5"]
    assert towers
    for tower in towers:
        told, gradient = encoded(base, tower, tower.encode)
        before = {name: tensor.clone() for name, tensor in tower.model.state_dict().items()}
        frozen = FrozenEncoder.of(tower, pooled=True)
        assert frozen is not None
        now, same = encoded(base, tower, of_ids(frozen))
        torch.testing.assert_close(now.states, told.states)
        torch.testing.assert_close(now.pooled, told.pooled)
        torch.testing.assert_close(same, gradient, rtol=1e-4, atol=1e-5)
        # The model itself has the weights that it had, and says what it said.
        for name, tensor in tower.model.state_dict().items():
            assert torch.equal(tensor, before[name]), name
        assert torch.equal(tower.encode(torch.tensor([tower.framed([5])])).states[0, 0], told.states[0, 0])


@pytest.mark.parametrize("family", ["sd1", "sdxl"])
def test_what_nobody_reads_is_not_computed(tiny: Callable[..., Path], family: str) -> None:
    base = load_base(str(tiny(family)), device="cpu")
    for tower in base.towers:
        frozen = FrozenEncoder.of(tower, pooled=base.reads_pooled(tower))
        assert frozen is not None
        told = of_ids(frozen)(torch.tensor([tower.framed([5, 6])]))
        said = tower.encode(torch.tensor([tower.framed([5, 6])]))
        torch.testing.assert_close(told.states, said.states)
        assert (told.pooled is not None) == (family == "sdxl" and tower.role == "clip_g")
        if told.pooled is not None:
            torch.testing.assert_close(told.pooled, said.pooled)


def test_no_table_is_held_twice(tiny: Callable[..., Path]) -> None:
    base = load_base(str(tiny()), device="cpu")
    tower = base.towers[0]
    held = sum(parameter.nbytes for parameter in tower.model.parameters())
    for _ in range(2):
        frozen = FrozenEncoder.of(tower, pooled=False)
        assert frozen is not None
        storages = {p.untyped_storage().data_ptr(): p.untyped_storage().nbytes() for p in tower.model.parameters()}
        assert sum(storages.values()) == held
        together = frozen._layers[0].to_query_key_value
        assert together.untyped_storage().data_ptr() in storages


def test_another_architecture_stays_as_it_is(tiny: Callable[..., Path]) -> None:
    base = load_base(str(tiny("flux", "flow")), device="cpu")
    t5 = next(tower for tower in base.towers if tower.role == "t5")
    assert FrozenEncoder.of(t5, pooled=False) is None
    plain = base.towers[0]
    plain.model.config.hidden_act = "relu"
    assert FrozenEncoder.of(plain, pooled=True) is None


def test_in_half_precision_it_is_as_near_to_the_truth(tiny: Callable[..., Path]) -> None:
    """Rounding differs; against the same weights in full precision it errs no more than transformers' layers do."""
    base = load_base(str(tiny()), device="cpu", precision="bf16")
    tower = base.towers[0]
    frozen = FrozenEncoder.of(tower, pooled=True)
    assert frozen is not None
    found = [encoded(base, tower, encode) for encode in (tower.encode, of_ids(frozen))]
    assert found[1][0].states.dtype == torch.bfloat16
    tower.model.float()
    truth, true_gradient = encoded(base, tower, tower.encode)
    for index, true in ((0, truth.states), (1, true_gradient)):
        theirs, ours = (f[index] if index else f[index].states for f in found)
        assert torch.norm(ours - true) < 1.3 * torch.norm(theirs - true)


def test_captions_words_are_looked_up_as_in_the_whole_table() -> None:
    table = torch.nn.Embedding(50, 4).requires_grad_(False)
    words = WordRows(table)
    words.rows = torch.randn(3, 4, requires_grad=True)
    few = CaptionWords(words)
    cpu = torch.device("cpu")
    for ids in ([[49, 7, 7, 51]], [[3, 52, 49, 50], [7, 0, 50, 3]], [[7, 3, 0, 49]]):
        asked = torch.tensor(ids)
        places = few.places(asked, cpu)
        assert torch.equal(few(places), words(asked))
        assert places.max() < 4 + 3  # no more rows than ids that have come up, and the words'
        assert (places == few.place_of(49)).equal(asked == 49)
    gradients = []
    for found in (few(few.places(asked := torch.tensor([[50, 52, 50]]), cpu)), words(asked)):
        found.square().sum().backward()
        gradients.append(words.rows.grad)
        words.rows.grad = None
    assert torch.equal(gradients[0], gradients[1])
