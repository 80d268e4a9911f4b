"""Two registries exchange words through the loopback Hub and end with the same versions."""

from __future__ import annotations

import hashlib
import json

import pytest

from tests.core.hub.words import SDXL, learn, learn_history, vectors
from tests.hub_server import HubServer
from tiregistry.concepts import Parent
from tiregistry.errors import AlreadyExists, Damaged, ExitCode
from tiregistry.hub.client import Hub
from tiregistry.hub.pull import PullOptions, pull_every_version, pull_repository
from tiregistry.hub.push import PushOptions, push_version
from tiregistry.hub.tags import digest_tag
from tiregistry.hub.trouble import HeadMoved
from tiregistry.registry.registry import Registry

REPO = "alice/gnome"


def test_a_word_arrives_with_its_digest_and_everything_that_was_shared(
    server: HubServer, alice: Hub, here: Registry, there: Registry
) -> None:
    version = learn(here)
    here.set_scores(version, {"image": 0.75})
    here.tag("gnome", add=["garden"])

    pushed = push_version(here, here.version("gnome"), REPO, alice)
    (pulled,) = pull_repository(there, REPO, alice)

    assert pushed.status == "pushed"
    assert pulled.status == "pulled"
    other = there.version("gnome")
    assert other.digest == version.digest
    assert other.embedding_digest == version.embedding_digest
    assert other.origin == "pulled"
    assert other.manifest == version.manifest
    assert [image.caption for image in other.images] == ["view 0", "view 1"]
    assert other.scores == {"image": 0.75}
    concept = there.concept("gnome")
    assert (concept.description, concept.licence, concept.tags) == ("A garden gnome.", "cc-by-4.0", ("garden",))
    assert other.record()["loss"] == [0.5, 0.25, 0.125]
    assert "device" not in other.record()
    remote = there.remotes(other)[0]
    assert (remote.direction, remote.repo_id, remote.commit_sha) == ("pull", REPO, pushed.commit)
    assert there.verify().damages == []


def test_a_history_arrives_with_its_lineage_in_order(alice: Hub, here: Registry, there: Registry) -> None:
    versions = learn_history(here)
    for version in versions:
        push_version(here, version, REPO, alice)

    results = list(pull_every_version(there, REPO, alice))

    assert [r.version.reference for r in results] == ["gnome@1", "gnome@2", "gnome@3"]
    assert [v.digest for v in there.versions("gnome")] == [v.digest for v in versions]
    (root,) = there.history("gnome")
    assert root.children[0].children[0].version.digest == versions[2].digest


def test_it_goes_on_where_the_other_stopped_and_comes_back(
    server: HubServer, alice: Hub, here: Registry, there: Registry
) -> None:
    server.protocol.users["bobs-word"] = "alice"  # bob may write to her repository
    first = learn(here)
    push_version(here, first, REPO, alice)
    pull_repository(there, REPO, alice)
    second = learn(there, 1, parents=(Parent(first.digest, "continued"),))

    push_version(there, second, REPO, alice)
    (back,) = pull_repository(here, REPO, alice)

    assert back.version.reference == "gnome@2"
    assert [v.digest for v in here.versions("gnome")] == [v.digest for v in there.versions("gnome")]
    repo = server.repos[REPO]
    assert {"v1", "v2", digest_tag(first.digest), digest_tag(second.digest)} <= set(repo.tags)
    assert repo.tags["v2"] == repo.tags[digest_tag(second.digest)] == repo.head.sha


def test_pushing_and_pulling_again_does_nothing(server: HubServer, alice: Hub, here: Registry, there: Registry) -> None:
    version = learn(here)
    push_version(here, version, REPO, alice)
    pull_repository(there, REPO, alice)
    commits = len(server.repos[REPO].commits)

    from_here = push_version(here, version, REPO, alice)
    from_there = push_version(there, there.version("gnome"), REPO, alice)
    (pulled,) = pull_repository(here, REPO, alice)
    (again,) = pull_repository(there, REPO, alice)

    assert (from_here.status, from_there.status) == ("unchanged", "unchanged")
    assert (pulled.status, again.status) == ("already here", "already here")
    assert pulled.version.reference == "gnome@1"
    assert len(server.repos[REPO].commits) == commits
    assert len(here.versions("gnome")) == len(there.versions("gnome")) == 1


def test_pictures_travel_only_when_asked_and_the_digest_stays(
    server: HubServer, alice: Hub, here: Registry, there: Registry
) -> None:
    version = learn(here)
    push_version(here, version, REPO, alice, PushOptions(with_images=True, with_previews=True))
    pull_repository(there, REPO, alice)

    other = there.version("gnome")
    assert other.digest == version.digest
    assert sorted(other.attachments()) == ["concept_images/0.jpeg", "concept_images/1.jpeg", "previews/0.png"]
    commits = len(server.repos[REPO].commits)
    assert push_version(there, other, REPO, alice).status == "unchanged"
    assert push_version(there, other, REPO, alice, PushOptions(with_images=True)).status == "unchanged"
    assert push_version(here, version, REPO, alice).status == "unchanged"
    assert len(server.repos[REPO].commits) == commits


def test_pictures_without_metadata_arrive_as_the_very_source_images(
    alice: Hub, here: Registry, there: Registry
) -> None:
    version = learn(here, secret=False)
    push_version(here, version, REPO, alice, PushOptions(with_images=True))
    pull_repository(there, REPO, alice)

    other = there.version("gnome")
    assert [other.image(n) for n in range(2)] == [version.image(n) for n in range(2)]
    assert other.attachments() == {}
    assert other.images[0].width == 64
    assert there.verify().damages == []


def test_images_that_come_later_heal_the_version(alice: Hub, here: Registry, there: Registry) -> None:
    version = learn(here)
    push_version(here, version, REPO, alice)
    pull_repository(there, REPO, alice)
    assert there.verify().known_losses == 2

    again = learn(there)  # the same pictures and vectors, registered by hand

    assert again.digest == version.digest
    assert there.verify().known_losses == 0
    assert there.verify().damages == []


def test_a_pair_of_encoders_arrives_whole(server: HubServer, alice: Hub, here: Registry, there: Registry) -> None:
    version = learn(here, fingerprint=SDXL, embedding=vectors(3, 2, clip_l=768, clip_g=1280))
    push_version(here, version, REPO, alice)
    assert {"learned_embeds.safetensors", "learned_embeds_2.safetensors", "gnome.safetensors"} <= set(
        server.repos[REPO].head.files
    )
    (pulled,) = pull_repository(there, REPO, alice)
    assert pulled.version.digest == version.digest


def test_the_same_token_of_somebody_else_is_kept_apart(alice: Hub, here: Registry, there: Registry) -> None:
    shared = learn(here)
    push_version(here, shared, REPO, alice)
    own = learn(there, 5)

    with pytest.raises(AlreadyExists, match="another word here") as caught:
        pull_repository(there, REPO, alice)
    assert caught.value.exit_code == ExitCode.CONFLICT
    assert "--name gnome-2 --token '<gnome-2>'" in caught.value.hint
    assert [v.digest for v in there.versions("gnome")] == [own.digest]

    options = PullOptions(name="gnome-2", placeholder_token="<gnome-2>")
    (renamed,) = pull_repository(there, REPO, alice, options=options)
    assert renamed.version.reference == "gnome-2@1"
    assert renamed.version.parents == (Parent(shared.digest, "pulled"),)
    assert renamed.version.embedding_digest == shared.embedding_digest


def test_the_user_may_say_that_it_is_the_same_word(alice: Hub, here: Registry, there: Registry) -> None:
    push_version(here, learn(here), REPO, alice)
    learn(there, 5)
    (joined,) = pull_repository(there, REPO, alice, options=PullOptions(name="gnome"))
    assert joined.version.reference == "gnome@2"


def test_a_head_that_is_not_here_is_a_conflict_that_shows_both_sides(
    server: HubServer, alice: Hub, here: Registry, there: Registry
) -> None:
    first = learn(here)
    push_version(here, first, REPO, alice)
    pull_repository(there, REPO, alice)
    theirs = learn(there, 1, parents=(Parent(first.digest, "continued"),))
    push_version(there, theirs, REPO, alice)
    head = server.repos[REPO].head.sha
    ours = learn(here, 2, parents=(Parent(first.digest, "continued"),))

    with pytest.raises(HeadMoved) as caught:
        push_version(here, ours, REPO, alice)

    assert caught.value.exit_code == ExitCode.CONFLICT
    assert theirs.digest[:19] in caught.value.message
    assert ours.digest[:19] in caught.value.message
    assert head[:12] in caught.value.message
    assert "tireg pull alice/gnome" in caught.value.hint
    assert server.repos[REPO].head.sha == head

    pull_repository(here, REPO, alice)
    pushed = push_version(here, ours, REPO, alice)
    assert (pushed.status, pushed.number) == ("pushed", 3)
    assert server.repos[REPO].tags["v3"] == pushed.commit


def test_force_puts_it_on_top_and_keeps_the_history(server: HubServer, alice: Hub, here: Registry) -> None:
    server.add_repo(REPO, {"learned_embeds.bin": b"somebody else's"})
    version = learn(here)
    with pytest.raises(HeadMoved, match="tireg did not write"):
        push_version(here, version, REPO, alice)
    assert push_version(here, version, REPO, alice, PushOptions(force=True)).status == "pushed"
    assert len(server.repos[REPO].history(server.repos[REPO].head)) == 3
    assert "learned_embeds.bin" not in server.repos[REPO].head.files


def test_a_push_removes_only_what_a_push_writes(server: HubServer, alice: Hub, here: Registry) -> None:
    push_version(here, learn(here), REPO, alice, PushOptions(with_images=True))
    repo = server.repos[REPO]
    repo.put("notes.txt", b"mine")
    document = json.loads(repo.head.files["tireg.json"].data)
    document["files"] |= {"notes.txt": hashlib.sha256(b"mine").hexdigest()}
    repo.put("tireg.json", json.dumps(document).encode())
    push_version(here, learn(here, 1), REPO, alice, PushOptions(without_images=True))
    assert "notes.txt" in repo.head.files
    assert not any(path.startswith("concept_images") for path in repo.head.files)


def test_a_manifest_that_contradicts_itself_stops_a_push_unless_forced(
    server: HubServer, alice: Hub, here: Registry
) -> None:
    version = learn(here)
    server.add_repo(REPO, {"tireg.json": b'{"repository": "tireg-repository/1"}'})
    with pytest.raises(Damaged):
        push_version(here, version, REPO, alice)
    assert push_version(here, version, REPO, alice, PushOptions(force=True)).status == "pushed"
