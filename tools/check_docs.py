"""Keeps the documentation true: the command reference is generated, links resolve, and shown commands exist.

python tools/check_docs.py            # report what is wrong, exit 1 if anything is
python tools/check_docs.py --write    # write docs/commands.md anew
"""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "cli"), str(ROOT / "tui")]
REFERENCE = ROOT / "docs" / "commands.md"


def command_reference() -> str:
    """The text of docs/commands.md, from the commands' own help."""
    from tireg_cli.main import COMMANDS, cli

    contract = (
        "stdout is data, stderr is talk. Exit codes: 0 done · 1 failed · 2 wrong usage or input · 3 not found ·"
        " 4 conflict · 5 Hub or network · 6 damaged data · 130 interrupted. In JSON, a number that is infinite or none"
        " is `null`.\n"
    )
    parts = [
        "# Commands\n",
        "Generated from `tireg --help` by `python tools/check_docs.py --write`.\n",
        contract,
    ]
    for name in COMMANDS:
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        parts += [f"## tireg {name}\n", *_help_of(command, f"tireg {name}")]
    return "\n".join(parts)


def _help_of(command: click.Command, path: str) -> list[str]:
    context = click.Context(command, info_name=path, max_content_width=100, terminal_width=100)
    out = [f"```\n{command.get_help(context)}\n```\n"]
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            if inner is not None:
                out += [f"### {path} {name}\n", *_help_of(inner, f"{path} {name}")]
    return out


def documents() -> list[Path]:
    """README, CHANGELOG and everything in docs/."""
    return [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


def broken_links(document: Path) -> list[str]:
    """Relative links and pictures that lead nowhere."""
    text = re.sub(r"```.*?```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL)
    targets = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'(?:src|href)="([^"]+)"', text)
    missing = []
    for target in targets:
        path = target.split("#")[0]
        if path and not re.match(r"[a-z]+:", path) and not (document.parent / path).exists():
            missing.append(f"{document.relative_to(ROOT)}: link to {target} leads nowhere")
    return missing


def wrong_commands(document: Path) -> list[str]:
    """`tireg …` lines in code blocks whose command or option does not exist."""
    from tireg_cli.main import cli

    wrong = []
    for block in re.findall(r"```(?:sh|bash|console)?\n(.*?)```", document.read_text(encoding="utf-8"), re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            match = re.search(r"(?:^|[|;&(]\s*|\$ )tireg (.*)$", line)
            if match and not line.startswith("Usage:"):
                problem = _problem(match.group(1), cli)
                if problem:
                    wrong.append(f"{document.relative_to(ROOT)}: `tireg {match.group(1)}`: {problem}")
    return wrong


def _problem(arguments: str, command: click.Command) -> str:
    try:
        words = shlex.split(re.split(r"\s+#|\s\||\s>|\s&&|\s;|\s{3,}", arguments)[0])
    except ValueError:
        return "quotes do not match"
    context = click.Context(command)
    while words and isinstance(command, click.Group) and not words[0].startswith("-"):
        found = command.get_command(context, words[0])
        if found is None:
            return f"no command {words[0]}"
        command, words = found, words[1:]
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    known |= {"--help", "-h"}
    for word in words:
        if word == "--":
            break
        if re.match(r"--?[a-z]", word) and word.split("=")[0] not in known:
            return f"no option {word}"
    return ""


def main() -> int:
    """Check everything; return the exit code."""
    if "--write" in sys.argv[1:]:
        REFERENCE.write_text(command_reference(), encoding="utf-8")
    problems = []
    if not REFERENCE.exists() or REFERENCE.read_text(encoding="utf-8") != command_reference():
        problems.append("docs/commands.md is out of date: run python tools/check_docs.py --write")
    for document in documents():
        problems += broken_links(document)
        if document != REFERENCE:
            problems += wrong_commands(document)
    print("\n".join(problems) if problems else f"{len(documents())} documents are in order")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
