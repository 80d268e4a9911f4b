"""What single learned vectors reach on things and styles that were held out whole."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from tiregistry.bases.clip_space import ClipSpace
from tiregistry.bases.loaded import LoadedBase
from tools.embedded_base.autoencoder import to_tensor
from tools.embedded_base.concepts import HeldOutStyle, HeldOutThing, style_pictures, thing_pictures
from tools.embedded_base.dataset import ATTRIBUTES
from tools.embedded_base.judge import Judge, judge_pictures
from tools.embedded_base.pictures import save_grid
from tools.embedded_base.words import draw
from tools.embedded_base.world.captions import CONTEXT_PHRASES, with_articles

THING, STYLE = "<thing>", "<style>"
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
    result = {}
    for eye in own:
        first, last = (float((f[eye] @ own[eye].T).mean()) for f in (start, reached))
        best = mutual(own[eye])
        result |= {f"{eye}_initializer": first, f"{eye}_word": last, f"{eye}_sources": best}
        result[f"{eye}_gap_closed"] = (last - first) / max(best - first, 1e-3)
    return result


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"


def measure_thing(
    base: LoadedBase,
    eyes: Eyes,
    held: HeldOutThing,
    vector: torch.Tensor,
    style: torch.Tensor,
    out: Path,
    guidance: float,
    seed: int,
) -> tuple[dict[str, float], torch.Tensor]:
    """Draws the word alone, in eight edits twice each, and in a learned style; saves thing_NAME_SEED.png.

    Returns:
        The scores, and the judge's features (8, 192) of the word alone.
    """
    sources, words = thing_pictures(held), {THING: vector, STYLE: style}
    initializer = f"{_article(held.initializer)} {held.initializer}"
    before = draw(base, [f"a photo of {initializer}"] * 8, seed=100, guidance=guidance)
    alone = draw(base, [f"a photo of a {THING}"] * 8, words, seed=100, guidance=guidance)
    prompts = [prompt for prompt in edits() for _ in range(2)]
    edited = draw(base, [p.replace("{}", THING) for p in prompts], words, seed=200, guidance=guidance)
    plain = draw(base, [with_articles(p.replace("{}", held.initializer)) for p in prompts], seed=200, guidance=guidance)
    styled = draw(base, [f"a {THING} in the style of {STYLE}"] * 4, words, seed=300, guidance=guidance)
    read = judge_pictures(eyes.judge, edited)
    contexts = np.repeat([ATTRIBUTES["context"].index(c) for c in EDIT_CONTEXTS], 2)
    media = np.repeat([ATTRIBUTES["medium"].index(m) for m in EDIT_MEDIA], 2)
    save_grid(np.concatenate([sources, before[:4], alone, edited, styled]), 8, out / f"thing_{held.name}_{seed}.png")
    scores = _closed(eyes, sources, before, alone)
    scores["text"] = text_alignment(base, eyes, edited, prompts)
    scores["text_initializer"] = text_alignment(base, eyes, plain, prompts)
    scores["context_right"] = float((read["context"][:8] == contexts).mean())
    scores["medium_right"] = float((read["medium"][8:] == media).mean())
    return scores, eyes.features(alone)["judge"]


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
