"""`tireg gen --like`: a picture made again from its file alone, and what is said when it cannot be as it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tireg_cli.main import run
from tiregistry.generation import as_alone

Gen = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize("suffix", [".png", ".webp", ".jpg"])
def test_like_makes_the_same_file_again(gen: Callable[..., Any], tmp_path: Path, suffix: str) -> None:
    gen("a (red:1.3) <gnome@1>", "--seed", 3, "--negative", "<imp>", "--out", tmp_path / f"a{suffix}")
    code, out, _ = gen("--like", tmp_path / f"a{suffix}", "--out", tmp_path / f"b{suffix}", "--json")
    assert code == 0
    assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()
    assert json.loads(out)[0]["seed"] == 3


def test_like_says_that_it_is_the_same_or_why_not(
    usable_words: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = tmp_path / "first.png"
    assert run(["gen", "a <gnome@1>", "--steps", "1", "--out", str(first)]) == 0
    assert run(["gen", "--like", str(first), "--out", str(tmp_path / "again.png")]) == 0
    assert f"the same picture as {first}, pixel for pixel" in capsys.readouterr().err
    assert run(["gen", "--like", str(first), "--seed", "8", "-n", "2", "--out", str(tmp_path / "o")]) == 0
    captured = capsys.readouterr()
    assert [Path(line).name for line in captured.out.splitlines()] == ["a-gnome-1-8.png", "a-gnome-1-9.png"]
    assert "pixel" not in captured.err


def noise(path: Path, sigma: float = 80) -> Path:
    Image.effect_noise((64, 64), sigma).convert("RGB").save(path)
    return path


def test_like_finds_the_picture_and_the_mask_it_started_from(
    gen: Gen, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").mkdir()
    init, mask = noise(tmp_path / "in" / "init.png"), tmp_path / "in" / "mask.png"
    half = Image.new("L", (64, 64), 0)
    half.paste(255, (0, 0, 32, 64))
    half.save(mask)
    first, again = tmp_path / "first.png", tmp_path / "again.png"
    options = ("--init", init, "--mask", mask, "--strength", 1)
    assert gen("a <gnome>", *options, "--out", first)[0] == 0
    assert gen("--like", first, "--out", again)[0] == 0
    assert first.read_bytes() == again.read_bytes()
    assert b"/in/" not in first.read_bytes()

    assert run(["gallery", "show", "1"]) == 0
    assert f"start      {init}, mask {mask}, strength 1.0\n" in capsys.readouterr().out

    beside = tmp_path / "beside"
    beside.mkdir()
    for path in (init, mask, first):
        path.rename(beside / path.name)
    assert gen("--like", beside / "first.png", "--out", again)[0] == 0
    assert (beside / "first.png").read_bytes() == again.read_bytes()

    noise(beside / "init.png", 20)
    code, _, err = gen("--like", beside / "first.png", "--out", again)
    assert code == 3
    assert f"first.png was made from the picture init.png, but {beside / 'init.png'} has other bytes now" in err
    (beside / "init.png").unlink()
    code, _, err = gen("--like", beside / "first.png", "--out", again)
    assert code == 3
    assert f"the picture init.png that {beside / 'first.png'} was made from is neither kept nor at " in err
    assert "give it with --init" in err


def test_like_finds_a_start_picture_that_was_generated_or_kept(gen: Gen, tmp_path: Path) -> None:
    generated, first, again = tmp_path / "o" / "a-imp-0.png", tmp_path / "first.png", tmp_path / "again.png"
    assert gen("a <imp>", "--out", tmp_path / "o")[0] == 0
    copy = tmp_path / "copy.png"
    copy.write_bytes(generated.read_bytes())
    assert gen("a <gnome>", "--init", copy, "--strength", 1, "--out", first)[0] == 0
    copy.unlink()
    assert gen("--like", first, "--out", again)[0] == 0
    assert first.read_bytes() == again.read_bytes()
    assert gen("a <gnome>", "--init", generated, "--strength", 1, "--out", first, "--keep")[0] == 0
    generated.unlink()
    assert gen("--like", first, "--out", again)[0] == 0
    assert first.read_bytes() == again.read_bytes()


def test_like_with_another_start_says_so_and_keeps_the_rest(gen: Gen, tmp_path: Path) -> None:
    first, other = tmp_path / "first.png", noise(tmp_path / "other.png", 10)
    init = noise(tmp_path / "init.png")
    assert gen("a <gnome>", "--init", init, "--strength", 1, "--out", first)[0] == 0
    init.unlink()
    code, out, err = gen("--like", first, "--init", other, "--out", tmp_path / "varied.png", "--json")
    assert code == 0
    assert f"other.png is not the picture that {first} started from" in err
    assert json.loads(out)[0]["recipe"]["start"]["strength"] == 1
    assert "pixel" not in err


def test_a_picture_of_a_batch_is_the_same_file_as_one_made_alone(gen: Gen, tmp_path: Path) -> None:
    assert gen("a {red|blue} <gnome>", "-n", 2, "--batch-size", 3, "--out", tmp_path / "batch")[0] == 0
    assert gen("a {red|blue} <gnome>", "-n", 2, "--out", tmp_path / "alone")[0] == 0
    for path in (tmp_path / "alone").iterdir():
        assert (tmp_path / "batch" / path.name).read_bytes() == path.read_bytes()


def test_like_repeats_a_picture_of_a_batch_on_a_gpu(gen: Gen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(as_alone, "is_exact_in_batches", lambda device: False)
    assert gen("a {red|blue} <gnome>", "-n", 2, "--batch-size", 3, "--out", tmp_path)[0] == 0
    for name, at_once in (("a-red-gnome-1.png", 3), ("a-blue-gnome-0.png", 3), ("a-blue-gnome-1.png", 1)):
        code, _, err = gen("--like", tmp_path / name, "--out", tmp_path / "again.png")
        assert code == 0
        assert (f"as one of {at_once} at a time" in err) is (at_once > 1)
        assert (tmp_path / name).read_bytes() == (tmp_path / "again.png").read_bytes()
    _, _, err = gen("--like", tmp_path / "a-red-gnome-1.png", "--batch-size", 1, "--out", tmp_path / "again.png")
    assert "pictures made at a time were 3, now 1: the same up to rounding only" in err


def test_like_works_with_as_many_threads_as_then(gen: Gen, tmp_path: Path) -> None:
    import torch

    before = torch.get_num_threads()
    first, again = tmp_path / "first.png", tmp_path / "again.png"
    try:
        torch.set_num_threads(2)
        assert gen("a <gnome>", "--out", first)[0] == 0
        torch.set_num_threads(1)
        assert gen("--like", first, "--out", again)[0] == 0
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
    assert first.read_bytes() == again.read_bytes()


def test_like_takes_the_precision_of_then(model: Path, tmp_path: Path) -> None:
    first, again = tmp_path / "first.png", tmp_path / "again.png"
    base = ("--base", str(model))
    assert (
        run(["gen", "a red cat", "--steps", "1", "--device", "cpu", "--precision", "bf16", *base, "--out", str(first)])
        == 0
    )
    assert run(["gen", "--like", str(first), *base, "--out", str(again)]) == 0
    assert first.read_bytes() == again.read_bytes()


def test_like_of_a_damaged_picture_needs_only_its_recipe(gen: Gen, tmp_path: Path) -> None:
    whole, cut, again = tmp_path / "whole.png", tmp_path / "cut.png", tmp_path / "again.png"
    gen("a <gnome>", "--out", whole)
    cut.write_bytes(whole.read_bytes()[:-3000])
    code, _, err = gen("--like", cut, "--out", again)
    assert code == 0
    assert err == f"warning: {cut} is damaged, so its pixels cannot be compared\n"
    assert again.read_bytes() == whole.read_bytes()
