"""What is asked before words are tagged, named, described, exported or removed; the same from library and word."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tiregistry.errors import TiregError
from tiregistry.references import check_alias, check_name

if TYPE_CHECKING:
    from tireg_tui.app import TiregApp
    from tiregistry.registry.handles import RegisteredVersion
    from tiregistry.registry.registry import Registry


def ask_tags(app: TiregApp, registry: Registry, names: Sequence[str]) -> None:
    """Change the tags of one word, or add tags to several.

    Raises:
        NotFound: there is no such word.
    """
    from tireg_tui.screens.ask_text import AskText

    if app.refuses_changes():
        return
    single = registry.concept(names[0]) if len(names) == 1 else None

    def keep(answer: str) -> None:
        tags = [check_name(tag, "tag") for tag in answer.replace(",", " ").lower().split()]
        gone = set(single.tags) - set(tags) if single else set()
        for name in names:
            registry.tag(name, add=tags, remove=gone)

    title = f"Tags of {single.placeholder_token}" if single else f"Add tags to {len(names)} words"
    now = " ".join(single.tags) if single else ""
    app.push_screen(AskText(title, keep, "separated by blanks", now, within=registry))


def ask_alias(app: TiregApp, registry: Registry, version: RegisteredVersion) -> None:
    """Give a version a movable name."""
    from tireg_tui.screens.ask_text import AskText

    if app.refuses_changes():
        return

    def keep(answer: str) -> None:
        if answer.strip():
            registry.set_alias(version.reference, check_alias(answer.strip()))

    app.push_screen(AskText(f"Alias of {version.reference}", keep, "for example: best", within=registry))


def ask_notes(app: TiregApp, registry: Registry, name: str) -> None:
    """Write a word's notes here.

    Raises:
        NotFound: there is no such word.
    """
    from tireg_tui.screens.write_note import WriteNote

    if not app.refuses_changes():
        app.push_screen(WriteNote(registry, registry.concept(name)))


def edit_notes(app: TiregApp, registry: Registry, name: str) -> None:
    """Write a word's notes in the user's editor; what cannot be kept comes back, there and in the dialog.

    Raises:
        NotFound: there is no such word.
    """
    from tireg_tui.input.note_drafts import NoteDraft, draft_of, remember

    if app.refuses_changes():
        return
    concept = registry.concept(name)
    left = draft_of(app.remembered, concept) or NoteDraft(concept.notes, concept.notes)
    begun = left.over(concept.notes)
    try:
        text = app.edit_text(begun.text)
    except (TiregError, OSError) as error:
        app.report(error)
        return
    if text is None:
        app.say("No editor: set VISUAL or EDITOR, or press e")
        return
    if text == concept.notes:
        remember(app.remembered, concept, None)
        return
    remember(app.remembered, concept, NoteDraft(text, begun.seen))

    def failed(error: Exception) -> None:
        app.report(error)
        app.say(f"What you wrote on {concept.name} comes back where its notes are written next", title="Not kept")

    app.change(
        lambda: registry.describe(concept.name, seen={"notes": begun.seen}, notes=text),
        lambda _: remember(app.remembered, concept, None),
        failed,
    )


def ask_export(app: TiregApp, registry: Registry, version: RegisteredVersion) -> None:
    """Write a version as a file for another program."""
    from tireg_tui.screens.export_word import ExportWord
    from tiregistry.exchange.exporting import FORMATS, export_version

    def done(paths: list[Path]) -> None:
        app.say("\n".join(str(path) for path in paths[:4]), title="Exported")

    def act(path: Path, format_id: str) -> list[Path]:
        return export_version(registry, version, path, format_id)

    app.push_screen(ExportWord(version.reference, list(FORMATS), act, done))


def ask_removal(
    app: TiregApp,
    what: str,
    how_much: str,
    references: list[str],
    before: Callable[[], None] | None = None,
    left: Callable[[list[str]], None] | None = None,
) -> None:
    """Move words or versions to the trash, after a question that stands on Cancel.

    Args:
        what: as it is told of afterwards, by name: `gnome`, `gnome@3`; or `3 words`.
        how_much: what goes with it, or stays; one sentence.
        before: called when the answer is yes.
        left: told those that could not be moved.
    """
    from tireg_tui.screens.confirm import Confirm

    if app.refuses_changes():
        return

    def answered(yes: bool | None) -> None:
        if yes:
            if before is not None:
                before()
            app.remove(references, left)

    text = f"{how_much}. Nothing is deleted: u brings it back, also: tireg restore"
    app.push_screen(Confirm(f"Move {what} to the trash?", text, "Move to trash"), answered)
