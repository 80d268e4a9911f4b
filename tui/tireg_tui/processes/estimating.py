"""What a training will need, for the form: the device is asked of another process, once, and the rest reckoned here."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tireg_tui.processes.tireg_process import ChildFailed, output_of_command
from tiregistry.bases.device_facts import Device
from tiregistry.errors import TiregError
from tiregistry.quantities import duration, size

if TYPE_CHECKING:
    from tiregistry.registry.registry import Registry
    from tiregistry.training.request import TrainingRequest


class DeviceAsker:
    """Knows the device, after the first question; that question loads torch elsewhere and takes seconds."""

    def __init__(self) -> None:
        self._known: dict[str, Device] = {}
        self._asking: dict[str, asyncio.Task[Device]] = {}

    def known(self, wanted: str) -> Device | None:
        """The device, where it has been asked for."""
        return self._known.get(wanted)

    async def ask(self, wanted: str, home: Path) -> Device:
        """The device that `wanted` means on this machine.

        Raises:
            ChildFailed: there is none.
            OSError: no process started.
        """
        if wanted not in self._known:
            if wanted not in self._asking:
                self._asking[wanted] = asyncio.create_task(_look(wanted, home))
            try:
                # Whoever no longer waits, because something else was typed, must not end the question.
                self._known[wanted] = await asyncio.shield(self._asking[wanted])
            except (TiregError, OSError):
                self._asking.pop(wanted, None)  # it may well be answered later
                raise
        return self._known[wanted]

    async def stop(self) -> None:
        """End what is still being asked."""
        for task in self._asking.values():
            task.cancel()
        await asyncio.gather(*self._asking.values(), return_exceptions=True)


async def _look(wanted: str, home: Path) -> Device:
    command = [sys.executable, "-m", "tiregistry.bases.device_facts", wanted]
    try:
        return Device(**json.loads(await output_of_command(command, home)))
    except (ValueError, TypeError) as error:
        raise ChildFailed(f"the device could not be examined: {error}") from None


def needs(registry: Registry, request: TrainingRequest, device: Device) -> tuple[list[str], list[str]]:
    """What a checked request needs and what speaks against it, one line each. Reads files; to be called in a thread."""
    from tiregistry.training.estimate import estimate_training
    from tiregistry.training.notes import learned_like_this

    try:
        found = estimate_training(registry, request, device)
    except TiregError as error:
        return [], [error.message]
    lines = [f"on {device.label}"]
    if found.memory:
        free = f" of {size(device.free_memory)} free" if device.free_memory else ""
        lines.append(f"about {size(found.memory)} of memory{free}")
    if found.seconds is not None:
        whole = " for all steps" if found.may_stop_earlier else ""
        lines.append(f"about {duration(found.seconds)}{whole} ({found.basis})")
    else:
        lines.append("its time is not known before the first steps")
    like = learned_like_this(registry, request)
    known = [f"{like.reference} was learned just like this; another seed makes another"] if like else []
    return lines, [*found.problems, *known]
