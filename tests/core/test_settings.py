"""Settings: read, refused, and changed one at a time without touching the rest of the file."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from tiregistry.errors import DiskFull, InvalidConfig, RegistryReadOnly
from tiregistry.settings import FILE, SETTINGS, Settings
from tiregistry.settings_file import edited, set_setting, unset_setting

COMMENTED = """# mine
images = "sixel"  # for xterm
# device = "cpu"

[keys]
# the filter
"library.filter" = "f"
compose.make = "ctrl+r"
"""


def test_every_setting_is_described() -> None:
    assert [setting.name for setting in SETTINGS] == [field.name for field in fields(Settings) if field.name != "keys"]
    for setting in SETTINGS:
        setting.check(Settings().get(setting.name))


def test_comments_and_order_stay(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(COMMENTED)
    set_setting("images", "kitty", tmp_path)
    set_setting("theme", "light", tmp_path)
    set_setting("keys.compose.make", "f9", tmp_path)
    settings = set_setting("keys.runs.stop", "ctrl+x,X", tmp_path)
    assert (tmp_path / FILE).read_text() == (
        '# mine\nimages = "kitty"  # for xterm\n# device = "cpu"\ntheme = "light"\n\n[keys]\n# the filter\n'
        '"library.filter" = "f"\n"compose.make" = "f9"\n"runs.stop" = "ctrl+x,X"\n'
    )
    assert (settings.images, settings.theme, settings.device) == ("kitty", "light", "auto")
    assert settings.keys == {"library.filter": "f", "compose.make": "f9", "runs.stop": "ctrl+x,X"}
    for name in ("images", "theme", "keys.compose.make", "keys.runs.stop", "keys.library.filter"):
        settings = unset_setting(name, tmp_path)
    assert settings == Settings()
    assert (tmp_path / FILE).read_text() == '# mine\n# device = "cpu"\n\n[keys]\n# the filter\n'


@pytest.mark.parametrize(
    "value",
    [
        "",
        'a "quoted" \\ path',
        "snow ☃",
        "/pictures/\U0001f600",
        "x" * 5000,
        "".join(map(chr, range(0xA1))),
        "a\u2028b\u2029c\ufeff",
    ],
)
def test_any_text_comes_back(value: str, tmp_path: Path) -> None:
    assert set_setting("output", value, tmp_path).output == value
    assert Settings.load(tmp_path).output == value
    set_setting("theme", "light", tmp_path)
    assert set_setting("output", value, tmp_path) == Settings(output=value, theme="light")
    assert unset_setting("output", tmp_path) == Settings(theme="light")


def test_a_path_that_is_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match="not valid text"):
        set_setting("output", "/pictures/\udcff", tmp_path)
    assert not (tmp_path / FILE).exists()


def test_a_mark_before_the_text_is_no_part_of_it(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b'\xef\xbb\xbftheme = "light"\r\n')
    assert Settings.load(tmp_path).theme == "light"
    assert set_setting("images", "off", tmp_path) == Settings(theme="light", images="off")
    assert Settings.load(tmp_path).images == "off"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_or_quota_is_said(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    set_setting("theme", "light", tmp_path)
    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(DiskFull):
        set_setting("images", "off", tmp_path)
    assert Settings.load(tmp_path) == Settings(theme="light")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["locks", FILE]


def test_the_last_key_takes_its_header_along() -> None:
    for rest in ("", 'theme = "light"\n', "# mine\n"):
        assert edited(edited(rest, "keys.library.filter", "f"), "keys.library.filter", None) == rest
    assert edited('[keys]\n"a.b" = "x"\n# why\n', "keys.a.b", None) == "[keys]\n# why\n"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("images", "paper"),
        ("colour", "red"),
        ("keys.x", "f"),
        ("keys.library.filter", ""),
        ("device", "gpu"),
        ("device", "cuda:"),
    ],
)
def test_what_cannot_be_set_is_refused(name: str, value: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig) as caught:
        set_setting(name, value, tmp_path)
    assert caught.value.hint
    assert not (tmp_path / FILE).exists()


@pytest.mark.parametrize(
    "text", ["images = ", 'images = "paper"', "nonsense = 1", "keys = 3", "[keys]\nx = 1", "\ud800"]
)
def test_a_broken_file_is_left_alone(text: str, tmp_path: Path) -> None:
    data = text.encode("utf-8", "surrogatepass")
    (tmp_path / FILE).write_bytes(data)
    with pytest.raises(InvalidConfig):
        set_setting("device", "cpu", tmp_path)
    assert (tmp_path / FILE).read_bytes() == data


@pytest.mark.parametrize("text", ['keys = {"a.b" = "x"}\n', '[keys.a]\nb = "x"\n', '"a.b" = 1\n[keys]\n'])
def test_a_form_that_is_not_understood_is_refused(text: str) -> None:
    with pytest.raises(InvalidConfig):
        edited(text, "keys.a.b", "y")


@pytest.mark.parametrize("line", ["output = 7", "output = [1]", "images = 'paper'  # why", "output = seven"])
def test_the_very_line_that_is_wrong_can_be_changed_and_taken_out(line: str) -> None:
    name = line.partition(" ")[0]
    text = f'theme = "light"\n{line}\n# mine\n'
    assert edited(text, name, None) == 'theme = "light"\n# mine\n'
    assert Settings.parse(edited(text, name, "off")) == Settings(theme="light", **{name: "off"})
    with pytest.raises(InvalidConfig):
        edited(text, "device", "cpu")


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    real = tmp_path / "dotfiles.toml"
    real.write_text('theme = "light"\n')
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / FILE).symlink_to(real)
    set_setting("images", "off", tmp_path / "home")
    assert (tmp_path / "home" / FILE).is_symlink()
    assert real.read_text() == 'theme = "light"\nimages = "off"\n'


def test_two_processes_lose_nothing(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from tiregistry.settings_file import set_setting\n"
        "for n in range(15): set_setting(f'keys.a.{sys.argv[2]}' + 'x' * n, 'f', Path(sys.argv[1]))\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    both = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path), who], env=environment) for who in "ab"]
    assert [process.wait() for process in both] == [0, 0]
    assert len(Settings.load(tmp_path).keys) == 30


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(RegistryReadOnly):
        set_setting("images", "off", tmp_path)
