"""What one prompt asks for, and reading it from a line of text or JSON: prompt files and `tireg gen -`."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tiregistry.errors import InvalidInput, InvalidPrompt
from tiregistry.generation.settings import MAX_SEED, GenerationSettings
from tiregistry.text import safe

MAX_PICTURES = 10_000


@dataclass(frozen=True, kw_only=True)
class PictureRequest:
    """Pictures of one prompt.

    Attributes:
        prompt: in the prompt grammar, alternatives and wildcards included.
        seed: of the first picture; the next ones count up.
        count: pictures per expanded prompt.
        sample: how many expanded prompts to choose at random; None for all.
        init, mask, strength: a start picture (see `tiregistry.generation.start`); no strength is the usual one.
        tag: anything a script wants to find again beside its results.
    """

    prompt: str = ""
    settings: GenerationSettings = field(default_factory=GenerationSettings)
    seed: int = 0
    count: int = 1
    sample: int | None = None
    init: Path | None = None
    mask: Path | None = None
    strength: float | None = None
    tag: Any = None

    def check(self) -> None:
        """Refuse what cannot work.

        Raises:
            InvalidConfig, InvalidInput: names the value and what is allowed.
        """
        self.settings.check()
        if not 1 <= self.count <= MAX_PICTURES:
            raise InvalidInput(f"{self.count} pictures per prompt are out of range", f"from 1 to {MAX_PICTURES}")
        last = self.seed + self.count - 1
        if not 0 <= self.seed <= last <= MAX_SEED:
            raise InvalidInput(f"seed {self.seed if self.seed < 0 else last} is out of range", "from 0 to 2**63 - 1")
        if self.sample is not None and self.sample < 1:
            raise InvalidInput(f"{self.sample} random prompts are out of range", "at least 1")

    def check_start(self) -> None:
        """Refuse what needs a start picture where there is none.

        Raises:
            InvalidInput: names the value.
        """
        if self.init is not None:
            return
        if self.mask is not None:
            raise InvalidInput("a mask needs a picture to change", "give it with --init or the key init")
        if self.strength is not None:
            raise InvalidInput("strength needs a picture to start from", "give it with --init or the key init")

    @property
    def seeds(self) -> range:
        """The seeds of its pictures."""
        return range(self.seed, self.seed + self.count)


def read_request(line: str, defaults: PictureRequest) -> PictureRequest | None:
    """A request from one line: a prompt, or a JSON object that begins with `{"`; None for a blank line or `# comment`.

    Args:
        defaults: for everything the line does not say.

    Raises:
        InvalidInput: the JSON is broken, has an unknown key, a key twice, or a value of the wrong type; or there is a
            mask or strength and no start picture.
        InvalidConfig: a value is out of range.
    """
    line = line.strip("\ufeff \t\r\n\v\f")
    if not line or line.startswith("#"):
        return None
    if not re.match(r'\{\s*("|\})', line):
        request = replace(defaults, prompt=line)
        request.check()
        request.check_start()
        return request
    try:
        raw = json.loads(line, object_pairs_hook=_each_once)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(
            f"the line is not valid JSON: {_why(error)}", 'a prompt may not begin with {"; JSON must be whole'
        ) from None
    request = _from_json(raw, defaults)
    request.check()
    request.check_start()
    return request


def parse_size(text: str) -> tuple[int, int]:
    """Width and height of `WxH` or of one number; (0, 0) for an empty text.

    Raises:
        InvalidInput: it is written otherwise.
    """
    if not text:
        return 0, 0
    match = re.fullmatch(r"([0-9]{1,18})(?:[xX×]([0-9]{1,18}))?", text.strip())
    size = (0, 0) if match is None else (int(match.group(1)), int(match.group(2) or match.group(1)))
    if not all(size):
        raise InvalidInput(f"{safe(text)!r} is not a size", "write it like 512x512")
    return size


_TYPES: dict[str, tuple[type, str]] = {
    "prompt": (str, "a string"),
    "negative": (str, "a string"),
    "seed": (int, "a whole number"),
    "n": (int, "a whole number"),
    "steps": (int, "a whole number"),
    "guidance": (float, "a number"),
    "size": (str, "a string like 512x512"),
    "width": (int, "a whole number"),
    "height": (int, "a whole number"),
    "scheduler": (str, "a string"),
    "random": (int, "a whole number"),
    "init": (str, "a path"),
    "mask": (str, "a path"),
    "strength": (float, "a number"),
}


def _why(error: Exception) -> str:
    """What is wrong with a line's JSON, in words of ours where Python's speak of Python."""
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg.removesuffix(' at')} at character {error.pos + 1}"
    return "it is nested too deeply" if isinstance(error, RecursionError) else "a number has too many digits"


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose keys are all different; JSON readers otherwise take the last of two values in silence."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise InvalidInput(f"the key {safe(key)!r} is there twice", "leave one of them out")
        found[key] = value
    return found


def _from_json(raw: dict[str, Any], defaults: PictureRequest) -> PictureRequest:
    values: dict[str, Any] = {}
    for key, value in raw.items():
        if key == "id":
            continue
        if key not in _TYPES:
            raise InvalidInput(f"unknown key {safe(key)!r}", f"known keys: {', '.join([*_TYPES, 'id'])}")
        kind, called = _TYPES[key]
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if (kind is float and not is_number) or (kind is not float and type(value) is not kind):
            raise InvalidInput(f"{key} must be {called}, not {safe(json.dumps(value), limit=60)}")
        try:
            values[key] = float(value) if kind is float else value
        except OverflowError:
            raise InvalidInput(f"{key} {safe(value, limit=20)} is out of range") from None
    if "prompt" not in values:
        raise InvalidPrompt("the line has no prompt", '{"prompt": "a photo of <gnome>", "seed": 7}')
    settings: dict[str, Any] = {}
    for key, name in (
        ("negative", "negative_prompt"),
        ("steps", "num_inference_steps"),
        ("guidance", "guidance_scale"),
        ("width", "width"),
        ("height", "height"),
        ("scheduler", "scheduler"),
    ):
        if key in values:
            settings[name] = values[key]
    if "size" in values:
        if twice := [key for key in ("width", "height") if key in values]:
            raise InvalidInput(f"size and {twice[0]} both say how large", "leave one of them out")
        settings["width"], settings["height"] = parse_size(values["size"])
    return PictureRequest(
        prompt=values["prompt"],
        settings=replace(defaults.settings, **settings),
        seed=values.get("seed", defaults.seed),
        count=values.get("n", defaults.count),
        sample=values.get("random", defaults.sample),
        init=Path(values["init"]) if "init" in values else defaults.init,
        mask=Path(values["mask"]) if "mask" in values else defaults.mask,
        strength=values.get("strength", defaults.strength),
        tag=raw.get("id"),
    )
