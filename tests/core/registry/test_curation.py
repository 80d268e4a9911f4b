"""Names, aliases, tags, notes, trash: everything a person changes about a word, and how it is undone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.core.registry.making import add_version, make_embedding
from tiregistry.concepts import NewVersion
from tiregistry.errors import (
    AlreadyExists,
    ChangedMeanwhile,
    ConceptNotFound,
    Conflict,
    InvalidInput,
    InvalidPlaceholder,
    InvalidReference,
    PlaceholderTaken,
    RunNotFound,
    VersionNotFound,
)
from tiregistry.references import Reference
from tiregistry.registry.manifest import build, canonical, digest_of
from tiregistry.registry.registry import Registry

# -- aliases ---------------------------------------------------------------------------------------------------------


def test_a_word_in_the_trash_is_found_by_its_former_name(registry: Registry) -> None:
    add_version(registry, "fox")
    registry.rename("fox", "wolf")
    registry.remove("fox")
    with pytest.raises(ConceptNotFound, match="'fox', now called 'wolf', is in the trash") as error:
        registry.concept("fox")
    assert error.value.hint == "bring it back with: tireg restore wolf"
    assert registry.restore("fox") == "wolf"
    registry.remove("wolf")
    assert registry.purge(["fox"]) == ["wolf"]


def test_the_way_out_of_a_taken_name_keeps_what_was_asked_for(registry: Registry) -> None:
    add_version(registry, "fox", 1)
    registry.remove("fox")
    add_version(registry, "fox", 2)
    with pytest.raises(AlreadyExists) as error:
        registry.restore("fox", new_name="fox", new_token="<old-fox>")
    assert error.value.hint == "tireg restore fox --as OTHER-NAME --token '<old-fox>'"
    with pytest.raises(PlaceholderTaken) as taken:
        registry.restore("fox", new_name="old-fox")
    assert taken.value.hint == "tireg restore fox --as old-fox --token '<OTHER>'"


def test_an_alias_moves_and_every_move_can_be_taken_back(registry: Registry) -> None:
    for seed in (1, 2, 3):
        add_version(registry, seed=seed)
    for number in (1, 3, 2):
        registry.set_alias(f"gnome@{number}", "best")
    assert registry.concept("gnome").aliases == {"best": 2}
    moved_back = [registry.undo_alias("gnome", "best") for _ in range(3)]
    assert [version and version.number for version in moved_back] == [3, 1, None]
    assert registry.concept("gnome").aliases == {}
    with pytest.raises(VersionNotFound, match="no change to take back"):
        registry.undo_alias("gnome", "best")
    log = registry.alias_log("gnome", "best")
    assert [(c.old_number, c.new_number) for c in reversed(log)] == [
        (None, 1),
        (1, 3),
        (3, 2),
        (2, 3),
        (3, 1),
        (1, None),
    ]


def test_a_removed_alias_comes_back(registry: Registry) -> None:
    add_version(registry)
    registry.set_alias("gnome", "best")
    registry.remove_alias("gnome", "best")
    with pytest.raises(VersionNotFound):
        registry.version("gnome@best")
    with pytest.raises(VersionNotFound):
        registry.remove_alias("gnome", "best")
    version = registry.undo_alias("gnome", "best")
    assert version is not None
    assert version.reference == "gnome@1"


def test_setting_an_alias_where_it_is_leaves_no_trace(registry: Registry) -> None:
    add_version(registry)
    registry.set_alias("gnome", "best")
    registry.set_alias("gnome@1", "best")
    assert len(registry.alias_log("gnome")) == 1


@pytest.mark.parametrize("alias", ["latest", "7", "v7", "a b", ""])
def test_an_alias_that_would_be_read_otherwise_is_refused(registry: Registry, alias: str) -> None:
    add_version(registry)
    with pytest.raises(InvalidReference):
        registry.set_alias("gnome", alias)


def test_an_alias_of_a_version_in_the_trash_waits_for_it(registry: Registry) -> None:
    add_version(registry, seed=1)
    add_version(registry, seed=2)
    registry.set_alias("gnome@1", "best")
    registry.remove("gnome@1")
    with pytest.raises(VersionNotFound, match="in the trash") as caught:
        registry.version("gnome@best")
    assert "tireg restore gnome@1" in caught.value.hint
    assert registry.concept("gnome").aliases == {}
    registry.restore("gnome@best")
    assert registry.concept("gnome").aliases == {"best": 1}


def test_undo_does_not_bring_back_a_version_from_the_trash(registry: Registry) -> None:
    add_version(registry, seed=1)
    add_version(registry, seed=2)
    registry.set_alias("gnome@1", "best")
    registry.set_alias("gnome@2", "best")
    registry.remove("gnome@1")
    with pytest.raises(Conflict, match="in the trash") as caught:
        registry.undo_alias("gnome", "best")
    assert caught.value.hint == "tireg restore gnome@1"
    assert registry.version("gnome@best").number == 2
    registry.purge(["gnome@1"])
    with pytest.raises(Conflict, match="deleted for good") as caught:
        registry.undo_alias("gnome", "best")
    assert "restore" not in caught.value.hint
    assert registry.version("gnome@best").number == 2


# -- names, tags, notes ----------------------------------------------------------------------------------------------


def test_a_former_name_keeps_leading_to_the_concept_until_another_takes_it(registry: Registry) -> None:
    version = add_version(registry)
    registry.set_alias("gnome", "best")
    registry.rename("gnome", "dwarf")
    assert registry.version("gnome@best").id == version.id
    registry.rename("dwarf", "elf")
    assert registry.concept("gnome").name == registry.concept("dwarf").name == "elf"
    registry.create_concept("gnome", "<other>", "object")
    assert registry.concept("gnome").placeholder_token == "<other>"
    assert registry.concept("dwarf").name == "elf"
    registry.rename("elf", "dwarf")  # back to a name it had
    assert registry.concept("elf").name == "dwarf"


def test_training_again_under_a_former_name_adds_to_the_renamed_concept(registry: Registry) -> None:
    add_version(registry, "gnome", 1)
    registry.rename("gnome", "dwarf")
    version = add_version(registry, "gnome", 2)  # its token is still <gnome>
    assert version.reference == "dwarf@2"


def test_renaming_clashes_and_recasing(registry: Registry) -> None:
    add_version(registry, "gnome", 1)
    add_version(registry, "dwarf", 2)
    with pytest.raises(AlreadyExists):
        registry.rename("gnome", "DWARF")
    assert registry.rename("gnome", "Gnome").name == "Gnome"
    with pytest.raises(InvalidReference):
        registry.rename("gnome", "x/y")


def test_tags_are_lower_case_and_unique(registry: Registry) -> None:
    add_version(registry)
    assert registry.tag("gnome", add=["Garden", "garden", "pottery"]).tags == ("garden", "pottery")
    assert registry.tag("gnome", remove=["GARDEN", "never-there"]).tags == ("pottery",)
    with pytest.raises(InvalidReference):
        registry.tag("gnome", add=["two words"])


def test_descriptions_and_their_limits(registry: Registry) -> None:
    add_version(registry)
    concept = registry.describe("gnome", description="a gnome", notes="from\nthe garden", licence="CC-BY-4.0")
    assert (concept.description, concept.notes, concept.licence) == ("a gnome", "from\nthe garden", "CC-BY-4.0")
    with pytest.raises(InvalidInput, match="longer"):
        registry.describe("gnome", notes="x" * 100_001)
    with pytest.raises(InvalidInput, match="valid text"):
        registry.describe("gnome", notes="bad \udcff byte")
    with pytest.raises(InvalidInput, match="no colour"):
        registry.describe("gnome", colour="red")


def test_what_someone_else_has_written_since_is_not_replaced_unseen(registry: Registry) -> None:
    add_version(registry)
    registry.describe("gnome", notes="theirs", licence="mit")
    with pytest.raises(ChangedMeanwhile, match="the note of gnome was changed elsewhere") as refused:
        registry.describe("gnome", seen={"notes": ""}, notes="mine", licence="cc0-1.0")
    assert refused.value.now == "theirs"
    assert (registry.concept("gnome").notes, registry.concept("gnome").licence) == ("theirs", "mit")
    registry.describe("gnome", seen={"notes": ""}, notes="theirs")  # they wrote the same
    registry.describe("gnome", seen={"notes": "theirs"}, notes="both", licence="cc0-1.0")
    assert (registry.concept("gnome").notes, registry.concept("gnome").licence) == ("both", "cc0-1.0")


# -- trash -----------------------------------------------------------------------------------------------------------


def test_a_concept_comes_back_from_the_trash_with_everything(registry: Registry) -> None:
    add_version(registry, seed=1)
    registry.tag("gnome", add=["garden"])
    registry.set_alias("gnome@1", "best")
    before = registry.concept("gnome")
    assert registry.remove("gnome") == "gnome"
    with pytest.raises(ConceptNotFound) as caught:
        registry.concept("gnome")
    assert "tireg restore gnome" in caught.value.hint
    assert registry.concepts() == []
    assert registry.placeholders() == {}
    assert [item.reference for item in registry.trash()] == ["gnome"]
    assert [concept.name for concept in registry.concepts(trashed=True)] == ["gnome"]
    registry.restore("gnome")
    after = registry.concept("gnome")
    assert (after.tags, after.aliases, after.num_versions) == (before.tags, before.aliases, before.num_versions)
    assert registry.version("gnome@best").embedding() == before.latest.embedding()


def test_latest_falls_back_when_the_newest_is_removed(registry: Registry) -> None:
    add_version(registry, seed=1)
    add_version(registry, seed=2)
    registry.remove("gnome@2")
    assert registry.version("gnome").number == 1
    with pytest.raises(VersionNotFound, match="in the trash"):
        registry.version("gnome@2")
    assert registry.restore("gnome@2") == "gnome@2"
    assert registry.version("gnome").number == 2


def test_registering_the_content_of_a_version_in_the_trash_brings_it_back(registry: Registry) -> None:
    version = add_version(registry, seed=1)
    registry.remove("gnome@1")
    assert add_version(registry, seed=1).id == version.id
    assert registry.version("gnome").number == 1


def test_a_taken_name_or_token_is_no_dead_end(registry: Registry) -> None:
    add_version(registry, seed=1)
    registry.remove("gnome")
    registry.create_concept("gnome", "<new>", "object")
    with pytest.raises(AlreadyExists) as caught:
        registry.restore("gnome")
    assert "--as" in caught.value.hint
    assert registry.restore("gnome", new_name="old-gnome") == "old-gnome"
    assert registry.version("old-gnome").number == 1
    registry.remove("old-gnome")
    registry.create_concept("thief", "<gnome>", "object")
    with pytest.raises(PlaceholderTaken) as token_taken:
        registry.restore("old-gnome")
    assert token_taken.value.hint == "tireg restore old-gnome --token '<OTHER>'"
    with pytest.raises(PlaceholderTaken):
        registry.restore("old-gnome", new_token="<GNOME>")
    with pytest.raises(InvalidPlaceholder):
        registry.restore("old-gnome", new_token="no brackets")
    registry.create_concept("old-gnome", "<taken>", "object")
    with pytest.raises(AlreadyExists, match="and the placeholder token <gnome>") as both:
        registry.restore("old-gnome")
    assert both.value.hint == "tireg restore old-gnome --as OTHER-NAME --token '<OTHER>'"


def test_a_word_that_comes_back_under_another_token_is_whole(registry: Registry) -> None:
    digest = add_version(registry, seed=1).digest
    registry.remove("gnome")
    add_version(registry, seed=2)
    assert registry.restore("gnome", new_name="old", new_token="<old>") == "old"
    old = registry.concept("<old>")
    assert (old.name, old.placeholder_token) == ("old", "<old>")
    assert [concept.name for concept in registry.concepts("<old>")] == ["old"]
    assert registry.placeholders() == {"<gnome>": "gnome", "<old>": "old"}
    assert (old.latest.digest, old.latest.placeholder_token) == (digest, "<gnome>")  # what proves it is unchanged
    added = add_version(registry, "old", 3)  # learned further, under the token it has now
    assert (added.reference, added.placeholder_token) == ("old@2", "<old>")
    assert registry.verify().damages == []
    registry.remove("old@1")
    with pytest.raises(InvalidInput, match="comes back into its own word"):
        registry.restore("old@1", new_token="<other>")


def test_several_changes_are_one_transaction_when_asked(registry: Registry) -> None:
    add_version(registry, seed=1)
    add_version(registry, seed=2)

    def half() -> None:
        with registry.transaction():
            registry.remove("gnome@2")
            registry.tag("gnome", add=["gone"])
            registry.remove("nothing")

    with pytest.raises(ConceptNotFound):
        half()
    assert registry.version("gnome").number == 2
    assert registry.concept("gnome").tags == ()
    with registry.transaction():
        registry.remove("gnome@2")
        registry.tag("gnome", add=["kept"])
    assert (registry.version("gnome").number, registry.concept("gnome").tags) == (1, ("kept",))


def test_purging_deletes_only_what_is_named_and_only_from_the_trash(registry: Registry) -> None:
    for seed in (1, 2, 3):
        add_version(registry, seed=seed)
    add_version(registry, "dwarf", 4)
    registry.remove("gnome@1")
    registry.remove("gnome@2")
    registry.remove("dwarf")
    with pytest.raises(VersionNotFound):
        registry.purge(["gnome@3"])
    assert registry.purge(older_than=3600) == []
    assert registry.purge(["gnome@1"]) == ["gnome@1"]
    assert sorted(registry.purge()) == ["dwarf", "gnome@2"]
    assert registry.trash() == []
    assert [version.number for version in registry.versions("gnome")] == [3]
    assert registry.verify().damages == []


def test_a_digest_that_fits_several_versions_in_the_trash_deletes_and_restores_none(registry: Registry) -> None:
    seen: dict[str, int] = {}
    for seed in range(3000):  # two whose digests begin with the same four digits
        prefix = digest_of(canonical(build(NewVersion("gnome", "<gnome>", "object", "trained"), make_embedding(seed))))
        if (other := seen.setdefault(prefix[:11], seed)) != seed:
            break
    new = NewVersion("gnome", "<gnome>", "object", "trained")
    first, second = (registry.add_version(new, make_embedding(each)) for each in (other, seed))
    add_version(registry, seed=1)
    short = f"gnome@{first.digest[:11]}"
    with pytest.raises(InvalidReference, match="fits 2 versions"):
        registry.version(short)
    registry.remove("gnome@1")
    registry.remove("gnome@2")
    for act in (lambda: registry.purge(["gnome@1", short]), lambda: registry.restore(short)):
        with pytest.raises(InvalidReference, match="fits 2 versions in the trash"):
            act()
    assert sorted(item.reference for item in registry.trash()) == ["gnome@1", "gnome@2"]
    assert registry.purge([f"gnome@{second.digest}"]) == ["gnome@2"]
    assert registry.restore(short) == "gnome@1"


def test_a_text_is_no_list_of_tags(registry: Registry) -> None:
    add_version(registry)
    for wrong in ({"add": "abc"}, {"remove": "abc"}):
        with pytest.raises(InvalidInput, match="as a list"):
            registry.tag("gnome", **wrong)
    assert registry.concept("gnome").tags == ()


@pytest.mark.parametrize("one", ["ab", Reference("ab")])
def test_one_reference_to_purge_is_one_word(registry: Registry, one: str | Reference) -> None:
    for seed, name in enumerate(("a", "b", "ab")):
        add_version(registry, name, seed)
        registry.remove(name)
    assert registry.purge(one) == ["ab"]
    assert [concept.name for concept in registry.concepts(trashed=True)] == ["a", "b"]


def test_text_with_undecodable_bytes_finds_nothing_and_fails_nothing(registry: Registry) -> None:
    add_version(registry)
    assert registry.concepts("gnome\udcff")[0].name == "gnome"  # as any sign that is no letter
    assert registry.concepts("gno\udcffme") == registry.concepts("tag:gnome\udcff") == []
    assert registry.find_concept("gnome\udcff") is None
    with pytest.raises(ConceptNotFound):
        registry.concept("gnome\udcff")
    with pytest.raises(ConceptNotFound):
        registry.restore("<gnome\udcff>")
    assert registry.pictures(query="a\udcff") == []
    with pytest.raises(RunNotFound):
        registry.run("a\udcff")


def test_a_line_is_added_only_to_what_a_concept_has(registry: Registry) -> None:
    add_version(registry)
    for field in ("name", "seen", "versions"):
        with pytest.raises(InvalidInput, match=field):
            registry.append_note("gnome", "x", field=field)
    assert registry.append_note("gnome", "x", field="licence").licence == "x"


def test_what_the_registry_hands_out_can_be_in_a_set(registry: Registry) -> None:
    version = add_version(registry)
    registry.set_scores(version, {"score": 0.5})
    version = registry.version("gnome")
    assert {version, registry.version("gnome@1")} == {version}
    assert len({registry.concept("gnome"), registry.concept("<gnome>")}) == 1
    new = NewVersion("gnome", "<gnome>", "object", "trained", training={"lr": 1})
    assert len({new, replace(new), replace(new, training={"lr": 2})}) == 2
    assert len({*version.measurements, *registry.measurements(version)}) == 1
    run = registry.create_run("gnome", {"lr": 1}, 10)
    assert {run, registry.run(run.id)} == {run}
