"""How the commands of `tireg runs` are told which run, and whether to print JSON."""

from __future__ import annotations

import click

from tiregistry.concepts import Run
from tiregistry.registry.registry import Registry

JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
LAST = click.option("--last", is_flag=True, help="The newest run.")
RUN = click.argument("run_id", metavar="RUN", required=False, default="")


NAME_ONE = "name one run by its id, or with --last"


def find(registry: Registry, run_id: str, last: bool) -> Run:
    """The run that RUN or --last names.

    Raises:
        click.UsageError: neither does, or both.
        RunNotFound: there is none.
    """
    if bool(run_id) == last:
        raise click.UsageError(NAME_ONE)
    return registry.last_run() if last else registry.run(run_id)
