"""Repositories that tireg did not write: the concept library, diffusers' own, A1111 files, whole pipelines."""

from __future__ import annotations

import numpy as np
import pytest

from tests.core.embeddings.samples import safetensors
from tests.core.hub.words import BASE, learn, photo, vectors
from tests.hub_server import HubServer
from tiregistry.embeddings import reading
from tiregistry.embeddings.embedding import Embedding
from tiregistry.embeddings.writing import Word, writer_for
from tiregistry.errors import AlreadyExists, Damaged, InvalidInput, NotFound, UnreadableEmbedding
from tiregistry.hub.client import Hub
from tiregistry.hub.pull import PullOptions, pull_repository
from tiregistry.hub.push import PushOptions, push_version
from tiregistry.hub.search import search_hub
from tiregistry.hub.updates import check_updates
from tiregistry.registry.registry import Registry


def word(seed: int = 0, token: str = "<cat-toy>", count: int = 1, **dims: int) -> Word:
    return Word(embedding=vectors(seed, count, **dims), name=token.strip("<>"), placeholder_token=token)


def test_the_concept_library(server: HubServer, bob: Hub, here: Registry) -> None:
    """Token and name differ often there, and the card has no tags."""
    library = {
        **writer_for("sd-concepts").write(word(), "x"),
        "type_of_concept.txt": b"style",
        "README.md": f"---\nlicense: mit\nbase_model: {BASE}\n---\n### Cat toy on Stable Diffusion\n".encode(),
        "concept_images/1.jpeg": photo(1),
        "concept_images/10.jpeg": photo(2),
        "concept_images/2.jpeg": photo(3),
    }
    library.pop("tireg.json", None)
    server.add_repo("sd-concepts-library/feline-plaything", library)

    (pulled,) = pull_repository(here, "sd-concepts-library/feline-plaything", bob)

    version = pulled.version
    assert (version.placeholder_token, version.concept_type, version.origin) == ("<cat-toy>", "style", "pulled")
    assert (version.base_name, here.concept("cat-toy").licence) == (BASE, "mit")
    assert [image.filename for image in version.images] == ["1.jpeg", "2.jpeg", "10.jpeg"]
    assert version.image(0) == photo(1)
    assert version.embedding_digest == word().embedding.digest
    assert here.remotes(version)[0].repo_id == "sd-concepts-library/feline-plaything"
    assert pull_repository(here, "sd-concepts-library/feline-plaything", bob)[0].status == "already here"


def test_what_diffusers_pushes_with_its_pipeline(server: HubServer, bob: Hub, here: Registry) -> None:
    embedding = writer_for("diffusers").write(word(), "learned_embeds")["learned_embeds.safetensors"]
    early = writer_for("diffusers").write(word(9), "x")["x.safetensors"]
    server.add_repo(
        "bob/pipeline",
        {
            "learned_embeds.safetensors": embedding,
            "learned_embeds.bin": b"not looked at, because the other is safer",
            "learned_embeds-steps-500.safetensors": early,
            "model_index.json": b"{}",
            "unet/config.json": b"{}",
            "unet/diffusion_pytorch_model.safetensors": b"x" * 1000,
            "image_0.png": b"x",
        },
    )
    (pulled,) = pull_repository(here, "bob/pipeline", bob)
    assert pulled.version.embedding_digest == word().embedding.digest
    assert sum("/resolve/" in line for line in server.lines()) == 1


def test_a_pair_for_sdxl(server: HubServer, bob: Hub, here: Registry) -> None:
    both = word(2, "<pair>", 2, clip_l=768, clip_g=1280)
    server.add_repo("bob/pair", writer_for("diffusers").write(both, "learned_embeds"))
    (pulled,) = pull_repository(here, "bob/pair", bob)
    assert pulled.version.embedding_digest == both.embedding.digest


def test_words_that_were_tuned_together_with_a_lora(
    server: HubServer, bob: Hub, here: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = word(3, "<s>", 3, clip_l=768, clip_g=1280)
    lora = safetensors({f"unet.to_q.lora_{part}.weight": both.embedding.tensors["clip_l"] for part in "AB"})
    (pair,) = writer_for("sdxl").write(both, "x").values()
    server.add_repo("bob/pivotal", {"pytorch_lora_weights.safetensors": lora, "dog_emb.safetensors": pair})
    (pulled,) = pull_repository(here, "bob/pivotal", bob)
    assert (pulled.version.embedding_digest, pulled.notes) == (both.embedding.digest, ())
    assert not any("lora_weights" in line for line in server.lines())

    rows = {f"text_encoders_{n}": both.embedding.tensors[role] for n, role in enumerate(("clip_l", "clip_g"))}
    server.add_repo(
        "bob/cog",
        {
            "embeddings.pti": safetensors(rows),
            "special_params.json": b'{"TOK": "<s0><s1>", "HAT": "<s2>"}',
            "lora.safetensors": lora,
        },
    )
    results = pull_repository(here, "bob/cog", bob)
    assert {(r.version.placeholder_token, r.version.encoders[0].num_vectors) for r in results} == {
        ("<TOK>", 2),
        ("<HAT>", 1),
    }
    assert any("lora.safetensors was left out: this is a LoRA" in note for r in results for note in r.notes)

    # A large one is told by its header, and the rest of it is not fetched.
    whole = safetensors({f"unet.to_q.lora_{part}.weight": np.zeros((1024, 1024), np.float32) for part in "AB"})
    server.add_repo("bob/both", {"dog_emb.safetensors": pair, "my-style.safetensors": whole})
    read: list[int] = []

    def look(head: bytes, name: str, size: int) -> bool:
        read.append(len(head))
        return reading.check_beginning(head, name, size)

    monkeypatch.setattr("tiregistry.hub.pull.check_beginning", look)
    (pulled,) = pull_repository(here, "bob/both", bob)
    assert pulled.notes == ("my-style.safetensors was left out: this is a LoRA without a learned word in it",)
    assert max(read) < len(whole) // 2

    server.add_repo("bob/lora", {"pytorch_lora_weights.safetensors": lora})
    with pytest.raises(UnreadableEmbedding, match="LoRA without a learned word"):
        pull_repository(here, "bob/lora", bob)


def test_several_a1111_files_are_several_words(server: HubServer, bob: Hub, here: Registry) -> None:
    files = {
        f"embeddings/{n}.pt": writer_for("a1111").write(word(i, f"<{n}>"), n)[f"{n}.pt"] for i, n in enumerate("abc")
    }
    server.add_repo("bob/collection", {**files, "embeddings/broken.pt": b"PK\x03\x04 broken"})
    results = pull_repository(here, "bob/collection", bob)
    assert [r.version.concept for r in results] == ["a", "b", "c"]
    assert any("broken.pt was left out" in note for note in results[-1].notes)


def test_a_pickle_that_wants_to_run_is_not_run(server: HubServer, bob: Hub, here: Registry) -> None:
    import pickle

    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            import os

            return os.system, ("echo owned",)

    server.add_repo("bob/evil", {"learned_embeds.bin": pickle.dumps({"<x>": Evil()})})
    with pytest.raises(Damaged, match=r"bob/evil/learned_embeds\.bin: the file asks for .* it was not run"):
        pull_repository(here, "bob/evil", bob)
    assert here.concepts() == []


def test_a_repository_without_a_word(server: HubServer, bob: Hub, here: Registry) -> None:
    server.add_repo("bob/empty")
    with pytest.raises(UnreadableEmbedding, match="holds no learned word"):
        pull_repository(here, "bob/empty", bob)


def test_search_finds_tagged_words_and_the_library(server: HubServer, alice: Hub, here: Registry) -> None:
    push_version(here, learn(here), "alice/gnome-one", alice, PushOptions(private=False))
    server.repos["alice/gnome-one"].downloads = 5
    server.add_repo(
        "sd-concepts-library/gnome-two", {"README.md": b"---\nlicense: mit\nbase_model: x/y\n---\n"}
    ).downloads = 9
    server.add_repo("bob/gnome-lora", {"README.md": b"---\ntags: [lora]\n---\n"})
    server.add_repo("bob/gnome-secret", {"README.md": b"---\ntags: [textual_inversion]\n---\n"}, private=True)

    found = search_hub(here, alice, "gnome")
    assert [w.repo_id for w in found] == ["sd-concepts-library/gnome-two", "alice/gnome-one"]
    assert found[1].here == ("gnome@1",)
    assert (found[1].token, found[1].base_models) == ("<gnome>", (BASE,))
    assert [w.repo_id for w in search_hub(here, alice, base="sd15")] == ["alice/gnome-one"]
    assert [w.repo_id for w in search_hub(here, alice, author="sd-concepts-library")] == [
        "sd-concepts-library/gnome-two"
    ]
    assert [w.repo_id for w in search_hub(here, alice, author="alice", limit=1)] == ["alice/gnome-one"]
    assert all("limit" in request.query for request in server.log if request.path == "/api/models")


def test_check_says_what_is_newer(server: HubServer, alice: Hub, here: Registry, there: Registry) -> None:
    push_version(here, learn(here), "alice/gnome", alice)
    push_version(here, learn(here, 3, "elf"), "alice/elf", alice)
    push_version(here, learn(here, 4, "orc"), "alice/orc", alice)
    for name in ("gnome", "elf", "orc"):
        pull_repository(there, f"alice/{name}", alice)
    assert {u.state for u in check_updates(there, alice)} == {"up to date"}

    push_version(here, learn(here, 1), "alice/gnome", alice)
    server.repos["alice/elf"].put("notes.txt", b"hello")
    del server.repos["alice/orc"]

    states = {u.repo_id: (u.state, u.here) for u in check_updates(there, alice)}
    assert states == {
        "alice/gnome": ("newer", "gnome@1"),
        "alice/elf": ("changed", "elf@1"),
        "alice/orc": ("gone", "orc@1"),
    }
    assert [u.repo_id for u in check_updates(there, alice, "alice/gnome")] == ["alice/gnome"]


# -- several files in one repository ---------------------------------------------------------------------------------


def two_words() -> dict[str, bytes]:
    """Two A1111 files."""
    return {
        f"{name}.safetensors": writer_for("diffusers").write(word(seed, f"<{name}>"), name)[f"{name}.safetensors"]
        for seed, name in ((1, "elf"), (2, "troll"))
    }


def test_one_of_several_files_can_be_pulled(server: HubServer, bob: Hub, here: Registry) -> None:
    server.add_repo("bob/two", two_words())
    with pytest.raises(InvalidInput) as caught:
        pull_repository(here, "bob/two", bob, options=PullOptions(name="goblin"))
    assert caught.value.message.startswith("bob/two holds 2 embeddings")
    assert str(here.home) not in str(caught.value)
    assert "--file elf.safetensors" in caught.value.hint
    with pytest.raises(NotFound, match=r"no embedding file 'ogre\.pt'"):
        pull_repository(here, "bob/two", bob, options=PullOptions(file="ogre.pt"))
    (pulled,) = pull_repository(here, "bob/two", bob, options=PullOptions(file="troll.safetensors", name="goblin"))
    assert pulled.version.reference == "goblin@1"
    assert pulled.version.embedding_digest == word(2).embedding.digest


def test_a_name_for_a_word_that_is_here_is_said_to_be_unused(server: HubServer, bob: Hub, here: Registry) -> None:
    server.add_repo("bob/one", {"elf.safetensors": two_words()["elf.safetensors"]})
    (first,) = pull_repository(here, "bob/one", bob)
    (again,) = pull_repository(here, "bob/one", bob, options=PullOptions(name="other"))
    assert (again.status, again.version.reference) == ("already here", first.version.reference)
    assert again.notes == (
        f"already here as {first.version.reference}, so the name other was not used; --token makes a word of its own",
    )


def test_a_name_that_is_another_word_s_stops_a_pull(server: HubServer, bob: Hub, here: Registry) -> None:
    mine = learn(here, 5, "elf")
    server.add_repo("bob/one", {"elf.safetensors": two_words()["elf.safetensors"]})
    with pytest.raises(AlreadyExists) as caught:
        pull_repository(here, "bob/one", bob)
    assert caught.value.message == "elf (<elf>) is another word here than <elf> of bob/one"
    assert caught.value.hint == "tireg pull bob/one --name elf-2 --token '<elf-2>' keeps both"
    assert [version.digest for version in here.versions("elf")] == [mine.digest]
    assert len(here.concepts()) == 1
    options = PullOptions(name="elf-2", placeholder_token="<elf-2>")
    (pulled,) = pull_repository(here, "bob/one", bob, options=options)
    assert (pulled.version.reference, pulled.notes) == ("elf-2@1", ())


def test_a_word_from_one_repository_is_no_version_of_one_from_another(
    server: HubServer, bob: Hub, here: Registry
) -> None:
    server.add_repo("bob/one", {"elf.safetensors": two_words()["elf.safetensors"]})
    (first,) = pull_repository(here, "bob/one", bob)
    other = writer_for("diffusers").write(word(8, "<elf>"), "elf")["elf.safetensors"]
    server.add_repo("carol/one", {"elf.safetensors": other})
    with pytest.raises(AlreadyExists, match=r"another word here than <elf> of carol/one"):
        pull_repository(here, "carol/one", bob)
    assert here.version("elf").digest == first.version.digest
    # The repository it came from may bring another version of it, and so may one that the user says it of.
    server.repos["bob/one"].put("elf.safetensors", other, lfs=True)
    assert pull_repository(here, "bob/one", bob)[0].version.reference == "elf@2"
    third = writer_for("diffusers").write(word(9, "<elf>"), "elf")["elf.safetensors"]
    server.repos["carol/one"].put("elf.safetensors", third, lfs=True)
    options = PullOptions(name="elf")
    assert pull_repository(here, "carol/one", bob, options=options)[0].version.reference == "elf@3"


def test_of_several_words_only_the_one_in_the_way_stays_out(server: HubServer, bob: Hub, here: Registry) -> None:
    learn(here, 5, "gnome", token="<elf>")
    server.add_repo("bob/two", two_words())
    (pulled,) = pull_repository(here, "bob/two", bob)
    assert pulled.version.reference == "troll@1"
    assert pulled.notes == (
        (
            "elf.safetensors was left out: gnome (<elf>) is another word here than <elf> of bob/two/elf.safetensors · "
            "tireg pull bob/two --file elf.safetensors --name gnome-2 --token '<gnome-2>' keeps both"
        ),
    )


@pytest.mark.parametrize("value", [0.0, 1e30])
def test_vectors_that_no_word_has_are_warned_of(
    value: float, server: HubServer, bob: Hub, here: Registry, there: Registry
) -> None:
    strange = Embedding({"clip_l": np.full((1, 768), value, np.float32)})
    files = writer_for("diffusers-bin").write(
        Word(embedding=strange, name="elf", placeholder_token="<elf>"), "learned_embeds"
    )
    server.add_repo("bob/strange", files)
    said = "longer than those of any word (clip_l 2.77e+31)" if value else "nothing but zeros"
    (foreign,) = pull_repository(here, "bob/strange", bob)
    assert [note for note in foreign.notes if said in note]
    push_version(here, learn(here, name="ours", embedding=strange), "bob/ours", bob)
    (ours,) = pull_repository(there, "bob/ours", bob)
    assert [note for note in ours.notes if said in note]


@pytest.mark.parametrize("name", ["troll.safetensors", "troll.bin"])
def test_a_damaged_file_is_named(name: str, server: HubServer, bob: Hub, here: Registry) -> None:
    server.add_repo("bob/two", {"elf.safetensors": two_words()["elf.safetensors"], name: b"no embedding at all"})
    (pulled,) = pull_repository(here, "bob/two", bob)
    assert [note for note in pulled.notes if note.startswith(f"{name} was left out: ")]
    server.add_repo("bob/bad", {name: b"no embedding at all"})
    with pytest.raises(Damaged, match=f"bob/bad/{name}: "):
        pull_repository(here, "bob/bad", bob)


def test_every_word_of_a_repository_is_checked(server: HubServer, bob: Hub, here: Registry) -> None:
    repository = server.add_repo("bob/two", two_words())
    pull_repository(here, "bob/two", bob)
    assert {(u.here, u.state) for u in check_updates(here, bob)} == {("elf@1", "up to date"), ("troll@1", "up to date")}
    repository.put("readme.txt", b"changed")
    assert {(u.concept, u.state) for u in check_updates(here, bob)} == {("elf", "changed"), ("troll", "changed")}


def test_words_for_the_embedded_base_model_are_found_by_its_name(alice: Hub, here: Registry) -> None:
    push_version(here, learn(here, fingerprint=None, base_name="embedded"), "alice/small", alice)
    push_version(here, learn(here, 1, "elf"), "alice/elf", alice)
    (found,) = search_hub(here, alice, base="embedded")
    assert (found.repo_id, found.base_models) == ("alice/small", ("embedded",))
    assert {w.base_models for w in search_hub(here, alice)} == {("embedded",), (BASE,)}
    with pytest.raises(InvalidInput, match="none of yours"):
        search_hub(here, alice, base="nonsense")
