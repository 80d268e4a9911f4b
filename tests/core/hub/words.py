"""Words with real pictures, small and different by seed."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, PngImagePlugin

from tiregistry.concepts import BaseModel, Fingerprint, NewVersion, Parent, SourceImage
from tiregistry.embeddings.embedding import Embedding
from tiregistry.registry.handles import RegisteredVersion
from tiregistry.registry.registry import Registry

SD15 = Fingerprint("sd1", "sha256:" + "1" * 64, "sha256:" + "2" * 64, "sha256:" + "3" * 64)
SDXL = Fingerprint("sdxl", "sha256:" + "4" * 64, "sha256:" + "5" * 64, "sha256:" + "6" * 64)
BASE = "stable-diffusion-v1-5/stable-diffusion-v1-5"
SECRET = "52 degrees north, Mrs Miller's garden"


def photo(seed: int = 0, kind: str = "JPEG", *, secret: bool = True) -> bytes:
    """A picture as a phone makes it, with place, camera and a comment unless `secret` is False."""
    picture = Image.fromarray(np.random.default_rng(seed).integers(0, 255, (48, 64, 3), dtype=np.uint8))
    buffer = io.BytesIO()
    if not secret:
        picture.save(buffer, kind)
        return buffer.getvalue()
    exif = Image.Exif()
    exif[0x010E], exif[0x0110], exif[0x0112] = SECRET, "Camera 1", 6
    exif.get_ifd(0x8825).update({1: "N", 2: (52.0, 30.0, 1.0)})
    options: dict[str, object] = {"exif": exif}
    if kind == "JPEG":
        options["comment"] = SECRET.encode()
    if kind == "PNG":
        text = PngImagePlugin.PngInfo()
        text.add_text("Author", SECRET)
        options["pnginfo"] = text
    if kind == "WEBP":
        options["xmp"] = f"<x>{SECRET}</x>".encode()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def vectors(seed: int = 0, count: int = 1, **dims: int) -> Embedding:
    """Random vectors: `clip_l` of width 768 unless encoders are named with their widths."""
    rng = np.random.default_rng(seed)
    return Embedding({k: rng.normal(size=(count, d)).astype(np.float32) for k, d in (dims or {"clip_l": 768}).items()})


def learn(
    registry: Registry,
    seed: int = 0,
    name: str = "gnome",
    *,
    embedding: Embedding | None = None,
    fingerprint: Fingerprint | None = SD15,
    parents: tuple[Parent, ...] = (),
    secret: bool = True,
    pictures: int = 2,
    token: str = "",
    concept_type: str = "object",
    base_name: str = "",
) -> RegisteredVersion:
    """Register a word as training does; its base model is known by its Hub id."""
    if fingerprint == SD15:
        registry.add_base(BaseModel("sd15", BASE, SD15))
    images = []
    for number in range(pictures):
        data = photo(seed * 10 + number, secret=secret)
        images.append(SourceImage(registry.blobs.add(data), f"IMG_mrs_miller_{number}.jpg", 64, 48, f"view {number}"))
    preview = registry.blobs.add(photo(1000 + seed, "PNG", secret=False))
    return registry.add_version(
        NewVersion(
            concept=name,
            placeholder_token=token or f"<{name}>",
            concept_type=concept_type,  # type: ignore[arg-type]
            origin="trained",
            fingerprint=fingerprint,
            base_name="sd15" if fingerprint == SD15 else base_name,
            images=tuple(images),
            training={"seed": seed, "learning_rate": 0.02, "initializer": "gnome", "recipe": "direction"},
            parents=parents,
            record={"loss": [0.5, 0.25, 0.125], "steps": 3, "seconds": 1.5, "device": "cuda:0 of mrs miller"},
            attachments={"preview/0003.png": preview},
            description="A garden gnome.",
            licence="cc-by-4.0",
        ),
        embedding or vectors(seed),
    )


def learn_history(registry: Registry, versions: int = 3, name: str = "gnome") -> list[RegisteredVersion]:
    """Several versions, each continued from the one before."""
    found: list[RegisteredVersion] = []
    for seed in range(versions):
        parents = (Parent(found[-1].digest, "continued"),) if found else ()
        found.append(learn(registry, seed, name, parents=parents))
    return found
