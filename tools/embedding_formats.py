"""The table in docs/formats.md: what each embedding format looks like, whether it is read and written, what proves it.

`python -m tools.embedding_formats` rewrites the part of the page between the marks; a test checks that it is current.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tiregistry.embeddings.writing import WRITERS

PAGE = Path(__file__).resolve().parents[1] / "docs" / "formats.md"
BEGIN, END = "<!-- formats: written by tools/embedding_formats.py -->", "<!-- end of formats -->"


@dataclass(frozen=True, slots=True)
class Format:
    """One way in which programs save learned vectors.

    Attributes:
        id: what `tireg import` reports; `tireg export --format` where `writes` is set.
        producer: who writes such files.
        files: containers and usual file names.
        layout: keys and shapes; k is the number of vectors, d the width.
        read: `yes`, or what happens instead.
        proven: what the tests check it with.
        writes: ids of `WRITERS` that give this layout.
    """

    id: str
    producer: str
    files: str
    layout: str
    read: str
    proven: str
    writes: tuple[str, ...] = ()


_LOAD_TI = "diffusers `load_textual_inversion` on tiny pipelines, bit-equal rows"
_TORCH = "torch's own `torch.save` / `torch.load`"
_FACTS = "facts of the layout, stated in the test"

FORMATS: tuple[Format, ...] = (
    Format(
        "diffusers",
        "diffusers, DTI, most trainers",
        "`learned_embeds.safetensors`, `.bin`, `.pt`",
        "placeholder token → [k, d]",
        "yes",
        f"{_LOAD_TI} (sd1, sd2)",
        ("diffusers", "diffusers-bin"),
    ),
    Format(
        "diffusers-1d",
        "diffusers until 2023, invokeai-ti, the concept library",
        "`.bin`",
        "placeholder token → [d]",
        "yes",
        f"{_LOAD_TI}; {_TORCH}",
        ("invokeai",),
    ),
    Format(
        "diffusers-pair",
        "diffusers' SDXL trainer",
        "`learned_embeds*` and `learned_embeds_2*`",
        "the same placeholder token in both",
        "yes, as one word",
        f"{_LOAD_TI} (sdxl, both encoders)",
        ("diffusers",),
    ),
    Format(
        "sd-concepts",
        "the concept library's notebook",
        "folder: `learned_embeds.bin`, `token_identifier.txt`, `type_of_concept.txt`, `concept_images/`",
        "as diffusers-1d",
        "yes, with its pictures",
        f"{_LOAD_TI} on the folder",
        ("sd-concepts",),
    ),
    Format(
        "ldm",
        "the paper's code (rinongal)",
        "`embeddings.pt`, `embeddings_gs-N.pt`",
        "`string_to_token`, `string_to_param` (ParameterDict), no `name`; several words possible",
        "yes; LDM-BERT (1280) kept, not usable",
        f"{_TORCH}, zip and legacy",
    ),
    Format(
        "a1111",
        "A1111 web UI, Forge",
        "`name.pt`",
        "`string_to_token`, `string_to_param` {`*` → [k, d]}, `name`, `step`, `sd_checkpoint`, `sd_checkpoint_name`",
        "yes",
        f"diffusers `load_textual_inversion`; {_TORCH}; {_FACTS}: member names",
        ("a1111",),
    ),
    Format(
        "a1111-optimizer",
        "A1111 web UI",
        "`name.pt.optim`",
        "`hash`, `optimizer_state_dict`",
        "refused: no embedding; passed over in folders",
        _TORCH,
    ),
    Format(
        "a1111-png",
        "A1111 web UI",
        "`.png`",
        "text chunk `sd-ti-embedding`: base64 JSON, tensors as `TORCHTENSOR` lists",
        "yes (tEXt, zTXt, iTXt)",
        f"Pillow's PNG writer; {_FACTS}",
        ("a1111-png",),
    ),
    Format(
        "a1111-pixels",
        "A1111 web UI",
        "`.png`, `.webp` (lossless), `.avif`",
        "the same JSON, zlib-packed, in the low four bits of the outer blocks",
        "yes; JPEG XL is refused",
        f"a second, naive decoder in the tests, libavif's lossless encoder; {_FACTS}",
        ("a1111-png",),
    ),
    Format(
        "emb-params",
        "kohya, invoke-training, ai-toolkit",
        "`.safetensors`, `.pt`",
        "`emb_params` → [k, d]; kohya adds `modelspec.*`",
        "yes",
        "the reference safetensors reader; diffusers with `token=`",
        ("emb-params", "invokeai"),
    ),
    Format(
        "onetrainer", "OneTrainer for SD 1 and 2", "`.safetensors`", "`emp_params` → [k, d] (so spelt)", "yes", _FACTS
    ),
    Format(
        "output-space",
        "OneTrainer",
        "`.safetensors`",
        "`*_out` keys",
        "refused with the reason; beside a word's own vectors left out with a warning",
        _FACTS,
    ),
    Format(
        "sdxl",
        "kohya, OneTrainer, invoke-training, ai-toolkit, diffusers pivotal tuning",
        "`.safetensors`, `.pt`",
        "`clip_l` → [k, 768], `clip_g` → [k, 1280]",
        "yes",
        f"{_LOAD_TI} (sdxl, from the state dict)",
        ("sdxl", "comfyui", "invokeai"),
    ),
    Format(
        "sd3",
        "OneTrainer",
        "`.safetensors`",
        "`clip_l`, `clip_g`, `t5` or `t5xxl` → [k, 4096]",
        "yes",
        "the reference safetensors reader",
        ("sd3", "comfyui"),
    ),
    Format(
        "flux",
        "diffusers Flux pivotal tuning, OneTrainer",
        "`.safetensors`",
        "`clip_l`, `t5` or `t5xxl`",
        "yes",
        "the reference safetensors reader",
        ("flux", "comfyui"),
    ),
    Format(
        "encoder-keys",
        "ComfyUI, OneTrainer and others",
        "`.safetensors`, `.pt`, `.bin`",
        "any of `clip_l`, `clip_g`, `clip_h`, `t5`, `t5xxl`; others (`llama`, `gemma*`, `qwen*` …) kept, not usable",
        "yes",
        _FACTS,
        ("comfyui",),
    ),
    Format(
        "pti",
        "cog-sdxl, Replicate",
        "`embeddings.pti` (safetensors) + `special_params.json`",
        "`text_encoders_0`, `text_encoders_1`; the JSON maps tokens to rows",
        "yes, one word per token",
        _FACTS,
    ),
    Format(
        "lora-bundle",
        "OneTrainer",
        "LoRA `.safetensors`",
        "`bundle_emb.<name>.<encoder>`",
        "yes, without reading the LoRA",
        _FACTS,
    ),
    Format(
        "lora-tokens",
        "cloneofsimo/lora",
        "LoRA `.safetensors`",
        "`<s1>` … marked `<embed>` in the metadata",
        "yes",
        _FACTS,
    ),
    Format(
        "list-of-dicts", "various", "`.pt`, `.bin`", "[{key → tensor}, …]; rows of one width are joined", "yes", _TORCH
    ),
    Format("bare-tensor", "various", "`.pt`, `.bin`", "a tensor", "yes; the name comes from the file", _TORCH),
    Format(
        "multi-token",
        "Cross Initialization, multi-token trainers",
        "`.bin`",
        "one key per vector (`x_v0`, `x_v1`), or several placeholder tokens",
        "yes: numbered keys as one word, others as several",
        _TORCH,
    ),
    Format(
        "xti",
        "kohya XTI",
        "`.safetensors`",
        "16 layer names `IN01` … `OUT11`",
        "recognised and kept, not usable as a word",
        _FACTS,
    ),
    Format(
        "p-plus",
        "mkshing/prompt-plus-pytorch",
        "`.bin`",
        "`<token>-0` … `<token>-15`",
        "recognised and kept, not usable as a word",
        _TORCH,
    ),
    Format(
        "neti",
        "NeTI",
        "`learned_embeds.bin` beside `mapper*.pt`",
        "an untrained placeholder; the word is in the mapper",
        "refused with the reason",
        _FACTS,
    ),
)
"""Every format, in the order of the documentation."""


def table() -> str:
    """The formats as a Markdown table."""
    head = ("format", "written by", "files", "keys", "read", "`--format`", "proven with")
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for entry in FORMATS:
        written = ", ".join(f"`{name}`" for name in entry.writes) or "–"
        cells = (f"`{entry.id}`", entry.producer, entry.files, entry.layout, entry.read, written, entry.proven)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    unlisted = set(WRITERS) - {name for entry in FORMATS for name in entry.writes}
    assert not unlisted, f"writers without a row: {unlisted}"
    return "\n".join(lines)


def updated(page: str) -> str:
    """The page with the current table between its marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(updated(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
