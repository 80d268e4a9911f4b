"""The facts of a version, as the concept's screen lists them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from tests.core.registry.making import add_version
from tireg_tui.widgets.version_facts import facts_of
from tiregistry.concepts import Measurement, Parent
from tiregistry.exchange.importing import ImportOptions, import_path
from tiregistry.registry.registry import Registry


def test_scores_stand_there_with_their_intervals() -> None:
    with Registry.open() as registry:
        version = registry.add_measurements(
            add_version(registry),
            [Measurement("score", 0.557, 0.542, 0.573, "quick", "embedded"), Measurement("image", 0.75)],
        )
        assert facts_of(version, [])["scores"] == "score (quick, embedded) 0.557 [0.542, 0.573]; image 0.750"


def test_what_it_goes_on_from_has_its_name() -> None:
    with Registry.open() as registry:
        first = add_version(registry)
        parents = (Parent(first.digest, "continued"), Parent("sha256:" + "e" * 64, "blended"))
        second = add_version(registry, seed=1, parents=parents, training={"initializer": first.digest})
        facts = facts_of(second, [])
        assert (facts["initializer"], facts["parents"]) == ("gnome@1", f"continued gnome@1, blended {'e' * 12}")


def test_an_imported_word_says_what_its_file_was(tmp_path: Path) -> None:
    path = tmp_path / "cat.safetensors"
    save_file({"emb_params": np.ones((1, 768), np.float32)}, path)
    with Registry.open() as registry:
        list(import_path(registry, path, ImportOptions()))
        facts = facts_of(registry.version("cat"), [])
    assert facts["imported from"] == "cat.safetensors (emb-params)"
    assert "sd1" in str(facts["fits"])
