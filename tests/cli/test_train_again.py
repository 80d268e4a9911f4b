"""`tireg train NAME` without pictures: learned again from those of the registry, and what that leaves as it was."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.core.registry.making import add_version
from tireg_cli.main import run
from tiregistry.concepts import NewVersion, SourceImage
from tiregistry.embeddings.embedding import Embedding
from tiregistry.errors import Damaged
from tiregistry.generation.contact_sheet import preview_labels
from tiregistry.registry.registry import Registry
from tiregistry.training.again import material_of

SHORT = ["--max-steps", "2", "--batch-size", "1", "--no-stop", "--device", "cpu"]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "masks").mkdir(parents=True)
    for number, colour in enumerate(("red", "blue")):
        Image.new("RGB", (64, 64), colour).save(folder / f"{number}.png")
    Image.new("L", (64, 64), "white").save(folder / "masks" / "1.png")
    (folder / "0.txt").write_text("a {} on a shelf")
    return folder


@pytest.fixture
def registry() -> Iterator[Registry]:
    with Registry.open() as opened:
        yield opened


def test_pictures_captions_masks_and_what_the_word_is_stay(
    registry: Registry, capsys: pytest.CaptureFixture[str], base: str, photos: Path
) -> None:
    described = ["--init", "old gnome", "--type", "style", "--mask", str(photos / "masks")]
    assert run(["train", "gnome", str(photos), "--base", base, "--lr", "0.1", *described, *SHORT]) == 0
    for picture in photos.glob("*.png"):
        picture.unlink()
    assert run(["train", "gnome", "--recipe", "thorough", "--type", "style", *SHORT]) == 0
    captured = capsys.readouterr()
    assert captured.out.split() == ["gnome@1", "gnome@2"]
    assert "learning from the 2 pictures of gnome@1" in captured.err
    first, second = registry.version("gnome@1"), registry.version("gnome@2")
    assert second.images == first.images
    assert second.fingerprint == first.fingerprint
    then, now = first.manifest["training"], second.manifest["training"]
    assert {key for key in then if then[key] != now[key]} == {"recipe", "learning_rate", "preconditioning"}
    assert (now["initializer"], now["masks"], now["learning_rate"]) == ("old gnome", then["masks"], 0.15)


def test_another_initializer_has_as_many_vectors_as_it_has(
    registry: Registry, capsys: pytest.CaptureFixture[str], base: str, photos: Path
) -> None:
    assert run(["train", "gnome", str(photos), "--base", base, "--init", "old gnome", *SHORT]) == 0
    capsys.readouterr()
    assert run(["train", "gnome", *SHORT]) == 0
    told = capsys.readouterr().err
    assert "gnome@1 was exactly that already" in told
    assert told.index("gnome@1 was learned from the same pictures with the same settings") < told.index("step 1/2")
    assert run(["train", "gnome", "--seed", "1", *SHORT]) == 0
    assert run(["train", "gnome", "--init", "cat", *SHORT]) == 0
    assert [version.num_vectors for version in registry.versions("gnome")] == [2, 2, 1]


@pytest.mark.parametrize("way", ["--dry-run", "--detach"])
def test_what_would_come_out_the_same_is_said_before(
    way: str, capsys: pytest.CaptureFixture[str], base: str, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tiregistry.runs.control.start", lambda *_: None)  # it need not be trained
    assert run(["train", "gnome", str(photos), "--base", base, *SHORT]) == 0
    assert "with the same settings" not in capsys.readouterr().err
    assert run(["train", "gnome", str(photos), "--base", base, way, *SHORT]) == 0
    assert "gnome@1 was learned from the same pictures with the same settings" in capsys.readouterr().err
    (photos / "1.txt").write_text("another {}")
    others = (["--seed", "1", str(photos)], ["--no-captions", str(photos)], ["--lr", "0.3", str(photos)], [str(photos)])
    for other in others:
        assert run(["train", "gnome", *other, "--base", base, way, *SHORT]) == 0
    assert "with the same settings" not in capsys.readouterr().err


def test_a_version_is_named_and_the_estimate_knows_its_pictures(
    registry: Registry, capsys: pytest.CaptureFixture[str], base: str, photos: Path
) -> None:
    assert run(["train", "gnome", str(photos), "--base", base, *SHORT]) == 0
    (photos / "1.png").unlink()
    assert run(["train", "gnome", str(photos / "0.png"), "--base", base, *SHORT]) == 0
    capsys.readouterr()
    for reference, count in (("gnome", 1), ("gnome@2", 1), ("gnome@1", 2), ("<gnome>", 1)):
        assert run(["train", reference, "--dry-run", "--json"]) == 0
        captured = capsys.readouterr()
        assert json.loads(captured.out)["concept"] == "gnome"
        assert len(material_of(registry, reference).pictures) == count
        assert f"learning from the {count} picture" in captured.err


def test_what_has_no_pictures_says_so(registry: Registry, capsys: pytest.CaptureFixture[str]) -> None:
    add_version(registry, "bare", images=0)
    for arguments, code, said in (
        (["bare"], 2, "no pictures that bare was learned from"),
        (["new"], 2, "Missing argument 'IMAGES...': new is a new word"),
        (["bare@7"], 3, "no version bare@7"),
        (["bare", "--captions", "texts"], 2, "--captions goes with picture files"),
    ):
        assert run(["train", *arguments]) == code
        [line] = capsys.readouterr().err.splitlines()
        assert said in line


@pytest.mark.parametrize("training", [{"masks": 5}, {"preview_prompts": 5}, {"masks": [5]}])
def test_a_record_from_elsewhere_whose_values_are_none(training: dict[str, Any]) -> None:
    with Registry.open() as registry:
        shown = io.BytesIO()
        Image.new("RGB", (64, 64)).save(shown, "PNG")
        image = SourceImage(registry.blobs.add(shown.getvalue()), "a.png", 64, 64)
        new = NewVersion("jar", "<jar>", "object", "pulled", images=(image,), training=training)
        version = registry.add_version(new, Embedding({"clip_l": np.ones((1, 8), np.float32)}))
        assert preview_labels(version, [1]) == ["preview 1"]
        if training.get("masks") == [5]:
            with pytest.raises(Damaged, match="training record of jar@1"):
                material_of(registry, "jar")
        else:
            assert len(material_of(registry, "jar").pictures) == 1
