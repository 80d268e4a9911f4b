"""Puts a newly rendered card in place of the one in the repository, and loses nothing that somebody wrote there.

What tireg renders stands between two marks, with a checksum in the first. Text outside the marks is the owner's and
stays. When the text between them was edited, what the edit added is moved below the marks. In the front matter, keys
that tireg does not set stay, tags are joined, and of the others the owner's edit stays until tireg has something new
to say; what tireg said and says no longer goes.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from tiregistry.hub.trouble import as_mapping

_BEGIN = "<!-- tireg:begin {} (written by tireg; write above or below these marks, your text stays) -->"
_END = "<!-- tireg:end -->"
_BLOCK = re.compile(r"<!-- tireg:begin ([0-9a-f]{12})[^>]*-->\n(.*?)\n?<!-- tireg:end -->\n?", re.DOTALL)
_FRONT = re.compile(r"\A---[ \t]*\n(.*?)^---[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)
_MOST_FRONT = 64 * 1024
_JOINED = ("tags",)
_OURS = ("tireg",)
"""What no edit can change: the version's identity."""


def compose(
    fields: dict[str, Any],
    text: str,
    existing: str = "",
    base: Callable[[], str] | None = None,
    before: Mapping[str, Any] | None = None,
) -> str:
    """The whole README.

    Args:
        fields: front matter as rendered.
        text: body as rendered.
        existing: the README that is in the repository.
        base: gives the README that tireg wrote there last, for when its text has been edited since.
        before: front matter that tireg wrote there last, where that is known.
    """
    old_fields, old_body = split(existing)
    merged = _merged(fields, old_fields, before or {})
    for key in _JOINED:
        ours, theirs = fields.get(key, []), old_fields.get(key, [])
        theirs = theirs if isinstance(theirs, list) else [theirs]
        kept = [item for item in theirs if isinstance(item, str) and not _is_stale(item, old_fields)]
        merged[key] = list(dict.fromkeys([*ours, *kept]))
    return _front(merged) + _place(_block(text), old_body, base)


def _merged(fields: Mapping[str, Any], old: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """A merge of three: what tireg wrote, what became of it, and what tireg says now."""
    stale = {key for key, value in before.items() if key not in fields and old.get(key) == value}
    merged = {key: value for key, value in old.items() if key not in stale}
    for key, value in fields.items():
        is_edited = key in old and key in before and old[key] != before[key]
        if key in _OURS or not is_edited or value != before[key]:
            merged[key] = value
    return merged


def split(readme: str) -> tuple[dict[str, Any], str]:
    """Front matter and body; front matter that is no mapping, or unreasonable, counts as body so that it is kept."""
    import yaml  # type: ignore[import-untyped]

    readme = readme.replace("\r\n", "\n")
    match = _FRONT.match(readme)
    if match is None or len(match[1]) > _MOST_FRONT or re.search(r"(?:^|[\s\[,:-])[&*][A-Za-z0-9_]", match[1]):
        return {}, readme
    try:
        fields = yaml.safe_load(match[1])
    except (yaml.YAMLError, ValueError, RecursionError):
        return {}, readme
    if fields is not None and not isinstance(fields, dict):
        return {}, readme
    return as_mapping(fields), readme[match.end() :]


def without(readme: str, keys: Collection[str]) -> str:
    """The README without these keys of its front matter."""
    fields, text = split(readme)
    return _front({key: value for key, value in fields.items() if key not in keys}) + text if fields else readme


def _front(fields: dict[str, Any]) -> str:
    import yaml

    text = yaml.safe_dump(fields, sort_keys=False, allow_unicode=True, width=1000)
    return f"---\n{text}---\n"


def _is_stale(tag: str, old_fields: dict[str, Any]) -> bool:
    """The concept type and the word's tags are written by us, and may have been others."""
    written = as_mapping(old_fields.get("tireg")).get("tags")
    return (tag in ("object", "style") and "tireg" in old_fields) or (isinstance(written, list) and tag in written)


def _block(text: str) -> str:
    text = text.strip("\n").replace(_END, "").replace("<!-- tireg:begin", "")
    return f"{_BEGIN.format(_sum(text))}\n{text}\n{_END}\n"


def _sum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _place(block: str, old_body: str, base: Callable[[], str] | None) -> str:
    match = _BLOCK.search(old_body)
    if match is None:
        rest = old_body.strip("\n")
        return f"\n{block}" + (f"\n{rest}\n" if rest else "")
    before, after = old_body[: match.start()], old_body[match.end() :]
    added = "" if _sum(match[2]) == match[1] else _added(match[1], match[2], base)
    return before + block + (f"\n{added}\n" if added else "") + after


def _added(checksum: str, edited: str, base: Callable[[], str] | None) -> str:
    """What somebody wrote into the text between the marks; all of it where what stood there is not known."""
    original = _BLOCK.search(split(base())[1]) if base is not None else None
    if original is None or original[1] != checksum or _sum(original[2]) != checksum:
        return edited.strip("\n")
    old, new = original[2].split("\n"), edited.split("\n")
    kept: list[str] = []
    for kind, _, _, start, end in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind in ("insert", "replace"):
            kept += [*new[start:end], ""]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(kept)).strip("\n")
