"""Numbers for pictures kept by the terminal: unique in this process, and unlikely to meet another process's."""

from __future__ import annotations

import itertools
import secrets

_COUNTER = itertools.count()
_START = secrets.randbits(24)


def new_id() -> int:
    """A picture id of 24 bits, as a placeholder's colour can carry it; never 0.

    Ids are shared by all programs in one terminal, so counting starts at a random number.
    """
    return (_START + next(_COUNTER)) % 0xFF_FFFF + 1
