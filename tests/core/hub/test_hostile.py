"""A Hub that lies: nothing is believed, nothing is written outside, nothing half is kept."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.core.hub.words import learn
from tests.hub_server import Fault, HubServer
from tests.hub_server.faults import Request, Response
from tiregistry.errors import Damaged, ExitCode, HubError, TiregError, UnreadableEmbedding
from tiregistry.hub.client import Hub
from tiregistry.hub.endpoints import Endpoint
from tiregistry.hub.looking import look_at
from tiregistry.hub.pull import PullOptions, pull_every_version, pull_repository
from tiregistry.hub.push import PushOptions, push_version
from tiregistry.hub.search import search_hub
from tiregistry.registry.registry import Registry

REPO = "alice/gnome"


@pytest.fixture
def pushed(server: HubServer, alice: Hub, here: Registry) -> str:
    """The digest of a word in the repository."""
    version = learn(here)
    push_version(here, version, REPO, alice, PushOptions(with_images=True))
    return version.digest


@pytest.fixture
def watched(tmp_path: Path, there: Registry) -> Iterator[Registry]:
    """A registry; afterwards nothing may be new beside it."""
    before = set(tmp_path.iterdir())
    yield there
    assert set(tmp_path.iterdir()) == before
    assert not list((there.home / "staging").glob("*"))


def record(path: str, size: int = 10, **more: Any) -> dict[str, Any]:
    return {"type": "file", "path": path, "size": size, "oid": "0" * 40, **more}


_NAMES = [
    "../outside.bin",
    "a/../../outside.bin",
    "/absolute.bin",
    "C:\\windows.bin",
    "..\\up.bin",
    "esc\x1b[2Jape.bin",
    "new\nline.bin",
    "nul\0.bin",
    ".git/config.bin",
    ".cache/huggingface/x.bin",
    "a/" * 10 + "deep.bin",
    "x" * 300 + ".bin",
    "",
    " .bin",
    "-rf.bin",
]


@pytest.mark.parametrize("name", _NAMES)
def test_hostile_names_are_passed_over(name: str, server: HubServer, bob: Hub, watched: Registry) -> None:
    server.add_repo(REPO, {"readme.txt": b"x"})
    server.faults = [Fault.edit("/tree/", lambda tree: [*tree, record(name)])]
    with pytest.raises(UnreadableEmbedding, match="holds no learned word"):
        pull_repository(watched, REPO, bob)
    assert not any("resolve" in line for line in server.lines())


@pytest.mark.parametrize("sha", ["../../etc", "x" * 40, "abc", "", None, 7, "A" * 40, "0" * 41])
def test_a_commit_name_that_is_none(sha: object, server: HubServer, pushed: str, alice: Hub, watched: Registry) -> None:
    server.faults = [Fault.edit(r"GET /api/models/alice/gnome$", lambda info: {**info, "sha": sha})]
    with pytest.raises(TiregError) as caught:
        pull_repository(watched, REPO, alice)
    assert caught.value.exit_code == ExitCode.NETWORK
    assert watched.concepts() == []


@pytest.mark.parametrize("size", [10**15, 65 * 2**20, -1, "10", None, 1.5])
def test_sizes_are_checked_before_anything_is_fetched(
    size: Any, server: HubServer, pushed: str, alice: Hub, watched: Registry
) -> None:
    def lie(tree: Any) -> Any:
        for entry in tree:
            if entry["path"] == "learned_embeds.safetensors":
                entry["size"] = size
        return tree

    server.faults = [Fault.edit("/tree/", lie)]
    with pytest.raises(HubError):
        pull_repository(watched, REPO, alice)
    assert not any(line.endswith("learned_embeds.safetensors") for line in server.lines())


def test_more_than_was_listed_is_not_read(server: HubServer, pushed: str, alice: Hub, watched: Registry) -> None:
    def longer(_: Request, response: Response) -> Response:
        response.body += b"x" * 5_000_000
        return response

    server.faults = [Fault("GET /lfs/", after=longer, times=None)]
    with pytest.raises(Damaged, match="longer than the Hub lists it"):
        pull_repository(watched, REPO, alice)
    assert watched.concepts() == []


@pytest.mark.parametrize("path", ["learned_embeds.safetensors", "tireg.json", "concept_images/0.jpeg"])
def test_a_flipped_bit_is_found(path: str, server: HubServer, pushed: str, alice: Hub, watched: Registry) -> None:
    file = server.repos[REPO].head.files[path]
    server.faults = [Fault.flip(f"/lfs/{file.sha256}" if file.lfs else f"/resolve/.*/{path}", times=None)]
    with pytest.raises(Damaged, match="not those that the Hub lists") as caught:
        pull_repository(watched, REPO, alice)
    assert caught.value.exit_code == ExitCode.DAMAGED
    assert watched.concepts() == []


def _change(name: str, change: Callable[[dict[str, Any]], None]) -> Callable[[bytes], bytes]:
    def changed(data: bytes) -> bytes:
        document = json.loads(data)
        change(document)
        return json.dumps(document).encode()

    changed.__name__ = name
    return changed


_LIES = [
    _change("another digest", lambda d: d.update(version="sha256:" + "0" * 64)),
    _change("another token in the manifest", lambda d: d["manifest"].update(placeholder_token="<other>")),
    _change("no manifest", lambda d: d.pop("manifest")),
    _change("a manifest of another kind", lambda d: d.update(manifest=[1])),
    _change("wrong hash of a file", lambda d: d["files"].update({"learned_embeds.safetensors": "0" * 64})),
    _change("a picture outside", lambda d: d["pictures"][0].update(path="../../x.png")),
    _change("numbers that are none", lambda d: d.update(number="1", scores={"x": float("inf")})),
    _change("files that are none", lambda d: d.update(files=[1, 2])),
    lambda data: b"[" * 100_000,
]


@pytest.mark.parametrize("lie", _LIES, ids=lambda lie: lie.__name__)
def test_a_manifest_that_lies(
    lie: Callable[[bytes], bytes], server: HubServer, pushed: str, alice: Hub, watched: Registry
) -> None:
    repo = server.repos[REPO]
    repo.put("tireg.json", lie(repo.head.files["tireg.json"].data))
    if lie.__name__ == "a picture outside":  # it does not come, and the word does
        (pulled,) = pull_repository(watched, REPO, alice)
        assert watched.verify().damages == []
        assert "concept_images/0.jpeg" not in pulled.version.attachments()
        return
    with pytest.raises(Damaged):
        pull_repository(watched, REPO, alice)
    assert watched.concepts() == []


@pytest.mark.parametrize(
    "harm",
    [
        lambda data: data[:500],
        lambda data: b"",
        lambda data: b"<html>sign in</html>",
        lambda data: b"[1]",
        lambda data: b"\xff\xfe" + data,
    ],
    ids=["cut off", "empty", "a page", "a list", "no UTF-8"],
)
def test_a_damaged_manifest_is_no_repository_without_one(
    harm: Callable[[bytes], bytes], server: HubServer, pushed: str, alice: Hub, here: Registry, watched: Registry
) -> None:
    repo = server.repos[REPO]
    intact = repo.head.files["tireg.json"].data
    repo.put("tireg.json", harm(intact))
    with pytest.raises(Damaged, match=r"alice/gnome/tireg\.json is damaged") as caught:
        pull_repository(watched, REPO, alice)
    assert caught.value.exit_code == ExitCode.DAMAGED
    assert watched.concepts() == []
    assert look_at(watched, alice, REPO).relation == "damaged"
    # Its owner can write it anew, and is told how.
    with pytest.raises(Damaged) as told:
        push_version(here, here.version("gnome"), REPO, alice)
    assert "--force" in told.value.hint
    push_version(here, here.version("gnome"), REPO, alice, PushOptions(force=True))
    assert pull_repository(watched, REPO, alice)[0].version.digest == pushed


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ("tireg-repository/2", "is of the format tireg-repository/2, which .* after an update of tireg, pull again"),
        ("https://example.org/x", "is of the format https://example.org/x, which this tireg does not read"),
        (None, "is of a format without a name"),
    ],
)
def test_a_manifest_of_another_format_is_told_and_a_later_pull_brings_what_it_held(
    form: str | None, told: str, server: HubServer, pushed: str, alice: Hub, here: Registry, watched: Registry
) -> None:
    here.set_scores(here.version("gnome"), {"score": 0.75})
    push_version(here, here.version("gnome"), REPO, alice)
    repo = server.repos[REPO]
    intact = repo.head.files["tireg.json"].data
    document = json.loads(intact) | {"repository": form}
    if form is None:
        document = {"hello": "world"}
    repo.put("tireg.json", json.dumps(document).encode())

    (pulled,) = pull_repository(watched, REPO, alice)
    assert (pulled.status, pulled.version.digest) == ("pulled", pushed)
    assert re.search(told, pulled.notes[-1])
    assert "loss" not in watched.record(pulled.version)

    repo.put("tireg.json", intact)
    (completed,) = pull_repository(watched, REPO, alice, options=PullOptions(images=False))
    assert completed.status == "completed"
    assert "its training record came with it now" in completed.notes
    record = watched.record(completed.version)
    assert record["loss"] == [0.5, 0.25, 0.125]
    assert record["hub"]["repo_id"] == REPO
    assert "import" in record
    assert watched.version("gnome").scores == {"score": 0.75}
    (again,) = pull_repository(watched, REPO, alice, options=PullOptions(images=False))
    assert (again.status, again.notes) == ("already here", ())


def test_the_file_of_an_exported_word_is_not_warned_about(
    server: HubServer, bob: Hub, here: Registry, watched: Registry
) -> None:
    from tiregistry.embeddings.writing import writer_for
    from tiregistry.exchange.exporting import word_of

    files = writer_for("sd-concepts").write(word_of(here, learn(here, pictures=0)), "x")
    assert "tireg.json" in files
    server.add_repo("bob/by-hand", files)
    (pulled,) = pull_repository(watched, "bob/by-hand", bob)
    assert pulled.notes == ()


def test_vectors_of_another_word_under_a_true_manifest(
    server: HubServer, pushed: str, alice: Hub, here: Registry, watched: Registry
) -> None:
    push_version(here, learn(here, 7, "other"), "alice/other", alice)
    repo = server.repos[REPO]
    other = server.repos["alice/other"].head.files["learned_embeds.safetensors"]
    document = json.loads(repo.head.files["tireg.json"].data)
    document["files"]["learned_embeds.safetensors"] = other.sha256
    repo.put("tireg.json", json.dumps(document).encode())
    repo.put("learned_embeds.safetensors", other.data, lfs=True)
    with pytest.raises(Damaged, match="the vectors are not those of its manifest"):
        pull_repository(watched, REPO, alice)
    assert watched.concepts() == []


def test_text_from_the_hub_cannot_act_on_a_terminal(
    server: HubServer, pushed: str, alice: Hub, watched: Registry
) -> None:
    evil = "\x1b]0;owned\x07\x1b[2J\u202e"
    server.faults = [Fault.status("/tree/", 403, error=evil, times=None)]
    with pytest.raises(HubError) as caught:
        pull_repository(watched, REPO, alice)
    assert "\x1b" not in str(caught.value)

    server.faults = [
        Fault.edit(
            "GET /api/models$",
            lambda found: [
                {
                    **f,
                    "id": evil + f["id"],
                    "likes": "many",
                    "downloads": -1,
                    "cardData": {"base_model": [evil, 3, None]},
                }
                for f in found
            ],
        )
    ]
    (word,) = search_hub(watched, alice, "gnome")
    assert "\x1b" not in repr(word.as_dict())
    assert (word.likes, word.downloads) == (0, 0)


def test_lists_without_end_are_given_up(
    server: HubServer, pushed: str, alice: Hub, watched: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def again(request: Request, response: Response) -> Response:
        response.headers["Link"] = f'<{server.url}{request.path}>; rel="next"'
        return response

    server.faults = [Fault("/tree/", after=again, times=None)]
    monkeypatch.setattr("tiregistry.hub.watch._MOST_REQUESTS", 60)
    with pytest.raises(HubError, match="still wants more"):
        pull_repository(watched, REPO, Hub(Endpoint(server.url, "alices-word")))


def test_three_hundred_files_and_several_pages(server: HubServer, bob: Hub, here: Registry, watched: Registry) -> None:
    server.protocol.page = 50
    from tiregistry.embeddings.writing import writer_for
    from tiregistry.exchange.exporting import word_of

    data = writer_for("diffusers-bin").write(word_of(here, learn(here)), "learned_embeds")["learned_embeds.bin"]
    files = {f"samples/{n}.txt": b"x" for n in range(300)}
    server.add_repo("bob/many", {**files, "learned_embeds.bin": data})
    (pulled,) = pull_repository(watched, "bob/many", bob)
    assert pulled.version.placeholder_token == "<gnome>"
    assert sum("resolve" in line for line in server.lines()) == 1


def test_a_hub_that_counts_too_many_versions(server: HubServer, pushed: str, alice: Hub, watched: Registry) -> None:
    repo = server.repos[REPO]
    repo.tags |= {f"v{n}": repo.head.sha for n in range(1, 700)}
    with pytest.raises(HubError, match="more than 500"):
        list(pull_every_version(watched, REPO, alice))


def test_a_version_that_no_longer_is_what_its_tag_says_is_refused(
    server: HubServer, pushed: str, alice: Hub, watched: Registry
) -> None:
    """Some other Hubs answer old revisions with the hashes of the newest files."""
    old = server.repos[REPO].head
    server.repos[REPO].put("learned_embeds.safetensors", b"newer", lfs=True)
    newer = server.repos[REPO].head

    def of_the_newest(tree: Any) -> Any:
        for entry in tree:
            if entry["path"] == "learned_embeds.safetensors":
                entry["lfs"]["oid"] = newer.files[entry["path"]].sha256
        return tree

    server.faults = [Fault.edit(f"/tree/{old.sha}", of_the_newest)]
    with pytest.raises(Damaged):
        pull_repository(watched, REPO, alice, old.sha)
    assert watched.concepts() == []


def test_pictures_that_are_bombs_are_not_kept(server: HubServer, bob: Hub, here: Registry, watched: Registry) -> None:
    import io

    from PIL import Image

    from tiregistry.embeddings.writing import writer_for
    from tiregistry.exchange.exporting import word_of

    bomb = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(bomb, "PNG")
    files = writer_for("sd-concepts").write(word_of(here, learn(here)), "x")
    files.pop("tireg.json")
    server.add_repo("bob/bomb", {**files, "concept_images/0.png": bomb.getvalue()})
    (pulled,) = pull_repository(watched, "bob/bomb", bob)
    assert not any(image.digest in watched.blobs for image in pulled.version.images)
    assert any("picture left out" in note for note in pulled.notes)
    assert pull_repository(watched, "bob/bomb", bob, options=PullOptions(images=False))[0].status == "already here"


@pytest.mark.parametrize("value", [7, None, {}, [], [7], "\x1b[2J" * 500, {"a": 1}, ["x/y", 3]])
def test_a_foreign_card_of_any_shape(
    value: object, server: HubServer, bob: Hub, here: Registry, watched: Registry
) -> None:
    from tiregistry.embeddings.writing import writer_for
    from tiregistry.exchange.exporting import word_of

    files = writer_for("diffusers").write(word_of(here, learn(here)), "learned_embeds")
    server.add_repo("bob/card", files)
    lie = {"base_model": value, "license": value}
    server.faults = [Fault.edit("GET /api/models/bob/card$", lambda info: {**info, "cardData": lie})]
    (pulled,) = pull_repository(watched, "bob/card", bob)
    assert pulled.version.base_name.isprintable()
    assert watched.concept("gnome").licence.isprintable()
