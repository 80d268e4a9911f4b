"""Entry point of `tireg`: finds the command's module by name, runs it, turns every failure into one line."""

from __future__ import annotations

import os
import sys
from importlib import import_module

import click

from tireg_cli.messages import fail
from tiregistry import __version__
from tiregistry.bases.cpu_threads import wait_politely
from tiregistry.bases.quiet import be_quiet
from tiregistry.text import safe

# Command name to (module, one-line help). The help stands here too so that `tireg --help` imports no command.
COMMANDS: dict[str, tuple[str, str]] = {
    "tui": ("tui", "Browse, train and compose in a terminal UI; tireg alone opens it too."),
    "demo": ("demo", "The whole story in a few minutes: learn a word and a style, compose them, see the pictures."),
    "train": ("train", "Learn a word from pictures."),
    "gen": ("gen", "Generate pictures from prompts that name words."),
    "gallery": ("gallery", "The generated pictures: list, search, show, remove."),
    "runs": ("runs", "Training runs and their queue: list, show, watch, cancel, resume, move, hold."),
    "list": ("list", "List, search and filter the learned words."),
    "show": ("show", "Show one word or version in full."),
    "diff": ("diff", "Compare two versions."),
    "eval": ("eval", "Measure words: do they look like their pictures, do they still do what the prompt says."),
    "space": ("space", "Where a word lives: its neighbours in the vocabulary and among your words."),
    "blend": ("blend", "Mix two words into a new one."),
    "history": ("history", "Show how a word's versions came from each other."),
    "tag": ("tag", "Label a word."),
    "alias": ("alias", "Give a version a movable name, such as best."),
    "note": ("note", "Set the note, description or licence of a word."),
    "rename": ("rename", "Rename a word; the old name keeps working."),
    "remove": ("remove", "Move words or versions to the trash."),
    "restore": ("restore", "Bring them back from the trash, or from a backup."),
    "import": ("import_", "Import learned words from files and folders of every known format."),
    "export": ("export", "Write a learned word as a file for another program."),
    "push": ("push", "Share a word: push it to the Hub."),
    "pull": ("pull", "Get words from the Hub."),
    "hub": ("hub", "Look around on the Hub: search, show."),
    "base": ("base", "Base models: list, add, show, default, remove."),
    "settings": ("settings", "What can be set: list, get, set, unset."),
    "doctor": ("doctor", "Report on device, terminal graphics, registry, Hub login and versions."),
    "verify": ("verify", "Check that everything is still what it was; repair what is not."),
    "gc": ("gc", "Free the space of files that nothing needs."),
    "backup": ("backup", "Write the whole registry into one file."),
}


class ReaderGone(Exception):
    """The reader of our stdout has gone; not an OSError, because click would end such a one with 1."""


class LazyGroup(click.Group):
    """A click group whose commands are imported when they are called."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise ReaderGone from None

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = import_module(f"tireg_cli.commands.{COMMANDS[cmd_name][0]}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError:
            from difflib import get_close_matches

            close = get_close_matches(args[0], COMMANDS, n=1)
            advice = f"did you mean: tireg {close[0]}" if close else "tireg --help lists the commands"
            raise click.UsageError(f"no command named {args[0]!r} · {advice}", ctx) from None


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="tireg", message="%(prog)s %(version)s")
@click.pass_context
def cli(ctx: click.Context) -> int | None:
    """A home for learned words.

    Teach a frozen text-to-image model new words from 3-5 pictures, keep every version, compose prompts with them.

    \b
    Start here:   tireg demo
    Then:         tireg train gnome ./photos --init gnome
                  tireg gen "an oil painting of <gnome>" --show
    """
    if ctx.invoked_subcommand is None:
        from tireg_cli.terminal import has_terminal

        if has_terminal():
            from tireg_cli.commands import tui

            code: int = ctx.invoke(tui.command)
            return code
        click.echo(ctx.get_help())
    return None


def run(argv: list[str] | None = None) -> int:
    """Run `tireg` and return the exit code; never raises for an error a user can meet."""
    be_quiet()
    wait_politely()
    try:
        result = cli.main(args=argv, prog_name="tireg", standalone_mode=False)
        if sys.stdout is not None:  # closed by the caller: `>&-`
            sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as exit_request:
        return exit_request.exit_code
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "tireg"
        click.echo(f"tireg: {safe(error.format_message()).rstrip('.')} · {command} --help explains", err=True)
        return 2
    except click.ClickException as error:
        click.echo(f"tireg: {safe(error.format_message())}", err=True)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return fail(KeyboardInterrupt())
    except (BrokenPipeError, ReaderGone):
        # The reader of our stdout has gone (`| head`): point stdout at nothing so that the interpreter's last flush
        # cannot complain, and end like any tool that gets SIGPIPE.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Exception as error:  # noqa: BLE001 (said as one line)
        return fail(error)
