"""Loading a base model's parts from a diffusers folder onto a device, frozen, without noise on the terminal."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tiregistry.bases.devices import choose_device, choose_dtype, precision_note
from tiregistry.bases.families import FLOW_FAMILIES, T5_TOKENS, class_name, encoder_parts
from tiregistry.bases.fitting import check_fit
from tiregistry.bases.locating import EMBEDDED, locate_base, read_model_index
from tiregistry.bases.memory import is_out_of_memory
from tiregistry.bases.quiet import quiet_libraries
from tiregistry.concepts import BaseModel, Family
from tiregistry.errors import DeviceError, InvalidInput, interruption_in
from tiregistry.text import safe

if TYPE_CHECKING:
    import torch

    from tiregistry.bases.loaded import LoadedBase
    from tiregistry.bases.towers import TextTower

_DENOISERS: dict[Family, str] = {
    "sd1": "UNet2DConditionModel",
    "sd2": "UNet2DConditionModel",
    "sdxl": "UNet2DConditionModel",
    "sd3": "SD3Transformer2DModel",
    "flux": "FluxTransformer2DModel",
}


def load_base(
    source: str,
    *,
    name: str = "",
    revision: str = "",
    device: str = "auto",
    precision: str = "auto",
    fingerprint: Callable[[Path], Any] | None = None,
) -> LoadedBase:
    """Load a base model for training or generation.

    Args:
        source: `embedded`, a diffusers folder or a Hub id.
        name: how the registry calls it; defaults to the last part of `source`.
        device, precision: see `devices.choose_device` and `devices.choose_dtype`.
        fingerprint: computes the `Fingerprint` of a folder; a caller with a cache passes its own.

    Raises:
        BaseModelNotFound, HubError: it is not there.
        InvalidInput: it is no model that can be loaded.
        InvalidConfig: the device or precision cannot be used here.
        DeviceError: the model does not fit the device's memory.
    """
    folder = locate_base(source, revision)
    target = choose_device(device)
    dtype = choose_dtype(precision, target)
    from tiregistry.bases.fingerprints import fingerprint_folder

    identity = (fingerprint or fingerprint_folder)(folder)
    default = EMBEDDED if source == EMBEDDED else folder.name
    base = BaseModel(name=name or default, source=source, fingerprint=identity, revision=revision)

    check_fit(folder, identity.family, safe(source))
    try:
        return _load_parts(folder, base, target, dtype)
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, MemoryError) as error:
        if (interruption := interruption_in(error)) is not None:
            raise interruption from None
        if is_out_of_memory(error) or (error.__cause__ is not None and is_out_of_memory(error.__cause__)):
            advice = "close other programs" if target.type == "cpu" else "try --precision bf16, or --device cpu"
            raise DeviceError(f"{safe(source)} does not fit the memory of {target}", advice) from None
        raise InvalidInput(
            f"{safe(source)} cannot be loaded as a base model: {_reason(error)}", "copy the model again"
        ) from error


def load_clip_towers(folder: Path, family: Family) -> list[TextTower]:
    """Only the CLIP text encoders of a diffusers folder, float32 on the CPU: what looking at words needs.

    Raises:
        InvalidInput: they cannot be loaded.
    """
    import torch

    index = read_model_index(folder)
    try:
        with quiet_libraries():
            return [
                _load_tower(folder, index, family, role, suffix, torch.device("cpu"), torch.float32)
                for role, suffix in encoder_parts(folder, family)
                if role != "t5"
            ]
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
        if (interruption := interruption_in(error)) is not None:
            raise interruption from None
        raise InvalidInput(f"{safe(folder)}: its text encoders cannot be loaded: {_reason(error)}") from error


def _load_parts(folder: Path, base: BaseModel, device: torch.device, dtype: torch.dtype) -> LoadedBase:
    with quiet_libraries():
        import diffusers

        from tiregistry.bases.loaded import LoadedBase

        index = read_model_index(folder)
        part = "transformer" if base.family in FLOW_FAMILIES else "unet"
        with _naming(part):
            denoiser = getattr(diffusers, _DENOISERS[base.family]).from_pretrained(
                folder, subfolder=part, dtype=dtype, variant=_variant(folder, part)
            )
        towers = [
            _load_tower(folder, index, base.family, role, suffix, device, dtype)
            for role, suffix in encoder_parts(folder, base.family)
        ]
        if base.family == "flux" and not denoiser.config.guidance_embeds:
            # The variant distilled to few steps (schnell) was made with half the window.
            towers[-1].longest = 256
        with _naming("vae"):
            vae = diffusers.AutoencoderKL.from_pretrained(
                folder, subfolder="vae", dtype=dtype, variant=_variant(folder, "vae")
            )
        usual = diffusers.FlowMatchEulerDiscreteScheduler if base.family in FLOW_FAMILIES else diffusers.DDIMScheduler
        scheduler_class = getattr(diffusers, class_name(index, "scheduler"), None) or usual
        scheduler = scheduler_class.from_pretrained(folder, subfolder="scheduler")
        if base.family not in FLOW_FAMILIES:
            _unclipped(scheduler)
    loaded = LoadedBase(base, towers, _frozen(denoiser, device), _frozen(vae, device), scheduler, device, dtype)
    loaded.identity = replace(base, resolution=loaded.resolution)
    note = precision_note(dtype, device)
    loaded.notes = (note,) if note else ()
    return loaded


def _unclipped(scheduler: Any) -> None:
    """Have nothing that is made from a scheduler's configuration clip its samples.

    Clipping to -1 and 1 is for models of pixels. diffusers' classes do so unless their configuration says otherwise,
    which that of another class often does not, and its pipelines correct that in the scheduler they are made with.
    """
    clipping = dict.fromkeys(("clip_sample", "thresholding"), False)
    # What a file leaves to the defaults of its own class, another class would leave to its own.
    usual = [name for name in scheduler.config.get("_use_default_values", ()) if name not in clipping]
    scheduler.register_to_config(**clipping, _use_default_values=usual)


def _load_tower(
    folder: Path, index: dict[str, object], family: Family, role: str, suffix: str, device: torch.device, dtype: Any
) -> TextTower:
    import transformers

    from tiregistry.bases.towers import T5Tower, TextTower
    from tiregistry.bases.word_rows import WordRows

    part = f"text_encoder{suffix}"
    named = class_name(index, part) or "CLIPTextModel"
    allowed = ("T5EncoderModel",) if role == "t5" else ("CLIPTextModel", "CLIPTextModelWithProjection")
    if named not in allowed:
        raise ValueError(f"its {part} is a {named}, not a {' or '.join(allowed)}")
    with _naming(part):
        model = getattr(transformers, named).from_pretrained(
            folder,
            subfolder=part,
            dtype=dtype,
            use_safetensors=_safetensors(folder, suffix),
            variant=_variant(folder, part),
        )
    words = WordRows(model.get_input_embeddings())
    model.set_input_embeddings(words)
    if role == "t5":
        tokenizer = transformers.T5TokenizerFast.from_pretrained(folder, subfolder=f"tokenizer{suffix}")
        return T5Tower(role, tokenizer, _frozen(model, device), words, longest=T5_TOKENS[family])
    tokenizer = transformers.CLIPTokenizer.from_pretrained(folder, subfolder=f"tokenizer{suffix}")
    # Configurations from before 2023 say eos_token_id 2, which transformers answers by pooling at the highest token id
    # of the prompt: with a learned word, whose ids lie past the vocabulary, that is the word's place.
    for module in model.modules():
        if hasattr(module, "eos_token_id"):
            module.eos_token_id = tokenizer.eos_token_id
    layer = -2 if family in ("sdxl", "sd3") else -1
    return TextTower(role, tokenizer, _frozen(model, device), words, layer)


_MISFIT = re.compile(r"(\S+) expected shape torch\.Size\(\[(.*?)\]\), but got torch\.Size\(\[(.*?)\]\)")


@contextlib.contextmanager
def _naming(part: str) -> Iterator[None]:
    """Say which part of a model it was that failed to load, and in short what diffusers and transformers say at length.

    Raises:
        ValueError: instead of what they raised.
    """
    import torch

    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
        misfit = _MISFIT.search(str(error))
        if misfit:
            name, wanted, got = misfit.groups()
            shapes = f": {name} is {got.replace(', ', ' x ')} and should be {wanted.replace(', ', ' x ')}"
            raise ValueError(f"the weights of its {part} do not fit its configuration{shapes}") from error
        if "ignore_mismatched_sizes" in str(error):
            raise ValueError(f"the weights of its {part} do not fit its configuration") from error
        raise ValueError(f"its {part}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    """The first line of a library's message."""
    told = str(error).strip()
    return safe(told.splitlines()[0] if told else error, limit=200)


def _safetensors(folder: Path, suffix: str) -> bool | None:
    """True when safetensors are there (no pickle is ever opened beside them), else None: transformers decides."""
    return True if any((folder / f"text_encoder{suffix}").glob("*.safetensors")) else None


def _variant(folder: Path, part: str) -> str | None:
    """`fp16` when a part is only there in that variant (`model.fp16.safetensors`), else None."""
    from tiregistry.bases.fingerprints import weight_files

    files = weight_files(folder / part)
    return "fp16" if files and ".fp16" in files[0].name else None


def _frozen(module: Any, device: torch.device) -> Any:
    """The part in evaluation mode on its device.

    Raises:
        ValueError: its files lack a tensor, which then has a shape and no numbers.
    """
    lacking = [name for name, parameter in module.named_parameters() if parameter.is_meta]
    if lacking:
        more = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
        raise ValueError(f"the weights of its {type(module).__name__} lack {lacking[0]}{more}")
    return module.requires_grad_(False).eval().to(device)
