"""An independent judge: a conv net on pixels that reads what a picture shows, trained on renders only."""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from tools.embedded_base.autoencoder import to_tensor
from tools.embedded_base.dataset import ATTRIBUTES, Dataset, DeviceSet
from tools.embedded_base.stage import Losses, Stage, load_average, reduced_precision
from tools.embedded_base.towers import conv


class Judge(nn.Module):
    """Never used in training the base. `features` are for telling individuals apart, the heads for the attributes."""

    FEATURES = 192

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.PixelUnshuffle(2),
            conv(12, 48),
            conv(48, 64, 2),
            conv(64, 96),
            conv(96, 128, 2),
            conv(128, 128),
            conv(128, 160, 2),
            conv(160, 160),
        )
        self.neck = nn.Sequential(nn.Flatten(), nn.Linear(160 * 16, self.FEATURES), nn.SiLU())
        self.heads = nn.ModuleDict({key: nn.Linear(self.FEATURES, len(answers)) for key, answers in ATTRIBUTES.items()})

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """(n, 3, 64, 64) in -1..1 -> (n, 192)."""
        return self.neck(self.body(x))

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """Logits by attribute."""
        features = self.features(x)
        return {key: head(features) for key, head in self.heads.items()}


def train_judge(data: Dataset, work: Path, minutes: float, device: torch.device, seed: int) -> None:
    """Writes judge.pt."""
    torch.manual_seed(seed + 77)
    model = Judge().to(device, memory_format=torch.channels_last)
    batch = 128 if device.type == "cpu" else 1024
    stage = Stage(
        "judge", work, minutes, device, {"judge": model}, 2e-3, seed + 77, weight_decay=0.05, average_decay=0.98
    )

    arrays = DeviceSet(data, device)

    def losses() -> Losses:
        rows = arrays.rows(stage.rng, batch)
        x = arrays.pictures_at(rows).to(memory_format=torch.channels_last)
        x = x + 0.1 * torch.randn_like(x) * torch.rand(batch, 1, 1, 1, device=device)
        labels = arrays.labels[rows]
        with reduced_precision(device):
            features = model.features(x)
        features = F.dropout(features.float(), 0.1)
        each = {key: F.cross_entropy(head(features), labels[:, i]) for i, (key, head) in enumerate(model.heads.items())}
        return {"loss": sum(each.values()), **each}

    def measure(step: int) -> None:
        rows = np.arange(data.training_count, len(data))
        read = judge_pictures(model, data.pictures[rows])
        words = " ".join(f"{key} {(read[key] == data.labels[rows, i]).mean():.3f}" for i, key in enumerate(ATTRIBUTES))
        print(f"judge: step {step} validation {words}", flush=True)

    stage.run(losses, batch, milestone=measure, milestone_minutes=1)


@torch.no_grad()
def judge_pictures(model: Judge, pictures: np.ndarray) -> dict[str, np.ndarray]:
    """Pictures (n, 64, 64, 3) uint8 -> by attribute the (n,) indices of the answers."""
    device = next(model.parameters()).device
    parts = [model(to_tensor(pictures[i : i + 128]).to(device)) for i in range(0, len(pictures), 128)]
    return {key: torch.cat([part[key].argmax(1) for part in parts]).cpu().numpy() for key in ATTRIBUTES}


def load_judge(work: Path) -> Judge:
    """The trained judge in eval mode."""
    model = Judge()
    model.load_state_dict(load_average(work, "judge", "judge"))
    return model.eval().requires_grad_(False)
