"""Import into a real registry: each content once, originals kept, the user's own words left alone."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from tests.core.embeddings.samples import (
    Tensor,
    a1111,
    image_bytes,
    parameter_dict,
    safetensors,
    torch_legacy,
    torch_zip,
    vectors,
)
from tests.core.exchange.bringing import bring, file, trained
from tests.core.registry.upkeep import damage_file, execute
from tiregistry.errors import InvalidInput, InvalidPlaceholder, InvalidReference
from tiregistry.exchange.claims import Claims
from tiregistry.exchange.importing import UNUSABLE_TAG, ImportOptions, import_path
from tiregistry.registry.registry import Registry


def test_a_file_becomes_a_version_with_its_original_beside_it(registry, tmp_path):
    data = torch_zip({"<cat-toy>": Tensor(vectors(1)[0])})
    (outcome,) = bring(registry, file(tmp_path, "learned_embeds.bin", data))
    version = outcome.version
    assert outcome.status == "imported"
    assert (version.reference, version.placeholder_token, version.origin) == ("cat-toy@1", "<cat-toy>", "imported")
    assert version.fingerprint is None
    assert np.array_equal(version.embedding().tensors["clip_l"], vectors(1))
    original = version.attachments()["original"]
    assert original == "sha256:" + hashlib.sha256(data).hexdigest()
    assert registry.blobs.read(original) == data
    record = version.record()["import"]
    assert (record["file"], record["format"]) == ("learned_embeds.bin", "diffusers-1d")
    assert record["families"][0]["family"] == "sd1"


def test_the_same_vectors_are_the_same_version_in_any_container(registry, tmp_path):
    array = vectors(2)
    first = bring(registry, file(tmp_path, "a.bin", torch_zip({"<cat>": Tensor(array)})))[0]
    for name, data in (
        ("b.pt", torch_zip(a1111(array))),
        ("c.bin", torch_legacy({"<other>": Tensor(array)})),
        ("d.safetensors", safetensors({"emb_params": array})),
    ):
        again = bring(registry, file(tmp_path, name, data))[0]
        assert again.status == "already there"
        assert again.version.digest == first.version.digest
    assert [concept.name for concept in registry.concepts()] == ["cat"]
    assert len(registry.versions("cat")) == 1


def test_a_name_or_token_of_the_users_own_gives_the_word_under_it(registry, tmp_path):
    path = file(tmp_path, "a.bin", torch_zip({"<cat>": Tensor(vectors())}))
    bring(registry, path)
    (named,) = bring(registry, path, name="tiger", placeholder_token="<stripes>", concept_type="style")
    assert (named.status, named.reference, named.placeholder_token) == ("imported", "tiger@1", "<stripes>")
    assert registry.concept("tiger").concept_type == "style"
    assert bring(registry, path, name="tiger")[0].status == "already there"
    assert bring(registry, path, placeholder_token="<stripes>")[0].reference == "tiger@1"


def test_folders_go_on_past_bad_files_and_import_once(registry, tmp_path):
    folder = tmp_path / "embeddings"
    file(folder, "good.pt", torch_zip(a1111(vectors(1, seed=1))))
    file(folder, "bad.pt", b"\x80\x02cos\nsystem\nX\x02\0\0\0ls\x85R.")
    file(folder, "deep/good2.safetensors", safetensors({"emb_params": vectors(1, seed=2)}))
    file(folder, "copy.safetensors", safetensors({"emb_params": vectors(1, seed=2)}))
    first = bring(registry, folder)
    assert [o.status for o in first] == ["refused", "imported", "imported", "already there"]
    assert "os.system" in str(first[0].error)
    assert [o.status for o in bring(registry, folder)] == ["refused", "already there", "already there", "already there"]


def test_snapshots_of_one_training_are_versions_of_one_concept(registry, tmp_path):
    for step in (500, 1000, 1500):
        file(tmp_path / "run", f"style-{step}.pt", torch_zip(a1111(vectors(1, seed=step), f"style-{step}", step)))
    outcomes = bring(registry, tmp_path / "run")
    assert [(o.reference, o.found.step) for o in outcomes] == [("style@1", 500), ("style@2", 1000), ("style@3", 1500)]


def test_words_of_one_name_for_other_models_or_from_one_file_stay_apart(registry, tmp_path):
    words = {"sd1": {"clip_l": vectors(1)}, "sdxl": {"clip_l": vectors(1), "clip_g": vectors(1, 1280)}}
    for folder, tensors in words.items():
        file(tmp_path / "in", f"{folder}/hero.safetensors", safetensors(tensors))
    outcomes = bring(registry, tmp_path / "in")
    assert [(o.reference, o.placeholder_token) for o in outcomes] == [("hero@1", "<hero>"), ("hero-2@1", "<hero-2>")]
    two = {"string_to_token": {}, "string_to_param": parameter_dict({"*": vectors(1, seed=3), "&": vectors(1, seed=4)})}
    path = file(tmp_path / "gnomes", "embeddings.pt", torch_zip(two))
    first, second = bring(registry, path)
    assert [o.reference for o in (first, second)] == ["gnomes@1", "gnomes-2@1"]
    assert (first.notes, second.notes[-1]) == ((), "the file's token & is written <gnomes-2> here")
    assert [o.reference for o in bring(registry, path)] == ["gnomes@1", "gnomes-2@1"]


def test_different_words_of_one_import_that_would_be_called_alike_are_numbered(registry, tmp_path):
    folder = tmp_path / "embeddings"
    names = ("objects/fire.pt", "styles/fire.pt", "Bad.pt", "bad.pt", "my word.pt", "my-word.pt")
    for seed, name in enumerate(names):
        file(folder, name, torch_zip(a1111(vectors(1, seed=seed))))
    for seed in (50, 60):  # of one token, which the files state
        file(folder, f"by-{seed}/learned_embeds.bin", torch_zip({"<cat>": Tensor(vectors(1, seed=seed)[0])}))
    seen = {o.path.relative_to(folder).as_posix(): o.concept for o in bring(registry, folder, dry_run=True)}
    outcomes = {o.path.relative_to(folder).as_posix(): o for o in bring(registry, folder)}
    assert {name: o.concept for name, o in outcomes.items()} == seen
    assert {name: (o.reference, o.placeholder_token) for name, o in outcomes.items()} == {
        "Bad.pt": ("Bad@1", "<Bad>"),
        "bad.pt": ("bad-2@1", "<bad-2>"),
        "by-50/learned_embeds.bin": ("cat@1", "<cat>"),
        "by-60/learned_embeds.bin": ("cat-2@1", "<cat-2>"),
        "my word.pt": ("my-word@1", "<my-word>"),
        "my-word.pt": ("my-word-2@1", "<my-word-2>"),
        "objects/fire.pt": ("fire@1", "<fire>"),
        "styles/fire.pt": ("fire-2@1", "<fire-2>"),
    }
    assert outcomes["styles/fire.pt"].notes == ("fire is another word here already",)
    # The same files later: known ones stay what they are, a newer one is one more version of its word.
    file(folder, "styles/fire.pt", torch_zip(a1111(vectors(1, seed=100))))
    file(folder, "Bad.pt", torch_zip(a1111(vectors(1, seed=101))))
    later = {o.path.relative_to(folder).as_posix(): o.reference for o in bring(registry, folder)}
    assert (later["objects/fire.pt"], later["styles/fire.pt"], later["Bad.pt"]) == ("fire@1", "fire-2@2", "Bad@2")


def test_no_file_reads_all_names_of_a_big_registry(registry, tmp_path, monkeypatch):
    bring(registry, file(tmp_path, "old.pt", torch_zip(a1111(vectors(1, seed=1)))))

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("all names are looked through, for advice that nobody sees")

    monkeypatch.setattr("difflib.get_close_matches", refuse)
    monkeypatch.setattr(Registry, "placeholders", refuse)
    for seed, name in enumerate(("new", "old")):
        path = file(tmp_path / "more", f"{name}.pt", torch_zip(a1111(vectors(1, seed=10 + seed))))
        assert [outcome.status for outcome in bring(registry, path)] == ["imported"]


def test_several_paths_of_one_import_share_no_name(registry, tmp_path):
    claims = Claims()
    found = []
    for seed, place in enumerate("ab"):
        path = file(tmp_path, f"{place}/fire.pt", torch_zip(a1111(vectors(1, seed=seed))))
        found += import_path(registry, path, ImportOptions(), claims=claims)
    assert [outcome.reference for outcome in found] == ["fire@1", "fire-2@1"]


def test_many_files_of_one_name_are_not_each_tried_from_the_beginning(registry, tmp_path, monkeypatch):
    count = 40
    for seed in range(count):
        file(tmp_path / "words", f"{seed:02}/fire.pt", torch_zip(a1111(vectors(1, 8, seed=seed))))
    looked_at = []
    find = Registry.find_concept
    monkeypatch.setattr(Registry, "find_concept", lambda self, name: looked_at.append(name) or find(self, name))
    for dry_run in (True, False):
        looked_at.clear()
        found = bring(registry, tmp_path / "words", dry_run=dry_run)
        assert [o.concept for o in found] == ["fire", *(f"fire-{number}" for number in range(2, count + 1))]
        assert len(looked_at) < 3 * count


def test_an_import_never_becomes_the_latest_of_a_word_trained_here(registry, tmp_path):
    mine = trained(registry)
    (outcome,) = bring(registry, file(tmp_path, "gnome.bin", torch_zip({"<gnome>": Tensor(vectors(1, seed=9))})))
    assert (outcome.reference, outcome.placeholder_token) == ("gnome-2@1", "<gnome-2>")
    assert any("another word" in note for note in outcome.notes)
    assert registry.concept("gnome").latest.digest == mine.digest
    (asked,) = bring(
        registry, file(tmp_path, "x.bin", torch_zip({"<gnome>": Tensor(vectors(1, seed=8))})), name="gnome"
    )
    assert asked.reference == "gnome@2"


def test_tokens_that_no_prompt_may_use_are_rewritten_and_said(registry, tmp_path):
    for token, expected in (("sks dog!", "<sks-dog>"), ("*", "<file>"), ("28017", "<w-28017>"), ("\x1b[2J", "<2J>")):
        path = file(tmp_path / str(len(token)), "file.bin", torch_zip({token: Tensor(vectors(1, seed=len(token)))}))
        (outcome,) = bring(registry, path)
        assert outcome.placeholder_token == expected
        assert (token == "*") or any("written" in note for note in outcome.notes)


def test_a_concept_library_folder_brings_type_and_pictures(registry, tmp_path):
    folder = tmp_path / "cat-toy"
    picture = image_bytes(np.full((40, 30, 3), 99, np.uint8))
    file(folder, "learned_embeds.bin", torch_zip({"<cat-toy>": Tensor(vectors(1)[0])}))
    file(folder, "token_identifier.txt", b"<cat-toy>")
    file(folder, "type_of_concept.txt", b"style")
    file(folder, "concept_images/0.png", picture)
    file(folder, "concept_images/1.png", picture)
    file(folder, "concept_images/2.png", b"no picture")
    (outcome,) = bring(registry, folder)
    assert outcome.version.concept_type == "style"
    assert [(i.filename, i.width, i.height) for i in outcome.version.images] == [("0.png", 30, 40)]
    assert outcome.version.image(0) == picture
    assert any("picture left out" in note for note in outcome.notes)
    assert "original/token_identifier.txt" in outcome.version.attachments()


def blob_of(registry: Registry, reference: str) -> str:
    version = registry.version(reference)
    return str(registry.database.value("SELECT embedding_blob FROM versions WHERE id = ?", version.id))


@pytest.mark.parametrize("content", [None, b"broken"])
def test_importing_the_file_again_puts_back_what_was_damaged(registry, tmp_path, content):
    path = file(tmp_path, "gnome.bin", torch_zip({"<gnome>": Tensor(vectors(1)[0])}))
    version = bring(registry, path)[0].version
    damage_file(registry, blob_of(registry, "gnome"), content)
    damage_file(registry, version.attachments()["original"], content)
    (preview,) = bring(registry, path, dry_run=True)
    assert (preview.notes, len(registry.verify().damages)) == ((), 2)
    (again,) = bring(registry, path)
    assert again.status == "already there"
    assert "was put back" in again.notes[-1]
    assert registry.verify().damages == []
    assert bring(registry, path)[0].notes == ()
    registry.verify(repair=True)
    assert np.array_equal(registry.version("gnome").embedding().tensors["clip_l"], vectors(1))


def test_vectors_are_made_again_from_the_original_or_a_folder(registry, tmp_path):
    word = file(tmp_path / "words", "gnome.pt", torch_zip(a1111(vectors(1), "gnome")))
    version = bring(registry, word)[0].version
    blob, original = blob_of(registry, "gnome"), version.attachments()["original"]
    damage_file(registry, blob, None)
    report = registry.verify(repair=True)
    assert [damage.repair for damage in report.damages] == ["made again from the original"]
    assert (report.unrepaired, registry.verify().damages) == ([], [])

    damage_file(registry, blob, b"broken")
    damage_file(registry, original, None)
    given_up = registry.verify(repair=True)
    assert blob in [damage.item for damage in given_up.unrepaired]
    assert registry.verify().lost_words == ["gnome@1"]
    # The same vectors in a file of another format: the original's bytes are gone, the word is not.
    word.unlink()
    file(tmp_path / "words", "other.bin", torch_zip({"<other>": Tensor(vectors(1)[0])}))
    healed = registry.verify(repair=True, copies=[tmp_path / "words"])
    assert [damage.repair for damage in healed.damages if damage.item == blob] == [
        f"made again from {tmp_path / 'words'}"
    ]
    assert registry.verify().lost_words == []
    assert np.array_equal(registry.version("gnome").embedding().tensors["clip_l"], vectors(1))


@pytest.mark.parametrize("name", ["..", "x" * 5000, "\\u0000", "a/b"])
def test_an_original_whose_name_is_none_stops_no_repair(registry, tmp_path, name):
    bring(registry, file(tmp_path, "gnome.bin", torch_zip({"<gnome>": Tensor(vectors(1)[0])})))
    execute(registry, f"""UPDATE records SET record = json_set(record, '$.import.files', json('["{name}"]'))""")
    damage_file(registry, blob_of(registry, "gnome"), None)
    report = registry.verify(repair=True)
    assert [damage.repair.partition(";")[0] for damage in report.damages] in (
        ["given up as lost"],
        ["made again from the original"],
    )


def test_what_is_no_word_is_kept_and_tagged(registry, tmp_path):
    path = file(tmp_path, "g.bin", torch_zip({f"<g>-{n}": Tensor(vectors(1, 768, n)[0]) for n in range(16)}))
    (outcome,) = bring(registry, path)
    assert outcome.status == "imported"
    assert registry.concept("g").tags == (UNUSABLE_TAG,)
    assert any("no prompt can use it" in note for note in outcome.notes)
    assert len(outcome.version.embedding().tensors) == 16


def test_dry_run_registers_nothing(registry, tmp_path):
    path = file(tmp_path, "a.bin", torch_zip({"<cat>": Tensor(vectors())}))
    (outcome,) = bring(registry, path, dry_run=True)
    assert (outcome.status, outcome.version, outcome.reference) == ("imported", None, "cat")
    assert registry.concepts() == []
    assert list(registry.blobs) == []


def test_trouble_of_the_registry_ends_the_import(registry, tmp_path, monkeypatch):
    from tiregistry.errors import DiskFull

    def full(data: bytes) -> str:
        raise DiskFull("no space left")

    monkeypatch.setattr(registry.blobs, "add", full)
    file(tmp_path / "in", "a.bin", torch_zip({"<cat>": Tensor(vectors())}))
    with pytest.raises(DiskFull):
        bring(registry, tmp_path / "in")


def test_one_name_cannot_name_several(registry, tmp_path):
    path = file(tmp_path, "a.bin", torch_zip({"<cat>": Tensor(vectors()), "<dog>": Tensor(vectors(1))}))
    with pytest.raises(InvalidInput, match="2 embeddings"):
        bring(registry, path, name="x")
    assert registry.concepts() == []
    assert [o.reference for o in bring(registry, path)] == ["cat@1", "dog@1"]
    with pytest.raises(InvalidReference):
        bring(registry, path, name="a b")
    with pytest.raises(InvalidPlaceholder):
        bring(registry, path, placeholder_token="cat")


def test_a_name_that_is_taken_by_another_type_is_a_refusal_that_says_so(registry, tmp_path):
    trained(registry)
    path = file(tmp_path, "a.bin", torch_zip({"<cat>": Tensor(vectors())}))
    (outcome,) = bring(registry, path, name="gnome", concept_type="style")
    assert outcome.status == "refused"
    assert "type object" in str(outcome.error)
