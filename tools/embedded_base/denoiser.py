"""The denoising UNet: model, training with the frozen text tower, sampling."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from torch import nn

from tools.embedded_base.autoencoder import to_pictures
from tools.embedded_base.caption_ids import pick_captions
from tools.embedded_base.dataset import Dataset, DeviceSet
from tools.embedded_base.stage import Losses, Stage, load_average, reduced_precision
from tools.embedded_base.tokenizer import CaptionEncoder
from tools.embedded_base.towers import NAME_NOISE, WIDTH, TextTower

EMPTY_SHARE = 0.1
"""Captions replaced by the empty one, for guidance."""
NAMED_SHARE = 0.5
"""Captions that call the individual by its name: what makes a learned word's surroundings mean something."""
TIMESTEP_POWER = 0.75
"""Timesteps are drawn as u ** this: below 1 leans towards high noise, where layout and shape are decided."""


def build_unet() -> UNet2DConditionModel:
    """8.7 million parameters, cross-attention at 8 x 8 and 4 x 4."""
    attention = "CrossAttnDownBlock2D"
    return UNet2DConditionModel(
        sample_size=16,
        in_channels=4,
        out_channels=4,
        down_block_types=("DownBlock2D", attention, attention),
        mid_block_type="UNetMidBlock2DCrossAttn",
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        block_out_channels=(64, 128, 160),
        layers_per_block=1,
        cross_attention_dim=WIDTH,
        attention_head_dim=4,
        norm_num_groups=16,
    )


def build_scheduler() -> DDIMScheduler:
    """Stable Diffusion's noise schedule, with v-prediction and sampling from the very last step."""
    return DDIMScheduler(
        num_train_timesteps=1000,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        prediction_type="v_prediction",
        timestep_spacing="trailing",
    )


def train_unet(
    data: Dataset,
    z: torch.Tensor,
    text: TextTower,
    encoder: CaptionEncoder,
    work: Path,
    minutes: float,
    device: torch.device,
    seed: int,
    milestone: Callable[[UNet2DConditionModel, int], None] | None = None,
    milestone_minutes: float = 8.0,
    compiled: bool = False,
) -> None:
    """Writes unet.pt. `milestone` is called with the averaged weights every few minutes."""
    torch.manual_seed(seed)
    text = text.to(device)
    text.embedding.noise = NAME_NOISE
    unet = build_unet().to(device, memory_format=torch.channels_last)
    batch = 32 if device.type == "cpu" else 512
    rate, decay = (1.3e-3, 0.992) if device.type == "cpu" else (1.6e-3, 0.996)
    stage = Stage("unet", work, minutes, device, {"unet": unet}, rate, seed, warm_up=100, hold=0.1, average_decay=decay)
    forward: nn.Module = torch.compile(unet, dynamic=False) if compiled else unet
    arrays, z = DeviceSet(data, device), z.to(device)
    empty = torch.from_numpy(encoder("")).to(device)
    alphas = build_scheduler().alphas_cumprod.to(device)

    def losses() -> Losses:
        rows = arrays.rows(stage.rng, batch)
        chosen = pick_captions(arrays.captions, rows, stage.rng, NAMED_SHARE)
        emptied = torch.from_numpy(stage.rng.random(batch) < EMPTY_SHARE).to(device)
        chosen = torch.where(emptied[:, None], empty, chosen)
        things, styles = arrays.names[rows].float(), arrays.styles[rows].float()
        x = z[rows].float()
        noise = torch.randn_like(x)
        t = (1000 * torch.rand(batch, device=device) ** TIMESTEP_POWER).long().clamp(max=999)
        alpha = alphas[t].view(-1, 1, 1, 1)
        noisy = (alpha.sqrt() * x + (1 - alpha).sqrt() * noise).to(memory_format=torch.channels_last)
        velocity = alpha.sqrt() * noise - (1 - alpha).sqrt() * x
        with reduced_precision(device):
            with torch.no_grad():
                states = text(chosen, things, styles)
            prediction = forward(noisy, t, states).sample
        return {"loss": (prediction.float() - velocity).square().mean()}

    def show(step: int) -> None:
        text.embedding.noise = 0.0
        if milestone:
            milestone(unet, step)
        text.embedding.noise = NAME_NOISE

    stage.run(losses, batch, milestone=show, milestone_minutes=milestone_minutes, compiled=compiled)


def load_unet(work: Path) -> UNet2DConditionModel:
    """The averaged weights in eval mode."""
    unet = build_unet()
    unet.load_state_dict(load_average(work, "unet", "unet"))
    return unet.eval().requires_grad_(False).to(memory_format=torch.channels_last)


@torch.no_grad()
def sample_pictures(
    unet: UNet2DConditionModel,
    autoencoder: AutoencoderKL,
    factor: float,
    states: torch.Tensor,
    empty_states: torch.Tensor,
    *,
    guidance: float = 3.5,
    steps: int = 20,
    seed: int = 0,
) -> np.ndarray:
    """(n, 64, 64, 3) uint8 from text states (n, 32, 192) and those of the empty caption (1, 32, 192)."""
    device = states.device
    scheduler = build_scheduler()
    scheduler.set_timesteps(steps)
    count = len(states)
    x = torch.randn(count, 4, 16, 16, generator=torch.Generator().manual_seed(seed)).to(device)
    both = torch.cat([empty_states.expand(count, -1, -1), states])
    with reduced_precision(device):
        for t in scheduler.timesteps:
            doubled = torch.cat([x, x]).to(memory_format=torch.channels_last)
            plain, wanted = unet(doubled, t, both).sample.float().chunk(2)
            x = scheduler.step(plain + guidance * (wanted - plain), t, x).prev_sample
        return to_pictures(autoencoder.decode(x / factor).sample)
