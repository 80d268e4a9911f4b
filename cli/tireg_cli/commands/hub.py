"""`tireg hub`: look around on the Hub."""

from __future__ import annotations

import click

from tireg_cli.messages import hint, say
from tireg_cli.output import emit, emit_fields, emit_json, emit_table
from tireg_cli.transfers import TransferProgress
from tiregistry.quantities import size


@click.group("hub")
def command() -> None:
    """Look around on the Hugging Face Hub."""


@command.command("search")
@click.argument("text", default="")
@click.option("--base", default="", help="Only words for this base model: a Hub id, or a name from `tireg base list`.")
@click.option("--author", default="", help="Only of this user or organization.")
@click.option("--sort", type=click.Choice(["downloads", "likes", "last_modified"]), default="downloads")
@click.option("--limit", "-n", default=20, show_default=True, help="Most results, up to 500.")
@click.option("--endpoint", default="", metavar="URL", help="Another Hub; default HF_ENDPOINT, else huggingface.co.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def search(text: str, base: str, author: str, sort: str, limit: int, endpoint: str, as_json: bool) -> int:
    """Find learned words whose repository's name contains TEXT.

    Looks for the tag textual_inversion and through the concept library (sd-concepts-library), whose cards carry no
    tag. The Hub searches names of repositories, not their texts.

    \b
    Examples:
      tireg hub search cat
      tireg hub search --author sd-concepts-library --sort likes
      tireg hub search watercolor --base stable-diffusion-v1-5/stable-diffusion-v1-5
    """
    from tiregistry.hub.client import Hub
    from tiregistry.hub.endpoints import choose_endpoint
    from tiregistry.hub.search import search_hub
    from tiregistry.registry.registry import Registry

    with TransferProgress() as progress, Registry.open() as registry:
        hub = Hub(choose_endpoint(endpoint), progress.waiting)
        progress(0, 0, "searching")
        found = search_hub(registry, hub, text, base=base, author=author, sort=sort, limit=limit)  # type: ignore[arg-type]
    if as_json:
        emit_json([word.as_dict() for word in found])
        return 0
    if not found:
        say("nothing found; the Hub searches the names of repositories only" if text.strip() else "nothing found")
        return 0
    headers = ("REPOSITORY", "TOKEN", "BASE", "LIKES", "DOWNLOADS", "CHANGED", "HERE")
    emit_table(
        headers,
        [
            (
                word.repo_id + (" (gated)" if word.gated else ""),
                word.token,
                ", ".join(word.base_models),
                word.likes,
                word.downloads,
                word.updated,
                ", ".join(word.here),
            )
            for word in found
        ],
        spare=("LIKES", "CHANGED", "DOWNLOADS", "HERE", "BASE"),
        whole=1,
    )
    hint(f"get one with: tireg pull {found[0].repo_id}")
    return 0


@command.command("show")
@click.argument("repository", metavar="REPO[@REVISION]")
@click.option("--card", is_flag=True, help="Also print the card's text.")
@click.option("--endpoint", default="", metavar="URL", help="Another Hub; default HF_ENDPOINT, else huggingface.co.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def show(repository: str, card: bool, endpoint: str, as_json: bool) -> int:
    """Look at a repository before pulling it: its word, its files, and how it differs from what is here.

    Nothing but its listing, card and manifest is read.

    \b
    Examples:
      tireg hub show sd-concepts-library/cat-toy
      tireg hub show alice/garden-gnome@v2 --card
    """
    from tiregistry.hub.client import Hub
    from tiregistry.hub.endpoints import choose_endpoint, split_revision
    from tiregistry.hub.looking import look_at
    from tiregistry.hub.remote import readers
    from tiregistry.registry.registry import Registry

    where = choose_endpoint(endpoint)
    repo_id, revision = split_revision(repository, where.url)
    with TransferProgress() as progress, Registry.open() as registry:
        hub = Hub(where, progress.waiting)
        progress(0, 0, "looking")
        looked = look_at(registry, hub, repo_id, revision)
    if as_json:
        emit_json(looked.as_dict())
        return 0
    emit(looked.url)
    emit_fields(
        {
            "word": looked.token,
            "type": looked.concept_type,
            "base": ", ".join(looked.base_models),
            "licence": looked.licence,
            "version": looked.number or "",
            "versions": ", ".join(map(str, looked.versions)),
            "commit": looked.commit,
            "visible to": readers(looked.repo_id, private=looked.private),
            "state": looked.relation,
            "here": ", ".join(looked.here),
            "a pull fetches": size(looked.pull_size),
        }
    )
    emit_table(
        ("FILE", "BYTES", "KIND", "PULLED"),
        [(file.path, file.size, file.kind, "yes" if file.fetched else "") for file in looked.files],
    )
    if looked.differences:
        emit()
        emit_table(("DIFFERENCE", "HERE", "THERE"), looked.differences)
    if card and looked.card:
        emit()
        emit(looked.card)
    return 0
