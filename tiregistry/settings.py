"""Where things live on this machine (`TIREG_HOME`, platform folders) and the user's settings file."""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path

from tiregistry.errors import InvalidConfig


def home() -> Path:
    """The registry's folder: `$TIREG_HOME`, else the platform's user-data folder. It need not exist yet."""
    chosen = os.environ.get("TIREG_HOME", "").strip()
    if chosen:
        return Path(chosen).expanduser().absolute()
    import platformdirs  # 14 ms, and only needed when TIREG_HOME is not set

    return Path(platformdirs.user_data_dir("tiregistry", appauthor=False))


@dataclass(frozen=True, slots=True)
class Settings:
    """What a user may set in `settings.toml` beside the registry; command-line options win over it."""

    base: str = "embedded"
    """Base model used when none is named: `embedded`, a name from `tireg base list`, a Hub id or a folder."""
    device: str = "auto"
    """`auto` (cuda, then mps, then cpu), or a torch device string such as `cuda:1`."""
    images: str = "auto"
    """How pictures are drawn in the terminal: `auto`, `kitty`, `sixel`, `halfblocks`, `ascii` or `off`."""
    output: str = ""
    """Folder for generated pictures; empty means the current folder."""
    pictures: str = "paths"
    """What the registry keeps of a generated picture: `paths` (where it is), or `files` (its bytes too)."""
    wildcards: str = ""
    """Folder with wildcard files for prompts, besides `./wildcards` and `wildcards` beside the registry."""

    @classmethod
    def load(cls, folder: Path | None = None) -> Settings:
        """Read `settings.toml` in `folder` (default: `home()`).

        A missing file gives the defaults.

        Raises:
            InvalidConfig: the file is not TOML, has an unknown key, or a value of the wrong type.
        """
        path = (folder or home()) / "settings.toml"
        try:
            raw = tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return cls()
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise InvalidConfig(f"{path} is not valid TOML: {error}", "correct or remove the file") from None
        known = {f.name for f in fields(cls)}
        for key, value in raw.items():
            if key not in known:
                raise InvalidConfig(f"{path}: unknown setting {key!r}", f"known settings: {', '.join(sorted(known))}")
            if not isinstance(value, str):
                raise InvalidConfig(f"{path}: {key} must be a string", 'write it in quotes, e.g. device = "cpu"')
        return cls(**raw)
