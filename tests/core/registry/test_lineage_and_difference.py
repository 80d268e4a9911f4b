"""Where versions come from, and what distinguishes them."""

from __future__ import annotations

import numpy as np
import pytest

from tests.core.registry.making import SD21, add_version, make_embedding
from tiregistry.concepts import Measurement, NewVersion, Parent
from tiregistry.embeddings.embedding import Embedding
from tiregistry.registry.lineage import LineageNode
from tiregistry.registry.registry import Registry


def shape(nodes: list[LineageNode]) -> list[object]:
    return [(node.version.number, shape(node.children)) if node.children else node.version.number for node in nodes]


def test_history_is_the_tree_of_parents(registry: Registry) -> None:
    first = add_version(registry, seed=1)
    second = add_version(registry, seed=2, parents=(Parent(first.digest, "continued"),))
    add_version(registry, seed=3, parents=(Parent(first.digest, "continued"),))
    add_version(registry, seed=4, parents=(Parent(second.digest, "continued"),))
    add_version(registry, seed=5)
    registry.set_alias("gnome@2", "best")
    roots = registry.history("gnome")
    assert shape(roots) == [(1, [(2, [4]), 3]), 5]
    assert roots[0].children[0].aliases == ("best",)
    assert roots[1].aliases == ("latest",)
    registry.remove("gnome@2")
    roots = registry.history("gnome")
    assert shape(roots) == [(1, [3]), 4, 5]
    (lost_parent,) = roots[1].ancestors
    assert (lost_parent.reference, lost_parent.is_trashed) == ("gnome@2", True)


def test_a_child_that_came_before_its_parent_hangs_under_it(registry: Registry) -> None:
    with Registry.open(registry.home / "other") as other:
        parent = add_version(other, seed=1)
        child = add_version(other, seed=2, parents=(Parent(parent.digest, "continued"),))
    add_version(registry, seed=3, parents=(Parent(child.digest, "continued"),))
    assert add_version(registry, seed=2, parents=(Parent(parent.digest, "continued"),)).digest == child.digest
    assert add_version(registry, seed=1).digest == parent.digest
    add_version(registry, seed=4)
    assert shape(registry.history("gnome")) == [(3, [(2, [1])]), 4]


def test_damaged_parents_that_go_in_a_circle_hide_no_version(registry: Registry) -> None:
    first = add_version(registry, seed=1)
    second = add_version(registry, seed=2, parents=(Parent(first.digest, "continued"),))
    third = add_version(registry, seed=3, parents=(Parent(second.digest, "continued"),))
    add_version(registry, seed=4, parents=(Parent(third.digest, "continued"),))
    with registry.database.write() as connection:
        connection.execute("INSERT INTO parents VALUES (?, 0, ?, 'continued')", (first.id, third.digest))
    assert shape(registry.history("gnome")) == [(1, [(2, [(3, [4])])])]


def test_parents_of_other_concepts_and_of_other_places_are_named(registry: Registry) -> None:
    gnome, inky = add_version(registry, "gnome", 1), add_version(registry, "inky", 2, concept_type="style")
    elsewhere = "sha256:" + "e" * 64
    parents = (Parent(gnome.digest, "blended"), Parent(inky.digest, "blended"), Parent(elsewhere, "pulled"))
    add_version(registry, "mix", 3, parents=parents, origin="blended")
    (root,) = registry.history("mix")
    assert [(a.relation, a.reference) for a in root.ancestors] == [
        ("blended", "gnome@1"),
        ("blended", "inky@1"),
        ("pulled", ""),
    ]


def test_a_difference_names_settings_images_base_vectors_and_scores(registry: Registry) -> None:
    a = add_version(registry, seed=1, images=2, training={"lr": 0.1, "loop": {"steps": 5, "same": 1}})
    b = add_version(registry, seed=2, images=0, fingerprint=SD21, training={"lr": 0.2, "loop": {"steps": 6, "same": 1}})
    registry.set_scores(a, {"clip_i": 0.5})
    difference = registry.diff("gnome@1", "gnome@2")
    changed = {change.what: (change.a, change.b) for change in difference.changes}
    assert changed["training.lr"] == (0.1, 0.2)
    assert changed["training.loop.steps"] == (5, 6)
    assert "training.loop.same" not in changed
    assert changed["base family"] == ("sd1", "sd2")
    assert len(difference.images_only_a) == 2
    assert [(s.what, s.a and s.a.value, s.b) for s in difference.scores] == [("clip_i", 0.5, None)]
    (tensor,) = difference.tensors
    left, right = make_embedding(1).tensors["clip_l"], make_embedding(2).tensors["clip_l"]
    assert tensor.distance == pytest.approx(np.linalg.norm(left - right), rel=1e-6)
    assert tensor.cosines[0] == pytest.approx(
        float((left @ right.T).item() / np.linalg.norm(left) / np.linalg.norm(right)), rel=1e-5
    )
    assert not difference.same_vectors
    assert registry.diff("gnome@1", "gnome@1").same_version
    assert b.number == 2


def test_measured_values_are_compared_label_by_label_with_their_intervals(registry: Registry) -> None:
    a, b = add_version(registry, seed=1), add_version(registry, seed=2)
    quick = {"protocol": "quick", "judge": "embedded"}
    registry.add_measurements(
        a,
        [
            Measurement("apart", 0.7, 0.6, 0.75, **quick),
            Measurement("close", 0.7, 0.6, 0.8, **quick),
            Measurement("bare", 0.7, **quick),
            Measurement("same", 0.5, **quick),
            Measurement("elsewhere", 0.7, 0.6, 0.8, "paper", "openai/clip"),
        ],
    )
    registry.add_measurements(
        b,
        [
            Measurement("apart", 0.9, 0.8, 0.95, **quick),
            Measurement("close", 0.75, 0.65, 0.85, **quick),
            Measurement("bare", 0.6, **quick),
            Measurement("same", 0.5, **quick),
            Measurement("elsewhere", 0.7, 0.6, 0.8, **quick),
        ],
    )
    found = {c.what: c.is_clear for c in registry.diff("gnome@1", "gnome@2").scores}
    assert found == {
        "apart (quick, embedded)": True,
        "close (quick, embedded)": False,
        "bare (quick, embedded)": None,
        "elsewhere (paper, openai/clip)": None,
        "elsewhere (quick, embedded)": None,
    }


def test_embeddings_of_different_shapes_are_compared_as_far_as_they_can_be(registry: Registry) -> None:
    def add(name: str, **tensors: np.ndarray) -> None:
        registry.add_version(NewVersion(name, f"<{name}>", "object", "imported"), Embedding(tensors))

    add("one", clip_l=np.eye(2, 8))
    add("two", clip_l=np.eye(3, 8), clip_g=np.eye(1, 12))
    add("three", clip_l=np.eye(1, 6))
    by_encoder = {tensor.encoder: tensor for tensor in registry.diff("one", "two").tensors}
    assert by_encoder["clip_l"].cosines == (1.0, 1.0)
    assert by_encoder["clip_l"].distance is None
    assert by_encoder["clip_g"].shape_a is None
    (tensor,) = registry.diff("one", "three").tensors
    assert (tensor.distance, tensor.cosines) == (None, ())
