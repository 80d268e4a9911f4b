"""SD3 and FLUX: what their text encoders and denoisers are told is what diffusers' own pipelines tell them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.flow_models import tiny_flow
from tiregistry.errors import InvalidConfig
from tiregistry.images import read_pictures
from tiregistry.training.config import TrainingConfig
from tiregistry.training.loop import learn
from tiregistry.training.run import TrainingRequest, train
from tiregistry.training.word import Word

Make = Callable[..., Word]
PROMPT = "a photo of a gnome in the snow"


def told(base: Any, prompt: str = PROMPT) -> Any:
    with torch.no_grad():
        return base.encode({tower.role: torch.tensor([tower.ids([prompt])]) for tower in base.towers})


def test_sd3_is_told_what_its_pipeline_tells(loaded: Callable[..., Any]) -> None:
    from diffusers import StableDiffusion3Pipeline

    base = loaded("sd3")
    pipeline: Any = StableDiffusion3Pipeline.from_pretrained(base.identity.source)
    with torch.no_grad():
        states, _, pooled, _ = pipeline.encode_prompt(PROMPT, None, None, do_classifier_free_guidance=False)
    assert torch.allclose(told(base).states, states, atol=1e-6)
    assert torch.allclose(told(base).pooled, pooled, atol=1e-6)


def test_a_magnitude_leaves_the_words_of_t5_as_long_as_they_are(loaded: Callable[..., Any]) -> None:
    from tiregistry.training.starting import start_vectors

    base = loaded("sd3")
    vectors, _ = start_vectors(base, TrainingConfig(recipe="thorough", magnitude=9.0).resolved())
    lengths = {role: float(rows.detach().norm()) for role, rows in vectors.rows().items()}
    times = {"clip_l": 9.0, "clip_g": 9.0, "t5": 1.0}
    assert lengths == pytest.approx({t.role: times[t.role] * t.mean_norm() for t in base.towers}, rel=1e-4)


def test_sd3_without_t5(tmp_path: Path, registry: Any, pictures: Path) -> None:
    from diffusers import StableDiffusion3Pipeline

    from tiregistry.bases.loading import load_base

    folder = tiny_flow(tmp_path / "small", "sd3", t5=False)
    base = load_base(str(folder), device="cpu")
    pipeline: Any = StableDiffusion3Pipeline.from_pretrained(folder, text_encoder_3=None, tokenizer_3=None)
    with torch.no_grad():
        states, _, _, _ = pipeline.encode_prompt(PROMPT, None, None, do_classifier_free_guidance=False)
    assert torch.allclose(told(base).states, states, atol=1e-6)
    request = TrainingRequest(
        "pot", read_pictures([pictures])[0], TrainingConfig(max_steps=1, batch_size=1), base=str(folder)
    )
    events = list(train(registry, request))
    assert set(registry.embedding(registry.version(events[-1].reference)).tensors) == {"clip_l", "clip_g"}  # type: ignore[union-attr]


@pytest.mark.parametrize("guidance", [True, False])
def test_flux_is_asked_as_its_pipeline_asks(tmp_path: Path, guidance: bool) -> None:
    from diffusers import FluxPipeline

    from tiregistry.bases.loading import load_base

    folder = tiny_flow(tmp_path / "flux", "flux", guidance=guidance)
    base = load_base(str(folder), device="cpu")
    assert base.towers[1].window == (512 if guidance else 256)
    pipeline: Any = FluxPipeline.from_pretrained(folder)
    generator = torch.Generator().manual_seed(1)
    latents = torch.randn(2, 16, 8, 12, generator=generator)
    with torch.no_grad():
        states, pooled, ids = pipeline.encode_prompt(PROMPT, None, max_sequence_length=base.towers[1].window)
        out = pipeline.transformer(
            hidden_states=pipeline._pack_latents(latents, 2, 16, 8, 12),
            timestep=torch.tensor([0.3, 0.7]),
            guidance=torch.ones(2) if guidance else None,
            pooled_projections=pooled.repeat(2, 1),
            encoder_hidden_states=states.repeat(2, 1, 1),
            txt_ids=ids,
            img_ids=pipeline._prepare_latent_image_ids(2, 4, 6, "cpu", torch.float32),
        ).sample
        expected = pipeline._unpack_latents(out, 64, 96, 8)
        mine = base.predict(latents, torch.tensor([300.0, 700.0]), told(base)[torch.tensor([0, 0])])
    assert torch.allclose(mine, expected, atol=1e-6)


@pytest.mark.parametrize("family", ["sd3", "flux"])
def test_every_encoder_learns(loaded: Callable[..., Any], make_word: Make, family: str) -> None:
    word = make_word(family=family, recipe="classic", max_steps=2)
    before = {role: rows.detach().clone() for role, rows in word.vectors.rows().items()}
    for _ in learn(loaded(family), [word]):
        pass
    assert "t5" in before
    for role, rows in word.vectors.rows().items():
        assert not torch.equal(rows, before[role]), role


def test_gradient_checkpointing_reaches_denoiser_and_text_encoders(
    loaded: Callable[..., Any], make_word: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tiregistry.bases.loading import load_base
    from tiregistry.training.frozen_encoder import FrozenEncoder

    base = load_base(loaded("flux").identity.source, device="cpu")
    layers = base.towers[0].model.config.num_hidden_layers
    calls = {"denoiser": 0, "clip_l": 0, "t5": 0}

    def count(name: str) -> Callable[..., None]:
        def add(*_: Any) -> None:
            calls[name] += 1

        return add

    base.denoiser.single_transformer_blocks[0].norm.register_forward_pre_hook(count("denoiser"))
    through = FrozenEncoder._through
    monkeypatch.setattr(FrozenEncoder, "_through", lambda *told: (count("clip_l")(), through(*told))[1])
    base.towers[1].model.encoder.block[0].layer[-1].register_forward_pre_hook(count("t5"))
    plain = make_word(family="flux", max_steps=1)
    for _ in learn(base, [plain]):
        pass
    assert calls == {"denoiser": 1, "clip_l": layers, "t5": 1}
    again = make_word(family="flux", max_steps=1, gradient_checkpointing=True)
    for _ in learn(base, [again]):
        pass
    assert calls == {"denoiser": 3, "clip_l": 3 * layers, "t5": 3}
    for role, rows in plain.learned().items():
        assert torch.allclose(rows, again.learned()[role], atol=1e-6), role


def test_a_word_of_several_t5_pieces_has_one_vector_in_every_encoder(make_word: Make) -> None:
    rows = make_word(family="flux", initializer="old teapot", recipe="classic").vectors.rows()
    assert {role: len(vectors) for role, vectors in rows.items()} == {"clip_l": 2, "t5": 2}


@pytest.mark.parametrize("recipe", ["direction", "classic"])
def test_an_encoder_left_out_keeps_the_initializer_and_runs_once_per_caption(
    loaded: Callable[..., Any], make_word: Make, recipe: str
) -> None:
    base = loaded("flux")
    encoded = 0

    def count(_: Any, arguments: Any) -> None:
        nonlocal encoded
        encoded += len(arguments[0])

    settings: dict[str, Any] = {"recipe": recipe, "max_steps": 4, "learning_rate": 1e-9}
    whole = make_word(family="flux", **settings)
    losses = [result.loss for results in learn(base, [whole]) for result in results]
    part = make_word(family="flux", **settings, encoders=("clip_l",))
    start = {role: rows.detach().clone() for role, rows in part.vectors.rows().items()}
    handle = base.towers[1].model.register_forward_pre_hook(count)
    try:
        again = [result.loss for results in learn(base, [part]) for result in results]
    finally:
        handle.remove()
    assert losses == pytest.approx(again, rel=1e-5)  # at such a rate nothing moves: the remembered states are right
    assert encoded == len(part.wording.texts)
    assert torch.equal(part.learned()["t5"], start["t5"])
    assert not torch.equal(part.vectors.rows()["clip_l"].detach(), start["clip_l"])


def test_an_encoder_the_base_model_does_not_have(registry: Any, tiny: Callable[..., Path], pictures: Path) -> None:
    request = TrainingRequest(
        "pot",
        read_pictures([pictures])[0],
        TrainingConfig(encoders=("clip_g",)),
        base=str(tiny("flux")),
    )
    with pytest.raises(InvalidConfig, match="no text encoder 'clip_g'"):
        next(train(registry, request))


def test_a_resolution_that_cannot_be_cut_into_squares(registry: Any, tiny: Callable[..., Path], pictures: Path) -> None:
    request = TrainingRequest(
        "pot", read_pictures([pictures])[0], TrainingConfig(resolution=72), base=str(tiny("flux"))
    )
    with pytest.raises(InvalidConfig, match="not a multiple of 16"):
        next(train(registry, request))
