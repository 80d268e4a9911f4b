"""`plan.toml`: several concepts to learn in one pass, with settings they share and settings of their own."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tiregistry.errors import FileMissing, InvalidConfig
from tiregistry.text import safe
from tiregistry.training.config import TrainingConfig
from tiregistry.training.config_check import refuse_unread

_TOP = frozenset({"base", "revision", "device", "training", "concepts"})
_CONCEPT = frozenset({"name", "images", "token", "captions", "masks", "type", "init"})


@dataclass(frozen=True)
class PlannedConcept:
    """One `[[concepts]]` table, with paths resolved against the plan's folder.

    Attributes:
        captions: folder of text files; None looks beside the pictures.
        masks: folder of masks, or None; `alpha` in the plan means the pictures' transparency.
    """

    name: str
    images: list[Path]
    config: TrainingConfig
    token: str = ""
    captions: Path | None = None
    masks: Path | None = None


@dataclass(frozen=True)
class Plan:
    """A whole plan; empty strings mean that the plan does not say."""

    concepts: list[PlannedConcept]
    base: str = ""
    revision: str = ""
    device: str = ""


def read_plan(path: Path) -> Plan:
    """Read a plan.

    Settings under `[training]` hold for every concept, those in a concept's own table win; both are fields of
    `TrainingConfig` (`type` and `init` may stand for `concept_type` and `initializer`).

    Raises:
        FileMissing: there is no such file.
        InvalidConfig: it is not TOML, or says something that cannot work; the message names the concept.
    """
    name = safe(path.name)
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8-sig"))  # editors on Windows put a mark before the text
    except FileNotFoundError:
        raise FileMissing(f"{safe(path)} does not exist", "docs/training.md shows a plan") from None
    except OSError as error:
        raise InvalidConfig(f"{name} cannot be read: {error.strerror}", "give a TOML file") from None
    except RecursionError:
        raise InvalidConfig(f"{name} is nested too deeply", "correct the file") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidConfig(f"{name} is not valid TOML: {safe(error, limit=200)}", "correct the file") from None
    _known(raw, _TOP, name)
    tables = raw.get("concepts")
    if not isinstance(tables, list) or not tables or not all(isinstance(table, dict) for table in tables):
        raise InvalidConfig(f"{name} has no [[concepts]] table", "docs/training.md shows a plan")
    shared = raw.get("training", {})
    if not isinstance(shared, dict):
        raise InvalidConfig(f"training in {name} is not a table", "write [training] above its settings")
    return Plan(
        [_concept(table, shared, path.parent, name) for table in tables],
        _text(raw, "base", name),
        _text(raw, "revision", name),
        _text(raw, "device", name),
    )


def _concept(table: Mapping[str, Any], shared: Mapping[str, Any], folder: Path, plan: str) -> PlannedConcept:
    concept = _text(table, "name", plan)
    if not concept:
        raise InvalidConfig(f"a concept in {plan} has no name", 'add name = "gnome"')
    images = table.get("images")
    images = [images] if isinstance(images, str) else images
    if not isinstance(images, list) or not images or not all(isinstance(item, str) and item for item in images):
        raise InvalidConfig(f"{concept} in {plan} names no images", 'add images = ["folder"]')
    captions, masks = _text(table, "captions", plan), _text(table, "masks", plan)
    for table_of_both in (shared, table):
        for key, long in _SYNONYMS.items():
            if key in table_of_both and long in table_of_both:
                raise InvalidConfig(f"{concept} in {plan}: {key} and {long} are the same setting", "write one of them")
    settings = {_long(key): value for key, value in shared.items()}
    settings |= {_long(key): value for key, value in table.items() if key not in _CONCEPT - {"type", "init"}}
    if masks == "alpha":  # as `--mask alpha`
        settings, masks = settings | {"use_alpha": True}, ""
    try:
        config = TrainingConfig.from_mapping(settings)
        refuse_unread(table, config)
    except InvalidConfig as error:
        raise InvalidConfig(f"{concept} in {plan}: {error.message}", error.hint) from None
    return PlannedConcept(
        concept,
        [_path(folder, image) for image in images],
        config,
        _text(table, "token", plan),
        _path(folder, captions) if captions else None,
        _path(folder, masks) if masks else None,
    )


_SYNONYMS = {"type": "concept_type", "init": "initializer"}


def _long(key: str) -> str:
    return _SYNONYMS.get(key, key)


def _path(folder: Path, text: str) -> Path:
    return folder / Path(text).expanduser()


def _text(table: Mapping[str, Any], key: str, plan: str) -> str:
    value = table.get(key, "")
    if not isinstance(value, str):
        raise InvalidConfig(f"{key} in {plan} is not text", f'write {key} = "…"')
    return value


def _known(table: Mapping[str, Any], known: frozenset[str], plan: str) -> None:
    unknown = sorted(set(table) - known)
    if unknown:
        raise InvalidConfig(f"{plan} has an unknown setting {unknown[0]!r}", f"known: {', '.join(sorted(known))}")
