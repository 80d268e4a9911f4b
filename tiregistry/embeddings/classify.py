"""Recognises an embedding by its content: the keys and shapes of what a container held, never its extension.

The order of the questions matters, because later formats would swallow earlier ones: words bundled in LoRAs, per-layer
words, output-space vectors, A1111 and official files, encoder names, `emb_params`, and last a bare placeholder key.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tiregistry.embeddings.families import role_of_width, why_no_word
from tiregistry.embeddings.limits import MAX_EMBEDDINGS
from tiregistry.embeddings.pickle_ops import Module, module_items
from tiregistry.embeddings.provenance import KEY
from tiregistry.embeddings.tensors import RawTensor
from tiregistry.errors import UnreadableEmbedding
from tiregistry.text import safe

Part = tuple[str, RawTensor]

ROLE_KEYS = {"clip_l": "clip_l", "clip_g": "clip_g", "clip_h": "clip_h", "t5": "t5", "t5xxl": "t5"}
"""Keys that name an encoder, and its role here; ComfyUI says `t5xxl` where diffusers and OneTrainer say `t5`."""
_OTHER_ENCODER = re.compile(r"(llama|gemma|qwen|umt5|byt5|mistral|chatglm)[\w.]{0,20}")
_PARAMS = ("emb_params", "emp_params")
XTI_LAYERS = (
    "IN01", "IN02", "IN04", "IN05", "IN07", "IN08", "MID", "OUT03", "OUT04", "OUT05", "OUT06", "OUT07", "OUT08",
    "OUT09", "OUT10", "OUT11",
)  # fmt: skip
_MAX_DETAILS = 100
_LORA = re.compile(r"lora_|\.lora|lora\.|:(up|down)$|\.alpha$|hada_|lokr_")
_MODEL = re.compile(
    r"(^|\.)(weight|bias|running_mean|num_batches_tracked)$|^(model|unet|cond_stage_model)\.|^state_dict$"
)


@dataclass(slots=True)
class Draft:
    """An embedding recognised but not yet read."""

    format: str
    parts: dict[str, list[Part]]
    """Encoder role to the tensors that make up its rows, in order."""
    token: str = ""
    label: str = ""
    """A name the file gives beside or instead of a placeholder token."""
    step: int | None = None
    details: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    reason: str = ""
    """Why the vectors are no word, when they are not; they are kept all the same."""
    named_encoders: bool = False


def classify(value: Any, metadata: Mapping[str, str]) -> list[Draft]:
    """The embeddings in what a container held.

    Args:
        value: dict, list, tensor or `Module` as the container readers give it.
        metadata: the `__metadata__` of a safetensors file, otherwise empty.

    Raises:
        UnreadableEmbedding: no format is recognised, or one that cannot be a word (with the reason).
    """
    if isinstance(value, Module):
        value = module_items(value)
    if isinstance(value, RawTensor):
        return [_single("bare-tensor", "", value)]
    if isinstance(value, (list, tuple)):
        return _list_of_dicts(value)
    if not isinstance(value, dict):
        raise UnreadableEmbedding("the file holds no mapping and no tensor", "give an embedding file")
    if "optimizer_state_dict" in value:
        raise UnreadableEmbedding(
            "this is the optimizer state that A1111 saves beside an embedding, not an embedding",
            "import the file without .optim",
        )
    details = _details(metadata)
    if "string_to_param" in value:
        drafts = _a1111(value)
    else:
        tensors = {_key(key): item for key, item in value.items() if isinstance(item, RawTensor)}
        if not tensors:
            whole = ": it is a whole model" if "state_dict" in value else ""
            raise UnreadableEmbedding(f"the file holds no tensors at its top level{whole}", "give an embedding file")
        drafts = _tensors(tensors, metadata)
        details |= _details(value)
    if len(drafts) > MAX_EMBEDDINGS:
        raise UnreadableEmbedding(f"the file holds {len(drafts)} embeddings; at most {MAX_EMBEDDINGS} are read", "")
    for draft in drafts:
        draft.details = {**details, **draft.details}
        _says_itself(draft)
    return drafts


def _details(source: Mapping[Any, Any]) -> dict[str, str]:
    """The short facts in metadata or beside tensors, safe to show; the file itself keeps the rest."""
    facts: dict[str, str] = {}
    for key, item in source.items():
        if isinstance(item, (str, int, float)) and key not in (KEY, "modelspec.thumbnail"):
            facts[safe(key, limit=80)] = safe(item, limit=500)
        if len(facts) == _MAX_DETAILS:
            break
    return facts


def _tensors(tensors: dict[str, RawTensor], metadata: Mapping[str, str]) -> list[Draft]:
    recognisers: tuple[Callable[[dict[str, RawTensor], Mapping[str, str]], list[Draft] | None], ...] = (
        _bundled, _lora_tokens, _per_layer, _output_space, _text_encoders, _encoder_names, _params, _placeholders,
    )  # fmt: skip
    for recogniser in recognisers:
        drafts = recogniser(tensors, metadata)
        if drafts:
            return drafts
    raise UnreadableEmbedding(f"no embedding format has the keys {_listed(tensors)}", "give an embedding file")


def _bundled(tensors: dict[str, RawTensor], metadata: Mapping[str, str]) -> list[Draft] | None:
    """Words that OneTrainer puts into a LoRA: `bundle_emb.<name>.<key>`."""
    groups: dict[str, dict[str, RawTensor]] = {}
    for key, tensor in tensors.items():
        if key.startswith("bundle_emb."):
            name, dot, rest = key.removeprefix("bundle_emb.").partition(".string_to_param.")
            if not dot:
                name, _, rest = name.rpartition(".")
            groups.setdefault(name, {})["emb_params" if dot else rest] = tensor
    drafts: list[Draft] = []
    for name, inner in groups.items():
        for draft in _output_space(inner, {}) or _encoder_names(inner, {}) or _params(inner, {}) or []:
            draft.format, draft.label = "lora-bundle", name
            drafts.append(draft)
    return drafts or None


def _lora_tokens(tensors: dict[str, RawTensor], metadata: Mapping[str, str]) -> list[Draft] | None:
    """Placeholder tensors (`<s1>`) between the matrices of a LoRA, marked `<embed>` in its metadata."""
    if len(tensors) < 2 or not any(_LORA.search(key) for key in tensors):
        return None
    words = {
        key: tensor
        for key, tensor in tensors.items()
        if tensor.is_vectors and (metadata.get(key) == "<embed>" or re.fullmatch(r"<[^<>]{1,60}>", key))
    }
    if not words:
        raise UnreadableEmbedding(
            "this is a LoRA without a learned word in it", "tiregistry keeps learned words; load a LoRA as a LoRA"
        )
    drafts = _joined(words)
    for draft in drafts:
        draft.format = "lora-tokens"
        if draft.token == "<s>":
            draft.token = ""  # the trainer calls every word so; the file has a name of its own
    return drafts


def _per_layer(tensors: dict[str, RawTensor], metadata: Mapping[str, str]) -> list[Draft] | None:
    """kohya's XTI (16 layer names) and P+ (`<token>-0` to `<token>-15`): one vector per attention layer.

    The registry's own file of either has the layer's name behind the encoder's (`clip_l.IN01`).
    """
    if set(tensors) == {f"clip_l.{layer}" for layer in XTI_LAYERS}:
        tensors = {key.removeprefix("clip_l."): tensor for key, tensor in tensors.items()}
    if set(tensors) == set(XTI_LAYERS):
        layers = {layer: [(layer, tensors[layer])] for layer in XTI_LAYERS}
        token, kind = "", "xti"
    else:
        split = [key.rpartition("-") for key in tensors]
        if len(tensors) != 16 or len({stem for stem, _, _ in split}) != 1 or not split[0][0]:
            return None
        if {number for _, _, number in split} != {str(n) for n in range(16)}:
            return None
        token, kind = split[0][0], "p-plus"
        layers = {layer: [(f"{token}-{n}", tensors[f"{token}-{n}"])] for n, layer in enumerate(XTI_LAYERS)}
    return [
        Draft(
            kind,
            {f"clip_l.{layer}": parts for layer, parts in layers.items()},
            token=token,
            reason=why_no_word(f"clip_l.{layer}" for layer in layers),
            named_encoders=True,
        )
    ]


def _output_space(tensors: dict[str, RawTensor], metadata: Mapping[str, str]) -> list[Draft] | None:
    """OneTrainer's `*_out` vectors, which replace an encoder's output instead of a word's row."""
    inner = {key: tensor for key, tensor in tensors.items() if not _is_output(key)}
    if len(inner) == len(tensors):
        return None
    if not inner:
        raise UnreadableEmbedding(
            "its vectors belong to the text encoder's output (OneTrainer's output embedding): no prompt can use them",
            "train it again in OneTrainer with 'output embedding' switched off",
        )
    drafts = _encoder_names(inner, metadata) or _params(inner, metadata) or []
    for draft in drafts:
        draft.warnings.append("its output-space vectors (*_out) were left out; only the word's own vectors are used")
    return drafts


def _is_output(key: str) -> bool:
    base = key.removesuffix("_out")
    return base != key and (base in ROLE_KEYS or base in _PARAMS or bool(_OTHER_ENCODER.fullmatch(base)))


def _text_encoders(tensors: dict[str, RawTensor], metadata: Mapping[str, str]) -> list[Draft] | None:
    """cog-sdxl and early diffusers pivotal tuning: `text_encoders_0`, `text_encoders_1`."""
    keys = sorted(key for key in tensors if re.fullmatch(r"text_encoders_\d", key))
    if not keys or len(keys) != len(tensors):
        return None
    parts: dict[str, list[Part]] = {}
    for key in keys:
        role = role_of_width(tensors[key].dim)
        if role in parts or (role == "clip_l" and tensors[key].dim != 768):
            role = ("clip_l", "clip_g", "t5")[min(int(key[-1]), 2)]
        parts[role] = [(key, tensors[key])]
    return [Draft("pti", parts, named_encoders=True)]


def _encoder_names(tensors: dict[str, RawTensor], metadata: Mapping[str, str]) -> list[Draft] | None:
    """Files whose keys name the encoders: SDXL, SD 3, Flux, ComfyUI, OneTrainer."""
    parts: dict[str, list[Part]] = {}
    warnings: list[str] = []
    for key, tensor in tensors.items():
        role = ROLE_KEYS.get(key) or (key if _OTHER_ENCODER.fullmatch(key) else "")
        if not role:
            warnings.append(f"the tensor {safe(key, limit=60)!r} names no known encoder and was left out")
        elif role in parts:  # t5 and t5xxl: two names of one encoder
            first, known = parts[role][0]
            if not np.array_equal(known.read(first), tensor.read(key)):
                warnings.append(
                    f"the vectors {first} and {key} differ though they mean the same encoder: {first} is used"
                )
        else:
            parts[role] = [(key, tensor)]
    if not parts:
        return None
    roles = set(parts)
    kind = (
        "sdxl" if roles == {"clip_l", "clip_g"}
        else "sd3" if roles == {"clip_l", "clip_g", "t5"}
        else "flux" if roles == {"clip_l", "t5"}
        else "encoder-keys"
    )  # fmt: skip
    return [Draft(kind, parts, warnings=warnings, reason=why_no_word(parts), named_encoders=True)]


def _params(tensors: dict[str, RawTensor], metadata: Mapping[str, str]) -> list[Draft] | None:
    """kohya, invoke-training, ai-toolkit (`emb_params`) and OneTrainer for SD 1 and 2 (`emp_params`)."""
    key = next((key for key in _PARAMS if key in tensors), None)
    if key is None:
        return None
    draft = _single("emb-params" if key == "emb_params" else "onetrainer", key, tensors[key])
    draft.token = ""
    draft.label = str(metadata.get("name", "")).strip('"')
    return [draft]


def _placeholders(tensors: dict[str, RawTensor], metadata: Mapping[str, str]) -> list[Draft] | None:
    """Keys that are placeholder tokens: diffusers with one, Cross Initialization with one per vector, or several."""
    usable = {key: tensor for key, tensor in tensors.items() if tensor.is_vectors}
    if len(usable) != len(tensors) or any(_MODEL.search(key) for key in tensors):
        if all(_MODEL.search(key) or key in usable for key in tensors) or len(tensors) > 4:
            raise UnreadableEmbedding("this is a model's weights, not a learned word", "give an embedding file")
        key = next(key for key in tensors if key not in usable)
        raise UnreadableEmbedding(
            f"tensor {safe(key, limit=60)!r} cannot be used: {tensors[key].refusal()}", "give an embedding file"
        )
    if len(usable) == 1:
        ((key, tensor),) = usable.items()
        kind = "diffusers-1d" if len(tensor.shape) == 1 else "diffusers"
        return [_single(kind, key, tensor)]
    return _joined(usable, from_one=False)


def _joined(tensors: Mapping[str, RawTensor], from_one: bool = True) -> list[Draft]:
    """One word per placeholder token; tokens that count up are the vectors of one word."""
    drafts: list[Draft] = []
    for stem, keys in _numbered(tensors, from_one).items():
        first = tensors[keys[0]]
        draft = Draft("multi-token", {role_of_width(first.dim): [(key, tensors[key]) for key in keys]}, token=stem)
        if len(keys) > 1:
            draft.warnings.append(f"{len(keys)} tensors ({_listed(keys)}) joined into one word of as many vectors")
        drafts.append(draft)
    return drafts


def _numbered(tensors: Mapping[str, RawTensor], from_one: bool) -> dict[str, list[str]]:
    """Keys that count up grouped under what they share, others alone.

    Vectors of one word count from 0 (`<s0>`, `<s1>`), after a bare token (`<cat>`, `<cat>_1`) or with a separator
    (`x_v1`, `x_v2`). `<new1>` and `<new2>` are two words, unless `from_one` says how the file's trainer counts.
    """
    groups: dict[tuple[str, int], list[tuple[int, str]]] = {}
    alone: dict[str, list[str]] = {}
    for key, tensor in tensors.items():
        if tensor.count != tensor.dim:
            alone[key] = [key]
            continue
        stem, number = _split_number(key)
        groups.setdefault((stem, tensor.dim), []).append((number, key))
    result: dict[str, list[str]] = {}
    for (stem, _), members in groups.items():
        members.sort()
        numbers = [number for number, _ in members]
        counts = from_one or numbers[0] <= 0 or members[0][1].rstrip("0123456789>").endswith(("_", "-", "_v", "-v"))
        if counts and len(members) > 1 and len(set(numbers)) == len(numbers) and stem not in result:
            result[stem] = [key for _, key in members]
        else:
            alone.update({key: [key] for _, key in members})
    return {**result, **alone}


def _split_number(key: str) -> tuple[str, int]:
    """`28017_v1` as `28017` and 1, `<s0>` as `<s>` and 0, `<cat>` as `<cat>` and -1."""
    closing = ">" if key.endswith(">") else ""
    inner = key.removesuffix(">")
    stem = inner.rstrip("0123456789")
    number = inner[len(stem) :]
    if not number:
        return key, -1
    stem = stem.removesuffix("v") if stem.endswith(("_v", "-v")) else stem
    return stem.rstrip("_-") + closing, int(number[:9])


def _a1111(value: dict[Any, Any]) -> list[Draft]:
    """A1111 (`name` beside `string_to_param`) and the paper's own files (a ParameterDict, no `name`)."""
    params = value["string_to_param"]
    is_module = isinstance(params, Module)
    params = module_items(params) if isinstance(params, Module) else params
    if not isinstance(params, dict) or not any(isinstance(item, RawTensor) for item in params.values()):
        raise UnreadableEmbedding("its string_to_param holds no tensors", "the file is damaged or not an embedding")
    name = value.get("name")
    official = name is None
    step = value.get("step")
    details = {
        key: safe(value[key], limit=200)
        for key in ("sd_checkpoint", "sd_checkpoint_name", "name")
        if isinstance(value.get(key), str)
    }
    drafts: list[Draft] = []
    for key, tensor in params.items():
        if not isinstance(tensor, RawTensor):
            continue
        draft = _single("ldm" if official else "a1111", _key(key), tensor)
        draft.token = "" if key == "*" else _key(key)
        draft.label = "" if official else safe(name, limit=200)
        draft.step = step if type(step) is int and 0 <= step < 10**9 else None
        draft.details = dict(details)
        if official and is_module and tensor.dim == 1280:
            draft.parts = {"bert": draft.parts[next(iter(draft.parts))]}
            draft.reason = why_no_word(draft.parts)
        drafts.append(draft)
    return drafts


def _list_of_dicts(value: list[Any] | tuple[Any, ...]) -> list[Draft]:
    """A list of {key: tensor}: ComfyUI joins the rows of all tensors that have the encoder's width."""
    parts: dict[str, list[Part]] = {}
    for index, item in enumerate(value[: 4 * MAX_EMBEDDINGS]):
        inner = item if isinstance(item, dict) else {str(index): item}
        for key, tensor in inner.items():
            if isinstance(tensor, RawTensor) and tensor.is_vectors:
                role = ROLE_KEYS.get(_key(key)) or role_of_width(tensor.dim)
                if role in parts and parts[role][0][1].dim != tensor.dim:
                    raise UnreadableEmbedding("the list mixes vectors of several unknown widths", "split the file")
                parts.setdefault(role, []).append((_key(key), tensor))
    if not parts:
        raise UnreadableEmbedding("the list in the file holds no vectors", "give an embedding file")
    return [Draft("list-of-dicts", parts)]


def _single(kind: str, key: str, tensor: RawTensor) -> Draft:
    return Draft(kind, {role_of_width(tensor.dim): [(key, tensor)]}, token=key)


def _says_itself(draft: Draft) -> None:
    """Take name, step and trigger from metadata where the format proper has none."""
    step = draft.details.get("step", "")
    if draft.step is None and step.isdecimal() and len(step) < 10:
        draft.step = int(step)
    trigger = draft.details.get("modelspec.trigger_phrase", "")
    if not draft.token and trigger and len(trigger) <= 64:
        draft.token = trigger


def _key(key: Any) -> str:
    """A mapping's key as text."""
    return key if isinstance(key, str) else safe(key, limit=80)


def _listed(keys: Iterable[str]) -> str:
    """The first keys, safe to show."""
    every = list(keys)
    return ", ".join(safe(key, limit=40) for key in every[:3]) + (", …" if len(every) > 3 else "")
