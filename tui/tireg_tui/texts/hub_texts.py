"""What the Hub screens say: queries as they are typed, sizes, relations, what a file is. Pure text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tiregistry.errors import Conflict, TiregError
from tiregistry.hub.remote import readers
from tiregistry.quantities import count, size

FIELDS = ("base", "author", "sort")
RELATIONS = {
    "not here": "not here yet",
    "here": "the same version is here",
    "newer there": "it holds a version that is not here: U pulls it",
    "older there": "here is something newer: P pushes it",
    "changed there": "it was changed there by other means",
    "damaged": "its tireg.json is damaged; a pull would be refused",
}
KINDS = {
    "vectors": "vectors",
    "pickle": "pickle: read, never executed",
    "picture": "picture",
    "text": "text",
    "other": "other",
}


def parsed(query: str) -> dict[str, str]:
    """`cat base:sd15 sort:likes` as the search's arguments; every other word is searched for."""
    fields: dict[str, str] = {}
    words = []
    for word in query.split():
        name, colon, value = word.partition(":")
        if colon and name in FIELDS and value:
            fields[name] = value
        else:
            words.append(word)
    if fields.get("sort") == "changed":
        fields["sort"] = "last_modified"
    return fields | {"text": " ".join(words)}


def pull_lines(looked: Mapping[str, Any]) -> list[str]:
    """What a pull would fetch and what to know about it first, one line each."""
    fetched = [file for file in looked["files"] if file["fetched"]]
    pickles = [file["path"] for file in fetched if file["kind"] == "pickle"]
    lines = [f"fetches {count(len(fetched), 'file')}, {size(looked['pull_size'])}"]
    lines.append(f"licence: {looked['licence'] or 'none is stated'}")
    if looked["token"]:
        lines.append(f"placeholder token: {looked['token']}")
    if looked["base_models"]:
        lines.append(f"learned on {', '.join(looked['base_models'])}")
    if pickles:
        lines.append(f"{', '.join(pickles[:3])}: a pickle, which tireg reads without executing it")
    if not fetched:
        lines.append("it holds no learned word")
    return lines


def refusal_lines(error: TiregError | OSError) -> list[str]:
    """What stands in the way: the fact, both sides of a conflict where they are known, and the next step."""
    if not isinstance(error, TiregError):
        return [str(error)]
    if isinstance(error, Conflict) and error.theirs and error.ours:
        facts = [error.summary, f"  there: {error.theirs}", f"  here:  {error.ours}"]
    else:
        facts = [error.message]
    return [*facts, *([error.hint] if error.hint else [])]


def plan_lines(plan: Mapping[str, Any]) -> list[str]:
    """What a push would make readable and do, one line each."""
    if plan["is_empty"]:
        newer = plan["covered_by"]
        under = f", under the newer version {newer}" if newer else ""
        return [f"{plan['repo_id']} holds this version already{under}; nothing would be sent"]
    who = readers(plan["repo_id"], private=True) if plan["private"] else "EVERYBODY"
    lines = [f"{who} will be able to read:", *(f"  {what}" for what in plan["public"])]
    lines.append("")
    lines += [f"! {note}" for note in plan["notes"]]
    if plan["replaces"] > plan["number"]:
        lines.append(f"! main holds version {plan['replaces']}; who pulls would get version {plan['number']}")
    lines.append(f"{plan['repo_id']} {'exists' if plan['exists'] else 'will be created'}")
    if plan["pull_request"]:
        lines.append(f"as a pull request ({plan['pull_request']})")
    lines.append(f"as version {plan['number']}, commit: {plan['message']}")
    if plan["tags"]:
        lines.append(f"tags: {', '.join(plan['tags'])}")
    return lines
