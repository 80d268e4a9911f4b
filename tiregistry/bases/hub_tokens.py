"""Tokens of a Hub: the one that huggingface_hub keeps, and whether a text can be one at all.

What cannot travel in a header is refused here, because the HTTP library quotes the whole header when it refuses it.
"""

from __future__ import annotations

import os
import re

from tiregistry.errors import InvalidInput

_TOKEN = re.compile(r"[\x21-\x7e]*")
_VARIABLES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")


def check_token(token: str, source: str, hint: str) -> str:
    """Return `token` when it can be one: visible ASCII characters, or empty for none.

    Args:
        token: never part of a message.
        source: where it stands, for the message.
        hint: the next step.

    Raises:
        InvalidInput: it holds another character.
    """
    if not _TOKEN.fullmatch(token):
        # Where this is found out after a request has failed, that error quotes the token.
        raise InvalidInput(f"{source} holds a character no token has", hint) from None
    return token


def saved_token() -> str:
    """The token for huggingface.co that huggingface_hub knows; empty when nobody is signed in.

    Raises:
        InvalidInput: it cannot be one.
    """
    from huggingface_hub import get_token

    variable = next((name for name in _VARIABLES if os.environ.get(name)), "")
    source = variable or "the token that hf auth login saved"
    hint = "copy it again, whole" if variable else "run: hf auth login"
    try:
        token = get_token() or ""
    except UnicodeError:
        token = "\0"  # the file holds what is no text
    return check_token(token, source, hint)
