"""Composing: a prompt with learned words, a few settings, and the pictures as they come."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any, ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import DataTable, Input, Label, Static

from tireg_tui import shown
from tireg_tui.messages import RegistryChanged
from tireg_tui.picture_maker import Made, PictureMaker, Refused
from tireg_tui.screens.place import Place
from tireg_tui.sources import PictureSource, from_file
from tireg_tui.widgets.picture_strip import PictureStrip
from tireg_tui.widgets.prompt_input import PromptInput
from tireg_tui.widgets.table import Table
from tireg_tui.words import Known, words_of
from tiregistry.errors import NotFound, TiregError
from tiregistry.settings import Settings
from tiregistry.text import safe

_NUMBERS: tuple[tuple[str, str, str, type], ...] = (
    ("count", "pictures", "4", int),
    ("seed", "seed", "0", int),
    ("steps", "steps", "30", int),
    ("guidance", "guidance", "5", float),
)
_HISTORY = 50


class Compose(Place):
    """Prompt, settings, results, and the pictures of before."""

    HERE = "compose"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+g,f5", "make", "Make pictures", key_display="^g", id="compose.make", priority=True),
        Binding("slash", "prompt", "Prompt", key_display="/", id="compose.prompt"),
        Binding("escape", "leave", "Stop / leave field", show=False, id="compose.leave"),
        Binding("c", "side_by_side", "Compare with", id="compose.compare"),
        Binding("R", "repeat", "Repeat", id="compose.repeat"),
        Binding("N", "new_seed", "Next seeds", id="compose.seeds"),
        Binding("y", "copy", "Copy command", id="compose.copy"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._maker: PictureMaker | None = None
        self._history: list[tuple[Path, dict[str, Any]]] = []
        self._busy = False

    def body(self) -> ComposeResult:
        remembered = self.tireg.remembered
        known = Known.read(self.registry)
        with Vertical(id="compose"):
            with Horizontal(classes="form-row"):
                yield Label("prompt", markup=False)
                yield PromptInput(remembered.text("prompt"), known, id="prompt")
            with Horizontal(classes="form-row", id="compose-negative"):
                yield Label("negative", markup=False)
                yield Input(placeholder="what to steer away from", id="negative", compact=True)
            with Horizontal(classes="form-row", id="compose-numbers"):
                for key, label, default, _ in _NUMBERS:
                    yield Label(label, markup=False, classes="number-label")
                    yield Input(default, id=key, compact=True, classes="number")
            yield Static("", id="compose-line", markup=False)
            yield PictureStrip(id="results")
            yield Table(id="history", header=False)

    @property
    def prompt(self) -> PromptInput:
        """The prompt's field."""
        return self.query_one("#prompt", PromptInput)

    def on_mount(self) -> None:
        self.query_one("#history", Table).add_columns("when", "prompt", "seed")
        self.prompt.focus()
        self._look_at_history(show=True)

    async def on_unmount(self) -> None:
        if self._maker is not None:
            await self._maker.stop()

    def take_prompt(self, prompt: str) -> None:
        """Put another prompt into the field."""
        if prompt:
            self.prompt.value = prompt
            self.prompt.cursor_position = len(prompt)
        self.prompt.focus()

    # -- words ---------------------------------------------------------------------------------------------------

    @on(RegistryChanged)
    def words_changed(self) -> None:
        with contextlib.suppress(TiregError):
            self.prompt.known = Known.read(self.registry)
            self.prompt.refresh()
        self._look_at_history(show=False)

    @on(PromptInput.Begun)
    def show_completions(self, event: PromptInput.Begun) -> None:
        line = self.query_one("#compose-line", Static)
        if event.part is not None:
            name = event.part.partition("@")[0]
            concept = self.prompt.known.tokens.get(name)
            if "@" in event.part and concept is not None and concept not in self.prompt.known.selectors:
                with contextlib.suppress(TiregError):
                    self.prompt.known = self.prompt.known.with_selectors(concept, self.registry)
                    self.prompt._tell()
                return
            found = "  ".join(f"<{word}>" for word in event.found)
            line.update(safe(f"Tab: {found}" if found else "no word begins like this"))
            return
        unknown = [word for _, _, word in words_of(self.prompt.value) if not self.prompt.known.knows(word)]
        if unknown:
            line.update(
                safe(f"not in the registry: {', '.join(f'<{word}>' for word in unknown)} · \\<x> is plain text")
            )
        elif not self._busy:
            line.update("Ctrl+G makes the pictures")

    # -- making --------------------------------------------------------------------------------------------------

    def action_make(self) -> None:
        """Make the pictures of the prompt."""
        prompt = self.prompt.value.strip()
        if not prompt:
            self.tireg.say("Write a prompt first")
            return
        self.tireg.remembered.set("prompt", prompt)
        try:
            numbers = {
                key: kind(self.query_one(f"#{key}", Input).value or default) for key, _, default, kind in _NUMBERS
            }
        except ValueError as error:
            self.tireg.say(f"One of the settings is no number: {error}")
            return
        request: dict[str, Any] = {"prompt": prompt, "steps": numbers["steps"], "guidance": float(numbers["guidance"])}
        if negative := self.query_one("#negative", Input).value.strip():
            request["negative"] = negative
        count = max(1, min(64, int(numbers["count"])))
        self._make([request | {"seed": int(numbers["seed"]) + number} for number in range(count)])

    @work(exclusive=True, group="make", exit_on_error=False)
    async def _make(self, requests: list[dict[str, Any]]) -> None:
        line = self.query_one("#compose-line", Static)
        self._busy = True
        made: list[PictureSource] = []
        try:
            texts = [text for request in requests for text in (request["prompt"], request.get("negative", ""))]
            base = await asyncio.to_thread(self._base_of, texts)
            if self._maker is None:
                self._maker = PictureMaker(self.registry.home, self._folder)
            warm = self._maker.is_warm
            line.update("drawing …" if warm else "loading the model …")
            async for result in self._maker.make(base, requests):
                if isinstance(result, Refused):
                    line.update(safe(f"{result.message} · {result.hint}"))
                    continue
                made.append(from_file(result.path, _caption(result)))
                await self.query_one("#results", PictureStrip).show(made)
                line.update(f"{len(made)} of {len(requests)} · Esc stops")
            if made:
                line.update(safe(f"{shown.count(len(made), 'picture')} in {self._folder}"))
        except (TiregError, OSError) as error:
            line.update("")
            self.tireg.report(error)
        finally:
            self._busy = False

    @property
    def _folder(self) -> Path:
        """Where pictures are saved."""
        output = Settings.load(self.registry.home).output
        return Path(output).expanduser() if output else self.registry.home / "pictures"

    def _base_of(self, prompts: list[str]) -> str:
        """The base model that the words were learned on; the default where there are none."""
        from tiregistry.generation.words import base_of_words

        return base_of_words(self.registry, [prompt for prompt in prompts if prompt]) or self.registry.default_base

    def action_leave(self) -> None:
        """Stop what is being made; else leave the field; else go back to the library."""
        if self._busy:
            self.workers.cancel_group(self, "make")
            self._busy = False
            self.query_one("#compose-line", Static).update("stopped")
        elif isinstance(self.focused, Input):
            self.query_one("#results", PictureStrip).focus()
        else:
            self.tireg.action_go("library")

    def action_prompt(self) -> None:
        """Put the cursor into the prompt."""
        self.prompt.focus()

    def action_new_seed(self) -> None:
        """The same prompt with the next seeds."""
        seed, count = self.query_one("#seed", Input), self.query_one("#count", Input)
        with contextlib.suppress(ValueError):
            seed.value = str(int(seed.value or 0) + int(count.value or 1))
        self.action_make()

    def action_side_by_side(self) -> None:
        """The same prompt and seed with the word's latest version and the one before, side by side."""
        words = [word for _, _, word in words_of(self.prompt.value) if self.prompt.known.knows(word)]
        if not words:
            self.tireg.say("The prompt names no word to compare versions of")
            return
        name, _, selector = words[0].partition("@")
        try:
            versions = self.registry.versions(self.prompt.known.tokens[name])
            now = self.registry.version(f"{self.prompt.known.tokens[name]}{'@' + selector if selector else ''}").number
        except NotFound as error:
            self.tireg.report(error)
            return
        others = [version.number for version in versions if version.number != now]
        if not others:
            self.tireg.say(f"<{name}> has one version only")
            return
        other = max((number for number in others if number < now), default=max(others))
        prompts = [self.prompt.value.replace(f"<{words[0]}>", f"<{name}@{number}>") for number in (now, other)]
        seed = self.query_one("#seed", Input).value or "0"
        steps = self.query_one("#steps", Input).value or "30"
        if seed.isdigit() and steps.isdigit():
            self._make([{"prompt": prompt, "seed": int(seed), "steps": int(steps)} for prompt in prompts])

    def action_copy(self) -> None:
        """Copy the command that makes these pictures."""
        import shlex

        arguments = ["tireg", "gen", self.prompt.value]
        options = {"count": "-n", "seed": "--seed", "steps": "--steps", "guidance": "--guidance"}
        for key, _, default, _ in _NUMBERS:
            value = self.query_one(f"#{key}", Input).value.strip()
            if value and (value != default or key == "count"):
                arguments += [options[key], value]
        if negative := self.query_one("#negative", Input).value.strip():
            arguments += ["--negative", negative]
        self.tireg.copy(shlex.join(arguments))

    # -- before --------------------------------------------------------------------------------------------------

    @work(exclusive=True, group="history", exit_on_error=False)
    async def _look_at_history(self, *, show: bool) -> None:
        try:
            pictures = await asyncio.to_thread(self.registry.pictures, limit=_HISTORY)
        except TiregError:
            return
        table = self.query_one("#history", Table)
        self._history = [(Path(picture.path), dict(picture.recipe)) for picture in pictures]
        table.clear()
        for picture in pictures:
            seed = str(picture.recipe.get("seed", ""))
            table.add_row(_plain(shown.ago(picture.created_at)), _plain(picture.prompt), _plain(f"seed {seed}"))
        table.display = bool(pictures)
        if show:
            made = [from_file(p, _recipe_caption(recipe)) for p, recipe in self._history[:6] if p.is_file()]
            await self.query_one("#results", PictureStrip).show(made)

    @on(DataTable.RowSelected, "#history")
    async def show_from_history(self, event: DataTable.RowSelected) -> None:
        path, recipe = self._history[event.cursor_row]
        await self.query_one("#results", PictureStrip).show([from_file(path, _recipe_caption(recipe))])

    def action_repeat(self) -> None:
        """Take prompt and settings of the picture under the history's cursor."""
        row = self.query_one("#history", Table).cursor_row
        if not 0 <= row < len(self._history):
            return
        recipe = self._history[row][1]
        self.take_prompt(str(recipe.get("prompt", "")))
        self.query_one("#negative", Input).value = str(recipe.get("negative_prompt", ""))
        for key, name in (("seed", "seed"), ("steps", "num_inference_steps"), ("guidance", "guidance_scale")):
            if name in recipe:
                self.query_one(f"#{key}", Input).value = f"{recipe[name]:g}" if key != "seed" else str(recipe[name])


def _caption(made: Made) -> str:
    return f"{made.prompt} · seed {made.seed}"


def _recipe_caption(recipe: dict[str, Any]) -> str:
    return f"{recipe.get('prompt', '')} · seed {recipe.get('seed', '?')}"


def _plain(text: str) -> Text:
    """Foreign text for a cell, which would read a string as markup."""
    return Text(safe(text, limit=300), no_wrap=True, overflow="ellipsis")
