"""`tireg export`: a learned word as a file for another program."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import click

from tireg_cli.messages import hint
from tireg_cli.output import emit, emit_json
from tireg_cli.paths import PathParam

_FORMATS = (
    "diffusers", "diffusers-bin", "sd-concepts", "a1111", "a1111-png", "emb-params", "invokeai", "comfyui", "sdxl",
    "sd3", "flux", "original",
)  # fmt: skip


@click.command("export")
@click.argument("reference", metavar="REF")
@click.argument("target", metavar="PATH", type=PathParam(as_text=True))
@click.option(
    "--format",
    "format_id",
    type=click.Choice(_FORMATS),
    metavar="FORMAT",
    help=f"One of {', '.join(_FORMATS)}. Default: by PATH's extension, else diffusers.",
)
@click.option("--with-images", is_flag=True, help="Put the source pictures into an sd-concepts folder.")
@click.option("--no-provenance", is_flag=True, help="Leave out where it comes from: settings, captions, digests.")
@click.option("--force", is_flag=True, help="Replace what is at PATH.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(
    reference: str,
    target: str,
    format_id: str | None,
    with_images: bool,
    no_provenance: bool,
    force: bool,
    as_json: bool,
) -> int:
    """Write the word REF (gnome, gnome@3, gnome@best) to PATH.

    A PATH that ends in / (it is made where it is not there) or is a folder already is a folder to choose a name in,
    whatever the format: new/ gets new/gnome.safetensors, and with --format sd-concepts, which writes a folder,
    new/gnome. Any other PATH is the file (or that folder) itself. --format original gives back the files it was
    imported from: into a folder all of them, under a file's name the embedding's own.

    The file says where the word comes from (base model, training settings, digests and captions of the pictures, never
    the pictures themselves), so that importing it, here or in another registry, gives this very version.

    \b
    Examples:
      tireg export gnome gnome.safetensors
      tireg export gnome@2 ~/stable-diffusion-webui/embeddings --format a1111
      tireg export gnome gnome.png
      tireg export gnome words/ --format sd-concepts          makes the folder words/gnome
    """
    from tiregistry.embeddings.placing import made_folder
    from tiregistry.exchange.exporting import choose_format, export_version, original_files
    from tiregistry.registry.registry import Registry
    from tiregistry.text import safe

    with Registry.open() as registry:
        version = registry.version(reference)
        path = Path(target)
        is_new = target.endswith("/") and not path.exists()
        with made_folder(path) if is_new else nullcontext():
            chosen = format_id or choose_format(path, frozenset(shape.encoder for shape in version.encoders))
            others = list(original_files(registry, version))[1:] if chosen == "original" and not path.is_dir() else []
            written = export_version(
                registry, version, path, chosen, force=force, with_images=with_images, provenance=not no_provenance
            )
    if as_json:
        emit_json(
            {
                "reference": version.reference,
                "digest": version.digest,
                "format": chosen,
                "files": [str(file) for file in written],
            }
        )
    else:
        for file in written:
            emit(str(file))
    if others:
        shown = ", ".join(safe(name, limit=120) for name in others)
        hint(f"it came with {shown}: give a folder as PATH to get every original file")
    return 0
