"""`tireg demo` as a newcomer runs it: two real words learned on the embedded base model, composed and saved."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tireg_cli.commands.demo import _learn
from tireg_cli.interrupts import StopRequest
from tireg_cli.main import run
from tiregistry.demo import BundledConcept, bundled_concepts
from tiregistry.generation.metadata import read_recipe
from tiregistry.registry.registry import Registry

STEPS = 40
"""Fewer than the demonstration takes: even so many show what is asserted here."""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_demonstration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    shipped = {concept.name: concept.config for concept in bundled_concepts()}
    assert all(config.resolved().max_steps > STEPS for config in shipped.values())
    fewer = property(lambda concept: replace(shipped[concept.name], max_steps=STEPS))
    monkeypatch.setattr(BundledConcept, "config", fewer)
    out = tmp_path / "demo"
    assert run(["demo", "--out", str(out), "--columns", "1", "--no-show"]) == 0
    captured = capsys.readouterr()
    assert captured.out.strip() == str(out / "grid.png")
    assert "These are its pictures" not in captured.err  # none are drawn
    assert captured.err.count("It has 4 pictures, all of which the grid shows.") == 2
    with Image.open(out / "grid.png") as grid:
        assert min(grid.size) > 200
    with Registry.open() as registry:
        thing, style = registry.version("amphora"), registry.version("ink_wash")
        assert (thing.concept_type, style.concept_type) == ("object", "style")
        for version in (thing, style):
            loss = registry.record(version)["loss"]
            # Each step draws other noise, so only a clear fall of the mean says that something was learned.
            assert np.mean(loss[-10:]) < np.mean(loss[:10])
        assert len(thing.images) == 4
        assert [bool(image.caption) for image in (*thing.images, *style.images)] == [False] * 4 + [True] * 4

    pictures = sorted(out.glob("[0-9]*.png"))
    assert len(pictures) == 8
    both = read_recipe(pictures[-1])
    assert {word["digest"] for word in both["words"]} == {thing.digest, style.digest}
    # The thing is teal with orange; a vase without the word is not. The ink wash is pale where the photo is not.
    assert _teal(pictures[1]) > _teal(pictures[0]) + 0.1
    assert _brightness(pictures[5]) > _brightness(pictures[1]) + 20

    # Once more, it finds the words learned.
    with Registry.open() as registry:
        for concept, reference in zip(bundled_concepts(), ("amphora@1", "ink_wash@1"), strict=True):
            token = _learn(registry, concept, StopRequest(""), show=False, again=False)
            assert token == f"<{concept.name}>"
            assert f"Learned by an earlier demo: {reference}" in capsys.readouterr().err


def _teal(path: Path) -> float:
    """Share of pixels in the middle of the picture whose green and blue lie well above red."""
    pixels = np.asarray(Image.open(path).convert("RGB"), dtype=float)[16:48, 16:48]
    return float((np.minimum(pixels[..., 1], pixels[..., 2]) > pixels[..., 0] + 40).mean())


def _brightness(path: Path) -> float:
    return float(np.asarray(Image.open(path).convert("L"), dtype=float).mean())
