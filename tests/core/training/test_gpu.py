"""What only a GPU shows: half precision, memory that really runs out, parts that leave the device."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tiregistry.images import read_pictures
from tiregistry.training.config import TrainingConfig
from tiregistry.training.events import Finished, Notice
from tiregistry.training.run import TrainingRequest, train

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.slow,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


@pytest.fixture
def learn_on_gpu(registry: Any, tiny: Callable[..., Path], pictures: Path) -> Callable[..., tuple[Any, list[Any]]]:
    def run(family: str = "sd1", prediction: str = "epsilon", **settings: Any) -> tuple[Any, list[Any]]:
        usual: dict[str, Any] = {"initializer": "teapot", "max_steps": 3, "batch_size": 4, "resolution": 64}
        request = TrainingRequest(
            "pot",
            read_pictures([pictures])[0],
            TrainingConfig(**(usual | settings)),
            base=str(tiny(family, prediction)),
            device="cuda",
        )
        events = list(train(registry, request))
        assert isinstance(events[-1], Finished)
        return registry.version(events[-1].reference), events

    return run


FAMILIES = ("sd1", "sd2", "sdxl", "sd3", "flux")


@pytest.mark.parametrize(
    ("family", "precision"),
    [
        (family, precision)
        for family in FAMILIES
        for precision in ("fp32", "bf16", "fp16")
        if (family, precision) != ("flux", "fp16")  # whose loss is no number there; the run says so and names fp32
    ],
)
def test_every_family_in_every_precision(
    registry: Any, learn_on_gpu: Callable[..., Any], family: str, precision: str
) -> None:
    version, _ = learn_on_gpu(family, precision=precision, preview_prompts=("a {}",))
    assert registry.record(version)["device"].startswith("cuda")
    for array in registry.embedding(version).tensors.values():
        assert array.dtype == np.float32
        assert np.isfinite(array).all()


def test_memory_that_really_runs_out(learn_on_gpu: Callable[..., Any]) -> None:
    """A wide batch on a sliver of the GPU: the run ends well, with smaller micro-batches and a notice."""
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(min(1.0, (torch.cuda.memory_reserved() + 600 * 2**20) / total))
    try:
        _, events = learn_on_gpu(batch_size=2048, max_steps=1, precision="fp32")
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert any(isinstance(event, Notice) and "out of memory" in event.what for event in events)


def test_gradient_checkpointing_lowers_the_peak(loaded: Callable[..., Any], make_word: Callable[..., Any]) -> None:
    from tiregistry.bases.loading import load_base
    from tiregistry.training.loop import learn

    peaks = []
    for checkpointing in (False, True):
        base = load_base(loaded().identity.source, device="cuda")
        word = make_word(batch_size=256, max_steps=1, gradient_checkpointing=checkpointing)
        word.vectors = _moved(base, word)
        torch.cuda.reset_peak_memory_stats()
        for _ in learn(base, [word]):
            pass
        peaks.append(torch.cuda.max_memory_allocated())
    assert peaks[1] < 0.8 * peaks[0]


def test_layers_that_keep_less_lower_the_peak_and_learn_the_same(
    loaded: Callable[..., Any], make_word: Callable[..., Any]
) -> None:
    from tiregistry.bases.loading import load_base
    from tiregistry.training.loop import learn

    peaks, learned = [], []
    for spare in (True, False):
        base = load_base(loaded().identity.source, device="cuda", precision="fp32")
        word = make_word(batch_size=256, max_steps=2, spare_memory=spare)
        word.vectors = _moved(base, word)
        torch.cuda.reset_peak_memory_stats()
        for _ in learn(base, [word]):
            pass
        peaks.append(torch.cuda.max_memory_allocated())
        learned.append(word.learned()["clip_l"].cpu())
    assert peaks[0] < 0.85 * peaks[1]
    torch.testing.assert_close(learned[0], learned[1], rtol=1e-2, atol=1e-4)


@pytest.mark.parametrize("family", ["sd1", "sd2", "sdxl"])
def test_lean_layers_change_no_bit(tiny: Callable[..., Path], family: str) -> None:
    from tests.core.training.test_frozen_layers import passed
    from tiregistry.bases.frozen_layers import streamline
    from tiregistry.bases.loading import load_base

    prediction = "v_prediction" if family == "sd2" else "epsilon"
    base = load_base(str(tiny(family, prediction)), device="cuda", precision="bf16")
    base.denoiser.to(memory_format=torch.channels_last)
    predicted, gradient, kept = passed(base, torch.channels_last)
    for spare in (False, True):
        streamline(base.denoiser, spare_memory=spare)
        now, same, less = passed(base, torch.channels_last)
        assert torch.equal(now, predicted)
        torch.testing.assert_close(same, gradient)
        assert less < 0.7 * kept if spare else less <= kept


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_the_lean_text_encoder_says_what_transformers_says(tiny: Callable[..., Path], precision: str) -> None:
    from tiregistry.bases.loading import load_base
    from tiregistry.training.frozen_encoder import FrozenEncoder

    base = load_base(str(tiny("sdxl")), device="cuda", precision=precision)
    for tower in base.towers:
        frozen = FrozenEncoder.of(tower, pooled=True)
        assert frozen is not None
        ids = torch.tensor([tower.framed([5, 6])])
        said = tower.encode(ids.cuda())
        tower.words.table.to("cpu")  # as a training does
        assert tower.device.type == "cuda"
        told = frozen.encode(frozen.places(ids))
        assert torch.equal(tower.encode(ids.cuda()).states, said.states)  # as previews ask for
        tolerance = {"fp32": 1e-3, "bf16": 5e-2, "fp16": 1e-2}[precision]
        torch.testing.assert_close(told.states, said.states, rtol=tolerance, atol=tolerance)
        torch.testing.assert_close(told.pooled, said.pooled, rtol=tolerance, atol=tolerance)


def test_what_has_no_work_leaves_the_gpu(loaded: Callable[..., Any], make_word: Callable[..., Any]) -> None:
    from tiregistry.bases.loading import load_base
    from tiregistry.training.dataset import encode_pictures
    from tiregistry.training.loop import learn

    base = load_base(loaded("flux").identity.source, device="cuda")
    word = make_word(family="flux", encoders=("clip_l",), max_steps=1)
    word.vectors = _moved(base, word)
    from PIL import Image

    encode_pictures(base, [Image.new("RGB", (64, 64))], 64, flip=False)
    for _ in learn(base, [word]):
        pass
    assert next(base.vae.parameters()).device.type == "cpu"
    assert base.towers[1].device.type == "cpu"
    assert base.towers[0].device.type == "cuda"


def _moved(base: Any, word: Any) -> Any:
    """The word's vectors at their start, on another device."""
    from tiregistry.training.starting import start_vectors

    return start_vectors(base, word.config)[0]
