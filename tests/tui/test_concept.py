"""One concept: versions, diff, aliases, tags, notes, removal, neighbours."""

from __future__ import annotations

from pathlib import Path

from textual.pilot import Pilot
from textual.widgets import Input, Static, TabbedContent, TextArea

from tests.tui.conftest import add_version, app_of, drive, notices, screen_text, settle, until
from tireg_tui.screens.concept import ConceptScreen
from tireg_tui.screens.export_word import ExportWord
from tireg_tui.screens.library import Library
from tireg_tui.screens.runs import Runs
from tireg_tui.screens.train import TrainForm
from tireg_tui.widgets.concept_runs import ConceptRuns
from tireg_tui.widgets.loss_chart import LossChart
from tireg_tui.widgets.picture_strip import PictureStrip
from tiregistry.registry.registry import Registry


async def opened(pilot: Pilot[None]) -> ConceptScreen:
    await pilot.press("enter")
    await settle(pilot)
    screen = pilot.app.screen
    assert isinstance(screen, ConceptScreen)
    return screen


def registry_of(pilot: Pilot[None]) -> Registry:
    registry = app_of(pilot).registry
    assert registry is not None
    return registry


def test_versions_with_their_pictures_and_losses(home: Path) -> None:
    async def story(pilot: Pilot[None]) -> None:
        screen = await opened(pilot)
        text = screen_text(pilot)
        for expected in ("@3", "latest", "best", "initializer", "thing", "yellow.png", "▀"):
            assert expected in text
        await pilot.press("j")
        await settle(pilot)
        assert screen.current is not None
        assert screen.current.number == 2
        assert [source.caption for source in screen.query_one("#images", PictureStrip).sources] == ["green.png · 64×64"]
        assert len(screen.query_one(LossChart).values) == 60
        screen.query_one(TabbedContent).active = "tab-loss"
        await settle(pilot)
        assert "step 60" in screen_text(pilot)

    drive(home, story)


def test_its_runs_and_its_card(home: Path) -> None:
    with Registry.open(home) as registry:
        run = registry.create_run("gnome", {"training": {"recipe": "quick"}}, 60)
        registry.update_run(run.id, status="failed", step=7)
        registry.create_run("mug", {}, 60)

    async def story(pilot: Pilot[None]) -> None:
        screen = await opened(pilot)
        tabs = screen.query_one(TabbedContent)
        tabs.active = "tab-card"
        await until(pilot, lambda: "instance_prompt: a photo of <gnome>" in screen_text(pilot))
        tabs.active = "tab-runs"
        await settle(pilot)
        text = screen_text(pilot)
        assert "✗ failed" in text
        assert "7/60" in text
        assert "quick" in text
        screen.query_one(ConceptRuns).focus()
        await pilot.press("enter")
        await settle(pilot)
        runs = pilot.app.screen
        assert isinstance(runs, Runs)
        assert runs.current is not None
        assert runs.current.id == run.id

    drive(home, story, size=(130, 44))


def test_a_version_is_exported_and_replaces_nothing(home: Path, tmp_path: Path) -> None:
    async def story(pilot: Pilot[None]) -> None:
        await opened(pilot)
        for _ in range(2):
            await pilot.press("x")
            await pilot.pause()
            screen = pilot.app.screen
            assert isinstance(screen, ExportWord)
            screen.query_one("#export-path", Input).value = str(tmp_path / "out.safetensors")
            await pilot.press("ctrl+g")
            await settle(pilot)
        assert (tmp_path / "out.safetensors").stat().st_size > 64
        assert "Exported" in notices(pilot)
        assert "exists" in screen_text(pilot)
        path = pilot.app.screen.query_one("#export-path", Input)
        path.value = str(tmp_path / "nowhere" / "out.safetensors")
        await pilot.press("ctrl+g")
        await until(pilot, lambda: "nowhere" in str(pilot.app.screen.query_one("#said", Static).content))
        path.value = str(tmp_path / "other.safetensors")
        await pilot.press("ctrl+g")
        await until(pilot, lambda: not isinstance(pilot.app.screen, ExportWord))
        assert (tmp_path / "other.safetensors").is_file()

    drive(home, story)


def test_diff_of_marked_and_of_neighbours(home: Path) -> None:
    async def story(pilot: Pilot[None]) -> None:
        screen = await opened(pilot)
        await pilot.press("equals_sign")
        await settle(pilot)
        text = screen_text(pilot)
        assert screen.query_one(TabbedContent).active == "tab-diff"
        assert "gnome@2" in text
        assert "cosine" in text
        assert "yellow.png" in text
        await pilot.press("j", "j", "space", "k", "k", "equals_sign")
        await settle(pilot)
        assert "gnome@1" in screen_text(pilot)
        await pilot.press("right_square_bracket")
        await settle(pilot)
        assert "gnome@1" not in screen_text(pilot)

    drive(home, story)


def test_a_version_that_is_removed_leaves_the_diff_and_its_mark(home: Path) -> None:
    async def story(pilot: Pilot[None]) -> None:
        screen = await opened(pilot)
        await pilot.press("j", "j", "space", "k", "k", "equals_sign")
        await settle(pilot)
        assert "gnome@1" in screen_text(pilot)
        registry_of(pilot).remove("gnome@2")
        app_of(pilot).registry_changed()
        await settle(pilot)
        assert "gnome@1" in screen_text(pilot)  # another version's going changes nothing here
        await pilot.press("j", "D")
        await pilot.pause()
        await pilot.press("right", "enter")
        await until(pilot, lambda: "Mark a version with Space" in screen_text(pilot))
        await settle(pilot)
        await pilot.press("equals_sign")
        await settle(pilot)
        assert "gnome has no other version to compare with" in notices(pilot)
        assert screen.tabs.active == "tab-diff"

    drive(home, story)


def test_every_tab_has_a_key(home: Path) -> None:
    async def story(pilot: Pilot[None]) -> None:
        screen = await opened(pilot)
        seen = []
        for key in "fsrcmi":
            await pilot.press(key)
            seen.append(screen.tabs.active)
            assert pilot.app.focused is screen.table  # the cursor still moves among the versions
        assert seen == [f"tab-{tab}" for tab in ("images", "loss", "runs", "card", "read_notes", "pictures")]
        await pilot.press("i")
        await settle(pilot)
        assert pilot.app.focused is screen.query_one("#made")
        await pilot.press("f")
        await settle(pilot)
        assert pilot.app.focused is screen.query_one("#images")
        await pilot.press("V", "V")
        assert screen.tabs.active == "tab-read_notes"
        await pilot.press("v")
        assert screen.tabs.active == "tab-pictures"
        own = {key for key, active in screen.active_bindings.items() if active.node is screen} - {"escape"}
        for part in [part for part in screen.query("*") if part.focusable]:
            assert not own & set(part._bindings.key_to_bindings), part  # nothing there takes a key of the screen

    drive(home, story)


def test_alias_tags_and_notes(home: Path) -> None:
    async def story(pilot: Pilot[None]) -> None:
        await opened(pilot)
        await pilot.press("a")
        await pilot.pause()
        await pilot.press(*"final", "enter")
        await settle(pilot)
        assert registry_of(pilot).version("gnome@final").number == 3
        await pilot.press("t")
        await pilot.pause()
        await pilot.press("space", *"stone", "enter")
        await settle(pilot)
        assert registry_of(pilot).concept("gnome").tags == ("garden", "stone")
        await pilot.press("e")
        await pilot.pause()
        await pilot.press(*"red", "enter", *"hat", "ctrl+s")
        await settle(pilot)
        assert registry_of(pilot).concept("gnome").notes == "red\nhat"
        await pilot.press("t")
        await pilot.pause()
        await pilot.press("escape")
        await settle(pilot)
        assert registry_of(pilot).concept("gnome").tags == ("garden", "stone")

    drive(home, story)


def test_a_wrong_alias_is_refused_and_said(home: Path) -> None:
    async def story(pilot: Pilot[None]) -> str:
        await opened(pilot)
        await pilot.press("a")
        await pilot.pause()
        await pilot.press(*"latest", "enter")
        await settle(pilot)
        assert pilot.app.screen.query_one("#answer", Input).value == "latest"  # to be mended
        return screen_text(pilot)

    assert "'latest' cannot be an alias" in " ".join(drive(home, story).split())


def test_a_version_goes_to_the_trash_and_comes_back(home: Path) -> None:
    async def story(pilot: Pilot[None]) -> None:
        await opened(pilot)
        await pilot.press("D")
        await pilot.pause()
        assert "gnome@3" in screen_text(pilot)
        await pilot.press("right", "enter")
        await settle(pilot)
        assert registry_of(pilot).concept("gnome").latest_number == 2
        await pilot.press("u")
        await settle(pilot)
        assert registry_of(pilot).concept("gnome").latest_number == 3

    drive(home, story)


def test_neighbours_and_other_processes(home: Path) -> None:
    async def story(pilot: Pilot[None]) -> None:
        screen = await opened(pilot)
        await pilot.press("right_square_bracket")
        await settle(pilot)
        assert screen.concept_name == "mug"
        with Registry.open(home) as other:
            add_version(other, "mug", 99, color="red")
        await until(pilot, lambda: "@2" in screen_text(pilot))
        await settle(pilot)
        await pilot.press("left_square_bracket")
        await settle(pilot)
        assert screen.concept_name == "gnome"
        with Registry.open(home) as other:
            other.remove("gnome")
        await until(pilot, lambda: not isinstance(pilot.app.screen, ConceptScreen))

    drive(home, story)


def test_what_is_typed_stays_when_another_process_removes_the_word(home: Path) -> None:
    async def removed(pilot: Pilot[None], name: str) -> None:
        before = app_of(pilot).times_changed
        with Registry.open(home) as other:
            other.remove(name)
        await until(pilot, lambda: app_of(pilot).times_changed > before)
        await settle(pilot)

    async def story(pilot: Pilot[None]) -> None:
        await opened(pilot)
        await pilot.press("e", *"one ")
        dialog = pilot.app.screen
        await removed(pilot, "gnome")
        await removed(pilot, "inkwash")
        await pilot.press(*"nine")  # `n` is the training form on the screens beneath
        assert pilot.app.screen is dialog
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "'gnome' is in the trash" in str(dialog.query_one("#said", Static).content))
        assert pilot.app.screen is dialog
        assert dialog.query_one(TextArea).text == "one nine"
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, Library))
        await settle(pilot)
        assert notices(pilot).count("'gnome' is in the trash") == 1

        await opened(pilot)
        await pilot.press("n")
        await settle(pilot)
        form = pilot.app.screen
        assert isinstance(form, TrainForm)
        form.query_one("#init", Input).value = "cup"
        await removed(pilot, "mug")
        assert pilot.app.screen is form
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, Library))

    drive(home, story)
