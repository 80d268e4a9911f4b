"""Which Hub is asked, and that a token goes nowhere but to the Hub it is for."""

from __future__ import annotations

import re
import traceback
from pathlib import Path

import pytest

from tests.core.hub.words import learn
from tests.hub_server import HubServer
from tiregistry.errors import Conflict, ExitCode, HubError, InvalidInput
from tiregistry.hub.client import Hub
from tiregistry.hub.endpoints import DEFAULT, Endpoint, check_repo_id, choose_endpoint, slug, split_revision
from tiregistry.hub.pull import pull_repository
from tiregistry.hub.push import PushOptions, push_version, target_of
from tiregistry.hub.search import search_hub
from tiregistry.hub.trouble import NotAllowed, RepositoryNotFound
from tiregistry.registry.registry import Registry

SAVED = "saved-for-huggingface"


@pytest.fixture
def saved_token(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As after `hf auth login`, with HF_TOKEN set as well."""
    from huggingface_hub import constants

    path = tmp_path / "token"
    path.write_text(SAVED)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(path))
    monkeypatch.setenv("HF_TOKEN", SAVED)


def test_the_saved_token_is_for_huggingface_only(saved_token: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose_endpoint() == Endpoint(DEFAULT, SAVED)
    assert choose_endpoint("https://huggingface.co/").token == SAVED
    assert choose_endpoint("https://hub.example").token == ""
    monkeypatch.setenv("HF_ENDPOINT", "https://mirror.example/")
    assert choose_endpoint() == Endpoint("https://mirror.example", "")
    monkeypatch.setenv("TIREG_HUB_TOKEN", "for-the-mirror")
    assert choose_endpoint().token == "for-the-mirror"
    assert choose_endpoint(DEFAULT).token == SAVED


@pytest.mark.parametrize("token", ["hf_sec\x01ret", "hf_sec\nret", "hf_secrét", "hf_sec ret", "hf_sec\udcffret"])
def test_a_token_that_cannot_be_one_is_refused_unseen(
    token: str, server: HubServer, here: Registry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from huggingface_hub import constants

    def refused(endpoint: str) -> str:
        with pytest.raises(InvalidInput) as caught:
            search_hub(here, Hub(choose_endpoint(endpoint)), "x")
        assert "hf_sec" not in "".join(traceback.format_exception(caught.value))
        return str(caught.value)

    monkeypatch.setenv("TIREG_HUB_TOKEN", token)
    assert refused(server.url) == "TIREG_HUB_TOKEN holds a character no token has (copy it again, whole)"
    assert server.log == []
    saved = tmp_path / "token"
    saved.write_bytes(token.encode("utf-8", "surrogateescape"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(saved))
    if "\n" not in token:  # huggingface_hub takes line ends out itself
        assert (
            refused(DEFAULT) == "the token that hf auth login saved holds a character no token has (run: hf auth login)"
        )
        monkeypatch.setenv("HF_TOKEN", token)
        assert refused(DEFAULT) == "HF_TOKEN holds a character no token has (copy it again, whole)"


def test_no_request_to_another_endpoint_carries_the_saved_token(
    saved_token: None, server: HubServer, here: Registry
) -> None:
    server.add_repo("alice/open", {"a.txt": b"x"})
    hub = Hub(choose_endpoint(server.url))
    search_hub(here, hub, "open")
    with pytest.raises(Exception, match="holds no learned word"):
        pull_repository(here, "alice/open", hub)
    with pytest.raises(NotAllowed):
        push_version(here, learn(here), "alice/new", hub)
    assert len(server.log) > 4
    for request in server.log:
        assert "authorization" not in request.headers
        assert SAVED not in str(request)


def test_a_token_stays_with_its_hub_when_files_lie_elsewhere(
    server: HubServer, alice: Hub, here: Registry, there: Registry
) -> None:
    push_version(here, learn(here), "alice/gnome", alice)
    start = len(server.log)
    pull_repository(there, "alice/gnome", alice)
    stored = [request for request in server.log[start:] if request.path.startswith("/lfs/")]
    assert stored
    assert all("authorization" not in request.headers for request in stored)


def test_a_token_is_never_shown_or_kept(server: HubServer, alice: Hub, here: Registry) -> None:
    push_version(here, learn(here), "alice/gnome", alice)
    assert "alices-word" not in repr(alice.endpoint)
    here.close()
    for path in here.home.rglob("*"):
        if path.is_file():
            assert b"alices-word" not in path.read_bytes()
    for file in server.repos["alice/gnome"].head.files.values():
        assert b"alices-word" not in file.data


def test_a_token_does_not_travel_unencrypted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIREG_HUB_TOKEN", "secret")
    with pytest.raises(InvalidInput, match="not encrypted"):
        choose_endpoint("http://hub.example")
    assert choose_endpoint("http://127.0.0.1:8000").token == "secret"
    assert choose_endpoint("http://[::1]:8000").token == "secret"


def test_a_wrong_token_is_said_in_one_line(server: HubServer, here: Registry) -> None:
    hub = Hub(Endpoint(server.url, "wrong"))
    with pytest.raises(NotAllowed, match="not accepted") as caught:
        pull_repository(here, "alice/gnome", hub)
    assert "wrong" not in str(caught.value)
    assert caught.value.exit_code == ExitCode.NETWORK


def test_switched_off_means_off(server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(HubError, match="HF_HUB_OFFLINE") as caught:
        Hub(Endpoint(server.url))
    assert caught.value.exit_code == ExitCode.NETWORK
    assert server.log == []


@pytest.mark.parametrize(
    "url",
    ["", "huggingface.co", "ftp://x", "https://", "https://u:p@host", "https://host?x", "https://h\x1b", "https://h:x"],
)
def test_addresses_that_are_none(url: str) -> None:
    from tiregistry.hub.endpoints import check_url

    with pytest.raises(InvalidInput):
        check_url(url)


@pytest.mark.parametrize(
    "text", ["x", "a/b/c", "a//b", "../x", "a/..", "-a/b", "a/b.git", "a/b--c", "a/" + "x" * 97, "ä/b", "a/b c"]
)
def test_repositories_that_are_none(text: str) -> None:
    with pytest.raises(InvalidInput):
        check_repo_id(text)


def test_a_page_s_address_is_understood() -> None:
    assert split_revision("https://huggingface.co/alice/gnome/tree/v2") == ("alice/gnome", "v2")
    assert split_revision("hf://alice/gnome") == ("alice/gnome", "")
    assert split_revision("alice/gnome@refs/pr/1") == ("alice/gnome", "refs/pr/1")
    for text in ("alice/gnome@", "alice/gnome@a..b", "alice/gnome@-x"):
        with pytest.raises(InvalidInput):
            split_revision(text)


@pytest.mark.parametrize(
    ("page", "endpoint"),
    [
        ("http://evil.example/alice/gnome", DEFAULT),
        ("https://huggingface.co/alice/gnome", "http://127.0.0.1:8000"),
        ("https://huggingface.co.evil.example/alice/gnome", DEFAULT),
        ("https://huggingface.co@evil.example/alice/gnome", DEFAULT),
        ("http://127.0.0.1:9000/alice/gnome", "http://127.0.0.1:8000"),
        ("https://hub.example/alice/gnome", "https://hub.example/inside"),
    ],
)
def test_a_page_of_another_hub_is_not_looked_for_here(page: str, endpoint: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        split_revision(page, endpoint)
    other = re.sub(r"^(https?://)(?:[^/]*@)?([^/]+).*", r"\1\2", page)
    assert f"that page is of {other}, and the Hub in use is {endpoint}" in caught.value.message
    assert f"--endpoint {other}" in caught.value.hint


def test_a_page_of_the_hub_in_use() -> None:
    for page in (
        "http://huggingface.co/alice/gnome",
        "https://hf.co/alice/gnome/",
        "HTTPS://HuggingFace.co/alice/gnome",
    ):
        assert split_revision(page) == ("alice/gnome", "")
    assert split_revision("http://127.0.0.1:80/a/b/tree/v2", "http://127.0.0.1") == ("a/b", "v2")
    assert split_revision("https://hub.example/in/alice/gnome", "https://hub.example/in") == ("alice/gnome", "")


def test_names_become_what_the_hub_accepts() -> None:
    assert [slug(n) for n in ("gnome", "Gärtner Zwerg", "a--b..c", "小人", "x" * 200)] == [
        "gnome", "Gartner-Zwerg", "a-b-c", "learned-word", "x" * 90,
    ]  # fmt: skip
    assert check_repo_id(f"a/{slug('a--b..c')}")


def test_where_a_word_goes_by_itself(server: HubServer, alice: Hub, here: Registry) -> None:
    version = learn(here)
    assert target_of(here, alice, version) == "alice/gnome"
    assert target_of(here, alice, version, "other") == "alice/other"
    push_version(here, version, "alice/somewhere", alice)
    assert target_of(here, alice, version) == "alice/somewhere"


def test_private_is_the_default_and_is_never_weakened(server: HubServer, alice: Hub, here: Registry) -> None:
    version = learn(here)
    assert push_version(here, version, "alice/one", alice).private
    assert not push_version(here, version, "alice/two", alice, PushOptions(private=False)).private
    commits = len(server.repos["alice/two"].commits)
    with pytest.raises(Conflict, match="alice/two is public, and --private was asked for"):
        push_version(here, learn(here, 1), "alice/two", alice, PushOptions(private=True))
    assert len(server.repos["alice/two"].commits) == commits


def test_what_others_own_is_refused(server: HubServer, alice: Hub, bob: Hub, here: Registry) -> None:
    version = learn(here)
    push_version(here, version, "alice/gnome", alice, PushOptions(private=False))
    with pytest.raises(NotAllowed, match="rights"):
        push_version(here, learn(here, 1), "alice/gnome", bob)
    with pytest.raises(NotAllowed):
        push_version(here, version, "alice/new", bob)
    push_version(here, version, "alice/secret", alice)
    with pytest.raises(RepositoryNotFound, match="that you may see"):
        pull_repository(here, "alice/secret", bob)
    server.repos["alice/gnome"].gated = True
    with pytest.raises(NotAllowed, match="gated"):
        pull_repository(here, "alice/gnome", bob)
