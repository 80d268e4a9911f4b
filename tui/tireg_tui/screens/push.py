"""The push page: lists exactly what becomes readable, by whom, before anything is sent."""

from __future__ import annotations

import asyncio
import shlex
import time
from typing import Any, ClassVar

from rich.table import Table as RichTable
from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import Checkbox, Input, Label, Select, Static, TabbedContent, TabPane

from tireg_tui.background.transfers import start_transfer
from tireg_tui.screens.confirm import Confirm
from tireg_tui.screens.form import Form, field_keys
from tireg_tui.screens.type_name import TypeName
from tireg_tui.settings.themes import ink
from tireg_tui.texts import hub_texts
from tireg_tui.texts.unsaid import unsay
from tireg_tui.widgets.card import CardPane
from tireg_tui.widgets.check import Check
from tiregistry.errors import TiregError
from tiregistry.hub.remote import readers
from tiregistry.quantities import size
from tiregistry.text import safe

_NOT_YET = "Not yet"
_LOOKING = "looking at what would be sent …"
_PATIENCE = 3.0
_WAIT = 0.5
# On narrow screens little more than the first two words is seen.
_VISIBILITY = (
    ("as it is there; private if it is new", "keep"),
    ("private: by its owner, or an organization's members", "private"),
    ("public: by everybody", "public"),
)
_IMAGES = (
    ("as they are there; none if it is new", "keep"),
    ("sent, without their metadata", "send"),
    ("taken away there", "remove"),
)


class PushPage(Form):
    """A version on its way to the Hub: repository, who may read it, what goes along, and the plan.

    Args:
        reference: the version.
    """

    HERE = "hub"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Back", id="push.back"),
        Binding("ctrl+g,f5", "push", "Push", key_display="^g", id="push.push", priority=True),
        Binding("ctrl+y,f6", "copy", "Copy command", key_display="^y", id="push.copy", priority=True),
        *field_keys("push"),
    ]

    def __init__(self, reference: str) -> None:
        super().__init__()
        self.reference = reference
        self._plan: dict[str, Any] | None = None
        self._refusal = ""

    def body(self) -> ComposeResult:
        with Horizontal(id="push"):
            with VerticalScroll(id="push-form", can_focus=False):
                yield Static(safe(f"Push {self.reference}"), id="push-title", markup=False)
                with Horizontal(classes="form-row"):
                    yield Label("repository", markup=False)
                    yield Input(placeholder="owner/name; empty: where it went before", id="push-repo", compact=True)
                with Horizontal(classes="form-row"):
                    yield Label("readable", markup=False)
                    yield Select(_VISIBILITY, value="keep", allow_blank=False, id="push-visibility", compact=True)
                with Horizontal(classes="form-row"):
                    yield Label("its pictures", markup=False)
                    yield Select(_IMAGES, value="keep", allow_blank=False, id="push-images", compact=True)
                with Horizontal(classes="form-row"):
                    yield Label("", markup=False)
                    yield Check("its previews too", False, id="push-previews")
                with Horizontal(classes="form-row"):
                    yield Label("", markup=False)
                    yield Check("as a pull request", False, id="push-request")
                with Horizontal(classes="form-row"):
                    yield Label("message", markup=False)
                    yield Input(placeholder="of the commit", id="push-message", compact=True)
                yield Static("", id="push-command", markup=False)
            with Vertical(id="push-side"):
                yield Static("", id="push-plan", markup=False)
                with TabbedContent(id="push-tabs"):
                    with TabPane("Files", id="tab-push-files"), VerticalScroll():
                        yield Static("", id="push-files", markup=False)
                    with TabPane("Card", id="tab-push-card"):
                        yield CardPane(id="push-card")

    def on_mount(self) -> None:
        self.query_one("#push-tabs").display = False
        self.query_one("#push-repo").focus()
        self._look()

    @property
    def _request(self) -> dict[str, Any]:
        visibility = self.query_one("#push-visibility", Select).value
        images = self.query_one("#push-images", Select).value
        return {
            "reference": self.reference,
            "repo": self.query_one("#push-repo", Input).value.strip(),
            "private": {"private": True, "public": False}.get(str(visibility)),
            "with_images": images == "send",
            "without_images": images == "remove",
            "with_previews": self.query_one("#push-previews", Checkbox).value,
            "create_pr": self.query_one("#push-request", Checkbox).value,
            "message": self.query_one("#push-message", Input).value.strip(),
        }

    def command(self) -> str:
        """The line to type in a shell for the same push."""
        request = self._request
        arguments = ["tireg", "push", self.reference, *([request["repo"]] if request["repo"] else [])]
        if request["private"] is not None:
            arguments.append("--private" if request["private"] else "--public")
        for key, option in (
            ("with_images", "--with-images"),
            ("without_images", "--without-images"),
            ("with_previews", "--with-previews"),
            ("create_pr", "--pr"),
        ):
            arguments += [option] if request[key] else []
        if request["message"]:
            arguments += ["--message", request["message"]]
        return shlex.join(arguments)

    # -- the plan ------------------------------------------------------------------------------------------------

    @on(Input.Changed)
    @on(Select.Changed)
    @on(Checkbox.Changed)
    def changed(self) -> None:
        self._look()

    @work(exclusive=True, group="hub", exit_on_error=False)
    async def _look(self) -> None:
        """Ask what a push would do; a plan that no longer fits the form is not shown."""
        unsay(self.app, _NOT_YET)
        self._plan, self._refusal = None, ""
        request = self._request
        text = Text.assemble(("the same in a shell:\n", "dim"), safe(self.command(), limit=2000))
        self.query_one("#push-command", Static).update(text)
        plan_text = self.query_one("#push-plan", Static)
        plan_text.update(Text(_LOOKING, style="dim"))
        await asyncio.sleep(_WAIT)  # while one types, not every letter is worth asking
        waiting = asyncio.create_task(self._tell_wait(plan_text))
        try:
            plan = await self.tireg.hub.ask("plan", **request)
        except (TiregError, OSError) as error:
            lines = [safe(line, limit=800) for line in hub_texts.refusal_lines(error)]
            self._refusal = "\n".join(lines)
            plan_text.update(Text(self._refusal, style=ink(self.app, "error")))
            self.query_one("#push-tabs").display = False
            return
        finally:
            waiting.cancel()
        self._plan = plan
        unsay(self.app, _NOT_YET)
        lines = hub_texts.plan_lines(plan)
        shown = Text()
        for number, line in enumerate(lines):
            style = ink(self.app, "warning" if not plan["private"] and not plan["is_empty"] else "success", bold=True)
            shown.append(f"{safe(line, limit=400)}\n", style=style if number == 0 else "")
        plan_text.update(shown)
        self.query_one("#push-files", Static).update(_files(plan))
        await self.query_one("#push-card", CardPane).show(plan["card"])
        self.query_one("#push-tabs").display = True

    @staticmethod
    async def _tell_wait(plan_text: Static) -> None:
        """Say how long the Hub has not answered."""
        began = time.monotonic()
        while True:
            await asyncio.sleep(1)
            waited = time.monotonic() - began
            if waited >= _PATIENCE:
                text = f"{_LOOKING} {waited:.0f} s\nThe Hub has not answered yet. Esc leaves; nothing is sent."
                plan_text.update(Text(text, style="dim"))

    # -- keys ----------------------------------------------------------------------------------------------------

    def action_leave(self) -> None:
        """Go back; nothing was sent."""
        self.app.pop_screen()

    def action_copy(self) -> None:
        """Copy the command."""
        self.tireg.copy(self.command())

    def action_push(self) -> None:
        """Push what the plan lists, after one more question."""
        plan = self._plan
        if plan is None:
            self.tireg.say(self._refusal or "What would be sent is still being looked at", title=_NOT_YET)
            return
        if plan["is_empty"]:
            self.tireg.say("It is all there already; there is nothing to send")
            return
        who = readers(plan["repo_id"], private=plan["private"])
        total = size(sum(length for _, length in plan["files"]))
        text = f"{len(plan['files'])} files, {total}. Readable by: {who}."
        if plan["removed"]:
            text += f" {len(plan['removed'])} files there are removed; they stay in its history."
        title = f"Push {plan['reference']} to {plan['repo_id']}?"
        if plan["exists"]:
            self.app.push_screen(TypeName(title, text, plan["repo_id"].rpartition("/")[2], "Push"), self._answered)
        else:
            self.app.push_screen(Confirm(title, text, "Create and push"), self._answered)

    def _answered(self, yes: bool | None) -> None:
        plan = self._plan
        if not yes or plan is None:
            return
        request = self._request | {"repo": plan["repo_id"]}
        tireg = self.tireg
        start_transfer(
            tireg,
            f"push {plan['reference']} to {plan['repo_id']}",
            "push",
            request,
            lambda result: tireg.say(result["url"], title=result["status"].capitalize()),
        )
        self.app.pop_screen()


def _files(plan: dict[str, Any]) -> RichTable:
    table = RichTable(box=None, expand=True, padding=(0, 1), header_style="dim")
    table.add_column("file", ratio=1, overflow="fold")
    table.add_column("size", justify="right", no_wrap=True)
    for path, length in plan["files"]:
        table.add_row(Text(safe(path, limit=200)), Text(size(length)))
    for path in plan["removed"]:
        table.add_row(Text(safe(path, limit=200), style="strike dim"), Text("removed", style="dim"))
    return table
