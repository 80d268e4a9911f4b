"""Which model families vectors may belong to, told by encoder roles, widths and what the file says about itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tiregistry.embeddings.found import Candidate

WIDTHS = {768: "clip_l", 1024: "clip_h", 1280: "clip_g", 4096: "t5"}
"""Width of a token embedding to the encoder that has it, when the file names no encoder."""
USUAL = {"clip_l": 768, "clip_h": 1024, "clip_g": 1280, "t5": 4096}

# Short hashes of well-known checkpoints as the A1111 web UI records them in `sd_checkpoint`.
CHECKPOINTS = {
    "7460a6fa": ("sd1", "Stable Diffusion 1.4"),
    "81761151": ("sd1", "Stable Diffusion 1.5 (emaonly)"),
    "cc6cb27103": ("sd1", "Stable Diffusion 1.5 (emaonly)"),
    "6ce0161689": ("sd1", "Stable Diffusion 1.5 (emaonly)"),
    "a9263745": ("sd1", "Stable Diffusion 1.5 (pruned)"),
    "925997e9": ("sd1", "NovelAI anime"),
    "09dd2ae4": ("sd2", "Stable Diffusion 2.0 base"),
    "2c02b20a": ("sd2", "Stable Diffusion 2.0"),
    "4bdfc29c": ("sd2", "Stable Diffusion 2.1"),
    "ad2a33c361": ("sd2", "Stable Diffusion 2.1"),
    "31e35c80fc": ("sdxl", "SDXL base 1.0"),
}

_ARCHITECTURES = (
    ("stable-diffusion-xl", "sdxl"),
    ("stable-diffusion-v1", "sd1"),
    ("stable-diffusion-v2", "sd2"),
    ("stable-diffusion-3", "sd3"),
    ("stable-diffusion-v3", "sd3"),
    ("flux", "flux"),
)


def role_of_width(dim: int) -> str:
    """The encoder role of a single tensor: by width, `clip_l` when no known encoder has it."""
    return WIDTHS.get(dim, "clip_l")


def candidates(dims: Mapping[str, int], details: Mapping[str, str], named: bool) -> tuple[Candidate, ...]:
    """Family candidates, best first.

    Args:
        dims: encoder role to width.
        details: the file's metadata (`modelspec.architecture`, `sd_checkpoint`, `sd_checkpoint_name`, …).
        named: whether the file itself named the encoders.
    """
    from tiregistry.embeddings.found import Candidate

    stated, widths = _stated(details), _by_width(dims, named)
    against = contradicted(dims, details)
    agreed = [candidate for candidate in stated if candidate.family not in against]
    # A statement that the widths allow decides between the families that share them.
    is_decided = any(candidate.family != "unknown" for candidate in agreed)
    found = [*agreed, *(candidate for candidate in widths if not is_decided)]
    found += [Candidate(c.family, f"{c.evidence}, which the width contradicts") for c in stated if c.family in against]
    unique: dict[str, Candidate] = {}
    for candidate in found:
        unique.setdefault(candidate.family, candidate)
    return tuple(unique.values())


def contradicted(dims: Mapping[str, int], details: Mapping[str, str]) -> set[str]:
    """The families that the file states though its vectors have the widths of others."""
    by_width = {candidate.family for candidate in _by_width(dims, True)}
    if by_width & {"unknown", "ldm"} == by_width or "tireg.base_name" in details:
        return set()
    return {candidate.family for candidate in _stated(details)} - by_width


def _stated(details: Mapping[str, str]) -> list[Candidate]:
    from tiregistry.embeddings.found import Candidate

    found: list[Candidate] = []
    architecture = details.get("modelspec.architecture", "")
    for prefix, family in _ARCHITECTURES:
        if architecture.lower().startswith(prefix):
            found.append(Candidate(family, f"modelspec.architecture is {architecture}"))
    checkpoint = details.get("sd_checkpoint", "").lower()
    if checkpoint in CHECKPOINTS:
        family, title = CHECKPOINTS[checkpoint]
        found.append(Candidate(family, f"checkpoint hash {checkpoint} is {title}"))
    if name := details.get("tireg.base_name", ""):
        found.append(Candidate(details.get("tireg.family", "unknown"), f"exported by tireg from the base model {name}"))
    return found


def why_no_word(encoders: Iterable[str]) -> str:
    """Why vectors of these encoder roles can stand in no prompt, as a sentence's end; empty when they can."""
    roles = list(encoders)
    if any("." in role for role in roles):
        return "it has one vector per attention layer (P+/XTI), which only its own pipeline can use"
    if "bert" in roles:
        return "it belongs to the first latent diffusion model (LDM-BERT), which is not supported"
    foreign = [role for role in roles if role not in USUAL]
    return f"no supported model family has the encoder {', '.join(foreign)}" if foreign else ""


def base_role(encoder: str) -> str:
    """The encoder that vectors belong to: `clip_l` also for those of one attention layer (`clip_l.IN01`)."""
    return encoder.partition(".")[0]


def _by_width(dims: Mapping[str, int], named: bool) -> list[Candidate]:
    from tiregistry.embeddings.found import Candidate

    layers = {base_role(encoder): dim for encoder, dim in dims.items() if "." in encoder}
    if len(layers) == 1:
        ((role, dim),) = layers.items()
        family = "sd1" if USUAL.get(role) == dim else "unknown"
        return [Candidate(family, f"one vector of width {dim} per attention layer of Stable Diffusion 1 (P+/XTI)")]
    widths = ", ".join(f"{role} {dim}" if named or len(dims) > 1 else f"width {dim}" for role, dim in dims.items())
    if any(USUAL.get(role, dim) != dim for role, dim in dims.items()):
        return [Candidate("unknown", widths)]
    roles = frozenset(dims)
    if roles == {"clip_l"}:
        flux = Candidate("flux", f"{widths} is also Flux's CLIP-L")
        sd1 = Candidate("sd1", f"{widths} is CLIP-L, Stable Diffusion 1's only encoder")
        half = Candidate("sdxl", f"{widths} may be half of an SDXL pair")
        return [sd1, flux, half]
    table = {
        frozenset({"clip_h"}): [("sd2", "is OpenCLIP-H, Stable Diffusion 2's encoder")],
        frozenset({"clip_g"}): [("sdxl", "is OpenCLIP-G, half of an SDXL pair"), ("ldm", "is also LDM-BERT's width")],
        frozenset({"bert"}): [("ldm", "is LDM-BERT, the encoder of the first latent diffusion models")],
        frozenset({"t5"}): [("flux", "is T5-XXL"), ("sd3", "is T5-XXL")],
        frozenset({"clip_l", "clip_g"}): [("sdxl", "are SDXL's two encoders"), ("sd3", "are two of SD 3's encoders")],
        frozenset({"clip_l", "t5"}): [("flux", "are Flux's two encoders")],
        frozenset({"clip_l", "clip_g", "t5"}): [("sd3", "are Stable Diffusion 3's three encoders")],
    }
    return [Candidate(family, f"{widths} {why}") for family, why in table.get(roles, [])] or [
        Candidate("unknown", widths)
    ]
