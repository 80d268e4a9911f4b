"""The vision tower paired with the text tower: a small CLIP transformer on pixels, taught by a conv net on latents."""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from tools.embedded_base.caption_ids import pick_captions, up_to_the_end
from tools.embedded_base.dataset import Dataset, DeviceSet
from tools.embedded_base.stage import Losses, Stage, load_average, reduced_precision
from tools.embedded_base.towers import PROJECTION, WIDTH, Alignment, Teacher, TextTower, contrast


def build_vision_model() -> CLIPVisionModelWithProjection:
    """Patches of 8 pixels, four layers of width 192, pictures scaled to -1..1."""
    config = CLIPVisionConfig(
        hidden_size=WIDTH,
        intermediate_size=512,
        projection_dim=PROJECTION,
        num_hidden_layers=4,
        num_attention_heads=4,
        image_size=64,
        patch_size=8,
        hidden_act="quick_gelu",
    )
    return CLIPVisionModelWithProjection(config)


def load_teacher(work: Path) -> tuple[Teacher, Alignment]:
    """The conv net and the text side of the shared space, frozen."""
    teacher, alignment = Teacher(), Alignment()
    teacher.load_state_dict(load_average(work, "text", "teacher"))
    alignment.load_state_dict(load_average(work, "text", "alignment"))
    return teacher.eval().requires_grad_(False), alignment.eval().requires_grad_(False)


@torch.no_grad()
def _teacher_outputs(teacher: Teacher, z: torch.Tensor, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Features (n, 256) and projections (n, 128) of every picture, float16 on the device."""
    features, projections = [], []
    for first in range(0, len(z), 512):
        with reduced_precision(device):
            f = teacher(z[first : first + 512].float().to(device, memory_format=torch.channels_last))
        features.append(f.half())
        projections.append(F.normalize(teacher.project(f.float()), dim=-1).half())
    return torch.cat(features), torch.cat(projections)


def train_vision(
    data: Dataset, z: torch.Tensor, text: TextTower, work: Path, minutes: float, device: torch.device, seed: int
) -> None:
    """Writes vision.pt: the projection follows the teacher's picture by picture and fits the frozen text tower."""
    torch.manual_seed(seed)
    teacher, alignment = (module.to(device) for module in load_teacher(work))
    text = text.to(device)
    features, projections = _teacher_outputs(teacher, z, device)
    model, mimic = build_vision_model().to(device), nn.Linear(PROJECTION, Teacher.FEATURES).to(device)
    batch = 128 if device.type == "cpu" else 1024
    stage = Stage(
        "vision",
        work,
        minutes,
        device,
        {"vision": model, "mimic": mimic},
        1.2e-3,
        seed,
        weight_decay=0.02,
        warm_up=100,
        average_decay=0.98,
    )
    arrays = DeviceSet(data, device)
    scale = alignment.logit_scale.exp().clamp(max=60)

    def losses() -> Losses:
        rows = arrays.rows(stage.rng, batch)
        x = arrays.pictures_at(rows)
        x = x + 0.08 * torch.randn_like(x) * torch.rand(batch, 1, 1, 1, device=device)
        ids = up_to_the_end(pick_captions(arrays.captions, rows, stage.rng), text.end)
        things, styles = arrays.names[rows].float(), arrays.styles[rows].float()
        with reduced_precision(device):
            embedded = model(pixel_values=x).image_embeds
            with torch.no_grad():
                told = text.pooled(ids, things, styles)
        embedded = embedded.float()
        direction = F.normalize(embedded, dim=-1)
        follow = 1 - (direction * projections[rows].float()).sum(-1).mean()
        copy = F.mse_loss(mimic(embedded), features[rows].float())
        match = contrast(alignment.project(told.float()), embedded, scale)
        return {"loss": 4 * follow + copy + 0.3 * match, "follow": follow, "copy": copy, "match": match}

    def measure(step: int) -> None:
        rows = torch.arange(data.training_count, data.training_count + 512, device=device)
        with torch.no_grad():
            direction = F.normalize(model(pixel_values=arrays.pictures_at(rows)).image_embeds, dim=-1)
        taught = projections[rows].float()
        nearest = (direction @ taught.T).argmax(1) == torch.arange(512, device=device)
        print(
            f"vision: step {step} cosine to teacher {(direction * taught).sum(-1).mean():.3f},"
            f" finds its picture {nearest.float().mean():.3f}",
            flush=True,
        )

    stage.run(losses, batch, milestone=measure, milestone_minutes=1.5)


def load_vision(work: Path) -> CLIPVisionModelWithProjection:
    """The trained tower in eval mode."""
    model = build_vision_model()
    model.load_state_dict(load_average(work, "vision", "vision"))
    return model.eval().requires_grad_(False)
