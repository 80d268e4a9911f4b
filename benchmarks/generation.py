"""tiregistry against plain diffusers on the same base model, words, prompts, seeds and steps.

`python benchmarks/generation.py --help` lists the arguments that shrink it. Both sides run in this process, one after
the other for each measurement; "first picture" is measured in processes of their own, imports included.

plain     StableDiffusionPipeline.from_pretrained + load_textual_inversion, one call per picture, written with save()
tireg     Generator.render_all, written with save_picture (recipe inside, synced to the disk)
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "cli")]


_clock: Callable[[], float] = time.perf_counter


def main() -> None:
    arguments = _arguments()
    global _clock
    if arguments.clock == "cpu":
        _clock = _cpu_seconds
    if arguments.first:
        _first_picture(arguments)
        return
    import torch

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["TIREG_HOME"] = f"{scratch}/home"
        _compare(arguments, Path(scratch))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", default="", help="diffusers folder (default: the embedded base model)")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--prompts", type=int, nargs="*", default=[1, 16, 256])
    parser.add_argument("--words", type=int, nargs="*", default=[1, 8])
    parser.add_argument("--repeats", type=int, default=3, help="of the word switch and the first picture")
    parser.add_argument("--batch-size", type=int, default=1, help="pictures at a time, on both sides")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument(
        "--clock",
        choices=("wall", "cpu"),
        default="wall",
        help="cpu: time of this process and its children, for busy machines",
    )
    parser.add_argument("--skip-first", action="store_true", help="do not measure start-up")
    parser.add_argument("--first", choices=("plain", "tireg"), help=argparse.SUPPRESS)
    parser.add_argument("--word-file", default="", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if not arguments.base:
        from tiregistry.bases.locating import embedded_folder

        arguments.base = str(embedded_folder())
    return arguments


def _compare(arguments: argparse.Namespace, scratch: Path) -> None:
    import torch

    from tiregistry.generation.generator import Generator
    from tiregistry.generation.metadata import save_picture
    from tiregistry.generation.settings import GenerationSettings
    from tiregistry.registry.registry import Registry

    with Registry.open() as registry:
        generator = Generator(arguments.base, registry, device=arguments.device, precision=arguments.precision)
        names = [f"word{i}" for i in range(max(arguments.words))]
        files = _words(registry, generator.base, names, scratch)
        plain = _plain(arguments, generator)
        for name, file in zip(names, files, strict=True):
            plain.load_textual_inversion(str(file), token=f"<{name}>")
        settings = GenerationSettings(num_inference_steps=arguments.steps, guidance_scale=5.0)
        print(
            f"torch {torch.__version__}, {generator.base.device}, {generator.base.dtype}, {torch.get_num_threads()} "
            f"threads, {arguments.steps} steps, {generator.base.resolution} px, batches of {arguments.batch_size}"
        )

        def ours(prompts: list[str]) -> None:
            prepared = [generator.prepare(prompt, settings) for prompt in prompts]
            jobs = ((item, seed) for seed, item in enumerate(prepared))
            for n, picture in enumerate(generator.render_all(jobs, batch_size=arguments.batch_size)):
                save_picture(picture, scratch / f"ours-{n}.png")

        def theirs(prompts: list[str]) -> None:
            for start in range(0, len(prompts), arguments.batch_size):
                batch = prompts[start : start + arguments.batch_size]
                sources = [torch.Generator().manual_seed(start + i) for i in range(len(batch))]
                images = plain(
                    batch,
                    negative_prompt=[""] * len(batch),
                    generator=sources,
                    num_inference_steps=arguments.steps,
                    guidance_scale=settings.guidance_scale,
                    width=generator.base.resolution,
                    height=generator.base.resolution,
                ).images
                for i, image in enumerate(images):
                    image.save(scratch / f"plain-{start + i}.png")

        ours(["a photo"])
        theirs(["a photo"])
        _same_pictures(scratch, ours, theirs, names)
        print(f"\n{'prompts':>8} {'words':>6} {'plain, pictures/s':>18} {'tireg, pictures/s':>18} {'ratio':>6}")
        for count in arguments.prompts:
            for words in arguments.words:
                prompts = [f"a photo of <{names[i % words]}> number {i}" for i in range(count)]
                before, after = _seconds(partial(theirs, prompts)), _seconds(partial(ours, prompts))
                print(f"{count:>8} {words:>6} {count / before:>18.2f} {count / after:>18.2f} {before / after:>6.2f}")
        _word_switch(arguments, generator, settings)
        if not arguments.skip_first:
            _starts(arguments, files[0], scratch)


def _words(registry: Any, base: Any, names: list[str], scratch: Path) -> list[Path]:
    """Register words of random vectors; write them for load_textual_inversion too."""
    import torch
    from safetensors.torch import save_file

    from tests.learned import register_word

    files = []
    for seed, name in enumerate(names):
        version = register_word(registry, base, name, seed=seed)
        rows = registry.embedding(version).tensors
        file = scratch / f"{name}.safetensors"
        save_file({f"<{name}>": torch.from_numpy(next(iter(rows.values())).copy())[0]}, file)
        files.append(file)
    return files


def _plain(arguments: argparse.Namespace, generator: Any) -> Any:
    import diffusers

    pipeline = diffusers.StableDiffusionPipeline.from_pretrained(
        arguments.base, dtype=generator.base.dtype, safety_checker=None, local_files_only=True
    )
    pipeline.scheduler = diffusers.DDIMScheduler.from_config(pipeline.scheduler.config)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to(generator.base.device)


def _same_pictures(scratch: Path, ours: Callable[..., None], theirs: Callable[..., None], names: list[str]) -> None:
    """Say how far apart the two sides' pictures are: a comparison of speed is worth little between other results."""
    import numpy as np
    from PIL import Image

    prompts = [f"a photo of <{names[0]}>"]
    ours(prompts)
    theirs(prompts)
    left, right = (np.asarray(Image.open(scratch / f"{side}-0.png"), dtype=int) for side in ("ours", "plain"))
    print(f"same prompt and seed, largest difference of a pixel: {np.abs(left - right).max()} of 255")


def _word_switch(arguments: argparse.Namespace, generator: Any, settings: Any) -> None:
    """From one word to another in a warm model: look up, check, tokenise, lay the rows; and the encoding after it."""
    import torch

    from tests.learned import register_word

    # The sum over children ticks in hundredths of a second; this needs a finer clock.
    clock = time.perf_counter if _clock is time.perf_counter else time.process_time
    switch, encode = [], []
    for seed in range(max(5, arguments.repeats)):
        register_word(generator.registry, generator.base, f"switch{seed}", seed=100 + seed)
        start = clock()
        item = generator.prepare(f"a photo of <switch{seed}>", settings)
        switch.append(clock() - start)
        start = clock()
        with torch.inference_mode():
            generator._prompt_encoder().encode(item.tokens)
        encode.append(clock() - start)
    print(
        f"\nword switch: {1000 * statistics.median(switch):.1f} ms (a word never seen before, read from the registry), "
        f"then {1000 * statistics.median(encode):.1f} ms to encode its prompt"
    )


def _starts(arguments: argparse.Namespace, word: Path, scratch: Path) -> None:
    """Time to the first picture in a fresh process, imports and loading included."""
    times: dict[str, list[float]] = {"plain": [], "tireg": []}
    for _ in range(arguments.repeats):
        for side, found in times.items():
            given = {
                "first": side,
                "base": arguments.base,
                "steps": arguments.steps,
                "device": arguments.device,
                "precision": arguments.precision,
                "word-file": word,
                "threads": arguments.threads,
            }
            command = [sys.executable, __file__, *(part for k, v in given.items() for part in (f"--{k}", str(v)))]
            start = _clock()
            result = subprocess.run(command, capture_output=True, text=True, check=False)
            if result.returncode:
                sys.exit(result.stderr)
            found.append(_clock() - start)
    plain, tireg = (statistics.median(times[side]) for side in ("plain", "tireg"))
    print(f"\nfirst picture from a cold start: plain {plain:.2f} s, tireg {tireg:.2f} s, {tireg / plain:.2f} times")


def _first_picture(arguments: argparse.Namespace) -> None:
    import torch

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    word = Path(arguments.word_file)
    if arguments.first == "tireg":
        from tireg_cli.main import run

        out = str(word.parent / "first.png")
        options = ["--steps", str(arguments.steps), "--device", arguments.device, "--precision", arguments.precision]
        sys.exit(run(["gen", f"a photo of <{word.stem}>", "--base", arguments.base, "--out", out, *options]))
    import diffusers

    from tiregistry.bases.devices import choose_device, choose_dtype

    device = choose_device(arguments.device)
    pipeline = diffusers.StableDiffusionPipeline.from_pretrained(
        arguments.base, dtype=choose_dtype(arguments.precision, device), safety_checker=None, local_files_only=True
    ).to(device)
    pipeline.load_textual_inversion(str(word), token=f"<{word.stem}>")
    side = pipeline.unet.config.sample_size * 2 ** (len(pipeline.vae.config.block_out_channels) - 1)
    picture = pipeline(f"a photo of <{word.stem}>", num_inference_steps=arguments.steps, width=side, height=side)
    picture.images[0].save(word.parent / "plain.png")


def _cpu_seconds() -> float:
    return sum(os.times()[:4])


def _seconds(work: Callable[[], None]) -> float:
    start = _clock()
    work()
    return _clock() - start


if __name__ == "__main__":
    main()
