"""The text tower with its dense names, and the conv net on latents that teaches it to tell shapes apart."""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel

from tools.embedded_base.caption_ids import pick_captions, up_to_the_end
from tools.embedded_base.dataset import ATTRIBUTES, Dataset, DeviceSet
from tools.embedded_base.stage import Losses, Stage, load_average, reduced_precision
from tools.embedded_base.tokenizer import LENGTH, CaptionEncoder
from tools.embedded_base.world.media import Style
from tools.embedded_base.world.things import name_size

WIDTH = 192
PROJECTION = 128
WORD_NORM = 0.7
"""Norm of every row of the token table and of every name: a learned word moves on this sphere."""
NAME_NOISE = 0.12
"""Length of the noise on a name, relative to the name, so that the sphere around it means nearly the same."""


def build_text_model(vocabulary: int, start: int, end: int) -> CLIPTextModel:
    """Four layers of width 192 over 32 tokens."""
    config = CLIPTextConfig(
        vocab_size=vocabulary,
        hidden_size=WIDTH,
        intermediate_size=512,
        projection_dim=PROJECTION,
        num_hidden_layers=4,
        num_attention_heads=4,
        max_position_embeddings=LENGTH,
        bos_token_id=start,
        eos_token_id=end,
        pad_token_id=end,
        hidden_act="quick_gelu",
    )
    return CLIPTextModel(config)


def embeddings_of(model: CLIPTextModel) -> nn.Module:
    """The module that holds `token_embedding`, wherever this version of transformers keeps it."""
    return getattr(model, "text_model", model).embeddings


class NameableEmbedding(nn.Module):
    """A token table, plus two ids past its end whose rows are computed from what they name."""

    def __init__(self, table: nn.Embedding) -> None:
        super().__init__()
        self.table = table
        self.thing_map = nn.Linear(name_size(), WIDTH)
        self.style_map = nn.Linear(len(Style._fields), WIDTH)
        nn.init.normal_(table.weight)
        self.names: tuple[torch.Tensor, torch.Tensor] | None = None
        self.noise = 0.0
        self.renormalise()

    @property
    def weight(self) -> torch.Tensor:
        return self.table.weight

    @torch.no_grad()
    def renormalise(self) -> None:
        """Puts every row of the table back on the sphere."""
        self.table.weight.copy_(F.normalize(self.table.weight, dim=-1) * WORD_NORM)

    def name(self, vectors: torch.Tensor, mapping: nn.Linear) -> torch.Tensor:
        """(n, fields) -> (n, 192) on the sphere of the vocabulary."""
        direction = F.normalize(mapping(vectors), dim=-1)
        if self.noise:
            direction = F.normalize(direction + self.noise * WIDTH**-0.5 * torch.randn_like(direction), dim=-1)
        return direction * WORD_NORM

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        size = self.table.num_embeddings
        rows = self.table(ids.clamp(max=size - 1))
        if self.names is not None:
            for offset, (vectors, mapping) in enumerate(zip(self.names, (self.thing_map, self.style_map), strict=True)):
                name = self.name(vectors, mapping)[:, None].to(rows.dtype)
                rows = torch.where((ids == size + offset)[..., None], name, rows)
        return rows


class TextTower(nn.Module):
    """The text model with names; `forward` gives the states that the denoiser attends to."""

    def __init__(self, encoder: CaptionEncoder) -> None:
        super().__init__()
        self.end = encoder.end
        self.model = build_text_model(encoder.size, encoder.start, encoder.end)
        self.embedding = NameableEmbedding(embeddings_of(self.model).token_embedding)
        embeddings_of(self.model).token_embedding = self.embedding

    def forward(
        self, ids: torch.Tensor, things: torch.Tensor | None = None, styles: torch.Tensor | None = None
    ) -> torch.Tensor:
        """ids (n, length), things (n, name_size()), styles (n, fields) -> (n, length, 192)."""
        self.embedding.names = None if things is None or styles is None else (things, styles)
        states = self.model(input_ids=ids).last_hidden_state
        self.embedding.names = None
        return states

    def pooled(
        self, ids: torch.Tensor, things: torch.Tensor | None = None, styles: torch.Tensor | None = None
    ) -> torch.Tensor:
        """(n, 192): the state at the first end token."""
        states = self(ids, things, styles)
        return states[torch.arange(len(ids), device=ids.device), (ids == self.end).int().argmax(1)]

    def plain_state(self) -> dict[str, torch.Tensor]:
        """Weights of the ordinary `CLIPTextModel`, without the maps that made the names."""
        state = {
            key.replace("token_embedding.table.", "token_embedding."): value
            for key, value in self.model.state_dict().items()
        }
        return {key: value for key, value in state.items() if "_map." not in key}


def conv(channels_in: int, channels_out: int, stride: int = 1) -> nn.Sequential:
    """3 x 3 convolution, group norm, SiLU."""
    return nn.Sequential(nn.Conv2d(channels_in, channels_out, 3, stride, 1), nn.GroupNorm(8, channels_out), nn.SiLU())


class Teacher(nn.Module):
    """A conv net on latents, which sees shape within minutes where a small transformer on pixels stays blind."""

    FEATURES = 256

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv(4, 64), conv(64, 64), conv(64, 128, 2), conv(128, 128), conv(128, 192, 2), conv(192, 192)
        )
        self.neck = nn.Sequential(nn.Flatten(), nn.Linear(192 * 16, self.FEATURES), nn.SiLU())
        self.heads = nn.ModuleDict({key: nn.Linear(self.FEATURES, len(answers)) for key, answers in ATTRIBUTES.items()})
        self.thing = nn.Linear(self.FEATURES, name_size())
        self.style = nn.Linear(self.FEATURES, len(Style._fields))
        self.project = nn.Linear(self.FEATURES, PROJECTION, bias=False)

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        """(n, 4, 16, 16) -> (n, 256)."""
        return self.neck(self.body(latents))


class Alignment(nn.Module):
    """The text side of the shared space, its temperature, and what the text must be able to tell."""

    def __init__(self) -> None:
        super().__init__()
        self.project = nn.Linear(WIDTH, PROJECTION, bias=False)
        self.logit_scale = nn.Parameter(torch.tensor(2.6))
        self.points = nn.Linear(WIDTH, name_size() + len(Style._fields))
        self.heads = nn.ModuleDict({key: nn.Linear(WIDTH, len(answers)) for key, answers in ATTRIBUTES.items()})


def contrast(left: torch.Tensor, right: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """Symmetric contrastive loss of two (n, d) batches that belong together row by row."""
    logits = scale * F.normalize(left, dim=-1) @ F.normalize(right, dim=-1).T
    target = torch.arange(len(left), device=left.device)
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


def train_text_tower(
    data: Dataset, z: torch.Tensor, encoder: CaptionEncoder, work: Path, minutes: float, device: torch.device, seed: int
) -> None:
    """Writes text.pt: text tower, teacher and alignment, trained together; frozen from then on.

    The tower has to separate kinds before the denoiser trains, and must not move while it trains.
    """
    torch.manual_seed(seed)
    text, teacher, alignment = TextTower(encoder).to(device), Teacher().to(device), Alignment().to(device)
    teacher.to(memory_format=torch.channels_last)
    batch = 128 if device.type == "cpu" else 1024
    modules = {"text": text, "teacher": teacher, "alignment": alignment}
    stage = Stage("text", work, minutes, device, modules, 1.2e-3, seed, weight_decay=0.02, average_decay=0.98)
    text.embedding.noise = NAME_NOISE
    arrays, z = DeviceSet(data, device), z.to(device)
    n = data.training_count

    def read(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        things, styles = arrays.names[rows].float(), arrays.styles[rows].float()
        return torch.cat([things, styles], 1), things, styles

    def losses() -> Losses:
        rows = arrays.rows(stage.rng, batch)
        ids = up_to_the_end(pick_captions(arrays.captions, rows, stage.rng), text.end)
        target, things, styles = read(rows)
        labels = arrays.labels[rows]
        x = z[rows].float()
        x = x + 0.1 * torch.randn_like(x) * torch.rand(batch, 1, 1, 1, device=device)
        with reduced_precision(device):
            features = teacher(x.to(memory_format=torch.channels_last))
            pooled = text.pooled(ids, things, styles)
        features, pooled = F.dropout(features.float(), 0.1), pooled.float()
        match = contrast(
            alignment.project(pooled), teacher.project(features), alignment.logit_scale.exp().clamp(max=60)
        )
        seen = sum(F.cross_entropy(teacher.heads[key](features), labels[:, i]) for i, key in enumerate(ATTRIBUTES))
        told = sum(F.cross_entropy(alignment.heads[key](pooled), labels[:, i]) for i, key in enumerate(ATTRIBUTES))
        seen_points = F.mse_loss(torch.cat([teacher.thing(features), teacher.style(features)], 1), target)
        told_points = F.mse_loss(alignment.points(pooled), target)
        loss = match + 0.5 * seen + seen_points + 0.3 * told + 3 * told_points
        return {"loss": loss, "match": match, "seen": seen, "told": told, "points": told_points}

    def measure(step: int) -> None:
        text.embedding.noise = 0.0
        rows = torch.arange(n, n + 512, device=device)
        _, things, styles = read(rows)
        with torch.no_grad():
            features = teacher(z[rows].float())
            seen = [
                float((teacher.heads[key](features).argmax(1) == arrays.labels[rows, i]).float().mean())
                for i, key in enumerate(ATTRIBUTES)
            ]
            pooled = text.pooled(arrays.captions[rows, 0].long(), things, styles)
            similarity = (
                F.normalize(alignment.project(pooled), dim=-1) @ F.normalize(teacher.project(features), dim=-1).T
            )
        recall = (similarity.argmax(1).cpu() == torch.arange(512)).float().mean()
        words = " ".join(f"{key} {value:.3f}" for key, value in zip(ATTRIBUTES, seen, strict=True))
        print(
            f"text: step {step} teacher {words}; recall@1 of 512 {recall:.3f};"
            f" kinds' cosine {kind_cosine(text, encoder):.3f}",
            flush=True,
        )
        text.embedding.noise = NAME_NOISE

    stage.run(losses, batch, after_step=text.embedding.renormalise, milestone=measure, milestone_minutes=1.5)


@torch.no_grad()
def kind_cosine(text: TextTower, encoder: CaptionEncoder) -> float:
    """Mean cosine between the pooled states of `a photo of a KIND`: low means that shapes are told apart."""
    device = text.embedding.weight.device
    ids = torch.from_numpy(np.stack([encoder(f"a photo of a {kind}") for kind in ATTRIBUTES["kind"]])).to(device)
    states = F.normalize(text.pooled(ids), dim=-1)
    cosine = states @ states.T
    count = len(ids)
    return float((cosine.sum() - cosine.trace()) / (count * (count - 1)))


def load_text_tower(work: Path, encoder: CaptionEncoder) -> TextTower:
    """The trained tower, frozen, in eval mode, without noise on its names."""
    tower = TextTower(encoder)
    tower.load_state_dict(load_average(work, "text", "text"))
    return tower.eval().requires_grad_(False)
