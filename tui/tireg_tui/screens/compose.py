"""Composing: a prompt with learned words, a few settings, and the pictures as they come."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import shlex
import time
from typing import Any, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.events import DescendantFocus
from textual.widgets import DataTable, Input, Label, Select, Static

from tireg_tui.background.drawing_turns import Drawing, DrawingTurns, Requests
from tireg_tui.background.jobs import Job
from tireg_tui.input.drawing_requests import base_of, caption_of, each_picture, pictures_folder
from tireg_tui.input.prompt_words import Known, nearest, words_of
from tireg_tui.messages import RegistryChanged
from tireg_tui.pictures.sources import PictureSource, from_file
from tireg_tui.processes.picture_maker import PictureMaker, Refused
from tireg_tui.screens.choose import Choose
from tireg_tui.screens.place import Place
from tireg_tui.texts.unsaid import unsay
from tireg_tui.widgets.drawing_fields import DrawingFields
from tireg_tui.widgets.history import History, source_of
from tireg_tui.widgets.picture_strip import PictureStrip
from tireg_tui.widgets.prompt_input import PromptInput
from tiregistry.errors import InvalidInput, NotFound, TiregError, WrongBaseModel
from tiregistry.generation.late_selectors import late_selectors, written_late
from tiregistry.quantities import count
from tiregistry.text import safe

_HINT = "Ctrl+G makes the pictures"
_SHOWN_AT_FIRST = 6
_TYPING_SECONDS = 0.1
_MEANT_TO_STOP_SECONDS = 1.0


class Compose(Place):
    """Prompt, settings, results, and the pictures of before."""

    HERE = "compose"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+g,f5", "make", "Make pictures", key_display="^g", id="compose.make", priority=True),
        Binding("slash", "prompt", "Prompt", key_display="/", id="compose.prompt"),
        Binding("escape", "leave", "Leave field / stop", show=False, id="compose.leave"),
        Binding("c", "side_by_side", "Compare", id="compose.compare", tooltip="Compare two versions side by side"),
        Binding("R", "repeat", "Repeat", id="compose.repeat", tooltip="Take prompt and settings of an earlier picture"),
        Binding("N", "new_seed", "Next seeds", id="compose.seeds"),
        Binding("y", "copy", "Copy command", id="compose.copy"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._turns = DrawingTurns(self, self._draw)
        self._maker: PictureMaker | None = None
        self._job: Job | None = None
        self._doing = ""
        self._begun = False
        self._checked: list[str] = []
        self._misfit = ""
        self._ended = -math.inf

    def body(self) -> ComposeResult:
        remembered = self.tireg.remembered
        known = self.ask(Known.read, Known({}, {}))
        with Vertical(id="compose"):
            with Horizontal(classes="form-row"):
                yield Label("prompt", markup=False)
                hint = "a photo of <word> on the beach"
                yield PromptInput(remembered.text("prompt"), known, placeholder=hint, id="prompt")
            with Horizontal(classes="form-row", id="compose-negative"):
                yield Label("negative", markup=False)
                hint = "what to steer away from"
                yield PromptInput(remembered.text("negative"), known, placeholder=hint, id="negative")
            yield DrawingFields(id="compose-fields")
            yield Static(_HINT, id="compose-line", markup=False)
            with Horizontal(id="compose-lower"):
                yield PictureStrip(id="results")
                yield History(id="history")

    @property
    def prompt(self) -> PromptInput:
        """The prompt's field."""
        return self.query_one("#prompt", PromptInput)

    @property
    def fields(self) -> DrawingFields:
        """The settings."""
        return self.query_one(DrawingFields)

    @property
    def strip(self) -> PictureStrip:
        """The results."""
        return self.query_one("#results", PictureStrip)

    @property
    def history(self) -> History:
        """The pictures of before."""
        return self.query_one(History)

    def on_mount(self) -> None:
        with contextlib.suppress(ValueError):
            values = json.loads(self.tireg.remembered.text("drawing", "{}"))
            if isinstance(values, dict):
                self.fields.restore(values)
        self.prompt.focus()
        self.history.read(self.registry)

    async def on_unmount(self) -> None:
        if self._maker is not None:
            await self._maker.stop()

    @on(Input.Changed, "DrawingFields Input")
    def settings_changed(self) -> None:
        unsay(self.app, "Not yet")
        self._say_what_is_wrong()

    @on(Input.Changed, "PromptInput")
    def prompt_changed(self, event: Input.Changed) -> None:
        self.tireg.remembered.set(str(event.input.id), event.value.strip())

    def take_prompt(self, prompt: str) -> None:
        """Put another prompt into the field."""
        if prompt:
            self.prompt.value = prompt
            self.prompt.cursor_position = len(prompt)
        self.set_focus(self.prompt)

    # -- words ---------------------------------------------------------------------------------------------------

    @on(RegistryChanged)
    def words_changed(self) -> None:
        with contextlib.suppress(TiregError):
            known = Known.read(self.registry)
            for field in self.query(PromptInput):
                field.known = known
                field.refresh()
        self._checked = []
        self._check_words()
        self.history.read(self.registry)

    @on(PromptInput.Begun)
    def show_completions(self, event: PromptInput.Begun) -> None:
        line = self.query_one("#compose-line", Static)
        field = event.field
        if event.part is not None:
            name = event.part.partition("@")[0]
            concept = field.known.tokens.get(name)
            if "@" in event.part and concept is not None and concept not in field.known.selectors:
                with contextlib.suppress(TiregError):
                    field.known = field.known.with_selectors(concept, self.registry)
                    field.tell()
                return
            found = "  ".join(f"<{word}>" for word in event.found)
            line.update(safe(f"Tab: {found}" if found else "no word begins like this"))
            return
        self._check_words()
        self._say_what_is_wrong()

    def _say_what_is_wrong(self) -> None:
        """Say in the line what would be refused; where nothing would, how the pictures are made."""
        line = self.query_one("#compose-line", Static)
        fields = self.query(PromptInput)
        named = [(field.known, word) for field in fields for _, _, word in words_of(field.value)]
        unknown = [(known, word) for known, word in named if not known.knows(word)]
        if unknown:
            meant = [f"did you mean <{word}>?" for word in [nearest(*unknown[0])] if word]
            what = ", ".join(f"<{word}>" for _, word in unknown)
            line.update(safe(" · ".join([f"not in the registry: {what}", *meant, "\\<x> is plain text"])))
        elif self._job is None:
            line.update(safe(self._misfit or self.fields.problem or _HINT))

    def _check_words(self) -> None:
        """Look whether the words can be drawn together, where they are others than before."""
        texts = [field.value for field in self.query(PromptInput)]
        words = [word for text in texts for word in (*(word for _, _, word in words_of(text)), *written_late(text))]
        if words != self._checked:
            self._checked = words
            self._check_fit(texts)

    @work(exclusive=True, group="fit", exit_on_error=False)
    async def _check_fit(self, texts: list[str]) -> None:
        from tiregistry.generation.words import check_words

        await asyncio.sleep(_TYPING_SECONDS)
        try:
            await asyncio.to_thread(check_words, self.registry, *texts)
            self._misfit = " · ".join(await asyncio.to_thread(self._late, texts))
        except (WrongBaseModel, NotFound) as error:
            self._misfit = f"{error.message} · {error.hint}"
        except TiregError:  # half a prompt; what is wrong with a whole one is said when it is drawn
            self._misfit = ""
        if self.prompt.typed is None:
            self._say_what_is_wrong()

    def _late(self, texts: list[str]) -> list[str]:
        return [said for text in texts for said in late_selectors(self.registry, text)]

    # -- making --------------------------------------------------------------------------------------------------

    def action_make(self) -> None:
        """Make the pictures of the prompt."""
        self._ask_for_pictures()

    def _ask_for_pictures(self) -> bool:
        """Whether they are made, or wait for their turn."""
        request = self._request()
        if request is None:
            return False
        self._make(each_picture(request, self.fields.count, self.registry.home), pairs=False)
        return True

    def _request(self) -> dict[str, Any] | None:
        """What is asked for, as `tireg gen -` reads it; None where that has been answered with a message."""
        prompt = self.prompt.value.strip()
        if not prompt:
            self.tireg.say("Write a prompt first")
            return None
        negative = self.query_one("#negative", Input).value.strip()
        self.tireg.remembered.set("drawing", json.dumps(self.fields.values()))
        if self.fields.problem:
            self.tireg.say(self.fields.problem, title="Not yet", severity="warning")
            return None
        request = {"prompt": prompt, **self.fields.request()}
        return request | ({"negative": negative} if negative else {})

    def _make(self, requests: Requests, *, pairs: bool) -> None:
        """Make pictures, or let them wait behind those that are being made."""
        if not self._turns.add(requests, pairs=pairs):
            self.tireg.say("Just these are being made, or wait for their turn")
        elif self._turns.waiting and self._job is not None:
            self._say_doing(self._doing)

    async def _draw(self, drawing: Drawing) -> None:
        line = self.query_one("#compose-line", Static)
        requests, pairs, job = drawing.requests, drawing.pairs, drawing.job
        self._job = job
        made: list[PictureSource] = []
        refused: Refused | None = None
        try:
            folder = pictures_folder(self.registry)
            base = await asyncio.to_thread(base_of, self.registry, requests)
            if self._maker is None:
                self._maker = PictureMaker(self.registry.home, folder)
            self._say_doing("drawing …" if self._maker.is_warm else "loading the model …")
            async with contextlib.aclosing(self._maker.make(base, requests)) as results:
                async for result in results:
                    if isinstance(result, Refused):
                        line.update(safe(" · ".join(filter(None, (result.message, result.hint)))))
                        if result != refused:  # once, for as many pictures as were asked for
                            self.tireg.report(TiregError(result.message, result.hint))
                        refused = result
                        job.end("failed", result.message)
                        continue
                    self._begun = True
                    made.append(from_file(result.path, caption_of(result, requests if pairs else ())))
                    self.strip.pairs = pairs
                    await self.strip.show(made)
                    job.tell(str(result.path), len(made), len(requests))
                    self.tireg.jobs_changed()
                    self._say_doing(f"{len(made)} of {len(requests)}")
            if made:
                line.update(safe(f"{count(len(made), 'picture')} in {folder}"))
                job.end("done", str(folder))
        except asyncio.CancelledError:
            job.end("cancelled")
            line.update("stopped")
            raise
        except (TiregError, OSError) as error:
            line.update(safe(error, limit=300))
            job.end("failed", str(error))
            self.tireg.report(error)
        finally:
            if self._job is job:
                self._job, self._doing, self._ended = None, "", time.monotonic()
            self.tireg.jobs_changed()

    def _say_doing(self, what: str) -> None:
        """Say what is being done, and how it is stopped from where one is."""
        self._doing = what
        keys = "Esc leaves the field, then stops" if isinstance(self.focused, Input | Select) else "Esc stops"
        waiting = f" · {self._turns.waiting} waiting" if self._turns.waiting else ""
        self.query_one("#compose-line", Static).update(f"{what}{waiting} · {keys}")

    @on(DescendantFocus)
    def focus_moved(self) -> None:
        """Another key may stop what is being made from here."""
        if self._job is not None and self._doing:
            self._say_doing(self._doing)

    def _stop(self) -> None:
        """Stop what is being made, and drop what waits."""
        waited = self._turns.stop()
        if waited:
            self.tireg.say(f"{count(waited, 'drawing')} that waited will not be made", title="Stopped")

    def action_leave(self) -> None:
        """Leave the field; else stop what is being made; else go back to the library."""
        if isinstance(self.focused, Input | Select):
            self.set_focus(self.strip)
        elif self._job is not None:
            self._stop()
        elif time.monotonic() - self._ended > _MEANT_TO_STOP_SECONDS:  # else it was to stop what has just ended
            self.tireg.action_go("library")

    def action_prompt(self) -> None:
        """Put the cursor into the prompt."""
        self.set_focus(self.prompt)

    def action_new_seed(self) -> None:
        """The same prompt with the next seeds; where nothing can be made, the seeds stay."""
        seed = self.fields.query_one("#seed", Input)
        before, are_asked_for = seed.value, False
        try:
            with contextlib.suppress(InvalidInput):
                self.fields.next_seeds()
            are_asked_for = self._ask_for_pictures()
        finally:
            if not are_asked_for:
                seed.value = before

    # -- two versions side by side -------------------------------------------------------------------------------

    def action_side_by_side(self) -> None:
        """The same prompt and seeds with another version of its word, side by side."""
        words = [word for _, _, word in words_of(self.prompt.value) if self.prompt.known.knows(word)]
        if not words:
            self.tireg.say("The prompt names no word to compare versions of")
            return
        name, _, selector = words[0].partition("@")
        concept = self.prompt.known.tokens[name]
        try:
            versions = self.registry.versions(concept)
            now = self.registry.version(f"{concept}{'@' + selector if selector else ''}").number
        except NotFound as error:
            self.tireg.report(error)
            return
        others = [version.number for version in versions if version.number != now][::-1]
        if not others:
            self.tireg.say(f"<{name}> has one version only")
            return

        def with_other(choice: str | None) -> None:
            request = self._request() if choice is not None else None
            if request is None:
                return
            both = [
                each_picture(
                    request | {"prompt": request["prompt"].replace(f"<{words[0]}>", f"<{name}@{number}>")},
                    min(self.fields.count, 16),
                    self.registry.home,
                )
                for number in (now, choice)
            ]
            self._make([picture for pair in zip(*both, strict=True) for picture in pair], pairs=True)

        before = max((number for number in others if number < now), default=others[0])
        if len(others) == 1:
            with_other(str(before))
        else:
            title = f"Compare <{name}@{now}> with version"
            self.app.push_screen(Choose(title, [str(number) for number in others], str(before)), with_other)

    def action_copy(self) -> None:
        """Copy the command that makes these pictures."""
        arguments = ["tireg", "gen", self.prompt.value, *self.fields.arguments()]
        if negative := self.query_one("#negative", Input).value.strip():
            arguments += ["--negative", negative]
        self.tireg.copy(shlex.join(arguments))

    # -- before --------------------------------------------------------------------------------------------------

    @on(History.Read)
    async def history_read(self) -> None:
        self.history.display = bool(self.history.pictures)
        if not self._begun and not self.strip.sources:
            await self.strip.show(self.history.sources(_SHOWN_AT_FIRST))

    @on(DataTable.RowSelected, "#history")
    async def show_from_history(self) -> None:
        current = self.history.current
        if current is not None:
            self.strip.pairs = False
            await self.strip.show([source_of(*current)])

    def action_repeat(self) -> None:
        """Take prompt and settings of the picture under the history's cursor."""
        current = self.history.current
        if current is None:
            self.tireg.say("There is no earlier picture to repeat")
            return
        recipe = current[1]
        self.take_prompt(str(recipe.get("prompt", "")))
        self.query_one("#negative", Input).value = str(recipe.get("negative_prompt", ""))
        self.fields.fill(recipe)
