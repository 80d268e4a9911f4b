"""Models that judge pictures: CLIP from the Hub or a folder, a base model's own towers, and DINO for pictures only."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from tiregistry.bases.locating import EMBEDDED, VISION_PARTS, embedded_folder, has_vision, looks_like_hub_id
from tiregistry.errors import FileMissing, HubError, InvalidInput
from tiregistry.text import safe

if TYPE_CHECKING:
    from PIL.Image import Image

    from tiregistry.evaluation.measures import Features

CLIP = "openai/clip-vit-base-patch32"
"""The paper's judge."""
DINO = "facebook/dino-vits16"
"""The usual judge of subject fidelity (Ruiz et al. 2023): trained on pictures alone, it tells individuals apart."""


class PictureJudge(Protocol):
    """Turns pictures into features that can be compared.

    Attributes:
        name: how measurements call it.
        digest: what tells it from other weights of the same name.
    """

    name: str
    digest: str

    def pictures(self, pictures: Sequence[Image]) -> Features:
        """Features of the centre squares."""


class Judge(PictureJudge, Protocol):
    """Turns pictures and texts into features of one space."""

    def texts(self, texts: Sequence[str]) -> Features:
        """Features of texts; longer ones are cut to the judge's window."""


@dataclass(frozen=True, slots=True)
class PictureJudgeSource:
    """A judge of pictures that was found but not loaded. `where` is a folder, or a Hub id."""

    name: str
    where: str
    is_folder: bool = False
    """A folder that a user named: others may be called alike, so its weights become part of the judge's name."""

    def open(self, device: str = "cpu") -> PictureJudge:
        """Load it.

        Raises:
            HubError: it is on the Hub, which cannot be reached.
            InvalidInput: it is no such model, or damaged.
        """
        return _opened(_Dino, self, device, "--dino-model")


@dataclass(frozen=True, slots=True)
class JudgeSource(PictureJudgeSource):
    """A judge of pictures and texts that was found but not loaded: a base model's own towers, or a CLIP."""

    has_towers: bool = False

    def open(self, device: str = "cpu") -> Judge:
        """Load it; raises as `PictureJudgeSource.open` does."""
        read: Callable[[JudgeSource, str], Judge] = _Towers if self.has_towers else _Clip
        return _opened(read, self, device, "--clip", f"; --clip {EMBEDDED} judges pictures of the embedded base model")


Source = TypeVar("Source", bound=PictureJudgeSource)
Opened = TypeVar("Opened", bound=PictureJudge)


def _opened(
    read: Callable[[Source, str], Opened], source: Source, device: str, option: str, offline_hint: str = ""
) -> Opened:
    from safetensors import SafetensorError

    from tiregistry.bases.quiet import quiet_libraries

    with quiet_libraries():
        try:
            judge = read(source, device)
        except (OSError, ValueError, RuntimeError, KeyError, ImportError, SafetensorError) as error:
            where = safe(source.where)
            if looks_like_hub_id(source.where):
                why = "HF_HUB_OFFLINE is set" if _is_offline() else "it cannot be got from the Hub"
                hint = f"give a folder that holds one with {option} FOLDER{offline_hint}"
                raise HubError(f"{where} is not on this disk and {why}", hint) from error
            reason = safe((str(error).strip().splitlines() or [type(error).__name__])[0], limit=160)
            hint = f"name another with {option}"
            raise InvalidInput(f"{where} cannot be used as a judge: {reason}", hint) from error
    if source.is_folder:
        judge.name = f"{source.name}-{judge.digest[7:13]}"
    return judge


def find_judge(wanted: str, base_name: str, base_source: str, base_folder: Path) -> JudgeSource:
    """The judge a user means, without loading anything.

    Args:
        wanted: `embedded`, a Hub id, a folder; `auto` or nothing takes the base model's own towers where it has them,
            else the paper's CLIP.

    Raises:
        FileMissing, InvalidInput: nothing is there, or no CLIP.
    """
    if wanted in ("", "auto"):
        if has_vision(base_folder):
            return JudgeSource(EMBEDDED if base_source == EMBEDDED else base_name, str(base_folder), has_towers=True)
        wanted = CLIP
    if wanted == EMBEDDED:
        return JudgeSource(EMBEDDED, str(embedded_folder()), has_towers=True)
    path = Path(wanted).expanduser()
    if looks_like_hub_id(wanted):
        return JudgeSource(wanted, wanted)
    if not path.is_dir():
        raise FileMissing(f"there is no judge {safe(wanted)!r}", f"a Hub id such as {CLIP}, a folder, or {EMBEDDED}")
    if has_vision(path):
        return JudgeSource(path.name, str(path), is_folder=True, has_towers=True)
    if "clip" not in _model_type(path):
        raise InvalidInput(
            f"{safe(path)} holds no CLIP model", f"it needs a config.json of a CLIP, or {VISION_PARTS[0]}"
        )
    return JudgeSource(path.name, str(path), is_folder=True)


def find_dino(wanted: str) -> PictureJudgeSource:
    """The picture judge a user means.

    Raises:
        FileMissing: no such folder.
    """
    if looks_like_hub_id(wanted):
        return PictureJudgeSource(wanted, wanted)
    folder = Path(wanted).expanduser()
    if not folder.is_dir():
        raise FileMissing(f"there is no model {safe(wanted)!r}", f"a Hub id such as {DINO}, or a folder")
    return PictureJudgeSource(folder.name, str(folder), is_folder=True)


def _is_offline() -> bool:
    # The libraries look at it once, when they are imported, and then try a switched-off network again and again.
    return os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes", "on")


def _model_type(folder: Path) -> str:
    try:
        return str(json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type", ""))
    except (OSError, ValueError, AttributeError):
        return ""


class _Towers:
    """A base model's own text encoder and vision tower."""

    def __init__(self, source: JudgeSource, device: str) -> None:
        import torch
        from transformers import CLIPTextModel, CLIPTokenizer

        from tiregistry.bases.clip_space import ClipSpace

        folder = Path(source.where)
        text: Any = CLIPTextModel.from_pretrained(folder, subfolder="text_encoder", dtype=torch.float32)
        self._tokenizer = _checked(CLIPTokenizer.from_pretrained(folder, subfolder="tokenizer"), source)
        self._space = ClipSpace(text.requires_grad_(False).eval().to(device), self._tokenizer, folder)
        self._device, self._window = device, int(text.config.max_position_embeddings)
        self.name = source.name
        self.digest = _digest([*text.parameters(), *self._space.picture_parameters()])

    def pictures(self, pictures: Sequence[Image]) -> Features:
        return _unit(self._space.picture_features(pictures))

    def texts(self, texts: Sequence[str]) -> Features:
        import torch

        with torch.no_grad():
            return _unit(self._space.text_features(_ids(self._tokenizer, texts, self._window).to(self._device)))


class _Clip:
    """A CLIP model of transformers."""

    def __init__(self, source: JudgeSource, device: str) -> None:
        import torch
        from transformers import CLIPModel, CLIPTokenizer

        from tiregistry.bases.clip_space import normalisation

        # Weights in a pickle are read by torch's restricted loader, which runs nothing.
        model: Any = CLIPModel.from_pretrained(source.where, dtype=torch.float32, local_files_only=_is_offline())
        self._model = model.requires_grad_(False).eval().to(device)
        tokenizer = CLIPTokenizer.from_pretrained(source.where, local_files_only=_is_offline())
        self._tokenizer = _checked(tokenizer, source)
        self._device = device
        self._mean, self._std = normalisation(Path(source.where))
        self.name = source.name
        self.digest = _digest(model.parameters())

    def pictures(self, pictures: Sequence[Image]) -> Features:
        import torch

        from tiregistry.bases.clip_space import picture_tensor

        side = int(self._model.config.vision_config.image_size)
        with torch.no_grad():
            seen = self._model.vision_model(picture_tensor(pictures, side, self._mean, self._std).to(self._device))
            return _unit(self._model.visual_projection(seen.pooler_output))

    def texts(self, texts: Sequence[str]) -> Features:
        import torch

        window = int(self._model.config.text_config.max_position_embeddings)
        with torch.no_grad():
            read = self._model.text_model(_ids(self._tokenizer, texts, window).to(self._device))
            return _unit(self._model.text_projection(read.pooler_output))


class _Dino:
    """A vision transformer trained on pictures alone; its feature is the class token's last state."""

    def __init__(self, source: PictureJudgeSource, device: str) -> None:
        import torch
        from transformers import AutoModel

        from tiregistry.bases.clip_space import normalisation

        model: Any = AutoModel.from_pretrained(source.where, dtype=torch.float32, local_files_only=_is_offline())
        self._model = model.requires_grad_(False).eval().to(device)
        self._device = device
        imagenet = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
        self._mean, self._std = normalisation(Path(source.where), *imagenet)
        patch = int(model.config.patch_size)
        # DINOv2 was finished at 518 pixels, but is used at 224, the next multiple of its patches.
        self._side = min(int(model.config.image_size), 224) // patch * patch
        self.name = source.name
        self.digest = _digest(model.parameters())

    def pictures(self, pictures: Sequence[Image]) -> Features:
        import torch

        from tiregistry.bases.clip_space import picture_tensor

        with torch.no_grad():
            seen = self._model(picture_tensor(pictures, self._side, self._mean, self._std).to(self._device))
            return _unit(seen.last_hidden_state[:, 0])


def _checked(tokenizer: Any, source: JudgeSource) -> Any:
    """The tokenizer, if it can tell words apart: transformers makes an empty one where its files are missing."""
    one, other = (tokenizer(text, add_special_tokens=False)["input_ids"] for text in ("a", "b"))
    if one == other:
        raise InvalidInput(
            f"{safe(source.where)} cannot be used as a judge: its tokenizer knows no words",
            "vocab.json and merges.txt, or tokenizer.json, belong beside the weights",
        )
    return tokenizer


def _ids(tokenizer: Any, texts: Sequence[str], window: int) -> Any:
    encoded = tokenizer(
        list(texts), padding="max_length", max_length=window, truncation=True, return_tensors="pt", verbose=False
    )
    return encoded["input_ids"]


def _unit(features: Any) -> Features:
    from tiregistry.evaluation.measures import unit

    return unit(features.float().cpu().numpy())


def _digest(parameters: Any) -> str:
    """Identity of weights, from every tensor's shape and a sample of its values: telling models apart, not proof."""
    hasher = hashlib.sha256()
    for parameter in parameters:
        flat = parameter.detach().float().cpu().reshape(-1)
        hasher.update(repr(tuple(parameter.shape)).encode())
        hasher.update(flat[:: max(1, flat.numel() // 64)].numpy().tobytes())
    return "sha256:" + hasher.hexdigest()
