"""What this machine has to offer and where things are: one look that answers most questions about a setup."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from tiregistry import __version__, settings
from tiregistry.errors import NotFound, TiregError
from tiregistry.quantities import size

if TYPE_CHECKING:
    from tiregistry.graphics.terminal import Terminal

PACKAGES = ("torch", "diffusers", "transformers", "huggingface_hub", "safetensors", "numpy", "pillow", "textual")
LOW_DISK = 2 * 10**9
"""Bytes below which the disk is worth a warning."""


@dataclass(frozen=True)
class Section:
    """One heading of the report.

    Attributes:
        facts: name and value of everything found out.
        problems: what should be looked at, each with what helps.
    """

    name: str
    facts: dict[str, str]
    problems: tuple[str, ...] = ()


def examine(terminal: Terminal | None = None) -> list[Section]:
    """Look at everything. Imports torch; nothing is changed and the network is not asked.

    Args:
        terminal: the result of detection, where there is a terminal.
    """
    sections = [_device(), _registry(), _settings(), _hub(), _software()]
    return sections if terminal is None else [*sections[:1], terminal_section(terminal), *sections[1:]]


def terminal_section(terminal: Terminal) -> Section:
    """What detection found out."""
    facts = {"pictures": f"{terminal.protocol}: {terminal.reason}" if terminal.reason else terminal.protocol}
    facts |= {"colours": terminal.colors} | dict(terminal.facts)
    problems = []
    if not terminal.answered:
        problems.append("the terminal did not answer in time; TIREG_IMAGES names a way to show pictures without asking")
    if terminal.in_tmux and terminal.facts.get("passthrough") == "no":
        problems.append("tmux passes nothing on; for kitty's pictures: tmux set -g allow-passthrough on")
    return Section("terminal", facts, tuple(problems))


def _device() -> Section:
    try:
        # A second or more, which only this part of the report costs.
        from tiregistry.bases.devices import choose_device, choose_dtype, computes_in_bf16

        device = choose_device(_loaded()[0].device)
        dtype = str(choose_dtype("auto", device)).removeprefix("torch.")
        import torch
    except (ImportError, OSError, TiregError) as error:
        return Section("device", {}, (f"no device can be used: {error}",))
    facts = {"device": str(device), "precision": dtype}
    problems = []
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        facts["name"] = torch.cuda.get_device_name(device)
        facts["bf16"] = "in hardware" if computes_in_bf16(device) else "only emulated, slower than fp16"
        facts["memory"] = f"{size(free)} free of {size(total)}"
    elif device.type == "cpu":
        facts["threads"] = str(torch.get_num_threads())
        facts["bf16"] = "in hardware" if computes_in_bf16(device) else "only emulated, much slower than fp32"
        problems.append("no GPU: the embedded base model works well, large models take hours")
    return Section("device", facts, tuple(problems))


def _registry() -> Section:
    from tiregistry.registry.registry import Registry

    home = settings.home()
    facts = {
        "folder": str(home),
        "from": "TIREG_HOME" if os.environ.get("TIREG_HOME") else "the platform's data folder",
    }
    problems = []
    existing = next((folder for folder in (home, *home.parents) if folder.exists()), Path("/"))
    free = shutil.disk_usage(existing).free
    facts["free disk"] = size(free)
    if free < LOW_DISK:
        problems.append("the disk is nearly full; tireg gc shows what can be freed")
    if home.exists():
        try:
            with Registry.open(home, readonly=True) as registry:
                facts["words"] = f"{len(registry.placeholders()):,}"
                facts["default base"] = registry.default_base
                facts["last backup"] = _day(registry.last_backup)
            if not os.access(home, os.W_OK):
                problems.append("the folder can only be read")
        except NotFound:
            facts["words"] = "none yet"
        except TiregError as error:
            problems.append(str(error))
    else:
        facts["words"] = "none yet"
    return Section("registry", facts, tuple(problems))


def _loaded() -> tuple[settings.Settings, TiregError | None]:
    """The settings, or the defaults and what is wrong with the file."""
    try:
        return settings.Settings.load(), None
    except TiregError as error:
        return settings.Settings(), error


def _settings() -> Section:
    loaded, error = _loaded()
    defaults = settings.Settings()
    facts = {"file": str(settings.home() / settings.FILE)}
    facts |= {s.name: loaded.get(s.name) for s in settings.SETTINGS if loaded.get(s.name) != defaults.get(s.name)}
    return Section("settings", facts, () if error is None else (f"{error}; other commands stop at it",))


def _hub() -> Section:
    from huggingface_hub import constants

    from tiregistry.hub.endpoints import TOKEN_VARIABLE, choose_endpoint

    facts, problems = {}, []
    try:
        endpoint = choose_endpoint()
    except TiregError as error:
        problems.append(f"{error.message} · {error.hint}")
    else:
        # Each Hub has a token of its own: that of huggingface.co goes nowhere else.
        source, way = ("", "hf auth login") if endpoint.is_default else (TOKEN_VARIABLE, f"set {TOKEN_VARIABLE}")
        there = f"the token in {source} is used" if source else "a token is there"
        facts["login"] = there if endpoint.token else f"none (what is public needs none) · {way}"
        facts["endpoint"] = endpoint.url
    facts |= {"cache": str(constants.HF_HUB_CACHE), "offline": "yes" if constants.HF_HUB_OFFLINE else "no"}
    return Section("hub", facts, tuple(problems))


def _software() -> Section:
    facts = {
        "tiregistry": __version__,
        "python": f"{platform.python_version()} on {platform.system()} {platform.machine()}",
    }
    problems = []
    for package in PACKAGES:
        try:
            facts[package] = version(package)
        except PackageNotFoundError:
            problems.append(f"{package} is not installed: pip install {package}")
    facts["executable"] = sys.executable
    return Section("software", facts, tuple(problems))


def _day(moment: float | None) -> str:
    if moment is None:
        return "never · tireg backup FILE makes one"
    return datetime.fromtimestamp(moment, UTC).astimezone().strftime("%Y-%m-%d")
