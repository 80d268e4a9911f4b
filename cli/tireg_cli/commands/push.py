"""`tireg push`: a word, as a repository that diffusers, ComfyUI, A1111 and other registries read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tireg_cli.messages import hint, say, warn
from tireg_cli.output import emit, emit_fields, emit_json, emit_table
from tireg_cli.transfers import TransferProgress

if TYPE_CHECKING:
    from tiregistry.hub.push import PushPlan, PushResult

_GOES = "whose pictures, licence and tags go with it"


@click.command("push")
@click.argument("reference", metavar="REF")
@click.argument("repository", metavar="[REPO]", default="")
@click.option("--private", is_flag=True, help="Make a new repository private, which is the default.")
@click.option("--public", is_flag=True, help="Let everybody read a new repository.")
@click.option("--with-images", is_flag=True, help="Also send the source pictures, without their metadata.")
@click.option("--without-images", is_flag=True, help="Take away the source pictures that are there; else they stay.")
@click.option("--with-previews", is_flag=True, help="Also send the preview pictures.")
@click.option("--all", "everything", is_flag=True, help="Send every version of the word, oldest first.")
@click.option("--pr", "create_pr", is_flag=True, help="Propose a pull request instead of changing main.")
@click.option("--message", "-m", default="", help="Commit message.")
@click.option("--dry-run", is_flag=True, help="Only say what would be sent, removed and readable, and send nothing.")
@click.option("--force", is_flag=True, help="Put the version on top of what is there, even another word.")
@click.option("--endpoint", default="", metavar="URL", help="Another Hub; default HF_ENDPOINT, else huggingface.co.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(
    reference: str,
    repository: str,
    private: bool,
    public: bool,
    with_images: bool,
    without_images: bool,
    with_previews: bool,
    everything: bool,
    create_pr: bool,
    message: str,
    dry_run: bool,
    force: bool,
    endpoint: str,
    as_json: bool,
) -> int:
    """Push the word REF (gnome, gnome@3) to the Hub repository REPO (owner/name).

    Without REPO it goes where it went before, or to your account under the word's name. A new repository is private.
    Source pictures stay here unless --with-images is given; then place, time and camera are taken out of them.

    --dry-run looks at the repository and lists every file that would be sent; nothing is.

    One commit per version, tagged v1, v2 … and with the version's digest. Your own text in the card is kept. Pushing
    what is there already changes nothing. If the repository holds something that is not here, or another word, nothing
    is sent and the exit code is 4. The token is the one of `hf auth login`; another Hub gets the one in
    TIREG_HUB_TOKEN.

    \b
    Examples:
      tireg push gnome
      tireg push gnome@2 alice/garden-gnome --public --with-images
      tireg push gnome --all
      tireg push gnome --with-images --dry-run
    """
    from tiregistry.hub.client import Hub
    from tiregistry.hub.endpoints import choose_endpoint
    from tiregistry.hub.push import PushOptions, plan_push, push_version, target_of, versions_to_push
    from tiregistry.hub.remote import readers
    from tiregistry.registry.registry import Registry

    if everything and create_pr:
        raise click.UsageError("--all and --pr do not go together: a pull request holds one version")
    for one, other, both in (
        ("--private", "--public", private and public),
        ("--with-images", "--without-images", with_images and without_images),
    ):
        if both:
            raise click.UsageError(f"{one} and {other} do not go together")
    options = PushOptions(
        private=private if private or public else None,
        with_images=with_images,
        without_images=without_images,
        with_previews=with_previews,
        create_pr=create_pr,
        message=message,
        force=force,
    )
    documents: list[dict[str, Any]] = []

    def announce(readable: tuple[str, ...], is_private: bool) -> None:
        progress.clear()
        say(f"{readers(target, private=is_private)} will be able to read: {'; '.join(readable)}")

    with TransferProgress() as progress, Registry.open() as registry:
        version = registry.version(reference)
        hub = Hub(choose_endpoint(endpoint), progress.waiting)
        target = target_of(registry, hub, version, repository)
        for each in versions_to_push(registry, version, everything=everything):
            if dry_run:
                plan = plan_push(registry, each, target, hub, options, progress)
                progress.clear()
                documents.append(_planned(plan))
            else:
                result = push_version(registry, each, target, hub, options, progress, announce)
                progress.clear()
                documents.append(_document(each.reference, result))
            if not as_json:
                (_show_plan if dry_run else _show)(documents[-1])
    if as_json:
        emit_json(documents if everything else documents[0])
    return 0


def _planned(plan: PushPlan) -> dict[str, Any]:
    return {
        "reference": plan.version.reference,
        "status": "unchanged" if plan.is_empty else "would propose" if plan.pull_request else "would push",
        "repo_id": plan.repo_id,
        "url": plan.url,
        "creates_repository": not plan.exists,
        "private": plan.private,
        "number": plan.number,
        "tags": list(plan.missing_tags),
        "files": [{"path": path, "size": len(data)} for path, data in sorted(plan.add.items())],
        "removed": list(plan.delete),
        "kept": list(plan.kept),
        "replaces": 0 if plan.is_empty else plan.replaces,
        "covered_by": plan.covered_by,
        "other_word": "" if plan.is_empty else plan.other_word,
        "message": plan.message,
        "pull_request": plan.pull_request,
        "readable": list(plan.public),
        "notes": list(plan.notes),
    }


def _show_plan(plan: dict[str, Any]) -> None:
    from tiregistry.hub.remote import readers

    emit(plan["url"])
    doing = {"unchanged": _unchanged(plan), "would push": "would be pushed"}
    emit_fields(
        {
            "word": plan["reference"],
            "status": doing.get(plan["status"], "would be proposed"),
            "repository": "would be created" if plan["creates_repository"] else "",
            "pull request": plan["pull_request"],
            "message": plan["message"] if plan["status"] != "unchanged" else "",
            "tags": ", ".join(plan["tags"]),
            "visible to": readers(plan["repo_id"], private=plan["private"]),
            "readable": "; ".join(plan["readable"]),
        }
    )
    for note in plan["notes"]:
        warn(note)
    if plan["other_word"]:
        warn(f"it would take the place of another word, {plan['other_word']}, {_GOES}")
    elif plan["replaces"] > plan["number"]:
        warn(f"main holds version {plan['replaces']}; who pulls would get version {plan['number']}")
    emit_table(
        ("FILE", "BYTES"),
        [*((f["path"], f["size"]) for f in plan["files"]), *((path, "removed") for path in plan["removed"])],
    )
    hint("nothing was sent")


def _unchanged(document: dict[str, Any]) -> str:
    newer = document["covered_by"]
    return "already there, nothing to send" + (f" (main holds version {newer}, --force changes that)" if newer else "")


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
        "earlier_tags": list(result.earlier_tags),
        "files": list(result.files),
        "removed": list(result.removed),
        "replaced": result.replaced,
        "covered_by": result.covered_by,
        "other_word": result.other_word,
        "before": result.before,
        "pull_request": result.pull_request,
        "readable": list(result.public),
        "notes": list(result.notes),
    }


def _show(result: dict[str, Any]) -> None:
    from tiregistry.hub.remote import readers

    emit(result["url"])
    tags = ", ".join(result["earlier_tags"])
    emit_fields(
        {
            "word": result["reference"],
            "status": _unchanged(result) if result["status"] == "unchanged" else result["status"],
            "commit": result["commit"],
            "tags": ", ".join(result["tags"]),
            "tags before": f"{tags} (stay on the commit that first held it)" if tags else "",
            "pull request": result["pull_request"],
            "visible to": readers(result["repo_id"], private=result["private"]),
            "removed": ", ".join(result["removed"]),
        }
    )
    for note in result["notes"]:
        warn(note)
    if result["other_word"]:
        where = f"they stay at {result['before'][:12]} in the history"
        verb = "would take" if result["pull_request"] else "took"
        warn(f"it {verb} the place of another word, {result['other_word']}, {_GOES}; {where}")
    elif result["replaced"] > result["number"]:
        warn(f"main held version {result['replaced']}; who pulls now gets version {result['number']}")
    if result["status"] == "pushed":
        hint(f"others get it with: tireg pull {result['repo_id']}")
