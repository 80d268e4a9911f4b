"""Fingerprints of base models, on files in the layouts that people really have."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from tiregistry.bases import fingerprints
from tiregistry.bases.fingerprints import fingerprint_file, fingerprint_folder
from tiregistry.bases.identify import identify, name_from
from tiregistry.bases.tensor_files import read_tensors
from tiregistry.errors import BaseModelNotFound, InvalidInput
from tiregistry.registry.registry import Registry

CLIP, OPENCLIP_H = {"hidden_act": "quick_gelu"}, {"hidden_act": "gelu", "num_hidden_layers": 23}
TABLE = np.random.default_rng(0).normal(size=(20, 8)).astype(np.float32)
WEIGHTS = {
    "text_encoder": {"embeddings.token_embedding.weight": TABLE, "encoder.layers.0.mlp.fc1.weight": TABLE[:4] + 1},
    "unet": {"conv_in.weight": TABLE[:3] + 2, "conv_in.bias": TABLE[0]},
    "vae": {"decoder.conv_in.weight": TABLE[:2] + 3},
}
FILE = {"text_encoder": "model", "unet": "diffusion_pytorch_model", "vae": "diffusion_pytorch_model"}


def write_model(
    folder: Path,
    *,
    encoder: dict[str, Any] = CLIP,
    width: int = 192,
    change: str = "",
    dtype: Any = np.float32,
    prefix: str = "",
) -> Path:
    """A diffusers folder with tiny weights; `change` names a component whose weights differ."""
    folder.mkdir(parents=True)
    index: dict[str, Any] = {
        "_class_name": "StableDiffusionPipeline",
        "text_encoder": ["transformers", "CLIPTextModel"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
        "safety_checker": [None, None],
    }
    (folder / "model_index.json").write_text(json.dumps(index))
    for part, weights in WEIGHTS.items():
        (folder / part).mkdir()
        tensors = {prefix * (part == "text_encoder") + k: v + (part == change) for k, v in weights.items()}
        save_file({k: v.astype(dtype) for k, v in tensors.items()}, folder / part / f"{FILE[part]}.safetensors")
    (folder / "text_encoder" / "config.json").write_text(json.dumps(encoder))
    (folder / "unet" / "config.json").write_text(json.dumps({"cross_attention_dim": width, "sample_size": 8}))
    (folder / "vae" / "config.json").write_text(json.dumps({"block_out_channels": [8, 8, 8, 8]}))
    return folder


@pytest.mark.parametrize(
    "damage", ["no index", "index is a list", "unknown denoiser", "no weights", "truncated", "no table"]
)
def test_what_is_no_base_model_is_refused(tmp_path: Path, damage: str) -> None:
    folder = write_model(tmp_path / "m")
    index = folder / "model_index.json"
    weights = folder / "text_encoder" / "model.safetensors"
    if damage == "no index":
        index.unlink()
    elif damage == "index is a list":
        index.write_text("[]")
    elif damage == "unknown denoiser":
        index.write_text(index.read_text().replace("UNet2DConditionModel", "Kandinsky"))
    elif damage == "no weights":
        (folder / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    elif damage == "truncated":
        weights.write_bytes(weights.read_bytes()[:-10])
    else:
        save_file({"x": TABLE}, weights)
    with pytest.raises(InvalidInput) as caught:
        fingerprint_folder(folder)
    assert caught.value.hint


# -- identity --------------------------------------------------------------------------------------------------------


def test_each_component_has_its_own_hash(tmp_path: Path) -> None:
    plain = fingerprint_folder(write_model(tmp_path / "plain"))
    assert fingerprint_folder(write_model(tmp_path / "copy")) == plain
    for part, changed in {
        "unet": {"denoiser"},
        "vae": {"vae"},
        "text_encoder": {"text_encoder", "token_embedding"},
    }.items():
        other = fingerprint_folder(write_model(tmp_path / part, change=part)).as_dict()
        assert {key for key, value in plain.as_dict().items() if other[key] != value} == changed
    assert plain.fit(plain) == "exact"
    assert plain.fit(fingerprint_folder(tmp_path / "unet")) == "compatible"
    assert plain.fit(fingerprint_folder(tmp_path / "text_encoder")) == "other"
    assert plain.fit(fingerprint_folder(tmp_path / "vae")) == "exact"


def test_fp16_and_fp32_copies_have_the_same_table(tmp_path: Path) -> None:
    full = fingerprint_folder(write_model(tmp_path / "full"))
    half = fingerprint_folder(write_model(tmp_path / "half", dtype=np.float16))
    assert full.token_embedding == half.token_embedding
    assert full.denoiser != half.denoiser
    assert full.fit(half) == "compatible"


def test_a_bf16_table_is_hashed_by_value(tmp_path: Path) -> None:
    """bf16 has no numpy type: the file is written by hand. Its values are whole numbers, exact in fp16 and bf16."""
    values = np.arange(160, dtype=np.float32).reshape(20, 8)
    same = write_model(tmp_path / "same")
    save_file({"token_embedding.weight": values}, same / "text_encoder" / "model.safetensors")
    bf16 = write_model(tmp_path / "bf16")
    raw = (values.view("<u4") >> 16).astype("<u2").tobytes()
    header = json.dumps(
        {"token_embedding.weight": {"dtype": "BF16", "shape": [20, 8], "data_offsets": [0, len(raw)]}}
    ).encode()
    (bf16 / "text_encoder" / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + raw)
    assert fingerprint_folder(same).token_embedding == fingerprint_folder(bf16).token_embedding


def test_saving_with_another_transformers_changes_nothing(tmp_path: Path) -> None:
    plain = fingerprint_folder(write_model(tmp_path / "v5"))
    folder = write_model(tmp_path / "v4", prefix="text_model.")
    tensors = {"text_model." + k: v for k, v in WEIGHTS["text_encoder"].items()}
    tensors["text_model.embeddings.position_ids"] = np.arange(7)[None]
    save_file(tensors, folder / "text_encoder" / "model.safetensors")
    assert fingerprint_folder(folder) == plain


def test_shards_count_as_one_file(tmp_path: Path) -> None:
    plain = fingerprint_folder(write_model(tmp_path / "whole"))
    folder = write_model(tmp_path / "sharded")
    unet = folder / "unet"
    (unet / "diffusion_pytorch_model.safetensors").unlink()
    names = {}
    for number, (name, tensor) in enumerate(WEIGHTS["unet"].items(), 1):
        shard = f"diffusion_pytorch_model-0000{number}-of-00002.safetensors"
        save_file({name: tensor}, unet / shard)
        names[name] = shard
    index = unet / "diffusion_pytorch_model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": names}))
    assert fingerprint_folder(folder) == plain
    (unet / names["conv_in.bias"]).unlink()
    with pytest.raises(InvalidInput, match="missing"):
        fingerprint_folder(folder)
    index.write_text("{")
    with pytest.raises(InvalidInput, match="damaged"):
        fingerprint_folder(folder)


def test_plain_files_win_over_variants_and_pickles_are_never_opened(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "m")
    plain = fingerprint_folder(folder)
    save_file({"x": TABLE}, folder / "unet" / "diffusion_pytorch_model.fp16.safetensors")
    (folder / "unet" / "diffusion_pytorch_model.bin").write_bytes(b"a pickle that would be run")
    assert fingerprint_folder(folder) == plain
    (folder / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    (folder / "unet" / "diffusion_pytorch_model.fp16.safetensors").unlink()
    pickled = fingerprint_folder(folder)
    assert pickled.token_embedding == plain.token_embedding
    assert pickled.denoiser.startswith("sha256:")
    assert pickled.denoiser != plain.denoiser


def test_a_single_file_is_compatible_with_the_folder_it_was_made_from(tmp_path: Path) -> None:
    folder = fingerprint_folder(write_model(tmp_path / "folder"))
    checkpoint = tmp_path / "model.safetensors"
    prefix = "cond_stage_model.transformer.text_model."
    save_file(
        {
            **{prefix + k: v.astype(np.float16) for k, v in WEIGHTS["text_encoder"].items()},
            **{"model.diffusion_model." + k: v for k, v in WEIGHTS["unet"].items()},
            **{"first_stage_model." + k: v for k, v in WEIGHTS["vae"].items()},
        },
        checkpoint,
    )
    single = fingerprint_file(checkpoint)
    assert single.family == "sd1"
    assert folder.fit(single) == "compatible"
    assert all(single.as_dict().values())
    with pytest.raises(InvalidInput, match="pickle"):
        fingerprint_file(tmp_path / "model.ckpt")
    (tmp_path / "not.safetensors").write_bytes(b"hello")
    with pytest.raises(InvalidInput, match="not a safetensors file"):
        fingerprint_file(tmp_path / "not.safetensors")


@pytest.mark.parametrize(
    ("names", "family", "encoders"),
    [
        (["conditioner.embedders.0.transformer.text_model.embeddings.token_embedding.weight",
          "conditioner.embedders.1.model.token_embedding.weight"], "sdxl", 2),
        (["cond_stage_model.model.token_embedding.weight"], "sd2", 1),
        (["model.diffusion_model.joint_blocks.0.x", "text_encoders.clip_l.transformer.token_embedding.weight",
          "text_encoders.clip_g.transformer.token_embedding.weight",
          "text_encoders.t5xxl.transformer.shared.weight"], "sd3", 3),
        (["double_blocks.0.img_attn.qkv.weight"], "flux", 0),
    ],
)  # fmt: skip
def test_single_files_of_every_family(tmp_path: Path, names: list[str], family: str, encoders: int) -> None:
    file = tmp_path / "model.safetensors"
    save_file({name: TABLE + n for n, name in enumerate(names)}, file)
    found = fingerprint_file(file)
    assert found.family == family
    assert bool(found.token_embedding) == bool(encoders)
    for changed in range(encoders):  # each encoder's table takes part
        tables = [name for name in names if name.endswith(("token_embedding.weight", "shared.weight"))]
        save_file({name: TABLE + n + (name == tables[changed]) for n, name in enumerate(names)}, file)
        assert fingerprint_file(file).token_embedding != found.token_embedding


# -- the cache and the memory ----------------------------------------------------------------------------------------


def test_a_second_look_reads_no_weights_until_a_file_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_model(tmp_path / "m")
    with Registry.open() as registry:
        first = fingerprint_folder(folder, cache=registry.file_hashes)
        monkeypatch.setattr(fingerprints, "read_tensors", lambda path: pytest.fail(f"{path} was read again"))
        assert fingerprint_folder(folder, cache=registry.file_hashes) == first
        monkeypatch.undo()
        changed = folder / "unet" / "diffusion_pytorch_model.safetensors"
        save_file({k: v + 1 for k, v in WEIGHTS["unet"].items()}, changed)
        assert fingerprint_folder(folder, cache=registry.file_hashes).denoiser != first.denoiser


def test_big_files_are_hashed_without_being_held_in_memory(tmp_path: Path) -> None:
    """300 MB of weights are hashed with less than 60 MB more memory than the program has anyway."""
    folder = write_model(tmp_path / "m")
    big = folder / "unet" / "diffusion_pytorch_model.safetensors"
    length = 300_000_000
    header = json.dumps({"w": {"dtype": "U8", "shape": [length], "data_offsets": [0, length]}}).encode()
    with open(big, "wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + length)
    script = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from tiregistry.bases.fingerprints import fingerprint_folder\n"
        "import numpy\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "fingerprint_folder(Path(sys.argv[1]))\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    run = subprocess.run([sys.executable, "-c", script, str(folder)], capture_output=True, text=True, check=True)
    unit = 1 if sys.platform == "darwin" else 1024
    assert int(run.stdout) * unit < 60_000_000


# -- from what a user types to a base model --------------------------------------------------------------------------


def test_sources_are_identified_and_named(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "My Model v1.5")
    base = identify(str(folder))
    assert (base.name, base.source, base.resolution, base.family) == ("My-Model-v1.5", str(folder), 64, "sd1")
    assert identify(str(folder), name="mine").name == "mine"
    with pytest.raises(BaseModelNotFound):
        identify(str(tmp_path / "nothing here"))
    assert name_from("/models/dreamshaper_8.safetensors") == "dreamshaper_8"
    assert name_from("owner/2024") == "base-2024"


def test_a_hub_snapshot_records_the_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = "a" * 40
    snapshot = write_model(tmp_path / "cache" / "snapshots" / commit)
    monkeypatch.setattr("tiregistry.bases.identify.locate_base", lambda source, revision: snapshot)
    base = identify("owner/model", revision="main")
    assert (base.name, base.source, base.revision) == ("model", "owner/model", commit)


def test_a_registered_name_wins_over_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_model(tmp_path / "one")
    write_model(tmp_path / "two", change="unet")
    monkeypatch.chdir(tmp_path)
    with Registry.open() as registry:
        registry.add_base(registry.identify_base("two", name="one"))
        assert registry.identify_base("one").source == str(tmp_path / "two")
        assert registry.identify_base("one", registered=False).source == str(tmp_path / "one")


def test_the_path_in_the_cache_may_hold_any_bytes(tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/bad-\xff-name"))
    write_model(folder)
    with Registry.open() as registry:
        first = fingerprint_folder(folder, cache=registry.file_hashes)
        assert fingerprint_folder(folder, cache=registry.file_hashes) == first


def test_two_tensors_that_older_files_call_the_same_are_hashed(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file({"text_model.a": np.zeros(1), "a": np.ones(1)}, path)
    assert fingerprints.hash_tensors(read_tensors(path)).startswith("sha256:")


@pytest.mark.parametrize(
    "header", [b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,Infinity]}}', b'{"a":{}}', b"[1]"]
)
def test_headers_that_are_none(tmp_path: Path, header: bytes) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(8))
    with pytest.raises(InvalidInput, match="is damaged"):
        read_tensors(path)
