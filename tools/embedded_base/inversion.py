"""A plain single-vector Textual Inversion on an exported folder, only for measuring what the base can learn."""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import StableDiffusionPipeline
from torch import nn

from tools.embedded_base.autoencoder import to_pictures, to_tensor
from tools.embedded_base.stage import reduced_precision
from tools.embedded_base.towers import embeddings_of
from tools.embedded_base.world.captions import OBJECT_TEMPLATES, STYLE_TEMPLATES

WORD = "<word>"
"""Stands in a prompt for the learned vector."""


class _SlotEmbedding(nn.Module):
    """The frozen token table with one more id, whose row is the vector in `vectors`."""

    def __init__(self, table: nn.Embedding) -> None:
        super().__init__()
        self.table = table
        self.vectors: list[torch.Tensor] = []  # a list, so that the module does not claim the vector as its parameter

    @property
    def weight(self) -> torch.Tensor:
        return self.table.weight

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        size = self.table.num_embeddings
        rows = self.table(ids.clamp(max=size - 1))
        for vector in self.vectors:
            rows = torch.where((ids == size)[..., None], vector.to(rows.dtype), rows)
        return rows


@dataclass
class Learned:
    """The vector (192,), seconds per step, and the mean loss of the last hundred steps."""

    vector: torch.Tensor
    seconds_per_step: float
    loss: float


class Base:
    """An exported model folder, ready to learn words and to draw."""

    def __init__(self, folder: Path, device: torch.device) -> None:
        pipeline = StableDiffusionPipeline.from_pretrained(folder, torch_dtype=torch.float32)
        self.device, self.tokenizer = device, pipeline.tokenizer
        self.vae, self.text = pipeline.vae.to(device).eval(), pipeline.text_encoder.to(device).eval()
        self.unet = pipeline.unet.to(device, memory_format=torch.channels_last).eval()
        self.scheduler = pipeline.scheduler
        self.alphas = pipeline.scheduler.alphas_cumprod.to(device)
        for module in (self.vae, self.text, self.unet):
            module.requires_grad_(False)
        self.slot = _SlotEmbedding(embeddings_of(self.text).token_embedding)
        embeddings_of(self.text).token_embedding = self.slot

    def ids(self, prompts: list[str]) -> torch.Tensor:
        """(n, window) int64, padded with the end token."""
        window, rows = self.tokenizer.model_max_length, []
        for prompt in prompts:
            row = [self.tokenizer.bos_token_id]
            for i, part in enumerate(prompt.split(WORD)):
                row += ([len(self.tokenizer)] if i else []) + (
                    self.tokenizer(part, add_special_tokens=False)["input_ids"] if part.strip() else []
                )
            row = row[: window - 1]
            rows.append(row + [self.tokenizer.eos_token_id] * (window - len(row)))
        return torch.tensor(rows, device=self.device)

    def states(self, ids: torch.Tensor, vector: torch.Tensor | None = None) -> torch.Tensor:
        """(n, window, 192)."""
        self.slot.vectors = [] if vector is None else [vector]
        states = self.text(input_ids=ids).last_hidden_state
        self.slot.vectors = []
        return states

    def word(self, text: str) -> torch.Tensor:
        """(192,): the mean row of the initializer's tokens."""
        return self.slot.weight[self.tokenizer(text, add_special_tokens=False)["input_ids"]].mean(0).clone()

    @torch.no_grad()
    def draw(
        self,
        prompts: list[str],
        vector: torch.Tensor | None = None,
        *,
        seed: int = 0,
        guidance: float = 3.5,
        steps: int = 20,
    ) -> np.ndarray:
        """(n, 64, 64, 3) uint8."""
        self.scheduler.set_timesteps(steps)
        generator = torch.Generator().manual_seed(seed)
        x = torch.randn(len(prompts), 4, 16, 16, generator=generator).to(self.device)
        with reduced_precision(self.device):
            states = torch.cat(
                [self.states(self.ids([""])).expand(len(prompts), -1, -1), self.states(self.ids(prompts), vector)]
            )
            for t in self.scheduler.timesteps:
                plain, wanted = self.unet(torch.cat([x, x]), t, states).sample.float().chunk(2)
                x = self.scheduler.step(plain + guidance * (wanted - plain), t, x).prev_sample
            return to_pictures(self.vae.decode(x / self.vae.config.scaling_factor).sample)

    def learn(
        self,
        pictures: np.ndarray,
        initializer: str,
        *,
        style: bool = False,
        max_steps: int = 200,
        learning_rate: float = 0.05,
        batch: int = 8,
        seed: int = 0,
        fixed_norm: bool = True,
        mirror: bool = True,
    ) -> Learned:
        """One vector for these pictures, with a rate that falls as half a cosine.

        With `fixed_norm` the vector turns on the sphere of the vocabulary, about `learning_rate` radians a step along
        the averaged direction of the gradients; otherwise it moves freely with AdamW, and 5e-3 is a sensible rate.
        """
        generator = torch.Generator().manual_seed(seed)
        rng = np.random.default_rng(seed)
        both = np.concatenate([pictures, pictures[:, :, ::-1]]) if mirror else pictures
        with torch.no_grad():
            z = self.vae.encode(to_tensor(both).to(self.device)).latent_dist.mode() * self.vae.config.scaling_factor
        vector = nn.Parameter(self.word(initializer))
        norm = self.slot.weight.norm(dim=-1).mean()
        if fixed_norm:
            vector.data = F.normalize(vector.data, dim=0) * norm
        momentum = torch.zeros_like(vector)
        optimizer = torch.optim.AdamW([vector], lr=learning_rate, betas=(0.9, 0.99), weight_decay=0.0)
        templates = self.ids([t.format(WORD) for t in (STYLE_TEMPLATES if style else OBJECT_TEMPLATES)])
        started, history = time.monotonic(), []
        for step in range(max_steps):
            rate = learning_rate * 0.5 * (1 + np.cos(np.pi * step / max_steps))
            optimizer.param_groups[0]["lr"] = rate
            rows = torch.from_numpy(rng.integers(0, len(z), batch))
            x, noise = z[rows], torch.randn(batch, 4, 16, 16, generator=generator).to(self.device)
            t = (
                ((torch.arange(batch) + torch.rand(batch, generator=generator)) / batch * 1000)
                .long()
                .clamp(max=999)
                .to(self.device)
            )
            alpha = self.alphas[t].view(-1, 1, 1, 1)
            noisy = alpha.sqrt() * x + (1 - alpha).sqrt() * noise
            velocity = alpha.sqrt() * noise - (1 - alpha).sqrt() * x
            with reduced_precision(self.device):
                states = self.states(templates[torch.from_numpy(rng.integers(0, len(templates), batch))], vector)
                prediction = self.unet(noisy.to(memory_format=torch.channels_last), t, states).sample
            loss = (prediction.float() - velocity).square().mean()
            optimizer.zero_grad()
            loss.backward()
            if fixed_norm:
                with torch.no_grad():
                    unit = vector / norm
                    tangent = vector.grad - (vector.grad @ unit) * unit
                    momentum.mul_(0.9).add_(F.normalize(tangent, dim=0), alpha=0.1)
                    vector.copy_(F.normalize(unit - rate * momentum, dim=0) * norm)
            else:
                optimizer.step()
            history.append(float(loss.detach()))
        return Learned(vector.detach(), (time.monotonic() - started) / max_steps, float(np.mean(history[-100:])))
