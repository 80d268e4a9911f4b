"""Fingerprints of base models: one sha256 per component, computed from the files without loading a tensor."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Protocol

from tiregistry.bases.families import ENCODER_ROLES, family_of_folder, family_of_tensors
from tiregistry.bases.tensor_files import StoredTensor, read_tensors
from tiregistry.concepts import Family, Fingerprint
from tiregistry.errors import InvalidInput
from tiregistry.text import safe

ENCODER_FOLDERS = ("text_encoder", "text_encoder_2", "text_encoder_3")
"""Folders of the text encoders in a diffusers folder, in the order of `ENCODER_ROLES`."""


class HashCache(Protocol):
    """Remembers the hash of a file until the file changes."""

    def get(self, path: Path, role: str) -> str | None:
        """The remembered hash, or None when it is unknown or the file has changed since."""

    def put(self, path: Path, role: str, digest: str) -> None:
        """Remember a hash of the file as it is now."""


def fingerprint_folder(folder: Path, *, cache: HashCache | None = None) -> Fingerprint:
    """The fingerprint of a diffusers folder.

    A component's hash is the sha256 over its tensors sorted by name, each as name, dtype, shape and bytes; sharded
    files count as one. The prefix `text_model.` and the constant `position_ids`, which came and went with versions of
    transformers, are left out of names, so that re-saving a model does not change it.

    The token-embedding table is hashed over its values *rounded to fp16*, so that the fp16 and the fp32 copy of one
    model have the same table (`compatible`), while text encoder and denoiser are hashed as they are stored.

    A component that exists only as a pickle (`.bin`) is hashed as file bytes: it is never opened.

    Args:
        folder: a folder with a `model_index.json`.
        cache: remembers hashes of files; without it every call reads all files.

    Raises:
        InvalidInput: the folder is no base model, a component is missing, or a file is damaged.
    """
    family = family_of_folder(folder)
    tables, encoders = [], []
    for role, part in zip(ENCODER_ROLES[family], ENCODER_FOLDERS, strict=False):
        files = weight_files(folder / part)
        if files:
            tables.append((role, _cached(files, "table", cache, _table_of_files)))
            encoders.append((role, _cached(files, "component", cache, _component_of_files)))
    denoiser = weight_files(folder / "transformer") or weight_files(folder / "unet")
    if not encoders or not denoiser:
        missing = "denoiser" if encoders else "text encoder"
        raise InvalidInput(f"{safe(folder)} has no weights of its {missing}", "copy the model again")
    vae = weight_files(folder / "vae")
    return Fingerprint(
        family=family,
        token_embedding=_joined(tables),
        text_encoder=_joined(encoders),
        denoiser=_cached(denoiser, "component", cache, _component_of_files),
        vae=_cached(vae, "component", cache, _component_of_files) if vae else "",
    )


def fingerprint_file(path: Path, *, cache: HashCache | None = None) -> Fingerprint:
    """The fingerprint of a single-file checkpoint (safetensors).

    Its token-embedding table is the one a diffusers folder of the same model has, so the two are `compatible`. The
    other components are named and laid out differently in the two formats and hash differently.

    Raises:
        InvalidInput: the file is no safetensors checkpoint of a known family.
    """
    if path.suffix.lower() in (".ckpt", ".pt", ".bin"):
        raise InvalidInput(f"{safe(path)} is a pickle, which is never opened", "convert it to safetensors first")
    tensors = read_tensors(path)
    family = _family_of(path, tensors)
    groups: dict[str, list[StoredTensor]] = {"text_encoder": [], "vae": [], "denoiser": []}
    for tensor in tensors:
        if tensor.name.startswith(("cond_stage_model.", "conditioner.", "text_encoders.")):
            groups["text_encoder"].append(tensor)
        elif tensor.name.startswith(("first_stage_model.", "vae.")):
            groups["vae"].append(tensor)
        elif tensor.name.startswith("model.diffusion_model.") or "double_blocks." in tensor.name or family == "flux":
            groups["denoiser"].append(tensor)
    roles = ENCODER_ROLES[family]
    tables = {_role_in_checkpoint(tensor.name, roles): tensor for tensor in groups["text_encoder"] if _is_table(tensor)}

    def hashed(group: str) -> str:
        members = groups[group]
        return _cached([path], f"part:{group}", cache, lambda _: hash_tensors(members)) if members else ""

    def table(role: str) -> str:
        return _cached([path], f"table:{role}", cache, lambda _: hash_table(tables[role]))

    return Fingerprint(
        family=family,
        token_embedding=_joined([(role, table(role)) for role in roles if role in tables]),
        text_encoder=_joined([("all", hashed("text_encoder"))]) if groups["text_encoder"] else "",
        denoiser=hashed("denoiser"),
        vae=hashed("vae"),
    )


def token_tables(path: Path) -> dict[str, StoredTensor]:
    """The token-embedding table of each text encoder of a base model, by encoder role.

    Args:
        path: a diffusers folder or a single-file checkpoint; encoders that are only there as pickles are left out.

    Raises:
        InvalidInput: it is no base model, or a damaged one.
    """
    if not path.is_dir():
        tensors = read_tensors(path)
        roles = ENCODER_ROLES[_family_of(path, tensors)]
        return {_role_in_checkpoint(tensor.name, roles): tensor for tensor in tensors if _is_table(tensor)}
    found: dict[str, StoredTensor] = {}
    for role, part in zip(ENCODER_ROLES[family_of_folder(path)], ENCODER_FOLDERS, strict=False):
        for file in weight_files(path / part):
            tables = [tensor for tensor in read_tensors(file) if _is_table(tensor)] if _is_safetensors(file) else []
            if tables:
                found[role] = tables[0]
                break
    return found


def _family_of(path: Path, tensors: Sequence[StoredTensor]) -> Family:
    try:
        return family_of_tensors({tensor.name: tensor.shape for tensor in tensors})
    except InvalidInput as error:
        raise InvalidInput(f"{safe(path)} is no checkpoint of a family known here", error.hint) from None


# -- files of a component --------------------------------------------------------------------------------------------


def weight_files(folder: Path) -> list[Path]:
    """The files that hold a component's weights: those diffusers would load when no variant is asked for.

    Full safetensors before shards, plain names before variants (`.fp16`), pickles only when there is nothing else.

    Raises:
        InvalidInput: an index of shards is damaged or names files that are missing.
    """
    if not folder.is_dir():
        return []
    for suffix in ("safetensors", "bin"):
        index = sorted(folder.glob(f"*.{suffix}.index*.json"), key=_variant)
        whole = [file for file in folder.glob(f"*.{suffix}") if "-of-" not in file.name]
        # training_args.bin, optimizer.bin and the like are no weights
        whole = [file for file in whole if file.name.startswith(("model", "diffusion_pytorch_model", "pytorch_model"))]
        whole.sort(key=_variant)
        if whole and not (index and _variant(index[0]) < _variant(whole[0])):
            return [whole[0]]
        if index:
            return _shards(index[0])
    return []


def _variant(file: Path) -> tuple[int, str]:
    """Sort key: plain names first, then fp16, then any other variant."""
    middle = [part for part in file.name.split(".")[1:] if part not in ("safetensors", "bin", "index", "json")]
    return (0 if not middle else 1 if middle == ["fp16"] else 2, file.name)


def _shards(index: Path) -> list[Path]:
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise InvalidInput(f"{safe(index)} is damaged", "copy the model again") from None
    files = []
    for name in names:
        file = index.parent / Path(str(name)).name
        if not file.is_file():
            raise InvalidInput(f"{safe(file)} is missing", "copy the model again")
        files.append(file)
    return files


# -- hashing ---------------------------------------------------------------------------------------------------------


def hash_tensors(tensors: Iterable[StoredTensor]) -> str:
    """`sha256:<hex>` over tensors sorted by name, each as a line of name, dtype and shape followed by its bytes."""
    hasher = hashlib.sha256(b"tireg-component/1\n")
    named = [(_stable_name(tensor.name), tensor) for tensor in tensors]
    for name, tensor in sorted(named, key=lambda pair: (pair[0], pair[1].name)):
        if name.endswith("position_ids"):
            continue
        line = json.dumps([name, tensor.dtype, list(tensor.shape)], separators=(",", ":"))
        hasher.update(line.encode() + b"\n")
        for piece in tensor.chunks():
            hasher.update(piece)
    return "sha256:" + hasher.hexdigest()


def hash_table(tensor: StoredTensor) -> str:
    """`sha256:<hex>` over a token-embedding table: its shape and its values rounded to little-endian fp16.

    Raises:
        InvalidInput: the table is of a type that has no fp16 value.
    """
    import numpy as np  # 80 ms, and only when a table is really hashed

    hasher = hashlib.sha256(json.dumps(["tireg-table/1", list(tensor.shape)], separators=(",", ":")).encode() + b"\n")
    for piece in tensor.chunks():
        if tensor.dtype == "F16":
            hasher.update(piece)
            continue
        if tensor.dtype == "BF16":  # the upper half of a float32
            values = (np.frombuffer(piece, "<u2").astype("<u4") << 16).view("<f4")
        elif tensor.dtype in ("F32", "F64"):
            values = np.frombuffer(piece, "<f4" if tensor.dtype == "F32" else "<f8")
        else:
            raise InvalidInput(
                f"{safe(tensor.file)} keeps its token embeddings as {safe(tensor.dtype)}", "use an fp16 or fp32 copy"
            )
        with np.errstate(over="ignore"):
            hasher.update(values.astype("<f2").tobytes())
    return "sha256:" + hasher.hexdigest()


def _component_of_files(files: Sequence[Path]) -> str:
    if _is_safetensors(files[0]):
        return hash_tensors(tensor for file in files for tensor in read_tensors(file))
    hasher = hashlib.sha256(b"tireg-pickles/1\n")
    for file in files:
        with open(file, "rb") as opened:
            hasher.update(hashlib.file_digest(opened, "sha256").digest())
    return "sha256:" + hasher.hexdigest()


def _table_of_files(files: Sequence[Path]) -> str:
    if not _is_safetensors(files[0]):
        return _component_of_files(files)
    tables = [tensor for file in files for tensor in read_tensors(file) if _is_table(tensor)]
    if not tables:
        raise InvalidInput(f"{safe(files[0])} holds no token-embedding table", "copy the model again")
    return hash_table(tables[0])


def _is_safetensors(file: Path) -> bool:
    return file.suffix == ".safetensors"


def _is_table(tensor: StoredTensor) -> bool:
    name = tensor.name
    is_clip = name.endswith("token_embedding.weight")
    is_t5 = name in ("shared.weight", "encoder.embed_tokens.weight") or name.endswith("t5xxl.transformer.shared.weight")
    return len(tensor.shape) == 2 and (is_clip or is_t5)


def _role_in_checkpoint(name: str, roles: tuple[str, ...]) -> str:
    if "t5" in name:
        return "t5"
    if "clip_g" in name or ".embedders.1." in name:
        return "clip_g"
    return roles[0]


def _stable_name(name: str) -> str:
    return name.removeprefix("text_model.")


def _joined(parts: Sequence[tuple[str, str]]) -> str:
    """One hash of several encoders' hashes, each under its role; empty for none."""
    if not parts:
        return ""
    return "sha256:" + hashlib.sha256("".join(f"{role} {digest}\n" for role, digest in parts).encode()).hexdigest()


def _cached(files: Sequence[Path], role: str, cache: HashCache | None, compute: Callable[[Sequence[Path]], str]) -> str:
    """A hash over `files`, remembered under each of them: it holds as long as all of them are unchanged."""
    if cache is None:
        return compute(files)
    key = f"{role}/{len(files)}"
    remembered = {cache.get(file, key) for file in files}
    if len(remembered) == 1 and (known := remembered.pop()) is not None:
        return known
    digest = compute(files)
    for file in files:
        cache.put(file, key, digest)
    return digest
