"""The loop: words in company learn what they learn alone, memory that runs out, losses that are not finite."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from tiregistry.bases.cpu_threads import using_threads
from tiregistry.bases.loading import load_base
from tiregistry.errors import DeviceError
from tiregistry.training.loop import learn
from tiregistry.training.model_pass import ModelPass
from tiregistry.training.word import Word

Make = Callable[..., Word]


def run(base: Any, *words: Word) -> list[Any]:
    return [result for results in learn(base, words) for result in results]


def close(one: Word, other: Word, tolerance: float = 1e-5) -> None:
    for role, rows in one.learned().items():
        longest = max(1.0, float(rows.norm(dim=-1).max()))
        assert torch.allclose(rows, other.learned()[role], atol=tolerance * longest), role


def test_words_together_learn_what_they_learn_alone(loaded: Callable[..., Any], make_word: Make) -> None:
    settings: list[dict[str, Any]] = [
        {"seed": 1, "max_steps": 4},
        {"seed": 2, "max_steps": 6, "num_vectors": 2, "recipe": "classic", "min_snr_gamma": 5.0},
        {"seed": 3, "max_steps": 3, "initializer": "old gnome", "noise_offset": 0.1},
    ]
    alone = [make_word(str(number), **one) for number, one in enumerate(settings)]
    together = [make_word(str(number), **one) for number, one in enumerate(settings)]
    for word in alone:
        run(loaded(), word)
    results = run(loaded(), *together)
    for one, other in zip(alone, together, strict=True):
        assert one.step == other.step
        assert one.ended == other.ended == "finished"
        close(one, other)
    assert len(results) == 4 + 6 + 3


def test_micro_batches_and_accumulation_change_nothing_but_memory(loaded: Callable[..., Any], make_word: Make) -> None:
    whole = make_word(batch_size=4)
    micro = make_word(batch_size=4, micro_batch=1)
    accumulated = make_word(batch_size=2, gradient_accumulation=2)
    for word in (whole, micro, accumulated):
        run(loaded(), word)
    close(whole, micro)
    close(whole, accumulated)


def test_several_threads_give_the_same_bits_every_time(loaded: Callable[..., Any], make_word: Make) -> None:
    learned = []
    with using_threads(2):
        for _ in range(4):
            word = make_word(batch_size=24, max_steps=3, num_vectors=3)
            run(loaded(), word)
            learned.append(word.learned()["clip_l"])
    assert all(torch.equal(rows, learned[0]) for rows in learned)


@pytest.mark.parametrize("magnitude", [1.0, 2.5])
def test_vectors_have_the_length_that_was_asked_for(
    loaded: Callable[..., Any], make_word: Make, magnitude: float
) -> None:
    word = make_word(magnitude=magnitude, max_steps=1)
    run(loaded(), word)
    assert float(word.learned()["clip_l"].norm()) == pytest.approx(magnitude * loaded().towers[0].mean_norm(), rel=1e-4)


def test_out_of_memory_is_answered_by_keeping_less(
    tiny: Callable[..., Any], make_word: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = load_base(str(tiny()), device="cpu")  # of its own: its layers will keep less from here on
    whole = make_word(batch_size=4)
    run(base, whole)
    denoise, passes = ModelPass._denoise, []

    def once(self: Any, *rest: Any) -> torch.Tensor:
        passes.append("forward" in vars(self.base.denoiser.conv_in))
        if not passes[-1]:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return denoise(self, *rest)

    monkeypatch.setattr(ModelPass, "_denoise", once)
    cramped = make_word(batch_size=4)
    results = run(base, cramped)
    assert all(torch.equal(rows, whole.learned()[role]) for role, rows in cramped.learned().items())
    assert passes.count(False) == 1
    notices = [text for result in results for text in result.notices]
    assert ["spare_memory" in text for text in notices] == [True]


@pytest.fixture
def notices_when(
    tiny: Callable[..., Any], make_word: Make, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., list[str]]:
    """What is said when passes fail with an error under a condition; what is learned is what it was without."""

    def learned_twice(error: Exception, fails: Callable[[ModelPass, Any], bool], batch_size: int) -> list[str]:
        base = load_base(str(tiny()), device="cpu")  # of its own: it will be changed
        whole, cramped = make_word(batch_size=batch_size), make_word(batch_size=batch_size)
        run(base, whole)
        denoise = ModelPass._denoise

        def failing(self: Any, told: Any, *rest: Any) -> torch.Tensor:
            if fails(self, told):
                raise error
            return denoise(self, told, *rest)

        monkeypatch.setattr(ModelPass, "_denoise", failing)
        results = run(base, cramped)
        close(whole, cramped)
        return [text for result in results for text in result.notices]

    return learned_twice


FULL = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")


def test_out_of_memory_is_answered_by_a_smaller_micro_batch(notices_when: Callable[..., list[str]]) -> None:
    notices = notices_when(FULL, lambda _, told: len(told.states) > 1, batch_size=4)
    assert [text.split(":")[0] for text in notices] == ["out of memory on cpu"] * 3
    assert "1 of 4 samples" in notices[-1]


def test_out_of_memory_with_one_sample_is_answered_by_recomputing(notices_when: Callable[..., list[str]]) -> None:
    notices = notices_when(FULL, lambda model, _: not model.base.denoiser.is_gradient_checkpointing, batch_size=1)
    assert ["activations are recomputed" in text for text in notices] == [False, True]


def test_a_library_that_gets_no_memory_is_done_without(notices_when: Callable[..., list[str]]) -> None:
    starved = RuntimeError("could not create a primitive")
    notices = notices_when(starved, lambda *_: torch.backends.mkldnn.enabled, batch_size=2)  # type: ignore[attr-defined]
    assert [text.split(":")[0] for text in notices] == ["oneDNN gets no memory on cpu"]
    assert torch.backends.mkldnn.enabled  # type: ignore[attr-defined]


def test_memory_for_not_even_one_sample(
    tiny: Callable[..., Any], make_word: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(ModelPass, "_denoise", never)
    with pytest.raises(DeviceError, match="too little memory for one sample"):
        run(load_base(str(tiny()), device="cpu"), make_word())


def test_nan_ends_one_word_with_its_last_good_vectors_and_not_the_others(
    loaded: Callable[..., Any], make_word: Make
) -> None:
    sick, well = make_word("sick", max_steps=4), make_word("well", max_steps=4)
    states = {}
    for results in learn(loaded(), [sick, well]):
        if sick.step == 2 and not states:
            states = {role: rows.clone() for role, rows in sick.learned().items()}
            sick.latents.mean.fill_(float("nan"))
        assert all(result.word.step <= 4 for result in results)
    assert sick.ended == "diverged"
    assert sick.step == 2
    assert torch.equal(sick.learned()["clip_l"], states["clip_l"])
    assert well.ended == "finished"
    assert torch.isfinite(well.learned()["clip_l"]).all()


def test_gradient_checkpointing_reaches_the_denoiser_and_changes_no_result(
    loaded: Callable[..., Any], make_word: Make
) -> None:
    base = loaded("sd2", "v_prediction")
    calls = 0

    def count(*_: Any) -> None:
        nonlocal calls
        calls += 1

    # Behind a cross attention: only there do activations lie on the way to the text.
    handle = base.denoiser.up_blocks[2].resnets[0].register_forward_pre_hook(count)
    try:
        plain = make_word(family="sd2", prediction_type="v_prediction", max_steps=1)
        run(base, plain)
        once = calls
        again = make_word(family="sd2", prediction_type="v_prediction", max_steps=1, gradient_checkpointing=True)
        run(base, again)
    finally:
        handle.remove()
        base.denoiser.disable_gradient_checkpointing()
    assert calls - once == 2 * once
    close(plain, again)


@pytest.mark.slow
def test_a_compiled_denoiser_learns_the_same(
    loaded: Callable[..., Any], make_word: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Traced and split into passes there and back by the real compiler, without the last stage, which needs C++."""
    compiled = []
    real = torch.compile

    def compiling(module: Any) -> Any:
        compiled.append(real(module, backend="aot_eager"))
        return compiled[-1]

    monkeypatch.setattr(torch, "compile", compiling)
    plain = make_word(max_steps=2, stopping="dvar", stop_every=1, stop_window=2)
    run(loaded(), plain)
    again = make_word(max_steps=2, stopping="dvar", stop_every=1, stop_window=2, compile=True)
    run(loaded(), again)
    assert [each._orig_mod for each in compiled] == [loaded().denoiser]
    close(plain, again)


@pytest.mark.slow
def test_where_nothing_compiles_training_goes_on_without(
    loaded: Callable[..., Any], make_word: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("no compiler was found")

    real = torch.compile
    monkeypatch.setattr(torch, "compile", lambda module: real(module, backend=broken))
    plain, again = make_word(max_steps=2), make_word(max_steps=2, compile=True)
    run(loaded(), plain)
    notices = [notice for results in learn(loaded(), [again]) for notice in results[0].notices]
    assert len(notices) == 1
    assert notices[0].startswith("compile does not work here, training goes on without: ")
    assert "no compiler was found" in notices[0]
    assert torch.equal(plain.learned()["clip_l"], again.learned()["clip_l"])


def test_a_progressive_word_grows(loaded: Callable[..., Any], make_word: Make) -> None:
    word = make_word(num_vectors=3, progressive_steps=2, max_steps=6)
    start = word.vectors.rows()["clip_l"].detach().clone()
    for _ in learn(loaded(), [word]):
        rows = word.vectors.rows()["clip_l"].detach()
        joined = min(3, 1 + (word.step - 1) // 2)
        assert not torch.equal(rows[:joined], start[:joined])
        assert torch.equal(rows[joined:], start[joined:])
    assert len(word.learned()["clip_l"]) == 3


def test_the_pictures_own_vectors_are_thrown_away(loaded: Callable[..., Any], make_word: Make) -> None:
    word = make_word(per_image_tokens=True, max_steps=4, batch_size=8)
    before = word.vectors.rows()["clip_l"].detach().clone()
    run(loaded(), word)
    assert len(before) == 1 + 3
    assert not torch.equal(word.vectors.rows()["clip_l"].detach()[1:], before[1:])
    assert len(word.learned()["clip_l"]) == 1


def test_the_stopping_rule_ends_a_word_and_keeps_its_best(loaded: Callable[..., Any], make_word: Make) -> None:
    still = {"stop_every": 1, "stop_window": 3, "stop_threshold": 1.0, "max_steps": 50, "learning_rate": 1e-9}
    word = make_word(stopping="dvar", lr_scheduler="constant", **still)
    falling = make_word("falling", stopping="dvar", **still)
    other = make_word("other", max_steps=8)
    run(loaded(), word, falling, other)
    assert word.ended == falling.ended == "converged"
    assert other.ended == "finished"
    assert word.rule is not None
    assert falling.rule is not None
    assert falling.step == falling.rule.settled_at + 3 < 50
    assert word.step == word.rule.settled_at
    assert torch.equal(word.learned()["clip_l"], word.rule.best_rows["clip_l"])


def test_a_word_stopped_before_its_second_look_keeps_what_it_learned(
    loaded: Callable[..., Any], make_word: Make
) -> None:
    word = make_word(stopping="dvar", stop_every=50, stop_window=150, max_steps=900)
    start = word.vectors.rows()["clip_l"].detach().clone()
    steps = learn(loaded(), [word])
    next(steps)
    next(steps)
    assert word.rule is not None
    assert word.rule.best_step == 0
    assert word.kept_step == 2
    assert not torch.equal(word.learned()["clip_l"], start)


def test_nothing_of_the_model_is_trained(loaded: Callable[..., Any], make_word: Make) -> None:
    base = loaded()
    before = {name: p.clone() for name, p in base.towers[0].model.named_parameters()}
    run(base, make_word(num_vectors=2))
    assert all(torch.equal(p, before[name]) for name, p in base.towers[0].model.named_parameters())
    assert not any(p.requires_grad for p in base.denoiser.parameters())
    assert next(base.vae.parameters()).device.type == "cpu"
