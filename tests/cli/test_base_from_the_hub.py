"""`tireg base add` of a Hub id, with the real client against the loopback Hub."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.running import Tireg
from tests.core.test_fingerprints import write_model
from tests.hub_server import HubServer
from tiregistry.hub.transport import install


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HubServer]:
    """The Hub that huggingface_hub asks by itself, with a cache of its own."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    for name in ("HF_TOKEN", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    with HubServer() as running:
        use(running.url, monkeypatch)
        yield running


def use(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make huggingface_hub ask the Hub at `url`, as HF_ENDPOINT would in a process of its own."""
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", url)
    template = url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_each_revision_of_a_hub_id_is_a_base_model_of_its_own(
    tireg: Tireg, server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo = server.add_repo("alice/model", files_of(write_model(tmp_path / "one")))
    repo.tags["v1"] = repo.head.sha
    first = repo.head.sha
    for path, data in files_of(write_model(tmp_path / "two", change="unet")).items():
        if path.startswith("unet/"):
            repo.put(path, data)
    one = tireg("base", "add", "alice/model", "--revision", "v1", "--name", "one", "--json").json
    two = tireg("base", "add", "alice/model", "--name", "two", "--json").json
    assert (one["source"], one["revision"], two["revision"]) == ("alice/model", first, repo.head.sha)
    assert one["fingerprint"]["token_embedding"] == two["fingerprint"]["token_embedding"]
    assert one["fingerprint"]["denoiser"] != two["fingerprint"]["denoiser"]
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    again = tireg("base", "add", "alice/model", "--revision", "v1", "--name", "again", "--json").json
    assert again["fingerprint"] == one["fingerprint"]


def test_what_the_hub_cannot_give_is_said_before_anything_comes_down(
    tireg: Tireg, server: HubServer, tmp_path: Path
) -> None:
    server.add_repo("alice/model", files_of(write_model(tmp_path / "one")))
    server.add_repo("alice/words", {"big/model.safetensors": b"x" * 1000, "README.md": b"words"})
    server.add_repo("alice/secret", {"model_index.json": b"{}"}, private=True)
    server.add_repo("alice/gated", {"model_index.json": b"{}"}).gated = True
    assert "alice/model has no revision v9" in tireg("base", "add", "alice/model", "--revision", "v9", code=3).err
    assert "alice/words on the Hub is not a base model" in tireg("base", "add", "alice/words", code=2).err
    assert "that you may read" in tireg("base", "add", "alice/secret", code=3).err
    assert "that you may read" in tireg("base", "add", "alice/none", code=3).err
    assert "only to those who accepted its terms" in tireg("base", "add", "alice/gated", code=3).err
    assert not list((tmp_path / "cache").rglob("*.safetensors"))


@pytest.mark.parametrize("token", ["hf_a\x01b", "hf_é"])
def test_a_token_that_cannot_be_one_is_no_hub_that_cannot_be_reached(
    token: str, tireg: Tireg, server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", token)
    server.add_repo("alice/model", files_of(write_model(tmp_path / "one")))
    err = tireg("base", "add", "alice/model", code=2).err
    assert err == "tireg: HF_TOKEN holds a character no token has · copy it again, whole\n"


def test_a_hub_that_does_not_answer_is_no_reason_to_lose_what_is_here(
    tireg: Tireg, server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install()  # as in a process that has searched the Hub before, such as the terminal UI
    server.add_repo("alice/model", files_of(write_model(tmp_path / "one")))
    tireg("base", "add", "alice/model")
    use("http://127.0.0.1:9", monkeypatch)  # nobody listens
    again = tireg("base", "add", "alice/model")
    assert (again.lines, again.err) == (["model"], "sd1, 64 pixels · 0 words here fit it\n")
    assert "the Hub cannot be reached" in tireg("base", "add", "alice/other", code=5).err
