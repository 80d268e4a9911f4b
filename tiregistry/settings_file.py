"""Changing one setting in `settings.toml`: everything else in the file, comments included, stays as it is."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tiregistry.errors import FULL_DISK, DiskFull, InvalidConfig, RegistryReadOnly
from tiregistry.settings import FILE, Settings, check_key, find_setting, home
from tiregistry.whole_files import write_whole

_HEADER = re.compile(r"\s*\[\s*([^\[\]]*?)\s*\]\s*(?:#.*)?$")
_KEYS = "keys"


def set_setting(name: str, value: str, folder: Path | None = None) -> Settings:
    """Write one setting and return all of them as they are now.

    Args:
        name: a setting, or `keys.` and the id of an act of the terminal UI.
        value: the new value, in the form `Settings` has it.
        folder: the registry's folder; default `home()`.

    Raises:
        InvalidConfig: no such setting, no such choice, or the file is written in a way that only a person can change.
        RegistryReadOnly, DiskFull: it cannot be written.
    """
    if name.startswith(f"{_KEYS}."):
        check_key(name.removeprefix(f"{_KEYS}."), value)
    else:
        find_setting(name).check(value)
    return _change(name, value, folder or home())


def unset_setting(name: str, folder: Path | None = None) -> Settings:
    """Take one setting out of the file, so that its default holds; return all of them as they are now.

    Raises:
        InvalidConfig, RegistryReadOnly, DiskFull: as `set_setting`.
    """
    if not name.startswith(f"{_KEYS}."):
        find_setting(name)
    return _change(name, None, folder or home())


def _change(name: str, value: str | None, folder: Path) -> Settings:
    from filelock import FileLock

    path = folder / FILE
    try:
        (folder / "locks").mkdir(parents=True, exist_ok=True)
        # Reading and writing are one act: two processes that change two settings must not lose one of them.
        with FileLock(folder / "locks" / "settings.lock", timeout=10):
            before = path.read_text(encoding="utf-8-sig") if path.exists() else ""
            after = edited(before, name, value)
            settings = Settings.parse(after, str(path))
            if after != before:
                _write(path, after)
            return settings
    except UnicodeDecodeError as error:
        raise InvalidConfig(f"{path} cannot be read: {error}", "correct or remove the file") from None
    except PermissionError as error:
        raise RegistryReadOnly(f"{path} cannot be written: {error.strerror}", "check who owns the folder") from None
    except OSError as error:
        kind = DiskFull if error.errno in FULL_DISK else RegistryReadOnly
        raise kind(f"{path} cannot be written: {error.strerror or error}", "nothing was changed") from None


def edited(text: str, name: str, value: str | None) -> str:
    """The text of a settings file with one setting changed, added, or (value None) taken out.

    Raises:
        InvalidConfig: the file is broken, or the setting stands in a form that is not changed here.
    """
    section, key = (_KEYS, name.removeprefix(f"{_KEYS}.")) if name.startswith(f"{_KEYS}.") else ("", name)
    entry = re.compile(rf"\s*(?:\"{re.escape(key)}\"|'{re.escape(key)}'|{re.escape(key)})\s*=")
    wanted = _others(text, name, section, entry)
    if value is not None and value != Settings().get(name):
        wanted[name] = value
    lines = text.removesuffix("\n").split("\n") if text else []  # what else str.splitlines takes for ends is text
    first, last = _section(lines, section)
    at = next((number for number in range(first, last) if entry.match(lines[number])), None)
    if value is not None:
        line = (f'"{key}"' if section else key) + f" = {_quoted(value, name)}"
        if at is not None:
            lines[at] = line + _comment(lines[at])
        else:
            _insert(lines, section, line)
    elif at is not None:
        _delete(lines, section, at)
    result = "\n".join(lines) + ("\n" if lines else "")
    try:
        sound = _values(Settings.parse(result)) == wanted
    except InvalidConfig:
        sound = False
    if not sound:
        raise InvalidConfig(f"{name} stands in {FILE} in a form that is not changed from here", "edit the file by hand")
    return result


def _others(text: str, name: str, section: str, entry: re.Pattern[str]) -> dict[str, str]:
    """The settings besides `name`; what is wrong with the file may be the very line that is changed.

    Raises:
        InvalidConfig: something else in the file is broken.
    """
    try:
        values = _values(Settings.parse(text))
    except InvalidConfig as error:
        lines = text.split("\n")
        first, last = _section(lines, section)
        rest = [line for number, line in enumerate(lines) if not (first <= number < last and entry.match(line))]
        try:
            values = _values(Settings.parse("\n".join(rest)))
        except InvalidConfig:
            raise error from None
    values.pop(name, None)
    return values


def _quoted(value: str, name: str) -> str:
    """A value as a TOML string.

    Raises:
        InvalidConfig: it holds lone surrogates, as the path of a file whose name is not valid UTF-8 does.
    """
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise InvalidConfig(f"{name}: {value[:60]!a} is not valid text", "choose another name") from None
    # JSON's escapes are TOML's, but for surrogate pairs, which TOML forbids, and DEL, which it wants escaped.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _values(settings: Settings) -> dict[str, str]:
    """What differs from the defaults; an entry that says the default is as good as none."""
    defaults = Settings()
    names = [field for field in Settings.__dataclass_fields__ if field != _KEYS]
    values = {name: settings.get(name) for name in names if settings.get(name) != defaults.get(name)}
    return values | {f"{_KEYS}.{act}": keys for act, keys in settings.keys.items()}


def _section(lines: list[str], name: str) -> tuple[int, int]:
    """First line and end of a section; behind the end of the file when it is not there."""
    headers = [(number, match.group(1)) for number, line in enumerate(lines) if (match := _HEADER.match(line))]
    if not name:
        return 0, headers[0][0] if headers else len(lines)
    for position, (number, header) in enumerate(headers):
        if header.strip("\"'") == name:
            end = headers[position + 1][0] if position + 1 < len(headers) else len(lines)
            return number + 1, end
    return len(lines) + 1, len(lines) + 1


def _insert(lines: list[str], section: str, line: str) -> None:
    """Put a line at the end of its section, which is made where there is none."""
    first, last = _section(lines, section)
    if first > len(lines):
        lines += [*([""] if lines else []), f"[{section}]"]
        first = last = len(lines)
    while last > first and not lines[last - 1].strip():
        last -= 1
    lines.insert(last, line)


def _delete(lines: list[str], section: str, at: int) -> None:
    """Take out a line; with it the header of a section that holds nothing else, and the empty lines that set it off."""
    first, last = _section(lines, section)
    del lines[at]
    last -= 1
    if not section or any(line.strip() for line in lines[first:last]):
        return
    header = first - 1
    while header > 0 and not lines[header - 1].strip():
        header -= 1
    del lines[header:last]
    if header and header < len(lines):
        lines.insert(header, "")


def _comment(line: str) -> str:
    """The comment at the end of `key = "value"  # comment`."""
    match = re.match(r"""[^=]*=\s*(?:"(?:[^"\\]|\\.)*"|'[^']*')(\s*#.*)$""", line)
    return match.group(1) if match else ""


def _write(path: Path, text: str) -> None:
    """Replace the file, whole or not at all; one that is a link stays one."""
    write_whole(path.resolve(), text.encode())
