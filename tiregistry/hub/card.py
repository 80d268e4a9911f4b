"""Renders the model card: the fields that the Hub searches by and the text that people read.

The front matter follows the Hub's documentation of model cards: `tags: [textual_inversion]` chooses the snippet with
`load_textual_inversion`, `base_model` with the relation `adapter` puts the word under its model.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tiregistry.bases.locating import EMBEDDED
from tiregistry.captions import example_prompt
from tiregistry.hub.endpoints import slug
from tiregistry.hub.shared_word import SharedWord
from tiregistry.quantities import count
from tiregistry.text import safe

# Identifiers that the Hub accepts as `license`; anything else is `other` with a name.
_LICENCES = """
apache-2.0 mit openrail creativeml-openrail-m openrail++ bigscience-openrail-m afl-3.0 artistic-2.0 bsl-1.0 cc cc0-1.0
cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nd-4.0
cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 gpl gpl-2.0 gpl-3.0 lgpl lgpl-3.0
agpl-3.0 bsd bsd-2-clause bsd-3-clause wtfpl unlicense pddl unknown other
"""
_FAMILY_TAGS = {
    "sd1": ("stable-diffusion", "stable-diffusion-diffusers"),
    "sd2": ("stable-diffusion", "stable-diffusion-diffusers"),
    "sdxl": ("stable-diffusion-xl", "stable-diffusion-xl-diffusers"),
    "sd3": ("sd3", "sd3-diffusers"),
    "flux": ("flux", "flux-diffusers"),
}
_PIPELINES = {"sdxl": "StableDiffusionXLPipeline", "sd3": "StableDiffusion3Pipeline", "flux": "FluxPipeline"}
_SETTINGS = ("recipe", "initializer", "num_vectors", "learning_rate", "batch_size", "resolution", "seed")

FIELDS = (
    "license", "license_name", "license_link", "library_name", "pipeline_tag", "base_model", "base_model_relation",
    "tags", "instance_prompt", "widget", "tireg",
)  # fmt: skip
"""The keys of the front matter that say something of the word; others are the repository's."""


def front_matter(word: SharedWord) -> dict[str, Any]:
    """The card's metadata; keys without a value are left out."""
    family = _family(word)
    # The embedded model is built like Stable Diffusion, but nobody who looks for words for that one can use its words.
    models = () if _is_embedded(word) else _FAMILY_TAGS.get(family, ())
    tags = ["textual_inversion", "diffusers", "text-to-image", *models, "tireg"]
    fields: dict[str, Any] = {
        **_licence(word.licence),
        "library_name": "diffusers",
        "pipeline_tag": "text-to-image",
        "base_model": word.base_model or None,
        "base_model_relation": "adapter" if word.base_model else None,
        "tags": list(dict.fromkeys([*tags, str(word.manifest["concept_type"]), *_own_tags(word)])),
        "instance_prompt": _prompt(word),
        "widget": [{"text": _prompt(word), "output": {"url": path}} for path in word.previews[:4]] or None,
        "tireg": {
            "token": word.placeholder_token,
            "version": word.number,
            "digest": word.digest,
            # What a search by name compares; a base model of the Hub stands in `base_model`.
            **({"tags": _own_tags(word)} if word.tags else {}),
            **({"base": safe(word.base_name, limit=200)} if word.base_name and not word.base_model else {}),
        },
    }
    return {key: value for key, value in fields.items() if value is not None}


def body(word: SharedWord, repo_id: str) -> str:
    """The card's text in Markdown, without front matter."""
    parts = [
        f"# {_plain(word.name)}",
        _about(word),
        _plain(word.description, multiline=True),
        _gallery(word),
        "## Use it",
        _in_tireg(word, repo_id),
        _in_diffusers(word, repo_id),
        _in_others(word),
        "## How it was learned",
        _record(word),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _own_tags(word: SharedWord) -> list[str]:
    """The owner's tags as the Hub takes them; a tag with a colon would say something else there."""
    return [tag for tag in word.tags if tag and ":" not in tag and safe(tag, limit=64) == tag]


def _family(word: SharedWord) -> str:
    base = word.manifest["base"]
    return str(base.get("family", "")) if isinstance(base, Mapping) else ""


def _is_embedded(word: SharedWord) -> bool:
    """Whether the word belongs to the small base model that comes with tireg."""
    return word.base_name == EMBEDDED and not word.base_model


def _prompt(word: SharedWord) -> str:
    return example_prompt(word.manifest["concept_type"], word.placeholder_token)


def _licence(licence: str) -> dict[str, Any]:
    """The Hub's three fields for a licence; nothing at all when the owner has not chosen one."""
    if not licence:
        return {}
    if licence.lower() in _LICENCES.split():
        return {"license": licence.lower()}
    fields = {"license": "other", "license_name": slug(safe(licence, limit=80)).lower()}
    return fields | ({"license_link": licence} if re.fullmatch(r"https?://[!-~]{1,190}", licence) else {})


def licence_of(word: SharedWord, fields: Mapping[str, Any]) -> str:
    """The licence that the card says, where somebody changed it there since it was written; else the word's own.

    Args:
        word: what `tireg.json` beside the card says.
        fields: front matter of the card.
    """
    stated = {key: fields[key] for key in ("license", "license_name", "license_link") if key in fields}
    licence = stated.get("license")
    if not isinstance(licence, str) or stated == _licence(word.licence):
        return word.licence
    if licence == "other":
        named = (stated.get("license_name"), stated.get("license_link"))
        licence = next((text for text in named if isinstance(text, str) and text), licence)
    return safe(licence, limit=200).strip() or word.licence


def _about(word: SharedWord) -> str:
    vectors = max(int(part["shape"][0]) for part in word.manifest["embedding"].values())
    base = word.base_model or word.base_name
    shown = f"[{base}](https://huggingface.co/{base})" if word.base_model else _plain(base)
    if _is_embedded(word):
        shown = "the small base model inside [tireg](https://pypi.org/project/tiregistry/)"
    return (
        f"The {word.manifest['concept_type']} {_code(word.placeholder_token)}, taught to a frozen text-to-image model "
        f"with [Textual Inversion](https://textual-inversion.github.io/): {count(vectors, 'vector')}"
        + (f" for {shown}" if shown else "")
        + f". This is version {word.number}."
    )


def _gallery(word: SharedWord) -> str:
    """Previews first, because they show what the word does; then what it was learned from."""
    parts = []
    for title, paths in (("Pictures made with it", word.previews), ("Learned from", [p.path for p in word.pictures])):
        if paths:
            cells = "".join(f'<img src="{path}" width="24%"> ' for path in paths[:12])
            parts.append(f"**{title}**\n\n{cells.rstrip()}")
    return "\n\n".join(parts)


def _in_tireg(word: SharedWord, repo_id: str) -> str:
    name = f'"{word.placeholder_token}"' if word.placeholder_token.isascii() else "the word"
    prompt = _prompt(word).replace('"', "")
    return f'**tireg**\n\n```sh\ntireg pull {repo_id}\ntireg gen "{prompt}"   # {name} is the word\n```'


def _in_diffusers(word: SharedWord, repo_id: str) -> str:
    roles = set(word.manifest["embedding"])
    family = _family(word) or ("sdxl" if roles == {"clip_l", "clip_g"} else "")
    pipeline = _PIPELINES.get(family, "StableDiffusionPipeline")
    base = f'"{word.base_model or "path/to/the/base/model"}"'
    lines = [f"from diffusers import {pipeline}"]
    if _is_embedded(word):
        base = "embedded_folder()"
        lines.append("from tiregistry.bases.locating import embedded_folder")
    lines += ["", f"pipe = {pipeline}.from_pretrained({base})"]
    if roles == {"clip_l", "clip_g"}:
        lines += [
            f'pipe.load_textual_inversion("{repo_id}", use_safetensors=True)',
            f'pipe.load_textual_inversion("{repo_id}", weight_name="learned_embeds_2.safetensors",',
            "                            text_encoder=pipe.text_encoder_2, tokenizer=pipe.tokenizer_2)",
        ]
    elif len(roles) == 1 and "t5" not in roles:
        lines.append(f'pipe.load_textual_inversion("{repo_id}", use_safetensors=True)')
    else:
        return ""
    lines.append(f"image = pipe({_prompt(word)!r}).images[0]")
    return "**diffusers**\n\n```python\n" + "\n".join(lines) + "\n```"


def _in_others(word: SharedWord) -> str:
    if _is_embedded(word):
        return "ComfyUI and A1111 cannot use it: its base model is not one of theirs."
    name = slug(word.name)
    roles = set(word.manifest["embedding"])
    file = next((f for f in word.files if f == f"{name}.safetensors"), "learned_embeds.safetensors")
    rename = "" if file.startswith(name) else f" as `{name}.safetensors`"
    note = f" (this file holds {'both' if len(roles) == 2 else 'all'} text encoders)" if len(roles) > 1 else ""
    comfy = (
        f"**ComfyUI**: save `{file}`{note}{rename} in `models/embeddings`, then write `embedding:{name}` in the prompt."
    )
    if "t5" in roles:
        return comfy  # A1111 reads no file with T5's vectors
    return f"{comfy}\n\n**A1111**, Forge: save `{file}`{rename} in `embeddings`, then write `{name}` in the prompt."


def _record(word: SharedWord) -> str:
    """A table of what is known of its making."""
    training = word.manifest["training"] or {}
    rows = {key.replace("_", " "): training.get(key) for key in _SETTINGS}
    rows["steps"] = word.record.get("steps", training.get("max_steps"))
    rows["pictures"] = len(word.manifest["images"]) or None
    rows["seconds"] = round(word.record["seconds"]) if "seconds" in word.record else None
    rows |= {f"score: {_plain(name)}": f"{value:.4g}" for name, value in word.scores.items()}
    rows["version"] = f"`{word.digest}`"
    lines = [
        f"| {key} | {value if key == 'version' else _cell(value)} |"
        for key, value in rows.items()
        if value not in (None, "", [])
    ]
    parents = [f"- {p['relation']} `{safe(p['digest'], limit=80)}`" for p in word.manifest["parents"]]
    made_from = "\n\nMade from:\n\n" + "\n".join(parents) if parents else ""
    return "| | |\n|---|---|\n" + "\n".join(lines) + made_from


def _cell(value: object) -> str:
    return _plain(str(value)) if not isinstance(value, float) else f"{value:g}"


def _code(text: str) -> str:
    """Text as inline code; the word's own brackets must not be read as HTML."""
    return f"`{safe(text, limit=100).replace('`', chr(39))}`"


def _plain(text: str, *, multiline: bool = False) -> str:
    """Text that Markdown shows as it is: no HTML, links or comments of its own."""
    shown = safe(text, limit=20_000, multiline=multiline).replace("&", "&amp;").replace("<", "&lt;")
    return shown if multiline else re.sub(r"([\\`*_\[\]|#])", r"\\\1", shown)
