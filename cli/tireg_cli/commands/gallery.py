"""`tireg gallery`: the pictures that were generated."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tireg_cli import forms
from tireg_cli.confirm import confirm
from tireg_cli.messages import hint, say, warn
from tireg_cli.output import emit, emit_fields, emit_json, emit_table
from tireg_cli.paths import PathParam
from tiregistry.concepts import Picture
from tiregistry.errors import AlreadyExists, Damaged, FileMissing, InvalidInput, NotFound
from tiregistry.quantities import count
from tiregistry.registry.registry import Registry

if TYPE_CHECKING:
    from PIL.Image import Image

ON_A_TERMINAL = 30


@click.group("gallery", invoke_without_command=True)
@click.pass_context
def command(ctx: click.Context) -> None:
    """Generated pictures: list, show, save, remove; sheet shows how a word was learned.

    Every picture is remembered with its recipe and the place of its file; with `tireg gen --keep`, or
    `pictures = "files"` in settings.toml, the registry keeps its bytes too.

    \b
    Examples:
      tireg gallery list beach --word gnome
      tireg gallery show 12
      tireg gallery remove 12 13 --files
    """
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_)


@command.command("list")
@click.argument("query", nargs=-1)
@click.option("--word", default="", metavar="REF", help="Only pictures made with this version.")
@click.option("--limit", type=click.IntRange(0), help="At most so many; 0 means all. Default: 30.")
@click.option("--show", is_flag=True, help="Draw the pictures in the terminal.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def list_(
    query: tuple[str, ...] = (), word: str = "", limit: int | None = None, show: bool = False, as_json: bool = False
) -> None:
    """List the pictures, newest first, or those that match QUERY.

    A picture matches when each part of QUERY occurs in its prompt, its path, its base model's or its words' names.
    STATE says where its bytes are: file, kept (in the registry), both, or gone; changed is a file that holds something
    else now.

    \b
    Examples:
      tireg gallery list
      tireg gallery list snow --word gnome@2 --show
    """
    with Registry.open() as registry:
        version = registry.version(word) if word else None
        limit = ON_A_TERMINAL if limit is None else limit
        found = registry.pictures(version, query=" ".join(query), limit=limit + 1 if limit else None)
        more, found = bool(limit) and len(found) > limit, found[: limit or None]
        if as_json:
            emit_json([_data(registry, picture) for picture in found])
        else:
            emit_table(
                ["ID", "MADE", "SEED", "STATE", "PROMPT", "PATH"],
                [
                    [p.id, forms.day(p.created_at), p.recipe.get("seed", ""), _state(registry, p), p.prompt, p.path]
                    for p in found
                ],
            )
        if more:
            hint(f"more than {limit} · --limit 0 lists all")
        if not found and not as_json:
            hint('no pictures yet · tireg gen "a photo of <word>" makes them' if not query else "no picture matches")
        if show:
            from tireg_cli.pictures import say_when_none_are_drawn

            say_when_none_are_drawn()
            _draw(registry, found)


@command.command("show")
@click.argument("number", type=int, metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def show(number: int, as_json: bool) -> None:
    """Show one picture: its recipe, where it is, and in a terminal the picture itself.

    tireg gen --like PATH makes it again; what it started from is looked for where it was, too.

    \b
    Example:
      tireg gallery show 12
    """
    with Registry.open() as registry:
        picture = registry.picture(number)
        if as_json:
            emit_json(_data(registry, picture))
            return
        recipe = picture.recipe
        emit_fields(
            {
                "prompt": picture.prompt,
                "negative": recipe.get("negative_prompt", ""),
                "seed": recipe.get("seed", ""),
                "steps": recipe.get("num_inference_steps", ""),
                "guidance": recipe.get("guidance_scale", ""),
                "scheduler": recipe.get("scheduler", ""),
                "size": f"{recipe.get('width', '?')}x{recipe.get('height', '?')}",
                "start": _start(recipe.get("start")),
                "base": picture.base_name,
                "words": ", ".join(f"{w.get('text')} = {w.get('reference')}" for w in recipe.get("words", [])),
                "made": forms.day(picture.created_at),
                "path": picture.path,
                "state": _state(registry, picture),
            }
        )
        _draw(registry, [picture])


@command.command("save")
@click.argument("number", type=int, metavar="ID")
@click.argument("path", type=PathParam())
def save(number: int, path: Path) -> None:
    """Write a picture's file anew, from the registry or from where it was.

    \b
    Example:
      tireg gallery save 12 gnome.png
    """
    from tiregistry.generation.metadata import FORMATS
    from tiregistry.whole_files import write_whole

    with Registry.open() as registry:
        picture = registry.picture(number)
        data = _bytes(registry, picture)
    if data is None:
        raise FileMissing(
            f"the file of picture {number} is gone and was not kept",
            f"it was {picture.path} · tireg gen makes it again",
        )
    target = path / Path(picture.path).name if path.is_dir() else path
    kind, called = FORMATS.get(Path(picture.path).suffix.lower()), FORMATS.get(target.suffix.lower())
    if kind is not None and called is not None and kind != called:
        raise InvalidInput(f"the picture is a {kind} file, not {called}", f"name it {target.stem}.{kind.lower()}")
    if not target.parent.is_dir():
        raise FileMissing(f"the folder {target.parent} does not exist", "create it first")
    try:
        write_whole(target, data, overwrite=False)
    except FileExistsError:
        raise AlreadyExists(f"{target} exists already", "give another name") from None
    emit(str(target))


@command.command("remove")
@click.argument("numbers", type=int, nargs=-1, required=True, metavar="ID...")
@click.option("--files", is_flag=True, help="Delete the pictures' files too, where they are unchanged.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask before deleting files.")
def remove(numbers: tuple[int, ...], files: bool, yes: bool) -> None:
    """Forget pictures; their files stay, and nothing is asked, unless --files is given.

    \b
    Examples:
      tireg gallery remove 12
      tireg gallery remove 12 13 --files --yes
    """
    from tiregistry.registry.blobs import hash_file

    with Registry.open() as registry:
        pictures = [registry.picture(number) for number in dict.fromkeys(numbers)]
        if files:
            confirm(f"delete {count(len(pictures), 'picture file')} for good?", yes=yes)
        registry.forget_pictures(picture.id for picture in pictures)
        for picture in pictures:
            path = Path(picture.path)
            if files and path.is_file():
                if hash_file(path) == picture.digest:
                    path.unlink()
                else:
                    warn(f"{path} is not the picture that was saved there; it stays")
            emit(str(picture.id))
    say(f"forgot {count(len(pictures), 'picture')}" + ("" if files else "; the files stay"))


@command.command("sheet")
@click.argument("reference", metavar="REF_OR_RUN")
@click.argument("path", type=PathParam(), required=False)
def sheet(reference: str, path: Path | None) -> None:
    """The contact sheet of a training: its previews by step.

    Saved as PATH, or drawn in the terminal. REF_OR_RUN is a version (gnome@2) or a run's id.

    \b
    Example:
      tireg gallery sheet gnome@2 learning.png
    """
    from tiregistry.generation.contact_sheet import contact_sheet
    from tiregistry.generation.metadata import save_image
    from tiregistry.generation.replacing import check_replaceable

    if path is not None:
        check_replaceable(path, "grid")
    with Registry.open() as registry:
        try:
            version = registry.version(reference)
        except NotFound as error:
            try:
                made = registry.run(reference).version
            except (NotFound, InvalidInput):
                raise error from None
            if made is None:
                raise NotFound(f"run {reference} has made no version yet", "wait until it ends") from None
            version = made
        picture = contact_sheet(registry, version)
    if path is not None:
        save_image(picture, path)
        emit(str(path))
    else:
        from tireg_cli.pictures import show_picture

        show_picture(picture, caption=f"how {version.reference} was learned")


def _bytes(registry: Registry, picture: Picture) -> bytes | None:
    """The picture's bytes: from its file while that is unchanged, else from the registry; None when both are gone."""
    import hashlib

    try:
        data = Path(picture.path).read_bytes()
        if not picture.digest or hashlib.sha256(data).hexdigest() == picture.digest[7:]:
            return data
    except (OSError, ValueError):
        pass
    try:
        return registry.blobs.read(picture.digest)
    except Damaged:
        return None


def _state(registry: Registry, picture: Picture) -> str:
    """Where the picture's bytes are: `file`, `kept`, `file+kept` or `gone`; `changed` is a file of other bytes."""
    from tiregistry.registry.blobs import hash_file

    kept = bool(picture.digest) and picture.digest in registry.blobs
    try:
        there = Path(picture.path).is_file()
        changed = there and bool(picture.digest) and hash_file(Path(picture.path)) != picture.digest
    except (OSError, ValueError):
        there = changed = False
    return "+".join([*["changed" if changed else "file"] * there, *["kept"] * kept]) or "gone"


def _start(recorded: Any) -> str:
    """What a picture started from, in words; empty when that was noise alone."""
    if not isinstance(recorded, dict):
        return ""
    sources = ((role, recorded.get(role)) for role in ("picture", "mask"))
    named = [
        ("" if role == "picture" else "mask ") + str(source.get("path") or source.get("name", ""))
        for role, source in sources
        if isinstance(source, dict)
    ]
    return ", ".join([*named, f"strength {recorded.get('strength', '?')}"])


def _data(registry: Registry, picture: Picture) -> dict[str, Any]:
    return {
        "id": picture.id,
        "path": picture.path,
        "prompt": picture.prompt,
        "base": picture.base_name,
        "words": list(picture.words),
        "digest": picture.digest,
        "state": _state(registry, picture),
        "created_at": forms.moment(picture.created_at),
        "recipe": dict(picture.recipe),
    }


def _draw(registry: Registry, pictures: list[Picture]) -> None:
    from PIL import Image as Pillow

    from tireg_cli.pictures import show_picture, show_pictures

    images: list[Image] = []
    labels = []
    for picture in pictures:
        data = _bytes(registry, picture)
        if data is None:
            continue
        try:
            with Pillow.open(io.BytesIO(data)) as opened:
                images.append(opened.convert("RGB"))
        except OSError:
            continue
        labels.append(f"{picture.id} · {picture.prompt}")
    if len(images) == 1:
        show_picture(images[0], caption=labels[0])
    elif images:
        show_pictures(images, labels)
