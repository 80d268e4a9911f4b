"""`tireg gallery`: pictures by path and by bytes."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tireg_cli.main import run
from tiregistry.concepts import NewVersion
from tiregistry.embeddings.embedding import Embedding
from tiregistry.generation.contact_sheet import contact_sheet, preview_labels
from tiregistry.registry.registry import Registry

RECIPE = {"seed": 4, "words": [{"text": "<gnome>", "reference": "gnome@1"}], "width": 8, "height": 8}


def png(colour: str) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (8, 8), colour).save(out, "PNG")
    return out.getvalue()


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    """Two pictures: 1 is only a path, 2 is kept; 2 was made with gnome@1."""
    paths = []
    with Registry.open() as registry:
        rows = np.ones((1, 8), dtype=np.float32)
        word = registry.add_version(NewVersion("gnome", "<gnome>", "object", "imported"), Embedding({"clip_l": rows}))
        for number, colour in enumerate(("red", "blue"), 1):
            data = png(colour)
            path = tmp_path / f"{colour}.png"
            path.write_bytes(data)
            kept = [registry.blobs.add(data)] if number == 2 else []
            registry.add_picture(
                path,
                f"a {colour} <gnome>",
                RECIPE,
                words=[word.digest] if number == 2 else [],
                digest=digest(data),
                base_name="tiny",
                kept=kept,
            )
            paths.append(path)
    return paths


def lines(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[list[str]]:
    assert run(["gallery", *arguments]) == 0
    return [line.split("\t") for line in capsys.readouterr().out.splitlines()]


def test_listing_and_searching(pictures: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert [row[0] for row in lines(capsys)] == ["2", "1"]
    assert [row[0] for row in lines(capsys, "list", "RED", "gnome")] == ["1"]
    assert [row[0] for row in lines(capsys, "list", "gnome@1")] == ["2"]
    assert [row[0] for row in lines(capsys, "list", "--word", "gnome@1")] == ["2"]
    assert lines(capsys, "list", "%") == []
    assert [row[3] for row in lines(capsys)] == ["file+kept", "file"]
    pictures[1].write_bytes(png("green"))
    assert [row[3] for row in lines(capsys)] == ["changed+kept", "file"]
    pictures[1].write_bytes(png("blue"))
    assert run(["gallery", "list", "--json", "--limit", "1"]) == 0
    (entry,) = json.loads(capsys.readouterr().out)
    assert (entry["id"], entry["state"], entry["recipe"]["seed"]) == (2, "file+kept", 4)


def test_a_kept_picture_outlives_its_file(
    pictures: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in pictures:
        path.unlink()
    assert [row[3] for row in lines(capsys)] == ["kept", "gone"]
    assert run(["gallery", "save", "2", str(tmp_path / "back.png")]) == 0
    assert (tmp_path / "back.png").read_bytes() == png("blue")
    assert run(["gallery", "save", "2", str(tmp_path / "back.png")]) == 4
    assert run(["gallery", "save", "2", str(tmp_path / "back.jpg")]) == 2
    assert run(["gallery", "save", "2", str(tmp_path / "nowhere" / "back.png")]) == 3
    assert run(["gallery", "save", "1", str(tmp_path / "x.png")]) == 3
    assert "was not kept" in capsys.readouterr().err


def test_show_and_unknown_ids(pictures: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["gallery", "show", "1"]) == 0
    assert "prompt  a red <gnome>" in capsys.readouterr().out
    assert run(["gallery", "show", "9"]) == 3
    assert run(["gallery", "remove", "1", "9"]) == 3
    with Registry.open() as registry:
        assert len(registry.pictures()) == 2


def test_removing(pictures: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["gallery", "remove", "1"]) == 0
    assert pictures[0].is_file()
    assert run(["gallery", "remove", "2", "--files"]) == 2  # nobody is there to ask
    pictures[1].write_bytes(b"something else now")
    assert run(["gallery", "remove", "2", "--files", "--yes"]) == 0
    assert pictures[1].is_file()
    assert "is not the picture that was saved there" in capsys.readouterr().err
    with Registry.open() as registry:
        assert registry.pictures() == []


def test_kept_pictures_survive_gc_until_they_are_removed(pictures: list[Path]) -> None:
    with Registry.open() as registry:
        kept = registry.picture(2).digest
        assert kept not in {found for found, _ in registry.gc(grace=0).files}
        registry.forget_pictures([2])
        assert kept in {found for found, _ in registry.gc(grace=0).files}


def test_the_contact_sheet_of_a_training(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Registry.open() as registry:
        previews = {
            f"preview/{step:04d}{suffix}.png": registry.blobs.add(png(colour))
            for step, colour in ((10, "red"), (20, "blue"))
            for suffix in ("", "-2")
        }
        asked = {"preview_prompts": ["a photo of {}"]}
        new = NewVersion("gnome", "<gnome>", "object", "imported", attachments=previews, training=asked)
        version = registry.add_version(new, Embedding({"clip_l": np.ones((1, 8), dtype=np.float32)}))
        plain = registry.add_version(
            NewVersion("imp", "<imp>", "object", "imported"), Embedding({"clip_l": np.zeros((1, 8), np.float32)})
        )
        assert contact_sheet(registry, version).width > 2 * 128
        assert preview_labels(version, [1, 2]) == ["a photo of <gnome>", "preview 2"]
        assert plain.reference == "imp@1"
    assert run(["gallery", "sheet", "gnome@1", str(tmp_path / "sheet.png")]) == 0
    assert (tmp_path / "sheet.png").is_file()
    assert run(["gallery", "sheet", "imp"]) == 3
    assert "no previews are kept with imp@1" in capsys.readouterr().err
