"""Writes an embedding in the formats that other programs read; float32 bits are kept, provenance goes along."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tiregistry.concepts import ConceptType
from tiregistry.embeddings.containers.picture_writer import write_picture_embedding
from tiregistry.embeddings.containers.safetensors_file import write_safetensors
from tiregistry.embeddings.containers.torch_writer import MAX_COMMENT, write_torch
from tiregistry.embeddings.embedding import Embedding, Matrix
from tiregistry.embeddings.families import USUAL
from tiregistry.embeddings.placing import place_folder
from tiregistry.embeddings.provenance import KEY, PARTS, Provenance
from tiregistry.errors import AlreadyExists, FileMissing, InvalidInput
from tiregistry.text import safe
from tiregistry.whole_files import write_all_whole

if TYPE_CHECKING:
    from PIL.Image import Image

_ARCHITECTURES = {
    ("sd1", 0): "stable-diffusion-v1",
    ("sd2", 0): "stable-diffusion-v2",
    ("sd2", 512): "stable-diffusion-v2-512",
    ("sd2", 768): "stable-diffusion-v2-768-v",
    ("sdxl", 0): "stable-diffusion-xl-v1-base",
    ("sd3", 0): "stable-diffusion-3",
    ("flux", 0): "flux-1",
}
"""Family and native resolution (0: any) to `modelspec.architecture`: the ids of Stability's model metadata, and what
kohya writes where the variant is not known."""
_OURS = frozenset(
    f"modelspec.{field}"
    for field in ("sai_model_spec", "title", "trigger_phrase", "description", "license", "hash_sha256", "thumbnail")
)
"""Fields that are written anew instead of passed on from an imported file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """A learned word as it leaves the registry.

    Attributes:
        embedding: its vectors.
        name: concept name; names the file, and is the trigger in A1111.
        placeholder_token: key of the formats that have one.
        family, resolution: of the base model it was learned on; empty and 0 when that is not known for certain.
        stated: what the file it was imported from said of itself (`modelspec.*`, `sd_checkpoint`,
            `sd_checkpoint_name`), passed on as it is.
        step: training steps, when known.
        created_at: when it was made, in UNIX seconds; 0 when that is not known.
        preview: picture for the A1111 PNG.
        images: file name and bytes of source pictures, for the sd-concepts folder.
    """

    embedding: Embedding
    name: str
    placeholder_token: str
    concept_type: ConceptType = "object"
    family: str = ""
    resolution: int = 0
    stated: Mapping[str, str] = field(default_factory=dict)
    base_name: str = ""
    description: str = ""
    licence: str = ""
    step: int | None = None
    created_at: float = 0.0
    provenance: Provenance | None = None
    preview: Image | None = None
    images: Sequence[tuple[str, bytes]] = ()


Files = dict[str, bytes]
"""Path relative to the target's folder to content; one entry for most formats."""


@dataclass(frozen=True, slots=True)
class Writer:
    """How one format is written."""

    suffix: str
    """Extension of the file, or `/` for a folder."""
    write: Callable[[Word, str], Files]
    """Gives the files for a word and a file stem."""


def write_embedding(word: Word, format_id: str, path: Path, *, force: bool = False) -> list[Path]:
    """Write `word` in a format.

    Args:
        word: what to write.
        format_id: a key of `WRITERS`.
        path: the file (or folder, for `sd-concepts`) to write; in an existing folder a name is chosen.
        force: replace what is there.

    Returns:
        The paths written, the main one first.

    Raises:
        InvalidInput: the format is unknown or cannot hold this word; the message names one that can.
        AlreadyExists: something is there and `force` is not given.
        FileMissing: the folder to write into does not exist.
    """
    writer = writer_for(format_id)
    if not set(word.embedding.tensors) <= set(PARTS):
        raise InvalidInput(
            f"{safe(word.name)} is kept as it came, it is no word that another program can use",
            "use --format original",
        )
    target = default_path(word.name, format_id, path)
    if writer.suffix != "/" and target.suffix.lower() != writer.suffix:
        raise InvalidInput(
            f"{safe(target.name)}: {format_id} files end in {writer.suffix}, and readers go by that",
            f"write {safe(target.with_suffix(writer.suffix).name)}, or choose another --format",
        )
    if not target.parent.is_dir():
        raise FileMissing(f"the folder {safe(target.parent)} does not exist", "create it first")
    files = writer.write(word, target.stem)
    if writer.suffix == "/":
        return [place_folder(files, target, force)]
    paths = [target.parent / name for name in files]
    for existing in paths:
        if existing.exists() and not force:
            raise AlreadyExists(f"{safe(existing)} exists", "choose another path, or add --force to replace it")
    write_all_whole(dict(zip(paths, files.values(), strict=True)))
    return paths


def writer_for(format_id: str) -> Writer:
    """The writer of a format.

    Raises:
        InvalidInput: there is none of this name.
    """
    if format_id not in WRITERS:
        from difflib import get_close_matches

        close = get_close_matches(format_id, WRITERS, 1)
        advice = f"did you mean {close[0]}?" if close else f"formats: {', '.join(WRITERS)}"
        raise InvalidInput(f"no export format is called {safe(format_id, limit=40)!r}", advice)
    return WRITERS[format_id]


def default_path(name: str, format_id: str, path: Path) -> Path:
    """`path`, or a name chosen inside it when it is a folder."""
    suffix = writer_for(format_id).suffix
    if path.is_dir():
        return path / (name if suffix == "/" else f"{name}{suffix}")
    return path


# -- what goes into the files ---------------------------------------------------------------------------------------


def _only(word: Word, format_id: str) -> tuple[str, Matrix]:
    """Role and vectors of a word with one encoder."""
    if len(word.embedding.tensors) != 1:
        raise InvalidInput(
            f"{format_id} holds one text encoder, {safe(word.name)} has {', '.join(word.embedding.tensors)}",
            f"use --format {_formats_for(word)}",
        )
    return next(iter(word.embedding.tensors.items()))


def _formats_for(word: Word) -> str:
    """The formats that hold the word's encoders, for a hint."""
    roles = set(word.embedding.tensors)
    if len(roles) == 1:
        return "diffusers, comfyui or emb-params"
    if roles == {"clip_l", "clip_g"}:
        return "diffusers, sdxl, invokeai or comfyui"
    named = {"sd3": {"clip_l", "clip_g", "t5"}, "flux": {"clip_l", "t5"}}
    return " or ".join([*(format_id for format_id, wanted in named.items() if wanted == roles), "comfyui"])


def _metadata(word: Word, part: str = "") -> dict[str, str]:
    """`modelspec.*` fields (Stability's model metadata, as kohya writes it) and the `tireg` block."""
    fields = {key: text for key, text in word.stated.items() if key.startswith("modelspec.") and key not in _OURS}
    fields |= {
        "format": "pt",
        "modelspec.sai_model_spec": "1.0.1",
        "modelspec.title": safe(word.name, limit=200),
        "modelspec.trigger_phrase": word.placeholder_token,
        "modelspec.description": safe(word.description, limit=2000),
        "modelspec.license": safe(word.licence, limit=200),
    }
    if architecture := _architecture(word):
        fields["modelspec.architecture"] = f"{architecture}/textual-inversion"
        fields["modelspec.implementation"] = "diffusers"
    if word.created_at:
        fields["modelspec.date"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(word.created_at))
    if word.step is not None:
        fields["step"] = str(word.step)
    if word.provenance is not None:
        fields[KEY] = replace(word.provenance, part=part).to_json()
    return {key: text for key, text in fields.items() if text}


def _architecture(word: Word) -> str:
    """The id of the architecture that the word was learned on; none for models of other widths, which share nothing
    with the architecture's original but its layout."""
    if any(USUAL.get(shape.encoder) != shape.dim for shape in word.embedding.shapes):
        return ""
    return _ARCHITECTURES.get((word.family, word.resolution)) or _ARCHITECTURES.get((word.family, 0), "")


def _a1111_document(word: Word, format_id: str) -> dict[str, Any]:
    """What A1111 saves: the vectors under `*`, because its trigger is the file name."""
    role, vectors = _only(word, format_id)
    document: dict[str, Any] = {
        "string_to_token": {"*": 265},
        "string_to_param": {"*": vectors},
        "name": word.name,
        "step": word.step,
        "sd_checkpoint": word.stated.get("sd_checkpoint"),
        "sd_checkpoint_name": word.stated.get("sd_checkpoint_name") or word.base_name or None,
    }
    if word.provenance is not None:
        document[KEY] = replace(word.provenance, part=role).to_json()
    return document


def _diffusers(word: Word, stem: str) -> Files:
    """One key, the placeholder token; SDXL's pair as two files, which is how diffusers' own trainer saves it."""
    tensors = word.embedding.tensors
    if len(tensors) > 1 and set(tensors) != {"clip_l", "clip_g"}:
        raise InvalidInput(
            f"diffusers has no file for the encoders {', '.join(tensors)}", f"use --format {_formats_for(word)}"
        )
    roles = ["clip_l", "clip_g"] if len(tensors) > 1 else list(tensors)
    return {
        f"{stem}{'_2' * index}.safetensors": write_safetensors(
            {word.placeholder_token: tensors[role]}, _metadata(word, role)
        )
        for index, role in enumerate(roles)
    }


def _diffusers_bin(word: Word, stem: str) -> Files:
    """As `_diffusers`, in torch's container; diffusers refuses a second key, so the block is the archive's comment."""
    role, vectors = _only(word, "diffusers-bin")
    return {f"{stem}.bin": write_torch({word.placeholder_token: vectors}, _comment(word, role))}


def _comment(word: Word, role: str) -> str:
    return replace(word.provenance, part=role).to_json(MAX_COMMENT) if word.provenance is not None else ""


def _a1111(word: Word, stem: str) -> Files:
    return {f"{stem}.pt": write_torch(_a1111_document(word, "a1111"))}


def _a1111_png(word: Word, stem: str) -> Files:
    return {
        f"{stem}.png": write_picture_embedding(
            _a1111_document(word, "a1111-png"), word.preview, safe(word.placeholder_token, limit=60)
        )
    }


def _emb_params(word: Word, stem: str) -> Files:
    role, vectors = _only(word, "emb-params")
    return {f"{stem}.safetensors": write_safetensors({"emb_params": vectors}, _metadata(word, role))}


def _invokeai(word: Word, stem: str) -> Files:
    """InvokeAI tells the base from the first dimension of an unknown key, so one vector is written 1-D."""
    tensors = word.embedding.tensors
    if set(tensors) == {"clip_l", "clip_g"}:
        return _by_encoder("invokeai", ("clip_l", "clip_g"))(word, stem)
    role, vectors = _only(word, "invokeai")
    if len(vectors) > 1:
        return _emb_params(word, stem)
    return {f"{stem}.safetensors": write_safetensors({word.placeholder_token: vectors[0]}, _metadata(word, role))}


def _by_encoder(format_id: str, roles: Sequence[str] = ()) -> Callable[[Word, str], Files]:
    """Keys that name the encoders; T5 under both names in use (`t5` diffusers, `t5xxl` ComfyUI)."""

    def write(word: Word, stem: str) -> Files:
        tensors: dict[str, Matrix] = dict(word.embedding.tensors)
        if roles and set(tensors) != set(roles):
            raise InvalidInput(
                f"{format_id} holds {' and '.join(roles)}, {safe(word.name)} has {', '.join(tensors)}",
                f"use --format {_formats_for(word)}",
            )
        if "t5" in tensors:
            tensors["t5xxl"] = tensors["t5"]
        return {f"{stem}.safetensors": write_safetensors(tensors, _metadata(word))}

    return write


def _sd_concepts(word: Word, stem: str) -> Files:
    """The folder of the concept library: one key, 1-D when single, and text files without a final newline."""
    role, vectors = _only(word, "sd-concepts")
    rows = vectors[0] if len(vectors) == 1 else vectors
    files: Files = {
        "learned_embeds.bin": write_torch({word.placeholder_token: rows}, _comment(word, role)),
        "token_identifier.txt": word.placeholder_token.encode(),
        "type_of_concept.txt": word.concept_type.encode(),
        "README.md": _card(word).encode(),
    }
    if word.provenance is not None:
        files["tireg.json"] = (replace(word.provenance, part=role).to_json() + "\n").encode()
    for index, (name, content) in enumerate(word.images):
        suffix = Path(name).suffix.lower()
        files[f"concept_images/{index}{suffix if suffix.isascii() and suffix[1:].isalnum() else '.jpeg'}"] = content
    return files


def _card(word: Word) -> str:
    title = safe(word.name, limit=100)
    token = safe(word.placeholder_token, limit=100)
    described = f"\n{safe(word.description, limit=2000)}\n" if word.description else ""
    return (
        f"---\nlibrary_name: diffusers\ntags:\n- textual_inversion\n---\n### {title} via Textual Inversion\n\n"
        f"This is the `{token}` {word.concept_type}, learned with Textual Inversion.\n{described}"
    )


WRITERS: Mapping[str, Writer] = {
    "diffusers": Writer(".safetensors", _diffusers),
    "diffusers-bin": Writer(".bin", _diffusers_bin),
    "sd-concepts": Writer("/", _sd_concepts),
    "a1111": Writer(".pt", _a1111),
    "a1111-png": Writer(".png", _a1111_png),
    "emb-params": Writer(".safetensors", _emb_params),
    "invokeai": Writer(".safetensors", _invokeai),
    "comfyui": Writer(".safetensors", _by_encoder("comfyui")),
    "sdxl": Writer(".safetensors", _by_encoder("sdxl", ("clip_l", "clip_g"))),
    "sd3": Writer(".safetensors", _by_encoder("sd3", ("clip_l", "clip_g", "t5"))),
    "flux": Writer(".safetensors", _by_encoder("flux", ("clip_l", "t5"))),
}
"""Format id to writer; what each is proven with stands in `formats`."""
