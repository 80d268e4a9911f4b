"""`tireg push`: a word, as a repository that diffusers, ComfyUI, A1111 and other registries read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tireg_cli.messages import hint, say
from tireg_cli.output import emit, emit_fields, emit_json
from tireg_cli.transfers import TransferProgress

if TYPE_CHECKING:
    from tiregistry.hub.push import PushResult


@click.command("push")
@click.argument("reference", metavar="REF")
@click.argument("repository", metavar="[REPO]", default="")
@click.option("--private/--public", default=None, help="Visibility of a new repository; private by default.")
@click.option("--with-images", is_flag=True, help="Also send the source pictures, without their metadata.")
@click.option("--with-previews", is_flag=True, help="Also send the preview pictures.")
@click.option("--all", "everything", is_flag=True, help="Send every version of the word, oldest first.")
@click.option("--pr", "create_pr", is_flag=True, help="Propose a pull request instead of changing main.")
@click.option("--message", "-m", default="", help="Commit message.")
@click.option("--force", is_flag=True, help="Put the version on top of what is there, whatever it is.")
@click.option("--endpoint", default="", metavar="URL", help="Another Hub; default HF_ENDPOINT, else huggingface.co.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(
    reference: str,
    repository: str,
    private: bool | None,
    with_images: bool,
    with_previews: bool,
    everything: bool,
    create_pr: bool,
    message: str,
    force: bool,
    endpoint: str,
    as_json: bool,
) -> int:
    """Push the word REF (gnome, gnome@3) to the Hub repository REPO (owner/name).

    Without REPO it goes where it went before, or to your account under the word's name. A new repository is private.
    Source pictures stay here unless --with-images is given; then place, time and camera are taken out of them.

    One commit per version, tagged v1, v2 … and with the version's digest. Your own text in the card is kept. Pushing
    what is there already changes nothing. If the repository holds something that is not here, nothing is sent and the
    exit code is 4. The token is the one of `hf auth login`; another Hub gets the one in TIREG_HUB_TOKEN.

    \b
    Examples:
      tireg push gnome
      tireg push gnome@2 alice/garden-gnome --public --with-images
      tireg push gnome --all
    """
    from tiregistry.hub.client import Hub
    from tiregistry.hub.endpoints import choose_endpoint
    from tiregistry.hub.push import PushOptions, push_version, target_of, versions_to_push
    from tiregistry.registry.registry import Registry

    if everything and create_pr:
        raise click.UsageError("--all and --pr do not go together: a pull request holds one version")
    options = PushOptions(
        private=private,
        with_images=with_images,
        with_previews=with_previews,
        create_pr=create_pr,
        message=message,
        force=force,
    )
    results: list[tuple[str, PushResult]] = []

    def announce(readable: tuple[str, ...], is_private: bool) -> None:
        progress.clear()
        readers = "only you and your organization" if is_private else "everybody"
        say(f"{readers} will be able to read: {'; '.join(readable)}")

    with TransferProgress() as progress, Registry.open() as registry:
        version = registry.version(reference)
        hub = Hub(choose_endpoint(endpoint), progress.waiting)
        target = target_of(registry, hub, version, repository)
        for each in versions_to_push(registry, version, everything=everything):
            result = push_version(registry, each, target, hub, options, progress, announce)
            progress.clear()
            results.append((each.reference, result))
            if not as_json:
                _show(each.reference, result)
    if as_json:
        documents = [_document(name, result) for name, result in results]
        emit_json(documents if everything else documents[0])
    return 0


def _document(reference: str, result: PushResult) -> dict[str, Any]:
    return {
        "reference": reference,
        "status": result.status,
        "repo_id": result.repo_id,
        "url": result.url,
        "commit": result.commit,
        "private": result.private,
        "number": result.number,
        "tags": list(result.tags),
        "files": list(result.files),
        "pull_request": result.pull_request,
        "readable": list(result.public),
    }


def _show(reference: str, result: PushResult) -> None:
    emit(result.url)
    emit_fields(
        {
            "word": reference,
            "status": "already there, nothing to send" if result.status == "unchanged" else result.status,
            "commit": result.commit,
            "tags": ", ".join(result.tags),
            "pull request": result.pull_request,
            "visible to": "you and your organization" if result.private else "everybody",
        }
    )
    if result.status == "pushed":
        hint(f"others get it with: tireg pull {result.repo_id}")
