"""`tireg pull`: words from the Hub, checked before anything is kept."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from tireg_cli.messages import hint, say, warn
from tireg_cli.output import emit, emit_fields, emit_json, emit_table
from tireg_cli.transfers import TransferProgress

if TYPE_CHECKING:
    from tiregistry.concepts import Version
    from tiregistry.hub.pull import PullResult
    from tiregistry.hub.updates import Update
    from tiregistry.registry.registry import Registry


@click.command("pull")
@click.argument("repository", metavar="[REPO[@REVISION]]", default="")
@click.option("--all", "everything", is_flag=True, help="Every version that the repository has, oldest first.")
@click.option("--check", is_flag=True, help="Only say what is newer there; without REPO for all known repositories.")
@click.option("--name", default="", help="Concept name to use here; default as its owner calls it.")
@click.option("--token", default="", metavar="<TOKEN>", help="Placeholder token to use here.")
@click.option("--file", default="", metavar="NAME", help="Of several embedding files in REPO, take this one.")
@click.option("--no-images", is_flag=True, help="Leave the pictures there.")
@click.option("--endpoint", default="", metavar="URL", help="Another Hub; default HF_ENDPOINT, else huggingface.co.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(
    repository: str,
    everything: bool,
    check: bool,
    name: str,
    token: str,
    file: str,
    no_images: bool,
    endpoint: str,
    as_json: bool,
) -> int:
    """Pull the word in the Hub repository REPO (owner/name, owner/name@v2, or its page's address).

    Reads repositories that tireg pushed (the version keeps its digest and history), the concept library
    (sd-concepts-library), what diffusers pushes, and A1111 files. Pickled files are read without being executed.
    Names, sizes and hashes are checked first; if anything is not what it is said to be, nothing is kept.

    A version that is here already is recognised, so pulling again changes nothing.

    \b
    Examples:
      tireg pull sd-concepts-library/cat-toy
      tireg pull alice/garden-gnome@v2
      tireg pull alice/garden-gnome --all
      tireg pull --check
    """
    from tiregistry.hub.client import Hub
    from tiregistry.hub.endpoints import choose_endpoint, split_revision
    from tiregistry.hub.pull import PullOptions, pull_every_version, pull_repository
    from tiregistry.hub.updates import check_updates
    from tiregistry.registry.registry import Registry

    if not repository and not check:
        raise click.UsageError("give a REPO, or --check for all that are known")
    where = choose_endpoint(endpoint)
    repo_id, revision = split_revision(repository, where.url) if repository else ("", "")
    if everything and (revision or check):
        raise click.UsageError(f"--all does not go together with {'--check' if check else 'a revision'}")
    options = PullOptions(name=name, placeholder_token=token, images=not no_images, file=file)
    results: list[PullResult] = []
    with TransferProgress() as progress, Registry.open() as registry:
        hub = Hub(where, progress.waiting)
        if check:
            updates = check_updates(registry, hub, repo_id, progress)
            progress.clear()
            _show_updates(updates, as_json)
            return 0
        if everything:
            found = pull_every_version(registry, repo_id, hub, options, progress)
        else:
            found = iter(pull_repository(registry, repo_id, hub, revision, options, progress))
        for result in found:
            progress.clear()
            results.append(result)
            if not as_json:
                _show(result, registry)
        documents = [
            _document(result, registry.concept(result.version.concept).placeholder_token) for result in results
        ]
    if as_json:
        emit_json(documents if everything or len(documents) != 1 else documents[0])
    return 0


def _document(result: PullResult, token: str) -> dict[str, Any]:
    version = result.version
    return {
        "reference": version.reference,
        "digest": version.digest,
        "token": token,
        "status": result.status,
        "repo_id": result.repo_id,
        "commit": result.commit,
        "notes": list(result.notes),
    }


def _show(result: PullResult, registry: Registry) -> None:
    version = result.version
    token = registry.concept(version.concept).placeholder_token
    emit(version.reference)
    emit_fields(
        {
            "status": result.status,
            "token": token,
            "base": version.base_name,
            "digest": version.digest,
            "commit": result.commit,
        }
    )
    for note in result.notes:
        (warn if result.status == "pulled" else say)(note)
    if result.status == "pulled" and (how := _how_to_try(registry, version, token)):
        hint(how)


def _how_to_try(registry: Registry, version: Version, token: str) -> str:
    """A command that can draw the word; what is lacking where none can; empty for what is no word."""
    from tiregistry.bases.locating import EMBEDDED, looks_like_hub_id
    from tiregistry.captions import example_prompt
    from tiregistry.embeddings.families import why_no_word
    from tiregistry.errors import TiregError
    from tiregistry.generation.words import base_of_versions, check_fit
    from tiregistry.hub.shared_word import base_model_of
    from tiregistry.opening import is_embedded

    if why_no_word(shape.encoder for shape in version.encoders):
        return ""
    prompt = example_prompt(version.concept_type, token)
    plain = f'try it: tireg gen "{prompt}"'
    if base_of_versions(registry, [version]):
        return plain
    if is_embedded(registry):
        # It is in no registry before its first use. A word that says of no base model is hardly one for it.
        if version.fingerprint is not None and version.base_name == EMBEDDED:
            return plain
    else:
        with suppress(TiregError):
            check_fit(registry, [version], registry.base(registry.default_base), allow_compatible=False)
            return plain
    source = base_model_of(registry, version) or version.base_name
    if looks_like_hub_id(source):
        return f'to try it with its base model, which is not here yet: tireg gen "{prompt}" --base {source}'
    return f"its base model is not here: tireg show {version.concept} tells what is known of it, gen --base names one"


def _show_updates(updates: list[Update], as_json: bool) -> None:
    if as_json:
        emit_json([update.as_dict() for update in updates])
        return
    if not updates:
        say("no repository of this Hub is known here: nothing was pulled from it or pushed to it")
        return
    emit_table(
        ("REPOSITORY", "WORD", "STATE", "HERE", "THERE"),
        [(update.repo_id, update.concept, update.state, update.here, update.there) for update in updates],
    )
    for update in updates:
        if update.state == "newer":
            hint(f"get it with: tireg pull {update.repo_id}")
