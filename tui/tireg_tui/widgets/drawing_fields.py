"""The settings of a drawing as small fields in one row: how many, seed, steps, guidance, size, scheduler."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from textual import on
from textual.app import ComposeResult
from textual.containers import HorizontalGroup, ItemGrid
from textual.widgets import Input, Label, Select

from tiregistry.errors import InvalidInput
from tiregistry.generation.requests import parse_size
from tiregistry.generation.settings import SCHEDULERS

# Field, label, default, type, option of `tireg gen`, key of a request of `tireg gen -`, name in a recipe.
_FIELDS: tuple[tuple[str, str, str, type, str, str, str], ...] = (
    ("count", "pictures", "4", int, "-n", "", ""),
    ("seed", "seed", "0", int, "--seed", "seed", "seed"),
    ("steps", "steps", "30", int, "--steps", "steps", "num_inference_steps"),
    ("guidance", "guidance", "5", float, "--guidance", "guidance", "guidance_scale"),
)
_USUAL = "the usual"
MOST = 64
"""Most pictures that are drawn in one go."""


class DrawingFields(ItemGrid):
    """Every field may be left empty, for its default."""

    DEFAULT_CSS = """
    DrawingFields { height: auto; grid-gutter: 0 2; }
    DrawingFields HorizontalGroup { height: 1; width: auto; }
    DrawingFields Label { width: auto; padding: 0 1 0 0; color: $text-muted; }
    DrawingFields Input { width: 1fr; border: none; height: 1; }
    DrawingFields Select { width: 1fr; }
    """

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, min_column_width=17, stretch_height=False)

    def compose(self) -> ComposeResult:
        for name, label, default, *_ in _FIELDS:
            with HorizontalGroup():
                yield Label(label, markup=False)
                yield Input(placeholder=default, id=name, compact=True)
        with HorizontalGroup():
            yield Label("size", markup=False)
            yield Input(placeholder="model's", id="size", compact=True)
        with HorizontalGroup():
            yield Label("by", markup=False)
            choices = [(_USUAL, ""), *((name, name) for name in SCHEDULERS)]
            yield Select(choices, value="", allow_blank=False, id="scheduler", compact=True)

    def text(self, name: str) -> str:
        """What stands in a field; its default where nothing does."""
        value = self.query_one(f"#{name}", Input).value.strip()
        return value or next((default for field, _, default, *_ in _FIELDS if field == name), "")

    @property
    def scheduler(self) -> str:
        """The scheduler, or empty for the usual one."""
        return str(self.query_one("#scheduler", Select).value)

    @on(Input.Changed)
    def mark_what_is_wrong(self) -> None:
        self.query_one("#size", Input).set_class(bool(self._trouble(self._wanted_size)), "-wrong")
        for name, *_ in _FIELDS:
            self.query_one(f"#{name}", Input).set_class(bool(self._trouble(self._number, name)), "-wrong")

    @property
    def problem(self) -> str:
        """What is wrong with the first field that cannot be used, in one line; empty when all can."""
        found = (self._trouble(self._number, name) for name, *_ in _FIELDS)
        return next((text for text in found if text), "") or self._trouble(self._wanted_size)

    @property
    def count(self) -> int:
        """How many pictures.

        Raises:
            InvalidInput: no number.
        """
        return max(1, min(MOST, int(self._number("count"))))

    def request(self) -> dict[str, Any]:
        """What a line of `tireg gen -` says, without prompt and number.

        Raises:
            InvalidInput: a field holds no number, or the size is none.
        """
        values: dict[str, Any] = {key: self._number(name) for name, _, _, _, _, key, _ in _FIELDS if key}
        if size := self._wanted_size():
            values["size"] = size
        return values | ({"scheduler": self.scheduler} if self.scheduler else {})

    def _number(self, name: str) -> int | float:
        kind, label = next((kind, label) for field, label, _, kind, *_ in _FIELDS if field == name)
        text = self.text(name)
        try:
            value: int | float = kind(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            what = "whole number" if kind is int else "number"
            raise InvalidInput(f"{label}: {text!r} is no {what}")
        return value

    def _wanted_size(self) -> str:
        size = self.text("size")
        if size:
            parse_size(size)
        return size

    @staticmethod
    def _trouble(read: Callable[..., object], *arguments: str) -> str:
        try:
            read(*arguments)
        except InvalidInput as error:
            return error.message
        return ""

    def arguments(self) -> list[str]:
        """Options of `tireg gen` for what differs from its defaults."""
        out: list[str] = []
        for name, _, default, _, option, *_ in _FIELDS:
            if self.text(name) != default or name == "count":
                out += [option, self.text(name)]
        if self.text("size"):
            out += ["--size", self.text("size")]
        return out + (["--scheduler", self.scheduler] if self.scheduler else [])

    def fill(self, recipe: Mapping[str, Any]) -> None:
        """Take the settings of an earlier picture."""
        for name, _, _, _, _, _, key in _FIELDS:
            if key and isinstance(recipe.get(key), int | float):
                self.query_one(f"#{name}", Input).value = f"{recipe[key]:g}" if name != "seed" else str(recipe[key])
        width, height = recipe.get("width"), recipe.get("height")
        self.query_one("#size", Input).value = f"{width}x{height}" if width and height else ""
        scheduler = recipe.get("scheduler")
        self.query_one("#scheduler", Select).value = scheduler if scheduler in SCHEDULERS else ""

    def values(self) -> dict[str, str]:
        """What stands in the fields, to be remembered."""
        return {field.id or "": field.value for field in self.query(Input)} | {"scheduler": self.scheduler}

    def restore(self, values: Mapping[str, Any]) -> None:
        """Put remembered values back."""
        for field in self.query(Input):
            value = values.get(field.id or "")
            if isinstance(value, str):
                field.value = value
        if values.get("scheduler") in SCHEDULERS:
            self.query_one("#scheduler", Select).value = values["scheduler"]

    def next_seeds(self) -> None:
        """Go on with the seeds after those of the last pictures.

        Raises:
            InvalidInput: as `request`.
        """
        self.query_one("#seed", Input).value = str(int(self._number("seed")) + self.count)
