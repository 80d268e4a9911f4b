"""Writes an embedding into a PNG twice, as A1111 does: a text chunk and the low bits beside a preview picture."""

from __future__ import annotations

import base64
import io
import json
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tiregistry.embeddings.containers.picture import CHUNK, Pixels, xor_key

if TYPE_CHECKING:
    from PIL.Image import Image

_SMALLEST, _LARGEST = 256, 1024


def write_picture_embedding(document: Mapping[str, Any], preview: Image | None, title: str = "") -> bytes:
    """A PNG that carries `document`.

    Args:
        document: nested dicts of text, numbers, None and float32 arrays `[num_vectors, dim]`.
        preview: the picture to show in the middle; None makes a card with the title.
        title: what the card says, safe to show.
    """
    from PIL import Image as Pillow
    from PIL.PngImagePlugin import PngInfo

    plain = json.loads(json.dumps(document, default=_tensor))
    text = json.dumps(plain).encode()
    first = next(_arrays(document))
    middle = np.asarray(_fitted(preview) if preview is not None else _card(title))
    height = middle.shape[0]
    gap = np.zeros((height, 1, 3), np.uint8)
    low, high = _blocks(text, height, first)
    picture = Pillow.fromarray(np.concatenate([low, gap, middle, gap, high], axis=1))
    info = PngInfo()
    info.add_text(CHUNK, base64.b64encode(text).decode("ascii"))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


def _tensor(value: Any) -> Any:
    return {"TORCHTENSOR": np.asarray(value, dtype=np.float32).tolist()}


def _arrays(document: Mapping[str, Any]) -> Any:
    for value in document.values():
        if isinstance(value, np.ndarray):
            yield value
        elif isinstance(value, Mapping):
            yield from _arrays(value)


def _fitted(preview: Image) -> Image:
    """The preview at a size at which blocks stay narrow and every viewer shows it."""
    picture = preview.convert("RGB")
    scale = min(max(_SMALLEST / min(picture.size), 1.0), _LARGEST / max(picture.size))
    if scale == 1.0:
        return picture
    return picture.resize((max(1, round(picture.width * scale)), max(1, round(picture.height * scale))))


def _card(title: str) -> Image:
    """A plain card with the title, as large as fits; never black, which would be taken for the border of a block."""
    from PIL import Image as Pillow
    from PIL import ImageDraw

    from tiregistry.graphics.lettering import font, legible

    card = Pillow.new("RGB", (512, 512), (34, 40, 52))
    draw = ImageDraw.Draw(card)
    for size in range(72, 11, -4):
        letters = font(size, [title])
        if draw.textlength(legible(title, letters), letters) <= 464:
            break
    draw.text((256, 256), legible(title, letters), (236, 232, 220), letters, anchor="mm")
    return card


def _blocks(text: bytes, height: int, vectors: np.ndarray[Any, Any]) -> tuple[Pixels, Pixels]:
    """The left block (low nibbles) and the right one, `[height, width, 3]`.

    A column whose hidden nibbles all happen to be zero would be taken for the black column beside the picture, so the
    text is packed again with one more space behind it until no column is.
    """
    for spaces in range(64):
        packed = np.frombuffer(zlib.compress(text + b" " * spaces, 9), np.uint8)
        size = -(-len(packed) // (height * 3)) * height * 3
        padded = np.resize(packed, size)
        key = xor_key(size)
        shape = (height, size // (height * 3), 3)
        low: Pixels = ((padded & 0x0F) ^ key).reshape(shape).astype(np.uint8)
        high: Pixels = ((padded >> 4) ^ key).reshape(shape).astype(np.uint8)
        if low.any(axis=(0, 2)).all() and high.any(axis=(0, 2)).all():
            break
    decoration = _decoration(vectors, shape)
    return np.bitwise_or(low, decoration), np.bitwise_or(high, decoration)


def _decoration(vectors: np.ndarray[Any, Any], shape: tuple[int, int, int]) -> Pixels:
    """The visible high bits, 1 to 15 so that no edge of a block is black and cropped away."""
    values = np.abs(np.asarray(vectors[0], dtype=np.float64))
    rows = np.interp(np.linspace(0, len(values) - 1, shape[0]), np.arange(len(values)), values)
    level = 16 + 16 * np.floor(14 * rows / max(float(rows.max()), 1e-12))
    return np.broadcast_to(level.astype(np.uint8)[:, None, None], shape)
