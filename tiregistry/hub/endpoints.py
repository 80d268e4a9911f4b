"""Which Hub is talked to, with which token; and what may be the name of a repository or revision."""

from __future__ import annotations

import ipaddress
import os
import re
import unicodedata
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

from tiregistry.bases.hub_tokens import check_token, saved_token
from tiregistry.errors import HubError, InvalidInput
from tiregistry.text import safe

DEFAULT = "https://huggingface.co"
TOKEN_VARIABLE = "TIREG_HUB_TOKEN"
"""Environment variable with the token for an endpoint other than huggingface.co."""

_PART = re.compile(r"(?!.*(?:--|\.\.))[A-Za-z0-9](?:[\w.\-]{0,94}[A-Za-z0-9_])?", re.ASCII)
_REVISION = re.compile(r"(?!.*\.\.)[A-Za-z0-9][\w.\-/]{0,199}", re.ASCII)
_ALIASES = (("www.huggingface.co", 443), ("hf.co", 443))
_SHA = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A Hub's address and the token meant for it; the token is never shown, not even by `repr`."""

    url: str
    token: str = field(default="", repr=False)

    @property
    def is_default(self) -> bool:
        return self.url == DEFAULT

    @property
    def name(self) -> str:
        """How messages call it: `huggingface.co`, `127.0.0.1:8000`."""
        return self.url.split("://", 1)[1]


def choose_endpoint(given: str = "") -> Endpoint:
    """The endpoint to talk to: `given`, else `HF_ENDPOINT`, else huggingface.co.

    The token that `hf auth login` saved and `HF_TOKEN` belong to huggingface.co and go nowhere else. Another endpoint
    gets the token in `TIREG_HUB_TOKEN`, or none.

    Raises:
        InvalidInput: the address is none, or the token is none or would travel unencrypted.
    """
    url = check_url(given or os.environ.get("HF_ENDPOINT", "").strip() or DEFAULT)
    if url == DEFAULT:
        return Endpoint(url, saved_token())
    token = check_token(os.environ.get(TOKEN_VARIABLE, "").strip(), TOKEN_VARIABLE, "copy it again, whole")
    if token and url.startswith("http://") and not _is_loopback(url):
        raise InvalidInput(
            f"{safe(url)} is not encrypted, so the token in {TOKEN_VARIABLE} is not sent there",
            "use an https:// address",
        )
    return Endpoint(url, token)


def check_url(text: str) -> str:
    """The address without a trailing slash.

    Raises:
        InvalidInput: it is not `http(s)://host[:port][/path]`.
    """
    url = text.rstrip("/")
    try:
        parts = urlsplit(url)
        is_good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        is_good = False
    if not is_good or not re.fullmatch(r"[\x21-\x7e]+", url):
        raise InvalidInput(f"{safe(text, limit=100)!r} is not the address of a Hub", f"write it like {DEFAULT}")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise InvalidInput(
            "the address of a Hub holds no password, query or fragment", f"give the token in {TOKEN_VARIABLE}"
        )
    return url


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def check_repo_id(text: str) -> str:
    """Return `owner/name` when it can be a repository.

    Raises:
        InvalidInput: it breaks the Hub's rule of names.
    """
    owner, slash, name = text.partition("/")
    if slash and _PART.fullmatch(owner) and _PART.fullmatch(name) and not name.endswith(".git"):
        return text
    raise InvalidInput(
        f"{safe(text, limit=120)!r} is not a repository", "write it as owner/name, with letters, digits, '-', '_', '.'"
    )


def split_revision(text: str, endpoint: str = DEFAULT) -> tuple[str, str]:
    """`owner/name@revision` (also pasted as a page's address) as repository and revision; empty means main.

    Args:
        text: what the user wrote.
        endpoint: address of the Hub that will be asked; a page of another one is not looked for there.

    Raises:
        InvalidInput: it is neither, or a page of another Hub.
    """
    plain = re.sub(r"^(?:hf://)?(?:models/)?", "", _without_host(text.strip(), endpoint))
    plain = re.sub(r"/(?:tree|blob|resolve)/([^/]+)/?$", r"@\1", plain.rstrip("/"))
    repo_id, at, revision = plain.partition("@")
    if at and (not _REVISION.fullmatch(revision) or revision.endswith(("/", ".lock"))):
        raise InvalidInput(
            f"{safe(revision, limit=100)!r} is not a revision", "give a branch, a tag such as v3, or a commit"
        )
    return check_repo_id(repo_id), revision


def _without_host(text: str, endpoint: str) -> str:
    """What a page's address says after the Hub's own.

    Raises:
        InvalidInput: it is the address of another Hub's page.
    """
    if not re.match(r"https?://", text, re.IGNORECASE):
        return text
    try:
        page, hub = urlsplit(text), urlsplit(endpoint)
        is_same = _place(page) == _place(hub) or (endpoint == DEFAULT and _place(page) in _ALIASES)
        folder = hub.path.rstrip("/") + "/"
    except ValueError as error:
        raise InvalidInput(f"{safe(text, limit=120)!r} is not an address", "write owner/name") from error
    if not is_same or not page.path.startswith(folder):
        origin = f"{page.scheme}://{page.netloc.rpartition('@')[2]}"
        raise InvalidInput(
            f"that page is of {safe(origin, limit=120)}, and the Hub in use is {safe(endpoint, limit=120)}",
            f"to ask the other one: --endpoint {safe(origin, limit=120)}",
        )
    return page.path[len(folder) :]


def _place(parts: SplitResult) -> tuple[str, int]:
    """Host and port; http and https without a port are one place."""
    return (parts.hostname or "").lower(), parts.port or 443 if parts.port != 80 else 443


def slug(name: str) -> str:
    """A concept's name as the name of a repository or file: ASCII, as the Hub wants it."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    plain = re.sub(r"[^A-Za-z0-9_.]+|-{2,}|\.{2,}", "-", plain).strip("-._")[:90].rstrip("-._")
    return plain or "learned-word"


def check_sha(value: object) -> str:
    """Return a commit's sha when it is one; a server that sends anything else is not listened to.

    Raises:
        HubError: it is none.
    """
    if isinstance(value, str) and _SHA.fullmatch(value):
        return value
    raise HubError(f"the Hub gave {safe(value, limit=60)!r} as the name of a commit", "do not use this endpoint")
