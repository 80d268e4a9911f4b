"""The autoencoder between 64 px pictures and 4 x 16 x 16 latents: model, training, encoding of the whole set."""

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL

from tools.embedded_base.dataset import Dataset, DeviceSet
from tools.embedded_base.stage import Losses, Stage, load_average, reduced_precision, save_atomically

CROP = 32
"""Training crops: the model is convolutional, and a crop costs a quarter of a picture."""
FACTOR_FILE = "scaling_factor.txt"
"""In the work folder: the factor that a denoiser carried from elsewhere was trained with."""


def build_autoencoder(scaling_factor: float = 1.0) -> AutoencoderKL:
    """1.2 million parameters, no attention."""
    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(32, 64, 96),
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=8,
        sample_size=64,
        mid_block_add_attention=False,
        scaling_factor=scaling_factor,
        force_upcast=False,
    )


def to_tensor(pictures: np.ndarray) -> torch.Tensor:
    """(n, h, w, 3) uint8 -> (n, 3, h, w) float32 in -1..1."""
    return torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1


def to_pictures(tensor: torch.Tensor) -> np.ndarray:
    """(n, 3, h, w) in -1..1 -> (n, h, w, 3) uint8."""
    return ((tensor.float().clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()


def _edges(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return x[..., 1:] - x[..., :-1], x[..., 1:, :] - x[..., :-1, :]


def _reconstruction(output: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean squared error, and the whole loss with terms that keep edges sharp."""
    mse = (output - target).square().mean()
    sharp = sum((a - b).square().mean() for a, b in zip(_edges(output), _edges(target), strict=True))
    return mse, mse + 0.3 * (output - target).abs().mean() + 0.3 * sharp


def train_autoencoder(data: Dataset, work: Path, minutes: float, device: torch.device, seed: int) -> None:
    """Writes vae.pt."""
    torch.manual_seed(seed)
    model = build_autoencoder().to(device, memory_format=torch.channels_last)
    batch = 8 if device.type == "cpu" else 512
    stage = Stage(
        "vae", work, minutes, device, {"vae": model}, 1.5e-3, seed, weight_decay=1e-4, floor=0.03, average_decay=0.99
    )

    arrays = DeviceSet(data, device)

    def losses() -> Losses:
        rows = arrays.rows(stage.rng, batch)
        top, left = stage.rng.integers(0, (64 - CROP) // 4 + 1, 2) * 4
        x = arrays.pictures_at(rows)[..., top : top + CROP, left : left + CROP]
        x = x.contiguous(memory_format=torch.channels_last)
        with reduced_precision(device):
            posterior = model.encode(x).latent_dist
            output = model.decode(posterior.sample()).sample
        mean, logvar = posterior.mean.float(), posterior.logvar.float()
        kl = 0.5 * (mean.square() + logvar.exp() - 1 - logvar).mean()
        mse, reconstruction = _reconstruction(output.float(), x)
        return {"loss": reconstruction + 2e-4 * kl, "mse": mse, "kl": kl}

    def measure(step: int) -> None:
        x = to_tensor(data.pictures[-128:]).to(device)
        with torch.no_grad():
            output = model.decode(model.encode(x).latent_dist.mode()).sample.clamp(-1, 1)
        mse = ((output - x) / 2).square().mean((1, 2, 3))
        print(f"vae: step {step} validation PSNR {(-10 * mse.log10()).mean():.2f} dB", flush=True)

    stage.run(losses, batch, milestone=measure, milestone_minutes=3)


def load_autoencoder(work: Path) -> AutoencoderKL:
    """The trained autoencoder in eval mode, float32, on the CPU."""
    model = build_autoencoder()
    model.load_state_dict(load_average(work, "vae", "vae"))
    return model.eval().requires_grad_(False)


def _encode(folder: str, work: str, first: int, count: int, device: str) -> torch.Tensor:
    """(count, 4, 16, 16) float16, not yet scaled."""
    if device == "cpu":
        torch.set_num_threads(1)
    model = load_autoencoder(Path(work)).to(device, memory_format=torch.channels_last)
    pictures = np.load(Path(folder) / "pictures.npy", mmap_mode="r")
    parts = []
    with torch.no_grad(), reduced_precision(torch.device(device)):
        step = 64 if device == "cpu" else 1024
        for start in range(first, first + count, step):
            x = to_tensor(pictures[start : min(start + step, first + count)]).to(
                device, memory_format=torch.channels_last
            )
            parts.append(model.encode(x).latent_dist.mode().half().cpu())
    return torch.cat(parts)


def latents(data: Dataset, work: Path, device: torch.device) -> tuple[torch.Tensor, float]:
    """All pictures as (n, 4, 16, 16) float16 latents, and their scaling factor; cached.

    Their standard deviation is 1, or near it where the factor was carried from elsewhere.
    """
    path = work / "latents.pt"
    if not path.exists():
        workers = (os.cpu_count() or 1) if device.type == "cpu" else 1
        chunk = 2000 if device.type == "cpu" else len(data)
        with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
            jobs = [
                pool.submit(_encode, str(data.folder), str(work), first, min(chunk, len(data) - first), device.type)
                for first in range(0, len(data), chunk)
            ]
            z = torch.cat([job.result() for job in jobs])
        carried = work / FACTOR_FILE
        factor = float(carried.read_text()) if carried.exists() else round(float(1 / z[:4000].float().std()), 5)
        save_atomically({"latents": (z.float() * factor).half(), "factor": factor}, path)
        print(f"latents: {len(z)} pictures encoded, scaling factor {factor}", flush=True)
    state = torch.load(path)
    return state["latents"], state["factor"]
