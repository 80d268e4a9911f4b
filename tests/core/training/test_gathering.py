"""Pictures with their captions and masks, and plans: what is found, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from tiregistry.errors import FileMissing, InvalidConfig, InvalidImage, InvalidInput
from tiregistry.training.gathering import gather
from tiregistry.training.plan import read_plan


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, colour in (("a.png", "red"), ("b.png", "blue"), ("c.png", "red")):
        Image.new("RGB", (60, 40), colour).save(folder / name)
    return folder


def test_captions_stay_with_their_pictures_when_doubles_are_left_out(folder: Path) -> None:
    (folder / "b.txt").write_text("  a {}\n on a table \n", encoding="utf-8")
    (folder / "c.caption").write_text("the double's", encoding="utf-8")
    (folder / "a.txt").write_text(" ", encoding="utf-8")
    found = gather([folder])
    assert [picture.filename for picture in found.pictures] == ["a.png", "b.png"]
    assert found.captions == ["the double's", "a {} on a table"]
    (folder / "c.caption").unlink()
    found = gather([folder])
    assert found.captions == ["", "a {} on a table"]
    assert any("used once" in note for note in found.notes)
    assert "captions from text files for 1 of 2 pictures" in found.notes
    (folder / "a.txt").write_text("a {}", encoding="utf-8")
    found = gather([folder])
    assert found.used == ["captions from text files for all 2 pictures"]
    assert not any("captions" in note for note in found.notes)
    assert gather([folder], use_captions=False).captions == []


def test_captions_from_another_folder(folder: Path, tmp_path: Path) -> None:
    texts = tmp_path / "texts"
    texts.mkdir()
    with pytest.raises(FileMissing, match=r"it would be a\.txt"):
        gather([folder], captions=texts)
    (texts / "a.txt").write_bytes(b"\xef\xbb\xbfred \x1b[31mthing")
    captions = gather([folder], captions=texts).captions
    assert captions[0].startswith("red ")
    assert "\x1b" not in captions[0]
    (texts / "a.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidInput, match=r"texts.a\.txt is not UTF-8"):
        gather([folder], captions=texts)
    for long in ("word " * 5000, "\N{GRINNING FACE}" * 2001):  # of the second not all bytes are read
        (texts / "a.txt").write_text(long, encoding="utf-8")
        with pytest.raises(InvalidInput, match="more than 2000 characters"):
            gather([folder], captions=texts)


def test_masks_are_matched_by_name(folder: Path, tmp_path: Path) -> None:
    masks = tmp_path / "masks"
    masks.mkdir()
    with pytest.raises(FileMissing, match=r"it would be a\.png"):
        gather([folder], masks=masks)
    Image.new("L", (30, 20), 255).save(masks / "B.PNG")
    found = gather([folder], masks=masks)
    assert [mask is None for mask in found.masks] == [True, False]
    assert not any("in colour" in note for note in found.notes)
    Image.new("RGB", (30, 20), "orange").save(masks / "B.PNG")
    assert any(
        "the mask of b.png is in colour, most likely the wrong folder" in note
        for note in gather([folder], masks=masks).notes
    )
    assert "masks for 1 of 2 pictures; the others are learned whole" in found.notes
    Image.new("L", (30, 30), 255).save(masks / "a.png")
    with pytest.raises(InvalidImage, match="its picture 60x40"):
        gather([folder], masks=masks)


def test_a_copy_takes_nothing_from_its_original(folder: Path, tmp_path: Path) -> None:
    """`a - Copy.png` comes before `a.png`, and has neither caption nor mask."""
    masks = tmp_path / "masks"
    masks.mkdir()
    Image.new("L", (60, 40), 255).save(masks / "a.png")
    (folder / "a.txt").write_text("a {} on a table", encoding="utf-8")
    (folder / "a - Copy.png").write_bytes((folder / "a.png").read_bytes())
    found = gather([folder], masks=masks)
    at = [picture.filename for picture in found.pictures].index("a - Copy.png")
    assert (found.captions[at], found.masks[at] is not None) == ("a {} on a table", True)
    assert "a.png" not in [picture.filename for picture in found.pictures]


def test_a_plan_may_take_transparency_as_mask(tmp_path: Path) -> None:
    (tmp_path / "plan.toml").write_text("[[concepts]]\nname = 'a'\nimages = 'x'\nmasks = 'alpha'", encoding="utf-8")
    (concept,) = read_plan(tmp_path / "plan.toml").concepts
    assert (concept.config.use_alpha, concept.masks) == (True, None)


def test_a_plan_written_on_windows_may_begin_with_a_mark(tmp_path: Path) -> None:
    (tmp_path / "plan.toml").write_bytes(b"\xef\xbb\xbf[[concepts]]\r\nname = 'a'\r\nimages = 'x'\r\n")
    assert [concept.name for concept in read_plan(tmp_path / "plan.toml").concepts] == ["a"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("not toml", "is not valid TOML"),
        ("", "has no [[concepts]] table"),
        ("concepts = []", "has no [[concepts]] table"),
        ("colour = 1\n[[concepts]]\nname = 'a'", "unknown setting 'colour'"),
        ("[[concepts]]\nimages = ['x']", "has no name"),
        ("[[concepts]]\nname = 'a'", "a in plan.toml names no images"),
        ("[[concepts]]\nname = 'a'\nimages = [1]", "a in plan.toml names no images"),
        ("[[concepts]]\nname = 'a'\nimages = ['']", "a in plan.toml names no images"),
        (f"x = {'[' * 5000}", "is nested too deeply"),
        ("[[concepts]]\nname = 'a'\nimages = 'x'\nmax_step = 3", "a in plan.toml: unknown training setting 'max_step'"),
        ("[[concepts]]\nname = 'a'\nimages = 'x'\ntoken = 3", "token in plan.toml is not text"),
        (
            "[[concepts]]\nname = 'a'\nimages = 'x'\ninit = 'cat'\ninitializer = 'dog'",
            "a in plan.toml: init and initializer",
        ),
        (
            "[training]\ntype = 'style'\nconcept_type = 'object'\n[[concepts]]\nname = 'a'\nimages = 'x'",
            "type and concept_type",
        ),
        ("[training]\nmax_steps = 0\n[[concepts]]\nname = 'a'\nimages = 'x'", "max_steps 0 is out of range"),
    ],
)
def test_plans_that_say_something_impossible(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "plan.toml").write_text(text, encoding="utf-8")
    with pytest.raises(InvalidConfig) as caught:
        read_plan(tmp_path / "plan.toml")
    assert said in str(caught.value)
