"""Builds the embedded base model stage by stage: `python -m tools.embedded_base.train --stage vae --work DIR`."""

import argparse
import os
from pathlib import Path

import torch

STAGES = ("render", "tokenizer", "vae", "text", "unet", "vision", "judge", "export")
MINUTES = {"vae": 17.0, "text": 9.0, "unet": 60.0, "vision": 7.0, "judge": 4.0}
"""Default training time by stage, meant for two CPU cores."""


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stage", choices=STAGES, required=True)
    parser.add_argument(
        "--work", type=Path, required=True, help="folder for pictures and checkpoints, outside the repository"
    )
    parser.add_argument("--minutes", type=float, help="training time of this stage in all, earlier starts included")
    parser.add_argument("--device", help="cuda or cpu; by default cuda when there is one")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=56_000, help="render: number of pictures")
    parser.add_argument("--compile", action="store_true", help="unet: torch.compile also on the CPU")
    parser.add_argument("--milestone-minutes", type=float, default=8.0, help="unet: time between sample grids")
    parser.add_argument("--target", type=Path, help="export (and after each unet grid): the model folder to write")
    return parser.parse_args()


def run_stage(arguments: argparse.Namespace) -> None:
    """Imports what the stage needs and runs it; later stages load what earlier ones left in the work folder."""
    from tools.embedded_base import (
        autoencoder,
        caption_ids,
        dataset,
        denoiser,
        judge,
        milestones,
        tokenizer,
        towers,
        vision,
    )
    from tools.embedded_base.export import export
    from tools.embedded_base.stage import pick_device

    stage, seed, work = arguments.stage, arguments.seed, arguments.work
    device = pick_device(arguments.device)
    minutes = MINUTES.get(stage, 0.0) if arguments.minutes is None else arguments.minutes
    if stage == "render":
        dataset.render(work / "data", arguments.count, seed)
    elif stage == "tokenizer":
        tokenizer.build_tokenizer(work / "tokenizer")
        caption_ids.encode_captions(work / "data", work / "tokenizer")
    elif stage == "export":
        if arguments.target is None:
            raise SystemExit("--stage export needs --target FOLDER")
        export(work, arguments.target)
    elif stage == "vae":
        autoencoder.train_autoencoder(dataset.Dataset(work / "data"), work, minutes, device, seed)
    elif stage == "judge":
        judge.train_judge(dataset.Dataset(work / "data"), work, minutes, device, seed)
    else:
        data = dataset.Dataset(work / "data")
        encoder = tokenizer.CaptionEncoder(work / "tokenizer")
        z, factor = autoencoder.latents(data, work, device)
        if stage == "text":
            towers.train_text_tower(data, z, encoder, work, minutes, device, seed)
        elif stage == "vision":
            vision.train_vision(data, z, towers.load_text_tower(work, encoder), work, minutes, device, seed)
        else:
            text = towers.load_text_tower(work, encoder)
            milestone = milestones.Milestone(work, encoder, text, factor, arguments.target)
            pace = arguments.milestone_minutes
            compiled = arguments.compile or device.type == "cuda"
            denoiser.train_unet(data, z, text, encoder, work, minutes, device, seed, milestone, pace, compiled)


def main() -> None:
    arguments = parse()
    from tools.embedded_base.stage import keep_freed_memory

    keep_freed_memory()
    torch.set_num_threads(os.cpu_count() or 1)
    arguments.work.mkdir(parents=True, exist_ok=True)
    run_stage(arguments)


if __name__ == "__main__":
    main()
