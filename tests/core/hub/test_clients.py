"""What tireg pushed, read by others: huggingface_hub with and without xet, diffusers, and the JavaScript client."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from tests.core.hub.test_faults import EXPECTED, failure
from tests.core.hub.words import learn, vectors
from tests.hub_server import Fault, HubServer
from tiregistry.hub.client import Hub
from tiregistry.hub.endpoints import Endpoint
from tiregistry.hub.pull import pull_repository
from tiregistry.hub.push import PushOptions, push_version
from tiregistry.registry.registry import Registry


def test_huggingface_hub_reads_it_at_its_tag(server: HubServer, alice: Hub, here: Registry, tmp_path: Path) -> None:
    from huggingface_hub import HfApi

    push_version(here, learn(here), "alice/gnome", alice, PushOptions(with_images=True))
    api = HfApi(server.url, token="alices-word")
    folder = Path(api.snapshot_download("alice/gnome", revision="v1", local_dir=tmp_path / "snapshot"))
    for path, file in server.repos["alice/gnome"].head.files.items():
        assert (folder / path).read_bytes() == file.data
    info = api.model_info("alice/gnome")
    assert info.card_data is not None
    assert info.card_data["base_model_relation"] == "adapter"
    assert [c.title for c in api.list_repo_commits("alice/gnome")] == ["gnome version 1", "initial commit"]


def test_xet_is_used_where_the_hub_has_it(
    here: Registry, there: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """hf_xet stores into a folder (`local://`), which is how it is tested itself; skipped where that is gone."""
    pytest.importorskip("hf_xet")
    from huggingface_hub import HfApi, constants

    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", False)
    version = learn(here)
    with HubServer(xet=tmp_path / "cas") as server:
        hub = Hub(Endpoint(server.url, "alices-word"))
        push_version(here, version, "alice/gnome", hub)
        assert any("xet-write-token" in line for line in server.lines())
        assert not any(line.startswith("PUT /lfs/") for line in server.lines())
        file = server.repos["alice/gnome"].head.files["learned_embeds.safetensors"]
        assert file.xet_hash
        folder = HfApi(server.url, token="alices-word").snapshot_download("alice/gnome", local_dir=tmp_path / "copy")
        copy = (Path(folder) / "learned_embeds.safetensors").read_bytes()
        assert hashlib.sha256(copy).hexdigest() == file.sha256
        (pulled,) = pull_repository(there, "alice/gnome", hub)
        assert pulled.version.digest == version.digest


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind", [Fault.drop, Fault.lose_answer, lambda pattern: Fault.status(pattern, 500, times=None)]
)
def test_a_push_by_xet_with_a_fault_at_every_request(
    kind: Callable[[str], Fault], here: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("hf_xet")
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", False)
    version = learn(here, pictures=0)
    with HubServer(xet=tmp_path / "cas") as server:
        hub = Hub(Endpoint(server.url, "alices-word"))
        push_version(here, version, "alice/clean", hub)
        lines = dict.fromkeys(server.lines())
        for number, line in enumerate(lines):
            repo_id = f"alice/try-{number}"
            pattern = re.sub(r"[0-9a-f]{40}", "[0-9a-f]{40}", line.replace("alice/clean", repo_id)) + "$"
            server.protocol.objects.clear()
            server.faults = [fault := kind(pattern)]
            error = failure(partial(push_version, here, version, repo_id, hub))
            assert error is None or (error.exit_code in EXPECTED and "\n" not in str(error)), (line, error)
            server.faults = []
            assert fault.hits, line
            assert push_version(here, version, repo_id, hub).status in ("pushed", "unchanged")
            repo = server.repos[repo_id]
            assert repo.head.files["learned_embeds.safetensors"].xet_hash, line
            assert len(repo.commits) == 2, line


def test_a_hub_without_xet_gets_ordinary_uploads(
    server: HubServer, alice: Hub, here: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", False)
    assert push_version(here, learn(here), "alice/gnome", alice).status == "pushed"
    assert any(line.startswith("PUT /lfs/") for line in server.lines())
    assert constants.HF_HUB_DISABLE_XET is False


@pytest.mark.slow
@pytest.mark.timeout(900)  # importing diffusers alone takes long on a busy machine
def test_diffusers_loads_it_by_the_repository_s_name(
    server: HubServer, alice: Hub, here: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from diffusers import StableDiffusionPipeline
    from huggingface_hub import constants

    from tests.models import tiny_sd

    embedding = vectors(0, 2, clip_l=32)
    push_version(here, learn(here, embedding=embedding), "alice/gnome", alice, PushOptions(private=False))
    monkeypatch.setattr(constants, "ENDPOINT", server.url)
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", server.url + "/{repo_id}/resolve/{revision}/{filename}"
    )
    pipe = StableDiffusionPipeline.from_pretrained(tiny_sd(tmp_path / "model"), safety_checker=None)
    before = len(pipe.tokenizer)

    pipe.load_textual_inversion("alice/gnome", use_safetensors=True, cache_dir=tmp_path / "cache")

    assert len(pipe.tokenizer) == before + 2
    ids = pipe.tokenizer.convert_tokens_to_ids(["<gnome>", "<gnome>_1"])
    table = pipe.text_encoder.get_input_embeddings().weight.detach().numpy()
    assert np.array_equal(table[ids], embedding.tensors["clip_l"])
    assert "HEAD /alice/gnome/resolve/main/learned_embeds.safetensors" in server.lines()


_JAVASCRIPT_CLIENT = "@huggingface/hub@2.17.5"


@pytest.fixture
def node_modules(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder with `@huggingface/hub`: the one in TIREG_NODE_MODULES, else installed by npm and kept for next time."""
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    given = os.environ.get("TIREG_NODE_MODULES")
    if given:
        return Path(given)
    cache = getattr(request.config, "cache", None)
    folder = cache.mkdir("npm") if cache is not None else tmp_path / "npm"
    modules = folder / "node_modules"
    if not (folder / "done").exists():
        npm = shutil.which("npm")
        if npm is None:
            pytest.skip("npm is not installed")
        quiet = ["--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=0", "--fetch-timeout=30000"]
        done = subprocess.run(
            [npm, "install", "--prefix", str(folder), *quiet, _JAVASCRIPT_CLIENT],
            capture_output=True, text=True, timeout=240, check=False,
        )  # fmt: skip
        if done.returncode:
            pytest.skip(f"npm cannot install {_JAVASCRIPT_CLIENT}: {done.stderr.strip()[-200:]}")
        (folder / "done").touch()
    return modules


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_javascript_client_reads_it_and_is_refused_a_stale_commit(
    server: HubServer, alice: Hub, here: Registry, tmp_path: Path, node_modules: Path
) -> None:
    """An independent client of the same protocol, so that our server is not only what one client expects."""
    version = learn(here)
    server.protocol.users["hf_loopback"] = "alice"  # that client insists on this beginning
    push_version(here, version, "alice/gnome", alice)
    script = tmp_path / "client.mjs"
    script.write_text(Path(__file__).with_name("client.mjs").read_text())
    (tmp_path / "node_modules").symlink_to(node_modules)
    done = subprocess.run(
        ["node", str(script), server.url, "hf_loopback", "alice/gnome"],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    files = server.repos["alice/gnome"].commits[said["sha"]].files
    assert said["user"] == "alice"
    assert said["files"] == {path: file.sha256 for path, file in sorted(files.items())}
    assert said["stale"] == 412
    assert server.repos["alice/gnome"].head.files["from-js.txt"].data == b"hello"
    with Registry.open(tmp_path / "reader") as reader:
        assert pull_repository(reader, "alice/gnome", alice)[0].version.digest == version.digest
