"""Carries training from machine to machine: what the exported model lacks, in one small file that is kept in git.

    python -m tools.embedded_base.carry --pack --work DIR       # after training: write carried.safetensors
    python -m tools.embedded_base.carry --unpack --work DIR     # elsewhere: make checkpoints to go on from

The exported folder holds the averaged weights of autoencoder, denoiser and vision tower; the file adds the text tower
with the linear maps of the dense names, its teacher, the vision tower's mimic and the judge, all as fp16, and the
scaling factor of the latents, which other pictures would not give again. Optimisers start afresh: they forget within a
few hundred steps.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from tools.embedded_base.autoencoder import FACTOR_FILE
from tools.embedded_base.stage import save_atomically

CARRIED = Path(__file__).parent / "carried.safetensors"
MODEL = Path(__file__).parents[2] / "tiregistry" / "bases" / "embedded" / "model"
# Stage, module, and where the exported folder has its weights (None: only the carried file has them).
PARTS = (
    ("vae", "vae", "vae/diffusion_pytorch_model.safetensors"),
    ("text", "text", None),
    ("text", "teacher", None),
    ("text", "alignment", None),
    ("unet", "unet", "unet/diffusion_pytorch_model.safetensors"),
    ("vision", "vision", "image_encoder/model.safetensors"),
    ("vision", "mimic", None),
    ("judge", "judge", None),
)


def pack(work: Path) -> None:
    """Write `carried.safetensors` from the checkpoints in `work`."""
    tensors: dict[str, torch.Tensor] = {}
    progress: dict[str, list[float]] = {}
    for stage, module, exported in PARTS:
        state = torch.load(work / f"{stage}.pt", map_location="cpu", weights_only=False)
        progress[stage] = [state["step"], state["seconds"]]
        if exported is None:
            for name, value in state["average"][module].items():
                half = value.half() if value.is_floating_point() else value
                tensors[f"{stage}/{module}/{name}"] = half.contiguous()
    factor = torch.load(work / "latents.pt")["factor"]
    save_file(tensors, CARRIED, metadata={"progress": json.dumps(progress), "factor": str(factor)})
    print(f"{CARRIED.name}: {CARRIED.stat().st_size / 2**20:.1f} MiB")


def unpack(work: Path) -> None:
    """Write checkpoints into `work` from the carried file and the exported model; existing ones are kept."""
    if not CARRIED.exists():
        raise SystemExit(f"there is no {CARRIED}: it is in the git repository, not in the source distribution")
    work.mkdir(parents=True, exist_ok=True)
    with safe_open(CARRIED, framework="pt") as file:
        notes = file.metadata() or {}
    progress = json.loads(notes["progress"])
    (work / FACTOR_FILE).write_text(notes["factor"])
    carried = load_file(CARRIED)
    for stage in dict.fromkeys(part[0] for part in PARTS):
        modules = {}
        for _, module, exported in (part for part in PARTS if part[0] == stage):
            prefix = f"{stage}/{module}/"
            weights = (
                load_file(MODEL / exported)
                if exported
                else {name.removeprefix(prefix): value for name, value in carried.items() if name.startswith(prefix)}
            )
            modules[module] = {k: v.float() if v.is_floating_point() else v for k, v in weights.items()}
        path = work / f"{stage}.pt"
        if path.exists():
            print(f"{path.name}: kept")
            continue
        step, seconds = progress[stage]
        state = {"model": modules, "average": modules, "optimizer": None, "extra": {}, "step": step, "seconds": seconds}
        save_atomically(state, path)
        print(f"{path.name}: step {step} after {seconds:.0f} s")
    shutil.copytree(MODEL / "tokenizer", work / "tokenizer", dirs_exist_ok=True)


def main() -> None:
    """Parse the command line and pack or unpack."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--pack", action="store_true")
    what.add_argument("--unpack", action="store_true")
    arguments = parser.parse_args()
    (pack if arguments.pack else unpack)(arguments.work)


if __name__ == "__main__":
    main()
