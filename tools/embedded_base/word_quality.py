"""What single learned vectors reach on things and styles that were held out whole."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from tiregistry.bases.clip_space import ClipSpace
from tiregistry.bases.loaded import LoadedBase
from tools.embedded_base.autoencoder import to_tensor
from tools.embedded_base.concepts import TEST_STYLES, HeldOutStyle, HeldOutThing, style_pictures, thing_pictures
from tools.embedded_base.dataset import ATTRIBUTES
from tools.embedded_base.judge import Judge, judge_pictures
from tools.embedded_base.pictures import save_grid
from tools.embedded_base.words import draw
from tools.embedded_base.world.captions import CONTEXT_PHRASES, with_articles

STYLE = "<style>"
WORN = TEST_STYLES[0]
"""The learned style in which every learned thing is drawn, too."""
EDIT_CONTEXTS = ("beach", "snow", "night", "brick")
EDIT_MEDIA = ("oil painting", "watercolor", "pixel art", "cartoon")
STYLE_TRIALS = (
    "red house on the grass",
    "blue flower in the snow",
    "yellow fish under the sea",
    "purple star at night",
)


@dataclass(frozen=True)
class Eyes:
    """The two ways to look at pictures: the base's own vision tower, and the judge that never trained with it."""

    judge: Judge
    tower: ClipSpace

    @classmethod
    def open(cls, base: LoadedBase, folder: Path, judge: Judge) -> "Eyes":
        """The judge beside the vision tower in the base model's folder."""
        tower = base.towers[0]
        return cls(judge, ClipSpace(tower.model, tower.tokenizer, folder))

    def features(self, pictures: np.ndarray) -> dict[str, torch.Tensor]:
        """Unit vectors (n, d) by `judge` and `tower`."""
        images = [Image.fromarray(picture) for picture in pictures]
        with torch.no_grad():
            seen = self.judge.features(to_tensor(pictures))
            return {
                "judge": F.normalize(seen, dim=-1),
                "tower": F.normalize(self.tower.picture_features(images), dim=-1).cpu(),
            }


def edits() -> list[str]:
    """The eight prompts with `{}` that ask for a context or a medium: four contexts, then four media."""
    contexts = [f"a photo of a {{}} {CONTEXT_PHRASES[context][0]}" for context in EDIT_CONTEXTS]
    return contexts + [with_articles(f"a {medium} of a {{}}") for medium in EDIT_MEDIA]


def text_alignment(base: LoadedBase, eyes: Eyes, pictures: np.ndarray, prompts: list[str]) -> float:
    """Mean cosine between each picture and its prompt with the word left out, as in the paper's evaluation."""
    tower = base.towers[0]
    told = [" ".join(prompt.replace("{}", "").split()) for prompt in prompts]
    ids = torch.tensor([tower.ids([text]) for text in told])
    with torch.no_grad():
        text = F.normalize(eyes.tower.text_features(ids), dim=-1)
    return float((eyes.features(pictures)["tower"] * text.cpu()).sum(-1).mean())


def mutual(features: torch.Tensor) -> float:
    """Mean cosine between different rows of unit vectors (n, d)."""
    count = len(features)
    return (float((features @ features.T).sum()) - count) / (count * (count - 1))


def _closed(eyes: Eyes, sources: np.ndarray, before: np.ndarray, after: np.ndarray) -> dict[str, float]:
    """Image alignment of initializer and word, and how much of the gap to the sources' own similarity is closed."""
    own, start, reached = eyes.features(sources), eyes.features(before), eyes.features(after)
    result: dict[str, float] = {}
    for eye in own:
        first, last = (float((f[eye] @ own[eye].T).mean()) for f in (start, reached))
        best = mutual(own[eye])
        result |= {f"{eye}_initializer": first, f"{eye}_word": last, f"{eye}_sources": best}
        result[f"{eye}_gap_closed"] = (last - first) / max(best - first, 1e-3)
    return result


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"


@dataclass(frozen=True)
class Trial:
    """A learned thing, and the learned style `WORN`; vectors (1, 192)."""

    held: HeldOutThing
    seed: int
    vector: torch.Tensor
    style: torch.Tensor


def measure_things(
    base: LoadedBase, eyes: Eyes, trials: Sequence[Trial], out: Path, guidance: float
) -> list[tuple[dict[str, float], torch.Tensor]]:
    """Draws every word alone, in eight edits twice each, and in its learned style; saves thing_NAME_SEED.png.

    What has to be drawn for all of them is drawn together, and what several need is drawn once.

    Returns:
        For each trial the scores, and the judge's features (8, 192) of the word alone.
    """
    words: dict[str, torch.Tensor] = {}
    sets: list[dict[str, list[tuple[str, int]]]] = []
    edited = [prompt for prompt in edits() for _ in range(2)]
    for number, trial in enumerate(trials):
        thing, style = f"<thing{number}>", f"<style{number}>"
        words |= {thing: trial.vector, style: trial.style}
        initializer = trial.held.initializer
        asked = {
            "before": (100, [f"a photo of {_article(initializer)} {initializer}"] * 8),
            "alone": (100, [f"a photo of a {thing}"] * 8),
            "edited": (200, [p.replace("{}", thing) for p in edited]),
            "plain": (200, [with_articles(p.replace("{}", initializer)) for p in edited]),
            "styled": (300, [f"a {thing} in the style of {style}"] * 4),
            "plain_styled": (300, [with_articles(f"a {initializer} in the style of {WORN.initializer}")] * 4),
        }
        sets.append({key: [(p, seed + i) for i, p in enumerate(prompts)] for key, (seed, prompts) in asked.items()})
    shots = list(dict.fromkeys(shot for group in sets for pairs in group.values() for shot in pairs))
    drawn = draw(base, [p for p, _ in shots], words, seed=[seed for _, seed in shots], guidance=guidance)
    place = {shot: number for number, shot in enumerate(shots)}
    return [
        _score_thing(base, eyes, trial, {key: drawn[[place[s] for s in pairs]] for key, pairs in group.items()}, out)
        for trial, group in zip(trials, sets, strict=True)
    ]


def _score_thing(
    base: LoadedBase, eyes: Eyes, trial: Trial, drawn: dict[str, np.ndarray], out: Path
) -> tuple[dict[str, float], torch.Tensor]:
    sources = thing_pictures(trial.held)
    prompts = [prompt for prompt in edits() for _ in range(2)]
    read = judge_pictures(eyes.judge, drawn["edited"])
    contexts = np.repeat([ATTRIBUTES["context"].index(c) for c in EDIT_CONTEXTS], 2)
    media = np.repeat([ATTRIBUTES["medium"].index(m) for m in EDIT_MEDIA], 2)
    rows = [sources, drawn["before"][:4], drawn["alone"], drawn["edited"], drawn["styled"]]
    save_grid(np.concatenate(rows), 8, out / f"thing_{trial.held.name}_{trial.seed}.png")
    scores = _closed(eyes, sources, drawn["before"], drawn["alone"])
    scores["text"] = text_alignment(base, eyes, drawn["edited"], prompts)
    scores["text_initializer"] = text_alignment(base, eyes, drawn["plain"], prompts)
    # Of the two words only the style's can be said in words that the tower knows, those that it started from.
    worn = [f"a {{}} in the style of {WORN.initializer}"] * 4
    scores["styled_text"] = text_alignment(base, eyes, drawn["styled"], worn)
    scores["styled_text_initializer"] = text_alignment(base, eyes, drawn["plain_styled"], worn)
    scores["context_right"] = float((read["context"][:8] == contexts).mean())
    scores["medium_right"] = float((read["medium"][8:] == media).mean())
    return scores, eyes.features(drawn["alone"])["judge"]


def measure_style(
    base: LoadedBase, eyes: Eyes, held: HeldOutStyle, vector: torch.Tensor, out: Path, guidance: float, seed: int
) -> dict[str, float]:
    """Puts the style on four known things, twice each; saves style_NAME_SEED.png."""
    sources = style_pictures(held)
    before = draw(
        base, [f"a {s} in the style of {held.initializer}" for s in STYLE_TRIALS * 2], seed=100, guidance=guidance
    )
    prompts = [f"a {s} in the style of {STYLE}" for s in STYLE_TRIALS * 2]
    after = draw(base, prompts, {STYLE: vector}, seed=100, guidance=guidance)
    kinds = np.array([ATTRIBUTES["kind"].index(s.split()[1]) for s in STYLE_TRIALS * 2])
    save_grid(np.concatenate([sources, before[:4], after]), 8, out / f"style_{held.name}_{seed}.png")
    scores = _closed(eyes, sources, before, after)
    scores["kind_right"] = float((judge_pictures(eyes.judge, after)["kind"] == kinds).mean())
    return scores
