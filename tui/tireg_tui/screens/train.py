"""The form for a new training: checked as it is typed, shown as the command that does the same, started on its own."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.suggester import SuggestFromList
from textual.widgets import Input, Label, Select, Static

from tireg_tui.input.path_line import with_added
from tireg_tui.input.training_draft import NUMBERS, Checked, Draft, check, field_to_mend
from tireg_tui.pictures.sources import PictureSource
from tireg_tui.processes.estimating import needs
from tireg_tui.processes.tireg_process import ChildFailed
from tireg_tui.screens.form import Form, field_keys
from tireg_tui.settings.themes import ink
from tireg_tui.texts.unsaid import unsay
from tireg_tui.widgets.path_input import PathInput
from tireg_tui.widgets.picture_strip import SMALL, PictureStrip
from tiregistry.concepts import CONCEPT_TYPES
from tiregistry.errors import InvalidImage, NotFound
from tiregistry.text import safe
from tiregistry.training.recipes import RECIPES

if TYPE_CHECKING:
    from PIL.Image import Image

    from tiregistry.concepts import Run
    from tiregistry.images import SourcePicture
    from tiregistry.registry.registry import Registry

_LABELS = {
    "num_vectors": ("vectors", "as many as the initializer has"),
    "max_steps": ("max steps", "from the recipe"),
    "batch_size": ("batch size", "from the recipe"),
    "learning_rate": ("learning rate", "from the recipe"),
    "resolution": ("resolution", "the base model's"),
    "seed": ("seed", "0"),
}
# What may stand in the field of pictures: nothing, for a word that has some, or paths.
_OF_THE_WORD = "those it has, when left empty"
_TO_BE_NAMED = "~/photos/gnome · Tab completes"
_NOT_YET = "Not yet"
# Whether the pictures are also learned mirrored.
_MIRROR: dict[str, bool | None] = {"from the recipe": None, "yes": True, "no": False}


class TrainForm(Form):
    """What `tireg train` takes, as a form.

    Args:
        concept: a concept to train another version of; empty for a new word.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Back", id="train.back"),
        Binding("ctrl+g,f5", "start", "Start", key_display="^g", id="train.start", priority=True),
        Binding("ctrl+y,f6", "copy", "Copy command", key_display="^y", id="train.copy", priority=True),
        Binding("f8", "clear", "Empty the form", id="train.clear", priority=True, show=False),
        Binding("ctrl+o,f7", "browse", "Browse", key_display="^o", id="train.browse", priority=True),
        *field_keys("train"),
    ]

    def __init__(self, concept: str = "") -> None:
        super().__init__()
        self._concept = concept
        self._checked = Checked()
        self._starting = False
        self._untouched = Draft()
        self._unfinished = f"training {concept}".strip()  # what it is remembered by

    def body(self) -> ComposeResult:
        none: list[str] = []
        known = self.ask(lambda registry: [base.name for base in registry.bases()], none)
        bases = ["embedded", *(name for name in known if name != "embedded")]
        with Horizontal(id="train"):
            with VerticalScroll(id="train-form", can_focus=False):
                yield from _row("name", Input(self._concept, id="name", placeholder="gnome", compact=True))
                hint = _OF_THE_WORD if self._has_pictures() else _TO_BE_NAMED
                yield from _row("pictures", PathInput(id="pictures", placeholder=hint))
                types = [(kind, kind) for kind in CONCEPT_TYPES]
                yield from _row("type", Select(types, value="object", allow_blank=False, id="type", compact=True))
                yield from _row("initializer", Input(id="init", placeholder="what it is, e.g. teapot", compact=True))
                default = self.ask(lambda registry: registry.default_base, "")
                suggest = SuggestFromList(bases, case_sensitive=False)
                yield from _row(
                    "base model", Input(id="base", placeholder=safe(default), suggester=suggest, compact=True)
                )
                yield from _row("token", Input(id="token", placeholder="<name>", compact=True))
                recipes = [(recipe, recipe) for recipe in RECIPES]
                yield from _row(
                    "recipe", Select(recipes, value=RECIPES[0], allow_blank=False, id="recipe", compact=True)
                )
                for key, (label, placeholder) in _LABELS.items():
                    yield from _row(label, Input(id=key, placeholder=placeholder, compact=True))
                hint = "a photo of {} on the beach | {} in the snow"
                yield from _row("previews", Input(id="previews-of", placeholder=hint, compact=True))
                mirror = [(text, text) for text in _MIRROR]
                usual = mirror[0][1]
                yield from _row("mirror", Select(mirror, value=usual, allow_blank=False, id="flip", compact=True))
            with Vertical(id="train-side"):
                yield PictureStrip(id="train-pictures", each=SMALL)
                with VerticalScroll(id="train-said", can_focus=False):
                    yield Static("", id="train-check", markup=False)
                    yield Static("", id="train-needs", markup=False)
                    yield Static("", id="train-command", markup=False)

    def _has_pictures(self) -> bool:
        def some(registry: Registry) -> bool:
            return any(version.images for version in registry.versions(self._concept))

        return bool(self._concept) and self.ask(some, False)

    def on_mount(self) -> None:
        if self._concept:
            self._prefill()
        self._untouched = self.draft
        self._go_on()
        self.query_one("#pictures" if self._concept else "#name").focus()
        self._check()

    def _prefill(self) -> None:
        """Take over what the concept's last training said."""
        try:
            concept = self.registry.concept(self._concept)
            self.query_one("#type", Select).value = concept.concept_type
            training = concept.latest.training
        except NotFound:
            return
        self.query_one("#init", Input).value = str(training.get("initializer", ""))
        self.query_one("#base", Input).value = concept.base_name
        if training.get("recipe") in RECIPES:
            self.query_one("#recipe", Select).value = training["recipe"]

    def _go_on(self) -> None:
        """Bring back what was typed into this form before it was left."""
        draft = Draft.from_json(self.tireg.remembered.text(self._unfinished))
        if draft is not None and draft != self._untouched:
            self._fill(draft)
            self.tireg.say("What was typed here before is back; F8 empties the form")

    def action_leave(self) -> None:
        """Leave the form; what stands in it stays, also where another window has dropped it meanwhile."""
        if self.draft != self._untouched and not self.tireg.remembered.text(self._unfinished):
            self._keep(self.draft)
        self.app.pop_screen()

    def _fill(self, draft: Draft) -> None:
        texts = {"name": draft.name, "pictures": draft.pictures, "init": draft.initializer, "token": draft.token}
        texts |= {"base": draft.base, "previews-of": draft.previews, **dict.fromkeys(NUMBERS, ""), **draft.numbers}
        for name, text in texts.items():
            self.query_one(f"#{name}", Input).value = text
        self.query_one("#type", Select).value = draft.concept_type
        self.query_one("#recipe", Select).value = draft.recipe
        self.query_one("#flip", Select).value = next(text for text, flip in _MIRROR.items() if flip is draft.flip)

    def _keep(self, draft: Draft) -> None:
        """Let a form that is left, or a window that is closed, lose nothing."""
        self.tireg.remembered.set(self._unfinished, "" if draft == self._untouched else draft.to_json())

    @property
    def draft(self) -> Draft:
        """What stands in the form now."""

        def text(name: str) -> str:
            return self.query_one(f"#{name}", Input).value

        return Draft(
            name=text("name").strip(),
            pictures=text("pictures"),
            concept_type=str(self.query_one("#type", Select).value),
            initializer=text("init"),
            token=text("token"),
            base=text("base"),
            recipe=str(self.query_one("#recipe", Select).value),
            flip=_MIRROR[str(self.query_one("#flip", Select).value)],
            previews=text("previews-of"),
            numbers={key: text(key) for key in NUMBERS},
        )

    @on(Input.Changed)
    @on(Select.Changed)
    def form_changed(self) -> None:
        unsay(self.app, _NOT_YET)
        self._check()

    @work(exclusive=True, group="check", exit_on_error=False)
    async def _check(self) -> None:
        draft = self.draft
        self._keep(draft)
        self._show_command(draft)
        await asyncio.sleep(0.2)  # while one types, not every letter is worth reading pictures for
        self._checked = await asyncio.to_thread(_checked, self.registry, draft)
        self._show(self._checked)
        self._show_command(draft)
        wanted = self._checked.resolution
        sources = [
            PictureSource(f"{picture.digest} {wanted}", _picture_caption(picture, wanted), partial(_image, picture))
            for picture in self._checked.pictures
        ]
        sources += [
            PictureSource(f"{path} {error.message}", f"✗ {path.name}", partial(_refuse, error), path)
            for path, error in self._checked.refused
            if isinstance(error, InvalidImage)
        ]
        strip = self.query_one(PictureStrip)
        strip.display = bool(sources)
        await strip.show(sources)
        self._estimate(self._checked)

    @work(exclusive=True, group="needs", exit_on_error=False)
    async def _estimate(self, checked: Checked) -> None:
        """Say what it will need; the first time the device must be asked for, which takes a moment."""
        shown = self.query_one("#train-needs", Static)
        request = checked.complete
        if request is None:
            shown.update("")
            return
        device = self.tireg.devices.known(request.device)
        if device is None:
            shown.update(Text("what it needs: looking at the device …", style="dim"))
            try:
                device = await self.tireg.devices.ask(request.device, self.registry.home)
            except (ChildFailed, OSError) as error:
                shown.update(Text(safe(error, limit=300), style=ink(self.app, "warning")))
                return
        lines, problems = await asyncio.to_thread(needs, self.registry, request, device)
        text = Text()
        for line in lines:
            text.append("≈ ", style=ink(self.app, "primary")).append(f"{safe(line, limit=200)}\n")
        for problem in problems:
            text.append("! ", style=ink(self.app, "warning")).append(f"{safe(problem, limit=300)}\n")
        shown.update(text)

    def _show_command(self, draft: Draft) -> None:
        command = safe(draft.command(again=self._checked.again), limit=4000)
        self.query_one("#train-command", Static).update(Text.assemble(("the same in a shell:\n", "dim"), command))

    def _show(self, checked: Checked) -> None:
        lines = Text()
        for mark, color, texts in (
            ("✗", ink(self.app, "error"), checked.problems),
            ("✓", ink(self.app, "success"), checked.good),
            ("!", ink(self.app, "warning"), checked.notes),
        ):
            for text in texts:
                lines.append(f"{mark} ", style=color)
                lines.append(f"{safe(text, limit=400)}\n")
        if not checked.problems:
            lines.append("\nCtrl+G starts it. It goes on when this window is closed.", style="dim")
        self.query_one("#train-check", Static).update(lines)
        self.query_one("#pictures", Input).placeholder = _OF_THE_WORD if checked.again else _TO_BE_NAMED

    def action_next(self) -> None:
        """Complete a path that is half typed, or go to the next field."""
        field = self.focused
        if not (isinstance(field, PathInput) and field.take_completion()):
            self.focus_next()

    def action_browse(self) -> None:
        """Pick pictures from folders, beside those that are named already."""
        from tireg_tui.screens.pick_pictures import PickPictures

        field = self.query_one("#pictures", Input)
        try:
            start = next(reversed(self.draft.paths()), Path.home())
        except ValueError:
            start = Path.home()
        while not start.is_dir() and start != start.parent:
            start = start.parent

        def take(paths: list[Path] | None) -> None:
            if paths:
                field.value = with_added(field.value, paths)
                field.cursor_position = len(field.value)

        self.app.push_screen(PickPictures(start), take)

    def action_clear(self) -> None:
        """Put the form back to how it was opened."""
        self._fill(self._untouched)
        self.tireg.say("The form is as it was at first")

    def action_copy(self) -> None:
        """Copy the command."""
        self.tireg.copy(self.draft.command(again=self._checked.again))

    def action_start(self) -> None:
        """Put the training into the queue, whose worker outlives this window, and go to watch it."""
        self._start()

    @work(exclusive=True, group="check", exit_on_error=False)
    async def _start(self) -> None:
        registry = self.registry
        self.query_one("#train-check", Static).update(Text("putting it into the queue …", style="dim"))
        draft = self.draft
        self._checked = await asyncio.to_thread(_checked, registry, draft)
        request = self._checked.request
        if request is None:
            self._show(self._checked)
            self.tireg.say(self._checked.problems[0], title=_NOT_YET)
            wrong = await asyncio.to_thread(field_to_mend, registry, draft, self._checked)
            if wrong and self.is_on_top:
                self.query_one(f"#{wrong}").focus()
            return

        def act() -> Run:
            from tiregistry.runs.control import start
            from tiregistry.runs.queue import enqueue

            [run] = enqueue(registry, [request])
            start(registry, [run])
            return run

        def begun(run: Run) -> None:
            self._keep(self._untouched)
            self.tireg.say(f"The training of {run.concept} goes on when this window is closed")
            if self.is_on_top:
                self.app.pop_screen()
                self.tireg.show_run(run.id)

        def failed(error: Exception) -> None:
            self._starting = False
            self.tireg.report(error)
            self._show(self._checked)

        if not self._starting:
            self._starting = True
            self.tireg.change(act, begun, failed)


def _checked(registry: Registry, draft: Draft) -> Checked:
    """What the check finds; the form survives whatever a path or a model folder holds."""
    try:
        return check(registry, draft)
    except Exception as error:  # noqa: BLE001 (shown beside the form)
        return Checked(problems=(f"{type(error).__name__}: {error}",))


def _row(label: str, widget: Input | Select[str]) -> ComposeResult:
    with Horizontal(classes="form-row"):
        yield Label(label, markup=False)
        yield widget


def _picture_caption(picture: SourcePicture, wanted: int) -> str:
    """Name, size, and what is to be known about a picture."""
    width, height = picture.size
    warnings = list(picture.notes)
    if wanted and min(width, height) < wanted:
        warnings.append(f"smaller than {wanted}: it will be blurred")
    if max(width, height) > 2.5 * min(width, height):
        warnings.append("very long: only its middle is learned")
    mark = f" · ! {'; '.join(warnings)}" if warnings else ""
    return f"{picture.filename} · {width}×{height}{mark}"


def _refuse(error: InvalidImage) -> Image:
    raise error


def _image(picture: SourcePicture) -> Image:
    return picture.image
