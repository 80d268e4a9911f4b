"""The Hub: repositories with learned words, searched or known from before; looked at before anything is fetched."""

from __future__ import annotations

import asyncio
import shlex
import time
from functools import partial
from typing import Any, ClassVar

from rich.table import Table as RichTable
from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import DataTable, Input, Static, TabbedContent, TabPane

from tireg_tui.background.transfers import start_transfer
from tireg_tui.messages import RegistryChanged
from tireg_tui.screens.place import Place
from tireg_tui.screens.pull import PullDialog, PullWish
from tireg_tui.settings.themes import ink
from tireg_tui.texts import hub_texts
from tireg_tui.widgets.card import CardPane
from tireg_tui.widgets.fields import Fields
from tireg_tui.widgets.fitting_table import Column, FittingTable
from tiregistry.errors import TiregError
from tiregistry.hub.remote import readers
from tiregistry.quantities import size
from tiregistry.text import safe

_HINT = "cat base:sd15 author:sd-concepts-library sort:likes"
_EMPTY = """Words from others, and yours for them.

/    search; the Hub looks at the names of repositories
↵    look at the one under the cursor: card, files, difference
U    pull it, after showing what that fetches
P    in the library: push a word

What was pulled or pushed before stands here."""


class HubTable(FittingTable):
    """Repositories as rows."""

    COLUMNS = (
        Column("repo", "Repository", shortened=True),
        Column("word", "Word", 2),
        Column("likes", "♥", 3),
        Column("downloads", "↓", 4),
        Column("updated", "Changed", 5),
        Column("here", "Here", 1),
    )


class HubScreen(Place):
    """Search, list, and everything about the repository under the cursor. Enter looks at it; nothing is fetched."""

    HERE = "hub"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "search", "Search", key_display="/", id="hub.search"),
        Binding("U", "pull", "Pull", id="hub.pull"),
        Binding("r", "updates", "Anything newer?", id="hub.updates"),
        Binding("o", "browser", "Open page", show=False, id="hub.browser"),
        Binding("y", "copy", "Copy command", id="hub.copy", tooltip="Copy the command that pulls it"),
        Binding("escape", "leave", "Cancel / back", show=False, id="hub.leave"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._found: list[dict[str, Any]] = []
        self._looked: dict[str, Any] | None = None
        self._is_answer = False
        """Whether the list is what the Hub has answered; else it is what the registry knows."""
        self._asking = ""
        self._question: object = None
        self._since = 0.0

    def body(self) -> ComposeResult:
        yield Input(placeholder=_HINT, id="hub-search", compact=True)
        with Horizontal(id="hub"):
            with Vertical(id="hub-list"):
                yield HubTable(id="hub-table")
                yield Static(_EMPTY, id="hub-empty", markup=False)
                yield Static("", id="hub-status", markup=False)
            with Vertical(id="hub-detail"):
                yield Static("", id="hub-title", markup=False)
                yield Fields(id="hub-facts")
                with TabbedContent(id="hub-tabs"):
                    with TabPane("Card", id="tab-card"):
                        yield CardPane(id="hub-card")
                    with TabPane("Files", id="tab-files"), VerticalScroll():
                        yield Static("", id="hub-files", markup=False)
                    with TabPane("Difference", id="tab-difference"), VerticalScroll():
                        yield Static("", id="hub-difference", markup=False)

    @property
    def table(self) -> HubTable:
        """The repositories."""
        return self.query_one("#hub-table", HubTable)

    @property
    def current(self) -> dict[str, Any] | None:
        """The repository under the cursor."""
        row = self.table.cursor_row
        return self._found[row] if 0 <= row < len(self._found) else None

    def on_mount(self) -> None:
        self._clear_detail()
        self._show_known()
        self.table.focus()
        self.set_interval(1.0, self._tick)

    # -- the list ------------------------------------------------------------------------------------------------

    @on(RegistryChanged)
    def look_again(self) -> None:
        if not self._is_answer:
            self._show_known()

    def _show_known(self) -> None:
        """What was pulled or pushed before, from the registry alone."""
        known: dict[str, dict[str, Any]] = {}
        try:
            for remote in self.registry.remotes():
                known.setdefault(remote.repo_id, {"repo_id": remote.repo_id, "token": "", "here": [remote.version]})
        except TiregError as error:
            self.tireg.report(error)
        self._show_list(list(known.values()))
        self._say("known from before · r asks whether anything is newer" if known else "")

    def _show_list(self, found: list[dict[str, Any]]) -> None:
        self._found = found
        rows: dict[str, dict[str, Text]] = {}
        for entry in found:
            here = entry.get("state") or ", ".join(entry.get("here", []))
            style = ink(self.app, "accent") if entry.get("state") == "newer" else "dim"
            rows[entry["repo_id"]] = {
                "repo": Text(safe(entry["repo_id"], limit=80)),
                "word": Text(safe(entry.get("token", ""), limit=40), style=ink(self.app, "accent")),
                "likes": Text(_count(entry.get("likes")), style="dim", justify="right"),
                "downloads": Text(_count(entry.get("downloads")), style="dim", justify="right"),
                "updated": Text(safe(entry.get("updated", "")), style="dim"),
                "here": Text(safe(here, limit=40), style=style),
            }
        self.table.show(rows)
        self.table.display = bool(found)
        self.query_one("#hub-empty").display = not found

    def action_search(self) -> None:
        """Put the cursor into the search."""
        self.query_one("#hub-search").focus()

    @on(Input.Submitted, "#hub-search")
    def searched(self, event: Input.Submitted) -> None:
        self._search(event.value)

    @work(exclusive=True, group="hub", exit_on_error=False)
    async def _search(self, query: str) -> None:
        # From now on the words in the field are these: what answered others must not stand below them.
        self._is_answer = True
        self._show_list([])
        self._clear_detail()
        found = await self._ask("searching", "search", **hub_texts.parsed(query), limit=100)
        if found is None:
            return
        self._show_list(found)
        names = "; the Hub searches the names of repositories only" if hub_texts.parsed(query).get("text") else ""
        self._say(f"{len(found)} found" if found else f"nothing found{names}")
        if found:
            self.table.focus()

    def action_updates(self) -> None:
        """Ask every repository that is known whether it holds something newer."""
        self._updates()

    @work(exclusive=True, group="hub", exit_on_error=False)
    async def _updates(self) -> None:
        found = await self._ask("asking for news", "known")
        if found is None:
            return
        self._is_answer = True
        self.query_one("#hub-search", Input).value = ""  # no answer to what was searched for
        self._show_list([{**entry, "token": "", "here": [entry["here"]]} for entry in found])
        newer = sum(entry["state"] == "newer" for entry in found)
        self._say(f"{newer} of {len(found)} hold something newer" if found else "no repository is known here yet")

    # -- one repository ------------------------------------------------------------------------------------------

    @on(DataTable.RowSelected, "#hub-table")
    def row_chosen(self) -> None:
        if self.current is not None:
            self._look(self.current["repo_id"])

    @on(DataTable.RowHighlighted, "#hub-table")
    def row_highlighted(self) -> None:
        entry = self.current
        if entry is not None and (self._looked is None or self._looked["repo_id"] != entry["repo_id"]):
            self._clear_detail()
            self.query_one("#hub-title", Static).update(safe(entry["repo_id"], limit=120))
            facts = {"word": entry.get("token", ""), "learned on": ", ".join(entry.get("base_models", []))}
            facts |= {"here": ", ".join(entry.get("here", [])), "there": entry.get("there", "")}
            self.query_one("#hub-facts", Fields).show(facts | {"more": "Enter looks at card, files and difference"})

    def _clear_detail(self) -> None:
        self._looked = None
        for name in ("#hub-title", "#hub-files", "#hub-difference"):
            self.query_one(name, Static).update("")
        self.query_one("#hub-facts", Fields).show({})
        self.query_one("#hub-tabs").display = False

    @work(exclusive=True, group="hub", exit_on_error=False)
    async def _look(self, repo_id: str) -> None:
        looked = await self._ask(f"looking at {repo_id}", "look", repo=repo_id)
        if looked is not None:
            self._say("")
            await self._show(looked)

    async def _show(self, looked: dict[str, Any]) -> None:
        self._looked = looked
        self.query_one("#hub-title", Static).update(safe(looked["repo_id"], limit=120))
        versions = ", ".join(f"v{number}" for number in looked["versions"][-12:])
        self.query_one("#hub-facts", Fields).show(
            {
                "word": f"{looked['token']} {looked['concept_type']}".strip(),
                "learned on": ", ".join(looked["base_models"]),
                "licence": looked["licence"] or "none is stated",
                "readable by": readers(looked["repo_id"], private=looked["private"]),
                "versions": versions,
                "a pull": size(looked["pull_size"]),
                "state": hub_texts.RELATIONS.get(looked["relation"], looked["relation"]),
                "here": ", ".join(looked["here"]),
            }
        )
        await self.query_one("#hub-card", CardPane).show(looked["card"] or "no card")
        self.query_one("#hub-files", Static).update(self._files(looked["files"]))
        self.query_one("#hub-difference", Static).update(self._difference(looked))
        self.query_one("#hub-tabs").display = True

    def _files(self, files: list[dict[str, Any]]) -> RichTable:
        table = RichTable(box=None, expand=True, padding=(0, 1), header_style="dim")
        table.add_column("file", ratio=1, overflow="fold")
        table.add_column("size", justify="right", no_wrap=True)
        table.add_column("what", no_wrap=True)
        for file in files[:500]:
            style = "" if file["fetched"] else "dim"
            kind = Text(
                hub_texts.KINDS.get(file["kind"], ""),
                style=ink(self.app, "warning") if file["kind"] == "pickle" else style,
            )
            mark = "↓ " if file["fetched"] else "  "
            table.add_row(
                Text(mark + safe(file["path"], limit=200), style=style),
                Text(size(file["size"]), style=style),
                kind,
            )
        table.caption = Text("↓ is fetched by a pull", style="dim")
        return table

    def _difference(self, looked: dict[str, Any]) -> RichTable | Text:
        if not looked["differences"]:
            return Text(hub_texts.RELATIONS.get(looked["relation"], ""))
        table = RichTable(box=None, expand=True, padding=(0, 1), header_style="bold")
        table.add_column("")
        table.add_column(Text(f"here: {safe(looked['here'][0])}"), overflow="fold")
        table.add_column("there", overflow="fold")
        for row in looked["differences"]:
            table.add_row(Text(safe(row["what"]), style="dim"), Text(safe(row["here"])), Text(safe(row["there"])))
        return table

    # -- asking --------------------------------------------------------------------------------------------------

    async def _ask(self, what: str, do: str, **request: Any) -> Any:
        """Ask the Hub; None when it could not be asked, which has been said then."""
        question = self._question = object()
        self._asking, self._since = what, time.monotonic()
        self._tick()

        def progress(done: int, total: int, step: str) -> None:
            if self._question is question:
                self._asking = f"{what}: {safe(step, limit=80)}"

        try:
            return await self.tireg.hub.ask(do, progress, **request)
        except (TiregError, OSError) as error:
            self.tireg.report(error)
            self._say("the Hub could not be asked")
            return None
        except asyncio.CancelledError:
            if self._question is question:
                self._say("given up")
            raise
        finally:
            if self._question is question:  # else another question has taken its place, which still waits
                self._asking = ""

    def _tick(self) -> None:
        """While one waits, say for what and how long already."""
        if self._asking:
            seconds = time.monotonic() - self._since
            waited = f" {seconds:.0f} s · Esc gives up" if seconds >= 2 else ""
            self._say(f"{self._asking} …{waited}")

    def _say(self, text: str) -> None:
        self.query_one("#hub-status", Static).update(safe(text, limit=300))

    # -- keys ----------------------------------------------------------------------------------------------------

    def action_pull(self) -> None:
        """Pull the repository under the cursor, after showing what that fetches."""
        if self.tireg.refuses_changes():
            return
        entry = self.current
        looked = self._looked
        if entry is not None and looked is not None and looked["repo_id"] == entry["repo_id"]:
            self._offer_pull(looked)
        elif entry is not None:
            self._look_and_offer(entry["repo_id"])
        else:
            self.tireg.say("Search for a repository first: /")

    @work(exclusive=True, group="hub", exit_on_error=False)
    async def _look_and_offer(self, repo_id: str) -> None:
        looked = await self._ask(f"looking at {repo_id}", "look", repo=repo_id)
        if looked is not None:
            self._say("")
            await self._show(looked)
            self._offer_pull(looked)

    def _offer_pull(self, looked: dict[str, Any]) -> None:
        repo_id = looked["repo_id"]

        def answered(wish: PullWish | None) -> None:
            if wish is None:
                return
            request: dict[str, Any] = {"repo": repo_id, "name": wish.name, "token": wish.token}
            request |= {"images": wish.images, "everything": wish.everything}
            start_transfer(self.tireg, f"pull {repo_id}", "pull", request, partial(self._pulled, repo_id))

        self.app.push_screen(PullDialog(looked), answered)

    def _pulled(self, repo_id: str, results: list[dict[str, Any]]) -> None:
        names = ", ".join(result["reference"] for result in results[:5])
        new = [result for result in results if result["status"] == "pulled"]
        self.tireg.say(names or "nothing", title="Pulled" if new else "Already here")
        for result in results:
            for note in result["notes"][:3]:
                self.tireg.say(note, severity="warning")
        self._looked = None
        here = {"here": [result["reference"] for result in results], "state": ""}
        self._show_list([entry | here if entry["repo_id"] == repo_id else entry for entry in self._found])

    def action_browser(self) -> None:
        """Open the repository's page in the browser."""
        if self._looked is not None:
            self.app.open_url(self._looked["url"])
        else:
            self.tireg.say("Open a repository first: Enter on one that was found")

    def action_copy(self) -> None:
        """Copy the command that pulls it."""
        if self.current is not None:
            self.tireg.copy(shlex.join(["tireg", "pull", self.current["repo_id"]]))
        else:
            self.tireg.say("Search for a repository first: /")

    def action_leave(self) -> None:
        """Give up waiting; else leave the search; else go back to what is known, then to the library."""
        field = self.query_one("#hub-search", Input)
        if self._asking:
            self.workers.cancel_group(self, "hub")
            self._asking = ""
            self._say("given up")
        elif field.has_focus:
            self.set_focus(self.table if self.table.display else None)
        elif self._is_answer:
            self._is_answer, field.value = False, ""
            self._show_known()
        else:
            self.tireg.action_go("library")


def _count(number: object) -> str:
    """Likes and downloads, short."""
    if not isinstance(number, int):
        return ""
    return f"{number / 1000:.0f}k" if number >= 10_000 else f"{number}"
