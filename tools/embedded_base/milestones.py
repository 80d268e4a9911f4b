"""Every few minutes of the denoiser's training: a grid to look at, and the model folder brought up to date."""

from pathlib import Path

import numpy as np
import torch
from diffusers import UNet2DConditionModel

from tools.embedded_base.autoencoder import load_autoencoder
from tools.embedded_base.denoiser import sample_pictures
from tools.embedded_base.pictures import save_grid
from tools.embedded_base.tokenizer import CaptionEncoder
from tools.embedded_base.towers import TextTower

PROMPTS = (
    "a photo of a red mug on the grass",
    "a photo of a blue car on the beach",
    "an oil painting of a green house",
    "a pencil drawing of a cat",
    "a photo of a yellow star at night",
    "a photo of a purple creature",
    "a photo of a striped red and white umbrella in the snow",
    "a pixel art of a pink heart",
    "a photo of an orange fish under the sea",
    "a photo of a white teapot on a wooden table",
    "a cartoon of a yellow bird",
    "a photo of a brown toy in the desert",
    "a watercolor of a red flower",
    "a photo of a black rocket in the city",
    "a photo of a teal vase in front of a brick wall",
    "a photo of a red mushroom in the forest",
    "an oil painting of a red car on the grass",
    "a pixel art of a blue house in the snow",
    "a cartoon of a green teapot",
    "a watercolor of a purple cat on the beach",
    "a photo of a round green robot with arms",
    "a photo of a banded orange and teal creature with one horn",
    "a photo of a blue and yellow toy with wheels in a street",
    "a photo of a two-tone pink and blue ball on the grass",
)


class Milestone:
    """Called with the averaged denoiser; saves work/grids/STEP.png and, with a target, exports."""

    def __init__(
        self, work: Path, encoder: CaptionEncoder, text: TextTower, factor: float, target: Path | None
    ) -> None:
        self.work, self.encoder, self.text, self.factor, self.target = work, encoder, text, factor, target
        self.autoencoder = load_autoencoder(work)

    @torch.no_grad()
    def __call__(self, unet: UNet2DConditionModel, step: int) -> None:
        device = unet.device
        ids = torch.from_numpy(np.stack([self.encoder(prompt) for prompt in ("", *PROMPTS)])).to(device)
        states = self.text(ids)
        pictures = sample_pictures(unet, self.autoencoder.to(device), self.factor, states[1:], states[:1])
        save_grid(pictures, 8, self.work / "grids" / f"{step:07d}.png", zoom=2)
        if self.target is not None and (self.work / "unet.pt").exists():
            from tools.embedded_base.export import export

            export(self.work, self.target)
