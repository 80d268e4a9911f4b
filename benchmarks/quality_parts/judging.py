"""Scores of a word: pictures of it beside the pictures it was learned from, and beside what was asked of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from benchmarks.quality_parts.recipes import Concept

PLAIN = {"object": "a photo of a {}", "style": "a cat in the style of {}"}
EDITS = {
    "object": (
        "a photo of a {} on the beach",
        "a photo of a {} in the snow",
        "a photo of a {} at night",
        "an oil painting of a {}",
        "a watercolor of a {}",
        "a cartoon of a {}",
    ),
    "style": tuple(f"a {thing} in the style of {{}}" for thing in ("house", "car", "tree", "boat", "teapot", "bird")),
}
STEPS = 15


class Judge:
    """Looks with the base model's own vision tower and text projection.

    Args:
        pictures: generated pictures of the plain prompt, and of each edit prompt a quarter of them.
    """

    def __init__(self, base: Any, folder: Path, pictures: int) -> None:
        from tiregistry.bases.clip_space import ClipSpace

        tower = base.towers[0]
        self._base, self._pictures = base, pictures
        self._space = ClipSpace(tower.model, tower.tokenizer, folder)
        self.name = f"own towers, {pictures} pictures, {STEPS} steps"

    @torch.no_grad()
    def score(self, rows: Any, concept: Concept, sources: list[Any]) -> tuple[float, float]:
        """Image and text alignment, both mean cosines.

        Image: every generated picture of the plain prompt with every source picture. Text: every picture of an edit
        prompt with the text features of that prompt without the word (Gal et al. 2022, section 5).
        """
        from tiregistry.training.previews import pictures

        edits = EDITS[concept.type]
        each = max(1, self._pictures // 4)
        plain = [(PLAIN[concept.type], 1000 + seed) for seed in range(self._pictures)]
        edited = [(edit, 2000 + seed) for edit in edits for seed in range(each)]
        made = pictures(self._base, rows, plain + edited, steps=STEPS)
        features = _unit(self._space.picture_features(made))
        image = float((features[: len(plain)] @ _unit(self._space.picture_features(sources)).T).mean())
        texts = _unit(torch.cat([self._text(edit) for edit in edits])).repeat_interleave(each, dim=0)
        return image, float((features[len(plain) :] * texts).sum(dim=-1).mean())

    def _text(self, edit: str) -> torch.Tensor:
        told = " ".join(edit.replace("{}", "").split())
        ids = torch.tensor([self._base.towers[0].ids([told])], device=self._base.device)
        return self._space.text_features(ids)


def _unit(features: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.normalize(features, dim=-1)
