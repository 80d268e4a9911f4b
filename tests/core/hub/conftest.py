"""A loopback Hub, two registries beside it, and words with real pictures to send."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.hub_server import HubServer
from tiregistry.hub.client import Hub
from tiregistry.hub.endpoints import Endpoint
from tiregistry.registry.registry import Registry

ALICE, BOB = "alices-word", "bobs-word"


@pytest.fixture(autouse=True)
def online(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The Hub may be asked (it is ours), quickly, and no token of this machine is in reach."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("TIREG_HUB_TIMEOUT", "20")
    for name in ("HF_TOKEN", "HF_ENDPOINT", "TIREG_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("tiregistry.hub.transport._PAUSES", (0.01, 0.02))


@contextmanager
def impatient() -> Iterator[None]:
    """Within the block answers may take a second and a half."""
    import huggingface_hub

    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("TIREG_HUB_TIMEOUT", "1.5")
        huggingface_hub.close_session()  # the next request makes a new client
        yield
    huggingface_hub.close_session()


@pytest.fixture
def server() -> Iterator[HubServer]:
    with HubServer() as running:
        yield running


@pytest.fixture
def alice(server: HubServer) -> Hub:
    return Hub(Endpoint(server.url, ALICE))


@pytest.fixture
def bob(server: HubServer) -> Hub:
    return Hub(Endpoint(server.url, BOB))


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Registry]:
    with Registry.open(tmp_path / "here") as registry:
        yield registry


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Registry]:
    with Registry.open(tmp_path / "there") as registry:
        yield registry
