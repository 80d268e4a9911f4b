"""The help of every command: it has examples, and the examples are ones that the command understands."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import click
import pytest

from tireg_cli.main import COMMANDS, cli


def leaves(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command that does something, with the words that call it."""
    if isinstance(command, click.Group):
        context = click.Context(command)
        if path and command.invoke_without_command:
            yield path, command
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            yield from leaves(child, (*path, name))
    else:
        yield path, command


ALL = list(leaves(cli))
IDS = [" ".join(path) for path, _ in ALL]


def examples(command: click.Command) -> list[str]:
    """The lines under "Example(s):" that call tireg, without what a longer gap sets off as an explanation."""
    text = (command.help or "").replace("\b", "")
    lines = text.partition("Example")[2].splitlines()[1:]
    return [line.strip().split("    ")[0] for line in lines if "tireg " in line]


def test_there_are_all_commands() -> None:
    assert {path[0] for path, _ in ALL} == set(COMMANDS)
    assert len(ALL) > 35


@pytest.mark.parametrize(("path", "command"), ALL, ids=IDS)
def test_every_command_has_examples_that_it_understands(path: tuple[str, ...], command: click.Command) -> None:
    found = examples(command)
    assert found, f"tireg {' '.join(path)} --help has no example"
    call = "tireg " + " ".join(path)
    own = [line for line in found if call in line]
    assert own, f"no example of {call} calls it: {found}"
    for line in own:
        # `tireg gen - < prompts.txt`, `cat x | tireg gen -`, `tireg list | wc -l`: only our part of the pipe.
        words = shlex.split(line[line.index(call) :], comments=True)
        end = next((n for n, word in enumerate(words) if word in ("|", "<", ">", "&&", ";")), len(words))
        arguments = words[1 + len(path) : end]
        if isinstance(command, click.Group) and arguments and arguments[0] in command.commands:
            continue  # an example of a command inside, checked there
        command.make_context(call, arguments, resilient_parsing=False)


@pytest.mark.parametrize(("path", "command"), ALL, ids=IDS)
def test_every_option_is_explained(path: tuple[str, ...], command: click.Command) -> None:
    for parameter in command.params:
        if isinstance(parameter, click.Option) and not parameter.hidden:
            is_told = parameter.help or isinstance(parameter.type, click.Choice)
            assert is_told, f"--{parameter.name} of tireg {' '.join(path)} is not explained"


@pytest.mark.parametrize("name", COMMANDS)
def test_the_overview_has_a_sentence_for_every_command(name: str) -> None:
    assert COMMANDS[name][1].endswith(".")


@pytest.mark.parametrize(("path", "command"), ALL, ids=IDS)
def test_an_empty_path_is_refused_everywhere(path: tuple[str, ...], command: click.Command) -> None:
    for parameter in command.params:
        if isinstance(parameter.type, click.Path):
            with pytest.raises(click.BadParameter, match="the path is empty"):
                parameter.type.convert("", parameter, click.Context(command))
