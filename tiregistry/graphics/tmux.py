"""tmux between us and the terminal: wrapping what the outer terminal shall get, and asking tmux who that is."""

from __future__ import annotations

from collections.abc import Mapping

_PATIENCE = 0.5
"""Seconds that tmux has to answer."""


def inside(environment: Mapping[str, str]) -> bool:
    """Whether this process runs inside tmux."""
    return bool(environment.get("TMUX"))


def passthrough(sequence: str) -> str:
    """`sequence` wrapped so that tmux hands it to the outer terminal (needs `allow-passthrough on`)."""
    return "\x1bPtmux;" + sequence.replace("\x1b", "\x1b\x1b") + "\x1b\\"


def outer_name() -> str:
    """What tmux knows of the outer terminal's name, such as `kitty(0.41.1)`; empty when it cannot say."""
    import subprocess  # only needed inside tmux

    try:
        answer = subprocess.run(
            ["tmux", "display-message", "-p", "#{client_termtype}"],
            capture_output=True,
            timeout=_PATIENCE,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return answer.stdout.decode("utf-8", "replace").strip()[:100] if answer.returncode == 0 else ""
