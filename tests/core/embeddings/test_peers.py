"""diffusers and torch themselves read what is written here, and what they write is read here, bit for bit."""

from __future__ import annotations

import copy
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.core.embeddings.samples import vectors
from tests.models import tiny_sd
from tiregistry.concepts import NewVersion
from tiregistry.embeddings.embedding import Embedding
from tiregistry.embeddings.reading import read_embedding
from tiregistry.exchange.exporting import export_version
from tiregistry.registry.registry import Registry

pytestmark = pytest.mark.slow

ENCODERS = {"sd1": {"clip_l": 32}, "sd2": {"clip_h": 32}, "sdxl": {"clip_l": 32, "clip_g": 64}}


@pytest.fixture(scope="module", params=list(ENCODERS))
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """Family and folder of a tiny base model with random weights."""
    return request.param, tiny_sd(tmp_path_factory.mktemp(request.param), request.param, seed=5)


@pytest.fixture
def word(model: tuple[str, Path], tmp_path: Path) -> Iterator[Any]:
    """A function that registers a word of `count` vectors on the tiny model; gives registry, version and vectors."""
    from tiregistry.bases.fingerprints import fingerprint_folder

    family, folder = model
    with Registry.open(tmp_path / "home") as registry:

        def make(count: int) -> tuple[Registry, Any, dict[str, np.ndarray]]:
            tensors = {role: vectors(count, dim, count) for role, dim in ENCODERS[family].items()}
            new = NewVersion(
                concept="gnome",
                placeholder_token="<gnome>",
                concept_type="object",
                origin="trained",
                fingerprint=fingerprint_folder(folder),
                base_name="tiny",
            )
            return registry, registry.add_version(new, Embedding(tensors)), tensors

        yield make


_loaded: dict[Path, Any] = {}


def pipeline(model: tuple[str, Path]) -> Any:
    """diffusers' pipeline with tokenizers and text encoders of its own, which loading a word changes."""
    import diffusers

    torch.set_num_threads(1)
    kind = diffusers.StableDiffusionXLPipeline if model[0] == "sdxl" else diffusers.StableDiffusionPipeline
    if model[1] not in _loaded:
        _loaded[model[1]] = kind.from_pretrained(model[1], **({} if model[0] == "sdxl" else {"safety_checker": None}))
    parts = dict(_loaded[model[1]].components)
    changed = {name: copy.deepcopy(part) for name, part in parts.items() if name.startswith(("text_enc", "tokenizer"))}
    pipe = kind(**parts | changed, **({} if model[0] == "sdxl" else {"requires_safety_checker": False}))
    pipe.set_progress_bar_config(disable=True)
    return pipe


def load(pipe: Any, family: str, files: list[Path], **options: Any) -> None:
    """Load files the way diffusers' documentation says: SDXL once per encoder."""
    if family != "sdxl":
        pipe.load_textual_inversion(files[0].parent, weight_name=files[0].name, **options)
        return
    for file, suffix in zip(files, ("", "_2"), strict=True):
        pipe.load_textual_inversion(
            file.parent,
            weight_name=file.name,
            text_encoder=getattr(pipe, f"text_encoder{suffix}"),
            tokenizer=getattr(pipe, f"tokenizer{suffix}"),
            **options,
        )


def rows(pipe: Any, suffix: str, count: int, token: str = "<gnome>") -> np.ndarray:
    tokens = [token, *(f"{token}_{n}" for n in range(1, count))]
    ids = getattr(pipe, f"tokenizer{suffix}").convert_tokens_to_ids(tokens)
    table = getattr(pipe, f"text_encoder{suffix}").get_input_embeddings().weight
    return table[ids].detach().numpy()


def check_rows(pipe: Any, tensors: dict[str, np.ndarray]) -> None:
    for (_, expected), suffix in zip(tensors.items(), ("", "_2"), strict=False):
        assert np.array_equal(rows(pipe, suffix, len(expected)), expected)


@pytest.mark.parametrize("count", [1, 3])
def test_diffusers_loads_bit_equal_rows(model, word, tmp_path, count):
    registry, version, tensors = word(count)
    written = export_version(registry, version, tmp_path, "diffusers")
    pipe = pipeline(model)
    load(pipe, model[0], written)
    check_rows(pipe, tensors)
    if model[0] == "sdxl":
        return
    for format_id in ("diffusers-bin", "a1111", "emb-params", "invokeai"):
        file = export_version(registry, version, tmp_path / f"w{WITH[format_id]}", format_id, force=True)
        pipe = pipeline(model)
        named = format_id == "emb-params" or (format_id == "invokeai" and count > 1)
        token = "gnome" if format_id == "a1111" else "<gnome>"  # A1111's files carry a name instead of a token
        load(pipe, model[0], file, **({"token": "<gnome>"} if named else {}))
        assert np.array_equal(rows(pipe, "", count, token), next(iter(tensors.values())))


WITH = {"diffusers-bin": ".bin", "a1111": ".pt", "emb-params": ".safetensors", "invokeai": ".safetensors"}


@pytest.mark.parametrize("model", ["sd1", "sd2"], indirect=True)  # the layout has one encoder
def test_diffusers_loads_a_concept_library_folder(model, word, tmp_path):
    registry, version, tensors = word(2)
    (folder,) = export_version(registry, version, tmp_path / "cat-toy", "sd-concepts")
    pipe = pipeline(model)
    pipe.load_textual_inversion(folder)
    check_rows(pipe, tensors)


@pytest.mark.parametrize("model", ["sdxl"], indirect=True)  # files with encoder keys are its own
def test_diffusers_loads_encoder_keys_from_the_state_dict(model, word, tmp_path):
    from safetensors.torch import load_file

    registry, version, tensors = word(2)
    (file,) = export_version(registry, version, tmp_path / "gnome.safetensors", "sdxl")
    state, pipe = load_file(file), pipeline(model)
    pipe.load_textual_inversion(
        state["clip_l"], token="<gnome>", text_encoder=pipe.text_encoder, tokenizer=pipe.tokenizer
    )
    pipe.load_textual_inversion(
        state["clip_g"], token="<gnome>", text_encoder=pipe.text_encoder_2, tokenizer=pipe.tokenizer_2
    )
    check_rows(pipe, tensors)


@pytest.mark.parametrize("count", [1, 2])
def test_diffusers_makes_the_same_picture_as_we_do(model, word, tmp_path, count):
    from tiregistry.generation.generator import Generator
    from tiregistry.generation.settings import GenerationSettings
    from tiregistry.opening import open_base

    torch.set_num_threads(1)
    registry, version, _ = word(count)
    base = open_base(registry, str(model[1]), device="cpu", precision="fp32")
    settings = GenerationSettings(num_inference_steps=3, guidance_scale=7.5, width=64, height=64)
    ours = next(Generator(base, registry).generate(["a photo of <gnome> in snow"], settings, seeds=[7])).image
    pipe = pipeline(model)
    load(pipe, model[0], export_version(registry, version, tmp_path, "diffusers"))
    if model[0] == "sdxl":
        # The real files say eos_token_id 2, which makes transformers pool at the highest token id. With a word loaded
        # that is the word, not the end of the text; we pool at the end, so diffusers is told where it is.
        pipe.text_encoder_2.text_model.eos_token_id = pipe.tokenizer_2.eos_token_id
    noise = torch.Generator().manual_seed(7)
    theirs = pipe(
        "a photo of <gnome> in snow",
        negative_prompt="",
        num_inference_steps=3,
        guidance_scale=settings.guidance_scale,
        generator=noise,
        width=64,
        height=64,
    ).images[0]
    assert np.array_equal(np.asarray(ours), np.asarray(theirs.convert("RGB")))
    without = pipe(
        "a photo of in snow", num_inference_steps=3, generator=torch.Generator().manual_seed(7), width=64, height=64
    )
    assert not np.array_equal(np.asarray(ours), np.asarray(without.images[0].convert("RGB")))


# -- torch's own files ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("new", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "float64"])
def test_files_saved_by_torch(new, dtype):
    tensor = torch.randn(3, 768, generator=torch.Generator().manual_seed(1)).to(getattr(torch, dtype))
    table = torch.randn(10, 768, generator=torch.Generator().manual_seed(2))
    cases: list[tuple[Any, Any]] = [
        ({"<a>": tensor}, tensor),
        (tensor, tensor),
        ({"<a>": torch.nn.Parameter(tensor)}, tensor),
        ({"<a>": table[3:5]}, table[3:5]),
        ({"<a>": table.t().contiguous().t()[:2]}, table[:2]),
        ({"string_to_token": {"*": torch.tensor(1)}, "string_to_param": torch.nn.ParameterDict({"*": tensor})}, tensor),
        ({"string_to_param": torch.nn.ParameterDict({"*": torch.nn.Parameter(tensor)})}, tensor),
        ({"string_to_token": {"*": 265}, "string_to_param": {"*": tensor.requires_grad_()}, "name": "x", "step": 3,
          "sd_checkpoint": None, "sd_checkpoint_name": None}, tensor),
    ]  # fmt: skip
    for value, expected in cases:
        buffer = io.BytesIO()
        torch.save(value, buffer, _use_new_zipfile_serialization=new)
        (found,) = read_embedding(buffer.getvalue(), filename="x.pt")
        assert np.array_equal(found.embedding.tensors["clip_l"], expected.detach().float().numpy())


@pytest.mark.parametrize("new", [True, False])
def test_other_layouts_saved_by_torch(new):
    from tiregistry.errors import UnreadableEmbedding

    def saved(value: Any) -> bytes:
        buffer = io.BytesIO()
        torch.save(value, buffer, _use_new_zipfile_serialization=new)
        return buffer.getvalue()

    row = torch.arange(768.0)
    expected = {
        "list-of-dicts": [{"a": row[None]}, {"b": row[None] + 1}],
        "multi-token": {"x_v0": row, "x_v1": row + 1},
        "p-plus": {f"<g>-{n}": row + n for n in range(16)},
        "bare-tensor": row,
        "sdxl": {"clip_l": row[None], "clip_g": torch.zeros(1, 1280)},
    }
    for format_id, value in expected.items():
        (found,) = read_embedding(saved(value), filename="x.pt")
        assert found.format == format_id
    optimizer = torch.optim.AdamW([torch.nn.Parameter(row)])
    optimizer.param_groups[0]["params"][0].grad = row
    optimizer.step()
    with pytest.raises(UnreadableEmbedding, match="optimizer state"):
        read_embedding(saved({"hash": "ab12", "optimizer_state_dict": optimizer.state_dict()}))


def test_modules_saved_whole_are_refused_by_name():
    from tiregistry.errors import UnreadableEmbedding

    for new in (True, False):
        buffer = io.BytesIO()
        torch.save(torch.nn.Linear(2, 2), buffer, _use_new_zipfile_serialization=new)
        with pytest.raises(UnreadableEmbedding, match=r"torch\.nn\.modules\.linear\.Linear"):
            read_embedding(buffer.getvalue())
