"""Keeps the documentation true: generated parts are current, links resolve, shown commands and named files exist.

python tools/check_docs.py            # report what is wrong, exit 1 if anything is
python tools/check_docs.py --write    # write anew what is generated: docs/commands.md and the tables of other pages
"""

from __future__ import annotations

import re
import shlex
import sys
from functools import cache
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "cli"), str(ROOT / "tui")]
REFERENCE = ROOT / "docs" / "commands.md"
VARIABLES = {
    "TIREG_HOME": "the registry's folder; default: the platform's folder for user data",
    "TIREG_IMAGES": "how pictures are drawn in the terminal ([terminals](terminals.md)); `--images` wins over it",
    "TIREG_DEBUG": "`1`: an error comes with its traceback",
    "TIREG_JOURNAL": "`delete` or `wal`: the journal of the database, where the kind of disk is not told rightly",
    "TIREG_HUB_TOKEN": "the token for a Hub other than huggingface.co ([sharing](sharing.md))",
    "TIREG_HUB_TIMEOUT": "seconds that one answer of a Hub may take; default 60",
    "_TIREG_COMPLETE": 'completion in the shell: `eval "$(_TIREG_COMPLETE=bash_source tireg)"`, or `zsh_source`',
    "HF_ENDPOINT": "the Hub to talk to; `--endpoint` wins over it",
    "HF_TOKEN": "the token for huggingface.co, in place of the one that `hf auth login` saved",
    "HF_HUB_OFFLINE": "`1`: nothing is looked for in the network",
    "HF_HOME": "where the Hub's client keeps downloaded models and the saved token; `HF_HUB_CACHE`: the models alone",
    "OMP_NUM_THREADS": "threads on a CPU, also `MKL_NUM_THREADS`; otherwise those that no other program keeps busy",
    "GOMP_SPINCOUNT": "how long threads on a CPU stay awake for each other; default 1000 (or `OMP_WAIT_POLICY`)",
    "NO_COLOR": "set to anything but nothing: no colour",
    "VISUAL": "the editor for notes, else `EDITOR`",
    "DIFFUSERS_VERBOSITY": "how much diffusers says, and `TRANSFORMERS_VERBOSITY`; as good as nothing by default",
}
"""Environment variables that are looked at, and what they do."""
PARTS = ("tiregistry", "cli", "tui", "tests", "tools", "benchmarks")


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
    parts += ["## Environment variables\n", "| variable | what it does |\n|---|---|"]
    parts += [f"| `{name}` | {what} |" for name, what in VARIABLES.items()]
    return "\n".join(parts) + "\n"


def unexplained_variables() -> list[str]:
    """Environment variables of our own that the code looks at and the table does not have, or the other way round."""
    sources = [path for part in ("tiregistry", "cli", "tui") for path in (ROOT / part).rglob("*.py")]
    found = {name for path in sources for name in re.findall(r"\b_?TIREG_[A-Z_]+", path.read_text(encoding="utf-8"))}
    told = {name for name in VARIABLES if "TIREG_" in name}
    return [f"tools/check_docs.py: VARIABLES and the code differ about {name}" for name in sorted(found ^ told)]


def _help_of(command: click.Command, path: str) -> list[str]:
    context = click.Context(command, info_name=path, max_content_width=100, terminal_width=100)
    out = [f"```\n{command.get_help(context)}\n```\n"]
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            if inner is not None:
                out += [f"### {path} {name}\n", *_help_of(inner, f"{path} {name}")]
    return out


def generated() -> dict[Path, str]:
    """Pages that are generated, whole or between marks, with the text that they should have."""
    from tools import embedding_formats, training_options

    pages = {REFERENCE: command_reference()}
    for part in (embedding_formats, training_options):
        pages[part.PAGE] = part.updated(part.PAGE.read_text(encoding="utf-8"))
    return pages


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


def missing_files(document: Path) -> list[str]:
    """Files and folders of the project that a page names by their path, and that are not there.

    A page that describes one part of the project names its files from there, so any file whose path ends so will do.
    """
    text = re.sub(r"```.*?```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL)
    there = ["/" + path for path in _project_files()]
    missing = []
    for name in re.findall(r"`([\w./-]+)`", text):
        if name.endswith(".py"):
            found = any(path.endswith("/" + name) for path in there)
        elif name.endswith("/") and name.split("/")[0] in PARTS:
            found = (ROOT / name).is_dir()
        else:
            continue
        if not found:
            missing.append(f"{document.relative_to(ROOT)}: there is no file {name}")
    return missing


@cache
def _project_files() -> list[str]:
    return [path.relative_to(ROOT).as_posix() for part in PARTS for path in (ROOT / part).rglob("*.py")]


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
    problems = unexplained_variables()
    for page, text in generated().items():
        if "--write" in sys.argv[1:]:
            page.write_text(text, encoding="utf-8")
        elif not page.exists() or page.read_text(encoding="utf-8") != text:
            problems.append(f"{page.relative_to(ROOT)} is out of date: run python tools/check_docs.py --write")
    for document in documents():
        problems += broken_links(document)
        problems += missing_files(document)
        if document != REFERENCE:
            problems += wrong_commands(document)
    print("\n".join(problems) if problems else f"{len(documents())} documents are in order")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
