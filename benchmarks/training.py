"""The inversion engine against diffusers' example script, on the same weights, pictures, resolution and batch.

Every number comes from a process of its own, so that peak memory is that of one side. Columns: seconds a step (median
after warming up), peak memory (of the GPU, or resident on a CPU), bytes of a checkpoint.

floor      one forward and backward pass of the denoiser alone, to its text input: no trainer can be faster
tireg      this engine, recipe classic, no stopping rule
diffusers  examples/textual_inversion/textual_inversion.py, path in --peer, with --mixed_precision and --allow_tf32
words      N words in one pass against N runs of one, at the first --batch

On a CPU that does other things, too, `--clock cpu --threads 1` counts the CPU seconds of one thread.

Examples:
  python benchmarks/training.py --peer textual_inversion.py --pictures photos --batch 8
  python benchmarks/training.py --base sd15 --resolution 256 --steps 4 --batch 1 --words 4
  python benchmarks/training.py --base sd15 --resolution 512 --batch 1 4 16 --words 16 --peer textual_inversion.py
  python benchmarks/training.py --base sdxl --resolution 1024 --batch 1 4 --peer textual_inversion.py
`--base sd15` and `--base sdxl` are those architectures with random weights. With --narrow they have all their layers,
but hardly any arithmetic in them: what is measured then is the time that Python takes to start them, for which a fast
GPU waits at a small batch. The peer script is for SD1 and SD2; with `--base sdxl` give textual_inversion_sdxl.py.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]
WARM = 2


def main() -> None:
    arguments = _arguments()
    if arguments.clock == "cpu":
        global _clock
        _clock = time.process_time
    if arguments.part:
        print(json.dumps(_PARTS[arguments.part](arguments)))
        return
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["TIREG_HOME"] = f"{scratch}/home"
        _prepare(arguments, Path(scratch))
        _compare(arguments)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", default="", help="diffusers folder, sd15 or sdxl (default: the embedded base model)")
    parser.add_argument(
        "--keep", default="", help="folder for the prepared base model, to be used again by a later call"
    )
    parser.add_argument("--narrow", action="store_true", help="sd15 and sdxl with a few channels in each layer")
    parser.add_argument("--pictures", default=str(ROOT / "tests/data/concepts/objects/guitar"))
    parser.add_argument("--resolution", type=int, default=0, help="default: the base model's own")
    parser.add_argument("--batch", type=int, nargs="*", default=[8])
    parser.add_argument("--words", type=int, nargs="*", default=[4], help="in one pass, at the first batch; 0: none")
    parser.add_argument("--steps", type=int, default=10, help=f"steps that count, after {WARM} that do not")
    parser.add_argument("--peer", default="", help="path of diffusers' textual_inversion.py; without it, no peer")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--gradient-checkpointing", action="store_true", help="on both sides")
    parser.add_argument("--compile", action="store_true", help="on our side")
    parser.add_argument("--spare-memory", action="store_true", help="on our side")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads of every side; 0: torch's own number")
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall", help="cpu: for a CPU that is busy")
    parser.add_argument("--part", choices=tuple(_PARTS), help=argparse.SUPPRESS)
    parser.add_argument("--count", type=int, default=1, help=argparse.SUPPRESS)
    return parser.parse_args()


def _prepare(arguments: argparse.Namespace, scratch: Path) -> None:
    """Bring the base model into a folder in fp32: the peer trains in the type the files are stored in."""
    from tiregistry.bases.families import family_of_folder, resolution_of_folder
    from tiregistry.bases.locating import embedded_folder

    name = (arguments.base or "embedded") + "-narrow" * arguments.narrow
    folder = Path(arguments.keep) / name if arguments.keep else scratch / "base"
    if arguments.keep and (folder / "model_index.json").exists():
        pass
    elif arguments.base in ("sd15", "sdxl"):
        code = (
            f"import sys; sys.path[:0] = [{str(ROOT)!r}]\n"
            "from pathlib import Path\nfrom benchmarks.random_models import random_base\n"
            f"random_base(Path({str(folder)!r}), {arguments.base!r}, narrow={arguments.narrow})"
        )
        # In a process of its own, which gives the memory back.
        subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, stderr=subprocess.DEVNULL)
    else:
        _copy_in_fp32(Path(arguments.base) if arguments.base else embedded_folder(), folder)
    arguments.title = name
    arguments.base = str(folder)
    arguments.resolution = arguments.resolution or resolution_of_folder(folder, family_of_folder(folder))


def _copy_in_fp32(source: Path, target: Path) -> None:
    import shutil

    from safetensors.torch import load_file, save_file

    shutil.copytree(source, target)
    for file in target.glob("*/*.safetensors"):
        os.chmod(file, 0o644)
        save_file({name: tensor.float() for name, tensor in load_file(file).items()}, file, metadata={"format": "pt"})
    for config in target.glob("*/config.json"):
        data = json.loads(config.read_text(encoding="utf-8"))
        for key in {"dtype", "torch_dtype"} & set(data):
            data[key] = "float32"
        os.chmod(config, 0o644)
        config.write_text(json.dumps(data), encoding="utf-8")


def _compare(arguments: argparse.Namespace) -> None:
    print(f"{arguments.title} at {arguments.resolution} px on {_device_line(arguments)}, {time.strftime('%Y-%m-%d')}")
    print(f"{'batch':>5}  {'':10} {'s/step':>9} {'peak MiB':>9} {'checkpoint':>11}")
    for batch in arguments.batch:
        rows = {}
        for name in ("floor", "tireg") + (("diffusers",) if arguments.peer else ()):
            row = rows[name] = _measure(arguments, name, batch)
            size = f"{row['checkpoint']:,}" if row.get("checkpoint") else ""
            print(f"{batch:>5}  {name:10} {row['seconds']:>9.4f} {row['peak'] / 2**20:>9.0f} {size:>11}", flush=True)
        ours = rows["tireg"]
        line = f"       tireg is {ours['seconds'] / rows['floor']['seconds']:.2f} x the floor"
        if arguments.peer:
            peer = rows["diffusers"]
            line += f", {peer['seconds'] / ours['seconds']:.2f} x as fast as diffusers"
            line += f", with {ours['peak'] / peer['peak']:.0%} of its memory"
        print(line)
        for count in filter(None, arguments.words if batch == arguments.batch[0] else ()):
            together = _measure(arguments, "tireg", batch, count)
            gain = count * ours["seconds"] / together["seconds"]
            print(
                f"       {count} words in one pass: {together['seconds']:.4f} s a step, {together['peak'] / 2**20:.0f} "
                f"MiB: {gain:.2f} x the throughput of {count} runs",
                flush=True,
            )


def _measure(arguments: argparse.Namespace, part: str, batch: int, count: int = 1) -> dict[str, float]:
    command = [sys.executable, "-W", "ignore", __file__, "--part", part, "--count", str(count)]
    command += ["--base", arguments.base, "--pictures", arguments.pictures, "--resolution", str(arguments.resolution)]
    command += ["--batch", str(batch), "--steps", str(arguments.steps), "--device", arguments.device]
    command += ["--precision", arguments.precision, "--peer", arguments.peer]
    command += ["--gradient-checkpointing"] * arguments.gradient_checkpointing + ["--compile"] * arguments.compile
    command += ["--spare-memory"] * arguments.spare_memory
    command += ["--clock", arguments.clock]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=_environment(arguments))
    if done.returncode:
        sys.exit(f"{part} failed:\n{done.stderr[-3000:]}")
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def _environment(arguments: argparse.Namespace) -> dict[str, str]:
    """The same number of CPU threads on every side, whatever else the machine does."""
    import torch

    return (
        {"OMP_NUM_THREADS": str(torch.get_num_threads())}
        | os.environ
        | ({"OMP_NUM_THREADS": str(arguments.threads)} if arguments.threads else {})
    )


def _device_line(arguments: argparse.Namespace) -> str:
    code = (
        f"import sys; sys.path[:0] = [{str(ROOT)!r}]\nimport torch\n"
        "from tiregistry.bases.devices import choose_device, choose_dtype\n"
        f"d = choose_device({arguments.device!r}); t = choose_dtype({arguments.precision!r}, d)\n"
        "name = torch.cuda.get_device_name(d) if d.type == 'cuda' else f'{torch.get_num_threads()} threads'\n"
        "print(f'{d} ({name}), {str(t)[6:]}, torch {torch.__version__}')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=_environment(arguments)
    )
    machine = f", {platform.machine()}, {os.cpu_count()} cores" if "cuda" not in done.stdout else ""
    return done.stdout.strip() + machine


# -- parts, each in a process of its own -----------------------------------------------------------------------------


def _peak(device: Any) -> int:
    if device.type == "cuda":
        import torch

        return int(torch.cuda.max_memory_allocated(device))
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _median(times: list[float]) -> float:
    return statistics.median(b - a for a, b in zip(times[WARM:], times[WARM + 1 :], strict=False))


_clock = time.perf_counter


def _now(device: Any) -> float:
    if device.type == "cuda":
        import torch

        torch.cuda.synchronize()
    return _clock()


def _load(arguments: argparse.Namespace) -> Any:
    from tiregistry.bases.loading import load_base

    return load_base(arguments.base, device=arguments.device, precision=arguments.precision)


def _floor(arguments: argparse.Namespace) -> dict[str, float]:
    import torch

    base = _load(arguments)
    base.vae.to("cpu")
    batch, side = arguments.batch[0], arguments.resolution // base.vae_factor
    if base.device.type == "cuda":
        base.denoiser.to(memory_format=torch.channels_last)
        torch.cuda.reset_peak_memory_stats()
    if arguments.gradient_checkpointing:
        base.denoiser.enable_gradient_checkpointing()
    width = int(base.denoiser.config.cross_attention_dim)
    states = torch.randn(batch, base.towers[0].window, width, device=base.device, dtype=base.dtype)
    latents = torch.randn(batch, 4, side, side, device=base.device, dtype=base.dtype)
    timesteps = torch.randint(1000, (batch,), device=base.device)
    added = None
    if base.family == "sdxl":
        config = base.denoiser.config
        pooled = config.projection_class_embeddings_input_dim - 6 * config.addition_time_embed_dim
        added = {
            "text_embeds": torch.randn(batch, pooled, device=base.device, dtype=base.dtype),
            "time_ids": torch.ones(batch, 6, device=base.device, dtype=base.dtype),
        }
    times = [_now(base.device)]
    for _ in range(WARM + arguments.steps):
        told = states.clone().requires_grad_(True)
        out = base.denoiser(latents, timesteps, told, added_cond_kwargs=added).sample
        torch.autograd.backward(out.float().square().mean())
        times.append(_now(base.device))
    return {"seconds": _median(times), "peak": _peak(base.device)}


def _tireg(arguments: argparse.Namespace) -> dict[str, float]:
    import torch

    from tiregistry.images import read_pictures
    from tiregistry.registry.registry import Registry
    from tiregistry.training.config import TrainingConfig
    from tiregistry.training.events import CheckpointSaved, Started, StepDone
    from tiregistry.training.run import TrainingRequest, train_many

    pictures, _ = read_pictures([Path(arguments.pictures)])
    steps = WARM + arguments.steps
    requests = [
        TrainingRequest(
            f"word{number}",
            pictures,
            TrainingConfig(
                recipe="classic",
                initializer="object",
                max_steps=steps,
                batch_size=arguments.batch[0],
                resolution=arguments.resolution,
                stopping="none",
                checkpoint_every=0,
                seed=number,
                precision=arguments.precision,
                gradient_checkpointing=arguments.gradient_checkpointing,
                compile=arguments.compile,
                spare_memory=arguments.spare_memory,
            ),
            base=arguments.base,
            device=arguments.device,
        )
        for number in range(arguments.count)
    ]
    device = torch.device("cuda" if torch.cuda.is_available() and arguments.device != "cpu" else "cpu")
    times: list[float] = []
    size = 0
    with tempfile.TemporaryDirectory() as home, Registry.open(Path(home)) as registry:
        for event in train_many(registry, requests):
            if (isinstance(event, Started) and not times) or (isinstance(event, StepDone) and event.step == len(times)):
                times.append(_now(device))
            elif isinstance(event, CheckpointSaved):
                size = event.path.stat().st_size
    return {"seconds": _median(times), "peak": _peak(device), "checkpoint": size}


def _diffusers(arguments: argparse.Namespace) -> dict[str, float]:
    """Run the script in this process, noting the time of every optimiser step."""
    import runpy

    import torch

    from tiregistry.bases.devices import choose_device, choose_dtype

    device = choose_device(arguments.device)
    _provide_torchvision()
    times: list[float] = [_now(device)]
    step = torch.optim.AdamW.step

    def timed(self: Any, *rest: Any, **options: Any) -> Any:
        result = step(self, *rest, **options)
        times.append(_now(device))
        return result

    torch.optim.AdamW.step = timed
    steps = WARM + arguments.steps
    precision = {"bfloat16": "bf16", "float16": "fp16"}.get(str(choose_dtype(arguments.precision, device))[6:], "no")
    with tempfile.TemporaryDirectory() as scratch:
        pictures = Path(scratch) / "pictures"
        pictures.mkdir()
        for file in Path(arguments.pictures).iterdir():
            if file.suffix.lower() in (".png", ".jpg", ".jpeg"):
                (pictures / file.name).write_bytes(file.read_bytes())
        options = {
            "pretrained_model_name_or_path": arguments.base,
            "train_data_dir": str(pictures),
            "placeholder_token": "<word>",
            "initializer_token": _single_token(arguments.base),
            "resolution": arguments.resolution,
            "train_batch_size": arguments.batch[0],
            "max_train_steps": steps,
            "learning_rate": 5e-3,
            "mixed_precision": precision,
            "output_dir": f"{scratch}/out",
            "checkpointing_steps": steps,
            "save_steps": 10**6,
            "report_to": "tensorboard",
            "seed": 0,
            "repeats": 10**4,
        }
        sys.argv = [arguments.peer, *(f"--{key}={value}" for key, value in options.items())]
        sys.argv += ["--allow_tf32"] if device.type == "cuda" else []
        sys.argv += ["--gradient_checkpointing"] if arguments.gradient_checkpointing else []
        sys.argv += ["--scale_lr"] if "scale_lr" in Path(arguments.peer).read_text(encoding="utf-8") else []
        _without_tracker()
        runpy.run_path(arguments.peer, run_name="__main__")
        folder = Path(scratch) / "out" / f"checkpoint-{steps}"
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return {"seconds": _median(times), "peak": _peak(device), "checkpoint": size}


def _single_token(base: str) -> str:
    """A word that is one token of the base model, as the script demands."""
    from transformers import CLIPTokenizer

    tokenizer = CLIPTokenizer.from_pretrained(base, subfolder="tokenizer")
    return next(word for word in ("object", "toy", "thing", "cat", "a") if len(tokenizer(word).input_ids) == 3)


def _provide_torchvision() -> None:
    """The scripts need torchvision for a random flip and a random crop; where it is missing, give them these."""
    import importlib.machinery
    import importlib.util
    import random
    import types

    if importlib.util.find_spec("torchvision") is not None:
        return
    # They look for it when they are imported, and must not find this one.
    import diffusers  # noqa: F401
    import transformers  # noqa: F401
    from PIL import Image, ImageOps

    class RandomHorizontalFlip:
        def __init__(self, p: float = 0.5) -> None:
            self.p = p

        def __call__(self, image: Image.Image) -> Image.Image:
            return ImageOps.mirror(image) if random.random() < self.p else image

    class RandomCrop:
        def __init__(self, size: int) -> None:
            self.size = size

        @staticmethod
        def get_params(image: Image.Image, size: tuple[int, int]) -> tuple[int, int, int, int]:
            top, left = random.randint(0, image.height - size[0]), random.randint(0, image.width - size[1])
            return top, left, *size

    def crop(image: Image.Image, top: int, left: int, height: int, width: int) -> Image.Image:
        return image.crop((left, top, left + width, top + height))

    module = types.ModuleType("torchvision")
    transforms = types.ModuleType("torchvision.transforms")
    for each in (module, transforms):
        each.__spec__ = importlib.machinery.ModuleSpec(each.__name__, None)
    transforms.RandomHorizontalFlip = RandomHorizontalFlip  # type: ignore[attr-defined]
    transforms.RandomCrop = RandomCrop  # type: ignore[attr-defined]
    transforms.functional = types.SimpleNamespace(crop=crop)  # type: ignore[attr-defined]
    module.transforms = transforms  # type: ignore[attr-defined]
    sys.modules |= {"torchvision": module, "torchvision.transforms": transforms}


def _without_tracker() -> None:
    """Logging to TensorBoard is no part of what is measured, and need not be installed."""
    import accelerate

    accelerate.Accelerator.init_trackers = lambda self, *_, **__: None
    accelerate.accelerator.filter_trackers = lambda *_, **__: []


_PARTS = {"floor": _floor, "tireg": _tireg, "diffusers": _diffusers}

if __name__ == "__main__":
    main()
