"""Asking before something that cannot be undone."""

from __future__ import annotations

import sys

import click

from tiregistry.errors import Interrupted, InvalidInput
from tiregistry.text import safe


def confirm(question: str, *, yes: bool) -> None:
    """Return when the user agrees: with `--yes`, or by answering on a terminal.

    Raises:
        InvalidInput: nobody is there to ask, and `--yes` was not given.
        Interrupted: the answer was no.
    """
    if yes:
        return
    if sys.stdin is None or not sys.stdin.isatty():
        raise InvalidInput(f"{question} cannot be asked without a terminal", "add --yes to agree beforehand")
    if not click.confirm(safe(question), default=False, err=True):
        raise Interrupted("nothing was changed")
