"""Where things live on this machine (`TIREG_HOME`, platform folders) and the user's settings file."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tiregistry.errors import InvalidConfig

FILE = "settings.toml"


def home() -> Path:
    """The registry's folder: `$TIREG_HOME`, else the platform's user-data folder. It need not exist yet."""
    chosen = os.environ.get("TIREG_HOME", "").strip()
    if chosen:
        return Path(chosen).expanduser().absolute()
    import platformdirs  # 14 ms, and only needed when TIREG_HOME is not set

    return Path(platformdirs.user_data_dir("tiregistry", appauthor=False))


@dataclass(frozen=True, slots=True)
class Setting:
    """One thing that can be set.

    Attributes:
        default: what holds where the file says nothing.
        what: one line for people.
        choices: the only values there are; empty when any text is one. What follows a `*` is free (`cuda:*`).
    """

    name: str
    default: str
    what: str
    choices: tuple[str, ...] = ()

    def check(self, value: str) -> None:
        """Refuse what is none of the choices.

        Raises:
            InvalidConfig: names the choices.
        """
        fits = (
            value.startswith(c[:-1]) and len(value) >= len(c) if c.endswith("*") else value == c for c in self.choices
        )
        if self.choices and not any(fits):
            raise InvalidConfig(f"{self.name}: {value[:60]!r} is no choice", f"one of: {', '.join(self.choices)}")


SETTINGS: tuple[Setting, ...] = (
    Setting(
        "images",
        "auto",
        "how pictures are drawn in the terminal",
        ("auto", "kitty", "kitty-direct", "sixel", "halfblocks", "ascii", "off"),
    ),
    Setting(
        "theme", "dark", "colours of the terminal UI: dark, light, ansi (the terminal's own) or a theme of Textual"
    ),
    Setting("notify", "on", "ring the bell and change the window's title when something long is done", ("on", "off")),
    Setting(
        "device",
        "auto",
        "where models run: auto takes cuda, then mps, then cpu",
        ("auto", "cpu", "mps", "cuda", "cuda:*"),
    ),
    Setting(
        "niceness",
        "5",
        "how far a background training gives way to other programs: 0 not at all, 19 until they are idle",
        ("0", "5", "10", "15", "19"),
    ),
    Setting(
        "output", "", "folder for generated pictures; empty: the current folder, in the terminal UI the registry's"
    ),
    Setting(
        "pictures", "paths", "what is kept of a generated picture: where it is, or its bytes too", ("paths", "files")
    ),
    Setting("wildcards", "", "folder with wildcard files for prompts, besides those found by themselves"),
)
"""Everything that can be set in `settings.toml`, beside `[keys]`."""
_BY_NAME = {setting.name: setting for setting in SETTINGS}
_KEY_ID = re.compile(r"[a-z_]+(?:\.[a-z_]+)+")


@dataclass(frozen=True, slots=True)
class Settings:
    """What a user has set in `settings.toml` beside the registry; options and environment variables win over it."""

    images: str = _BY_NAME["images"].default
    theme: str = _BY_NAME["theme"].default
    notify: str = _BY_NAME["notify"].default
    device: str = _BY_NAME["device"].default
    niceness: str = _BY_NAME["niceness"].default
    output: str = _BY_NAME["output"].default
    pictures: str = _BY_NAME["pictures"].default
    wildcards: str = _BY_NAME["wildcards"].default
    keys: Mapping[str, str] = field(default_factory=dict)
    """Keys of the terminal UI that were remapped: id of an act to one key or several, separated by commas."""

    @classmethod
    def load(cls, folder: Path | None = None) -> Settings:
        """Read `settings.toml` in `folder` (default: `home()`).

        A missing file gives the defaults.

        Raises:
            InvalidConfig: the file is not TOML, has an unknown setting, or a value that is none.
        """
        path = (folder or home()) / FILE
        try:
            text = path.read_text(encoding="utf-8-sig")  # editors on Windows put a mark before the text
        except (FileNotFoundError, NotADirectoryError):
            return cls()
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidConfig(f"{path} cannot be read: {error}", "correct or remove the file") from None
        return cls.parse(text, str(path))

    @classmethod
    def parse(cls, text: str, name: str = FILE) -> Settings:
        """Read settings from a text; `name` is what errors call it.

        Raises:
            InvalidConfig: as `load`.
        """
        try:
            raw = tomllib.loads(text)
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise InvalidConfig(f"{name} is not valid TOML: {error}", "correct or remove the file") from None
        keys = _flat_keys(raw.pop("keys", {}), name)
        for key, value in raw.items():
            setting = find_setting(key, name)
            if not isinstance(value, str):
                raise InvalidConfig(f"{name}: {key} must be a string", 'write it in quotes, e.g. device = "cpu"')
            try:
                setting.check(value)
            except InvalidConfig as error:
                raise InvalidConfig(f"{name}: {error.message}", error.hint) from None
        return cls(**raw, keys=keys)

    def get(self, name: str) -> str:
        """The value of a setting, or of `keys.ID`; empty for a key that was not remapped.

        Raises:
            InvalidConfig: there is no such setting.
        """
        if name.startswith("keys."):
            return self.keys.get(name.removeprefix("keys."), "")
        return str(getattr(self, find_setting(name).name))


def find_setting(name: str, where: str = "") -> Setting:
    """A setting by its name.

    Raises:
        InvalidConfig: there is none; the message begins with `where`.
    """
    if name not in _BY_NAME:
        raise InvalidConfig(
            f"{where}{': ' if where else ''}unknown setting {name[:60]!r}",
            f"known settings: {', '.join(_BY_NAME)}, keys.ID",
        )
    return _BY_NAME[name]


def check_key(act: str, keys: str) -> None:
    """Refuse what can be no remapped key.

    Raises:
        InvalidConfig: `act` is no id such as `library.filter`, or `keys` is empty.
    """
    if not _KEY_ID.fullmatch(act):
        raise InvalidConfig(
            f"{act[:60]!r} is no id of an act", "the settings screen of tireg tui lists them: library.filter"
        )
    if not all(key.strip() for key in keys.split(",")):
        raise InvalidConfig(f"keys.{act}: a key is missing", "write one or several: f, or f,ctrl+f")


def _flat_keys(table: Any, name: str) -> dict[str, str]:
    """`[keys]`, whether its ids are quoted or written as nested tables."""
    found: dict[str, str] = {}

    def take(prefix: str, value: Any) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                take(f"{prefix}.{key}" if prefix else key, inner)
        elif isinstance(value, str) and prefix:
            check_key(prefix, value)
            if prefix in found:
                raise InvalidConfig(f"{name}: keys.{prefix} stands there twice", "remove one of them")
            found[prefix] = value
        else:
            raise InvalidConfig(f"{name}: keys.{prefix} must be a string", 'write it like this: "library.filter" = "f"')

    take("", table)
    return found
