"""`tireg base`: the base models this registry knows."""

from __future__ import annotations

import click

from tireg_cli import forms
from tireg_cli.messages import hint, say
from tireg_cli.output import emit, emit_fields, emit_json, emit_table
from tiregistry.quantities import count
from tiregistry.registry.registry import Registry


@click.group("base")
def command() -> None:
    """Base models: list, add, show, default, remove.

    \b
    Examples:
      tireg base add ./stable-diffusion-v1-5 --name sd15
      tireg base default sd15
    """


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def list_(as_json: bool) -> None:
    """List the base models.

    \b
    Example:
      tireg base list
    """
    with Registry.open() as registry:
        bases, default = registry.bases(), registry.default_base
    if as_json:
        emit_json([forms.base_data(base, is_default=base.name == default) for base in bases])
        return
    rows = [
        [
            b.name,
            b.family,
            b.resolution,
            b.source,
            forms.short(b.fingerprint.token_embedding),
            "default" if b.name == default else "",
        ]
        for b in bases
    ]
    if rows:
        emit_table(
            ["NAME", "FAMILY", "PIXELS", "SOURCE", "TABLE", ""], rows, spare=("TABLE", "PIXELS", "SOURCE", "FAMILY")
        )
    if default not in {base.name for base in bases}:
        hint(f"the default is {default} · add others: tireg base add FOLDER, FILE or HUB-ID")


@command.command("add")
@click.argument("source")
@click.option("--name", default="", help="How to call it; by default made from SOURCE.")
@click.option("--revision", default="", help="Branch, tag or commit of a Hub id; the commit is recorded.")
@click.option("--default", "make_default", is_flag=True, help="Use it whenever no base model is named.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def add(source: str, name: str, revision: str, make_default: bool, as_json: bool) -> None:
    """Add a base model: a Hub id, a diffusers folder, a single-file checkpoint (safetensors), or `embedded`.

    Its components are fingerprinted from the files, without loading them into memory.

    \b
    Examples:
      tireg base add stable-diffusion-v1-5/stable-diffusion-v1-5 --name sd15
      tireg base add ~/models/dreamshaper_8.safetensors
    """
    with Registry.open() as registry:
        base = registry.add_base(registry.identify_base(source, revision=revision, name=name, registered=False))
        if make_default:
            registry.set_default_base(base.name)
        is_default = registry.default_base == base.name
        words = registry.count_concepts(fits=base.fingerprint)
    if as_json:
        emit_json(forms.base_data(base, is_default=is_default))
    else:
        emit(base.name)
    say(f"{base.family}, {base.resolution} pixels · {count(words, 'word')} here fit it")


@command.command("show")
@click.argument("base", metavar="BASE")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def show(base: str, as_json: bool) -> None:
    """Show a base model's fingerprint, and how each word here fits it: exact, compatible or other.

    BASE is a registered name, `embedded`, a folder, a file or a Hub id.

    \b
    Example:
      tireg base show sd15
    """
    with Registry.open() as registry:
        found = registry.identify_base(base)
        default = registry.default_base
        words = [(concept, registry.best_fit(concept, found.fingerprint)) for concept in registry.concepts()]
    if as_json:
        emit_json(
            forms.base_data(found, is_default=found.name == default)
            | {"words": {word.name: fit for word, (fit, _) in words}}
        )
        return
    print_ = found.fingerprint
    by_fit: dict[str, list[str]] = {"exact": [], "compatible": [], "unknown": [], "other": []}
    for word, (fit, number) in words:
        by_fit[fit].append(word.name if number in (None, word.latest_number) else f"{word.name}@{number}")
    others = len(by_fit["other"])
    emit_fields(
        {
            "name": found.name + (" (default)" if found.name == default else ""),
            "source": found.source,
            "revision": found.revision,
            "family": found.family,
            "pixels": found.resolution,
            "token table": print_.token_embedding,
            "text encoder": print_.text_encoder,
            "denoiser": print_.denoiser,
            "vae": print_.vae,
            "added": forms.day(found.added_at),
            "exact": ", ".join(by_fit["exact"]),
            "compatible": ", ".join(by_fit["compatible"]),
            "not recorded": ", ".join(by_fit["unknown"]),
            "other": count(others, "word") if others else "",
        }
    )


@command.command("default")
@click.argument("name", required=False)
def default(name: str | None) -> None:
    """Choose the base model used when none is named; without NAME, print it.

    \b
    Example:
      tireg base default sd15
    """
    with Registry.open() as registry:
        if name:
            registry.set_default_base(name)
        emit(registry.default_base)


@command.command("remove")
@click.argument("name")
def remove(name: str) -> None:
    """Forget a base model. Its files, and the words learned on it, stay.

    \b
    Example:
      tireg base remove sd15
    """
    with Registry.open() as registry:
        base = registry.remove_base(name)
    emit(base.name)
    hint(f"its files stay · tireg base add {base.source} brings it back")
