"""Does pushes and pulls in processes of their own, which a test may kill; started once, because imports take long.

Reads one JSON list per line, `[what, home, url, token, repository]`; forks a process for it; prints its id at once
and how it ended afterwards.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path


def work(what: str, home: str, url: str, token: str, repository: str) -> None:
    """One push or pull of everything that `repository` or the registry holds."""
    from tiregistry.hub.client import Hub
    from tiregistry.hub.endpoints import Endpoint
    from tiregistry.hub.pull import pull_every_version
    from tiregistry.hub.push import PushOptions, push_version
    from tiregistry.registry.registry import Registry

    with Registry.open(Path(home)) as registry:
        hub = Hub(Endpoint(url, token))
        if what == "push":
            for version in registry.versions("gnome"):
                push_version(registry, version, repository, hub, PushOptions(with_images=True))
        else:
            list(pull_every_version(registry, repository, hub))


def main() -> None:
    import huggingface_hub.hf_api  # noqa: F401 (what every child needs is imported before the first fork)
    import safetensors.numpy  # noqa: F401
    import yaml  # noqa: F401
    from PIL import Image  # noqa: F401

    import tiregistry.hub.pull
    import tiregistry.hub.push  # noqa: F401

    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            try:
                work(*json.loads(line))
            except BaseException as error:
                print(repr(error), file=sys.stderr, flush=True)
                os._exit(1)
            os._exit(0)
        print(child, flush=True)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
