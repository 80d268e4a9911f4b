"""`read_embedding`: one file in any known format to the embeddings in it, told by content and without running code."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tiregistry.embeddings.classify import Draft, classify
from tiregistry.embeddings.containers.picture import looks_like_picture, read_picture_embedding
from tiregistry.embeddings.containers.safetensors_file import looks_like_safetensors, read_safetensors
from tiregistry.embeddings.containers.source import Source, open_source
from tiregistry.embeddings.containers.torch_file import looks_like_pickle, read_pickle_file, read_torch_zip
from tiregistry.embeddings.embedding import Embedding, Matrix
from tiregistry.embeddings.families import USUAL, candidates, contradicted
from tiregistry.embeddings.found import FoundEmbedding
from tiregistry.embeddings.limits import MAX_HEADER, MAX_VALUES, MAX_VECTORS, WINDOW_VECTORS
from tiregistry.embeddings.provenance import KEY, Provenance
from tiregistry.errors import DamagedEmbedding, UnreadableEmbedding
from tiregistry.quantities import size
from tiregistry.text import safe

GENERIC_STEMS = re.compile(
    r"(learned_embeds|embeddings?|archive|pytorch_model|model)(_2)?([-_](gs|steps?)?-?\d+)?", re.IGNORECASE
)
"""File names that every training gives, so they name nothing."""
CHANGED = "its vectors are not those that tireg exported; what it says about their origin is not used"
_MAX_TOKEN = 200
"""Longest key that is reported as a placeholder token; a longer one is cut."""
_LONGEST = 10_000.0
"""Length of a vector that is worth a warning: a vocabulary's are about 0.4 long in CLIP-L."""
_PRODUCERS = {
    "a1111": "A1111 web UI",
    "a1111-png": "A1111 web UI",
    "a1111-pixels": "A1111 web UI",
    "ldm": "rinongal/textual_inversion",
    "onetrainer": "OneTrainer",
    "pti": "pivotal tuning",
    "xti": "kohya sd-scripts (XTI)",
    "multi-token": "",
}


def check_beginning(head: bytes, name: str, size: int) -> bool:
    """Refuse a safetensors file by its header, before the rest of it is there: a LoRA without a word, a whole model.

    Args:
        head: the first bytes.
        name: the file's name.
        size: its length in bytes.

    Returns:
        False while the header is not whole.

    Raises:
        UnreadableEmbedding: no word can be in it.
    """
    if len(head) < 16 or not looks_like_safetensors(head[:16]):
        return len(head) >= 16
    if len(head) < 8 + int.from_bytes(head[:8], "little") <= 8 + MAX_HEADER:
        return False
    # What looks damaged may be what has not come yet; reading the whole file will tell.
    with suppress(DamagedEmbedding):
        file = read_safetensors(Source(head, name, size))
        classify(file.tensors, file.metadata)
    return True


def read_embedding(given: Path | bytes, *, filename: str = "") -> list[FoundEmbedding]:
    """Read every embedding in one file.

    Args:
        given: path of the file, or its bytes.
        filename: its name when only bytes are given; used to suggest names, never to tell the format.

    Raises:
        FileMissing: there is no such file.
        UnreadableEmbedding: it holds nothing that can be used, is damaged, or asks for something unsafe.
    """
    with open_source(given, filename) as source:
        value, metadata, container = _open_container(source)
        drafts = classify(value, metadata)
        _check_amount(drafts)
        block = metadata.get(KEY) or (value.get(KEY) if isinstance(value, dict) else None)
        provenance = Provenance.parse(block)
        files = {source.name or "embedding": source.all()} if source.is_whole else {}
        found = [_finish(draft, source, container, provenance) for draft in drafts]
        if not files:
            note = f"{source.shown} has {size(source.size)}: the original file is not kept, only the word in it"
            return [replace(item, warnings=(*item.warnings, note)) for item in found]
        return [replace(item, files=files) for item in found]


def _open_container(source: Source) -> tuple[Any, Mapping[str, str], str]:
    """Content, metadata and kind of the container, told by the first bytes."""
    head = source.head(512)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        value, comment = read_torch_zip(source.all())
        return value, {KEY: comment} if comment else {}, "zip"
    if kind := looks_like_picture(head):
        value, pixels = read_picture_embedding(source.all(), kind)
        return value, {}, "pixels" if pixels else "chunk"
    if looks_like_safetensors(head):
        file = read_safetensors(source)
        return file.tensors, file.metadata, "safetensors"
    if looks_like_pickle(head):
        return read_pickle_file(source.all()), {}, "pickle"
    if head.startswith(b"version https://git-lfs.github.com/spec/"):
        raise UnreadableEmbedding(
            f"{source.shown} is a Git LFS pointer, not the file itself", "git lfs pull brings the file"
        )
    if head[257:262] == b"ustar":
        raise UnreadableEmbedding(f"{source.shown} is a tar archive", "unpack it first")
    raise DamagedEmbedding(
        f"{source.shown} is no embedding file", "safetensors, torch files and A1111 pictures are read"
    )


def _check_amount(drafts: list[Draft]) -> None:
    """Refuse what cannot be vectors, or more of them than words have, before any is read."""
    total = 0
    for draft in drafts:
        for parts in draft.parts.values():
            for key, tensor in parts:
                tensor.check(key)
                total += tensor.count
            rows = sum(tensor.count // tensor.dim for _, tensor in parts)
            if rows > MAX_VECTORS:
                raise UnreadableEmbedding(f"a word of {rows} vectors; at most {MAX_VECTORS} are read", "")
    if total > MAX_VALUES:
        raise UnreadableEmbedding(
            f"the file's vectors have {total} values; at most {MAX_VALUES} are read", "a learned word has thousands"
        )


def _finish(draft: Draft, source: Source, container: str, provenance: Provenance | None) -> FoundEmbedding:
    """Read the tensors of a draft and gather the facts about it."""
    if provenance is not None and provenance.part and len(draft.parts) == 1 and not draft.named_encoders:
        draft.parts = {provenance.part: next(iter(draft.parts.values()))}
    tensors: dict[str, Matrix] = {}
    dtypes: dict[str, str] = {}
    for role, parts in draft.parts.items():
        rows = [tensor.read(key) for key, tensor in parts]
        if len({matrix.shape[1] for matrix in rows}) != 1:
            raise UnreadableEmbedding("the vectors of one encoder have different widths", "the file is damaged")
        tensors[role] = np.concatenate(rows) if len(rows) > 1 else rows[0]
        dtypes[role] = parts[0][1].dtype
    embedding = Embedding(tensors)
    kind, details, warnings = draft.format, dict(draft.details), list(draft.warnings)
    if container in ("chunk", "pixels") and kind in ("a1111", "ldm"):
        kind = "a1111-png" if container == "chunk" else "a1111-pixels"
    claim = provenance
    if provenance is not None and provenance.embedding != embedding.digest:
        warnings.append(CHANGED)
        provenance = None
    if provenance is not None and provenance.fingerprint is not None:
        details |= {"tireg.base_name": provenance.base_name, "tireg.family": provenance.fingerprint.family}
    dims = {shape.encoder: shape.dim for shape in embedding.shapes}
    _check_shapes(embedding, draft, warnings, provenance is not None)
    if against := contradicted(dims, details):
        stated = ", ".join(sorted(against))
        warnings.append(f"what it says of its base model ({stated}) contradicts its width; the width is believed")
    return FoundEmbedding(
        format=kind,
        embedding=embedding,
        placeholder_token=(provenance.placeholder_token if provenance else "") or draft.token[:_MAX_TOKEN],
        name=_suggest_name(draft, source, kind),
        concept_type=provenance.concept_type if provenance else None,
        dtypes=dtypes,
        families=candidates(dims, details, draft.named_encoders),
        step=draft.step if draft.step is not None else _step_of(source.stem, provenance),
        origin=_origin(kind, details, provenance),
        details={key: text for key, text in details.items() if not key.startswith("tireg.")},
        provenance=provenance,
        claim=claim,
        warnings=tuple(warnings),
        usable=not draft.reason,
        reason=draft.reason,
    )


def _check_shapes(embedding: Embedding, draft: Draft, warnings: list[str], ours: bool) -> None:
    """Warn of what will not behave as the user expects; `ours` says that tireg wrote the file."""
    if draft.reason:
        return
    if embedding.num_vectors > WINDOW_VECTORS:
        warnings.append(
            f"{embedding.num_vectors} vectors do not fit a prompt: CLIP's token window holds {WINDOW_VECTORS}"
        )
    counts = {shape.encoder: shape.num_vectors for shape in embedding.shapes}
    if len(set(counts.values())) > 1:
        shown = ", ".join(f"{role} {count}" for role, count in counts.items())
        warnings.append(f"its encoders have different numbers of vectors: {shown}")
    if empty := [role for role, rows in embedding.tensors.items() if not rows.any(axis=1).all()]:
        warnings.append(f"it has vectors of nothing but zeros ({', '.join(empty)}), which mean nothing in a prompt")
    # In float64: the squares of what float32 can hold are more than it can hold.
    lengths = {role: np.linalg.norm(rows.astype(np.float64), axis=1).max() for role, rows in embedding.tensors.items()}
    if long := [f"{role} {length:.3g}" for role, length in lengths.items() if length > _LONGEST]:
        warnings.append(f"its vectors are longer than those of any word ({', '.join(long)}); expect noise for pictures")
    for shape in embedding.shapes:
        usual = USUAL.get(shape.encoder)
        if draft.named_encoders and not ours and usual is not None and shape.dim != usual:
            warnings.append(f"{shape.encoder} usually has width {usual}, this has {shape.dim}")


def _suggest_name(draft: Draft, source: Source, kind: str) -> str:
    """A concept name: what the trigger is in A1111 for its formats, else token, label or stem."""
    stem = source.stem
    stem = "" if GENERIC_STEMS.fullmatch(stem) else without_step(stem, draft.step)
    label = without_step(draft.label, draft.step)
    token = draft.token.strip("<> ")
    if kind in (
        "a1111-png",
        "a1111-pixels",
    ):  # A1111 takes the trigger of a picture from inside, of a file from outside
        order = (label, stem, token)
    else:
        order = (stem, label, token) if kind == "a1111" else (token, label, stem)
    return next((safe(text, limit=64) for text in order if any(character.isalnum() for character in text)), "")


def without_step(text: str, step: int | None) -> str:
    """`gnome-500` as `gnome`, when 500 is the step (A1111's snapshots) or the name says so (`-steps-500`)."""
    text = re.sub(r"[-_](?:steps?|gs)-?\d{1,9}$", "", text)
    return text.removesuffix(f"-{step}") if step is not None else text


def _step_of(stem: str, provenance: Provenance | None) -> int | None:
    """The step in names such as `learned_embeds-steps-500` and `embeddings_gs-6099`."""
    if provenance is not None and provenance.steps is not None:
        return provenance.steps
    match = re.search(r"[-_](?:steps?|gs)[-_](\d{1,9})$", stem)
    return int(match.group(1)) if match else None


def _origin(kind: str, details: Mapping[str, str], provenance: Provenance | None) -> str:
    """The program, and the checkpoint when the file names it."""
    if provenance is not None:
        return f"tireg {provenance.reference}".strip()
    program = details.get("software") or details.get("modelspec.implementation") or _PRODUCERS.get(kind, "")
    checkpoint = details.get("sd_checkpoint_name", "") or details.get("sd_checkpoint", "")
    return safe(" on ".join(part for part in (program, checkpoint) if part), limit=200)
