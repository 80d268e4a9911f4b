"""Recipes inside picture files, and pictures made again from them."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.core.generation.conftest import QUICK
from tests.learned import register_word
from tiregistry.errors import ConceptNotFound, FileMissing, InvalidInput, NotFound
from tiregistry.generation import as_alone
from tiregistry.generation.generator import Generator, Picture
from tiregistry.generation.metadata import parameters_text, picture_bytes, read_recipe, save_image, save_picture
from tiregistry.generation.recipe import base_for, differences, find_base, read_repeat
from tiregistry.generation.saving import Target, log_picture


@pytest.fixture
def picture(generator: Generator) -> Picture:
    (made,) = generator.generate("a (red:1.2) <gnome@1> \\{é日😀\\}", QUICK, seeds=[7])
    return made


@pytest.mark.parametrize("suffix", [".png", ".webp", ".jpg", ".jpeg", ".PNG"])
def test_every_format_holds_the_whole_recipe(picture: Picture, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"made{suffix}"
    save_picture(picture, path)
    assert read_recipe(path) == picture.recipe
    assert picture_bytes(picture, suffix) == path.read_bytes()
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []
    with Image.open(path) as image:
        if image.format != "JPEG":
            assert image.convert("RGB").tobytes() == picture.image.tobytes()


def test_viewers_find_the_text_they_know(picture: Picture, tmp_path: Path) -> None:
    save_picture(picture, tmp_path / "a.png")
    save_picture(picture, tmp_path / "a.jpg")
    with Image.open(tmp_path / "a.png") as image:
        text = image.text["parameters"]  # type: ignore[attr-defined]
    with Image.open(tmp_path / "a.jpg") as image:
        comment = image.getexif().get_ifd(0x8769)[0x9286]
    assert comment == b"UNICODE\0" + text.encode("utf-16-be")
    prompt, fields = text.split("\n")
    assert prompt == picture.recipe["prompt"]
    assert fields.startswith("Steps: 2, Sampler: ddim, CFG scale: 5.0, Seed: 7, Size: 64x64, Model hash: ")
    assert 'TI hashes: "gnome@1: ' in fields


def test_a_line_break_does_not_confuse_viewers(picture: Picture) -> None:
    recipe = picture.recipe | {"prompt": "one\ntwo", "negative_prompt": "no\r\nlines"}
    assert parameters_text(recipe).split("\n")[:2] == ["one two", "Negative prompt: no lines"]


def test_a_recipe_too_long_for_a_jpeg(picture: Picture) -> None:
    long = Picture(picture.image, picture.recipe | {"prompt": "日" * 19_000})
    with pytest.raises(InvalidInput, match="too long for the metadata of a JPEG"):
        picture_bytes(long, ".jpg")
    assert picture_bytes(long, ".png")
    with pytest.raises(InvalidInput, match="cannot be saved as"):
        picture_bytes(picture, ".gif")
    with pytest.raises(InvalidInput):
        save_image(picture.image, Path("a.bmp"))


def test_files_without_a_recipe(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "plain.png")
    Image.new("RGB", (8, 8)).save(tmp_path / "plain.jpg")
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "cut.png").write_bytes((tmp_path / "plain.png").read_bytes()[:40])
    for name in ("plain.png", "plain.jpg", "text.png", "cut.png"):
        with pytest.raises(InvalidInput, match="holds no tireg recipe"):
            read_recipe(tmp_path / name)
    with pytest.raises(FileMissing):
        read_recipe(tmp_path / "none.png")


def test_a_picture_is_made_again_from_its_recipe_alone(generator: Generator, picture: Picture) -> None:
    register_word(generator.registry, generator.base, "gnome", num_vectors=2, seed=9)  # a newer version changes nothing
    repeat = read_repeat(generator.registry, json.loads(json.dumps(picture.recipe)))
    assert repeat.notes == []
    assert base_for(generator.registry, picture.recipe) == generator.base.identity.name
    item = generator.prepare(repeat.prompt, repeat.settings, pinned=repeat.pinned)
    (again,) = generator.render(item, [repeat.seed])
    assert picture_bytes(again) == picture_bytes(picture)
    assert differences(picture.recipe, again.recipe) == []


def test_a_generator_repeats_one_of_a_batch(generator: Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(as_alone, "is_exact_in_batches", lambda device: False)  # as on a GPU
    *_, last = generator.generate(["a <imp>", "a red <gnome>"], QUICK, seeds=[1, 2], batch_size=4)
    again = generator.repeat(read_repeat(generator.registry, last.recipe))
    assert picture_bytes(again) == picture_bytes(last)
    started = last.recipe | {"start": {"strength": 1, "picture": {"digest": "sha256:x", "name": "x.png"}}}
    with pytest.raises(InvalidInput, match="began with another picture"):
        generator.repeat(read_repeat(generator.registry, started))


def test_what_differs_is_said(generator: Generator, picture: Picture) -> None:
    recipe = json.loads(json.dumps(picture.recipe))
    recipe["software"]["torch"] = "1.0"
    recipe["dtype"] = "float16"
    recipe["base"]["fingerprint"]["vae"] = "sha256:other"
    recipe["words"][0]["digest"] = "sha256:gone"
    recipe["format"] = "tireg-picture/2"
    assert read_repeat(generator.registry, recipe).notes == [
        "the recipe is written as tireg-picture/2, read here as tireg-picture/1: it may say more than that",
        "<gnome@1> was gnome@1 with other vectors; it is gnome@1 now",
    ]
    recipe["words"][0]["reference"] = ""
    assert "which version <gnome@1> was; it is gnome@1 now" in read_repeat(generator.registry, recipe).notes[1]
    lines = differences(recipe, picture.recipe)
    assert len(lines) == 3
    assert "has another vae now: it was other, it is " in lines[0]
    assert lines[1] == "dtype was float16, it is float32"
    assert lines[2].startswith("torch was 1.0, it is ")


@pytest.mark.parametrize(
    "change",
    [
        {"prompt": 5},
        {"seed": "7"},
        {"seed": True},
        {"seed": 2**63},
        {"seed": -1},
        {"guidance_scale": 10**400},
        {"start": {"picture": {"digest": "a", "name": "b"}, "strength": 10**400}},
        {"width": None},
        {"num_inference_steps": -1},
        {"words": {}},
        {"start": "x"},
        {"start": {"picture": {}}},
        {"scheduler": "magic"},
        {"prompt": "(open"},
    ],
)
def test_a_changed_recipe_is_refused(generator: Generator, picture: Picture, change: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        read_repeat(generator.registry, picture.recipe | change)


def test_words_and_bases_that_are_not_here(generator: Generator, picture: Picture) -> None:
    with pytest.raises(ConceptNotFound, match=r"made with elsewhere@3, which is not in this registry"):
        read_repeat(
            generator.registry,
            picture.recipe
            | {
                "prompt": "<elsewhere>",
                "words": [{"text": "<elsewhere>", "reference": "elsewhere@3", "digest": "sha256:x"}],
            },
        )
    with pytest.raises(NotFound, match="base model, evil"):
        find_base(generator.registry, {"base": {"name": "evil", "source": "evil/model", "fingerprint": {"vae": "x"}}})


def test_names_say_what_and_overwrite_nothing(tmp_path: Path) -> None:
    target = Target(tmp_path / "out", None)
    first = target.next("a (red:1.2) <gnome@3>/../x", 7)
    assert first == tmp_path / "out" / "a-red-1-2-gnome-3-x-7.png"
    first.write_bytes(b"")
    assert target.next("a (red:1.2) <gnome@3>/../x", 7).name == "a-red-1-2-gnome-3-x-7-2.png"
    assert target.next("\\<\\>", 1).name == "picture-1.png"
    assert Target(tmp_path / "one.webp", 1).next("x", 3) == tmp_path / "one.webp"
    assert Target(tmp_path / "one.webp", 2).next("x", 3) == tmp_path / "one-3.webp"
    with pytest.raises(InvalidInput, match="PNG, WebP or JPEG"):
        Target(tmp_path / "one.gif", 1)


def test_two_processes_never_take_the_same_name(tmp_path: Path, picture: Picture) -> None:
    one, other = Target(tmp_path, None), Target(tmp_path, None)
    taken = one.next("cat", picture.recipe["seed"])
    other.save(picture, "cat")
    assert taken.exists()
    with ThreadPoolExecutor(8) as pool:
        paths = [path for path, _ in pool.map(lambda target: target.save(picture, "cat"), [one, other] * 20)]
    assert len(set(paths)) == len(paths) == 40
    assert not list(tmp_path.glob(".*"))


def test_a_link_that_leads_nowhere_is_a_name_that_is_taken(tmp_path: Path, picture: Picture) -> None:
    seed = picture.recipe["seed"]
    (tmp_path / f"cat-{seed}.png").symlink_to(tmp_path / "gone.png")
    path, _ = Target(tmp_path, None).save(picture, "cat")
    assert path.name == f"cat-{seed}-2.png"
    assert not (tmp_path / "gone.png").exists()


def test_the_log_keeps_paths_or_bytes(generator: Generator, picture: Picture, tmp_path: Path) -> None:
    registry = generator.registry
    item = generator.prepare(picture.recipe["prompt"], QUICK)
    number = log_picture(registry, item, picture, *Target(tmp_path / "a.png", 1).save(picture, ""))
    kept = log_picture(registry, item, picture, *Target(tmp_path / "b.webp", 1).save(picture, ""), keep=True)
    assert number is not None
    assert kept is not None
    assert [p.id for p in registry.pictures(registry.version("gnome@1"))] == [kept, number]
    assert registry.pictures(registry.version("gnome@2")) == []
    assert [p.id for p in registry.pictures(query="RED gnome@1 webp")] == [kept]
    assert registry.pictures(query="100%") == []
    assert registry.picture(number).digest not in registry.blobs
    assert registry.blobs.read(registry.picture(kept).digest) == (tmp_path / "b.webp").read_bytes()
    registry.forget_pictures([kept])
    with pytest.raises(NotFound):
        registry.picture(kept)
