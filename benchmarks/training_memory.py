"""What a training step keeps in the denoiser for its way back, counted without a GPU, and what the estimate says of it.

The real architectures, on torch's meta device, which has shapes and no numbers: what autograd keeps is the same as on a
GPU with fused attention. Columns, MiB in half precision:

weights    the denoiser's own
kept       by its layers as diffusers has them
sparing    by its layers with `spare_memory`, to which training also turns when memory runs out
estimated  what `tireg train` reckons with, of either, before anything is loaded

Examples:
  python benchmarks/training_memory.py
  python benchmarks/training_memory.py --base sdxl --resolution 768 --batch 1 4 --layers
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]
MIB = 2**20
USUAL = {"sd15": 512, "sdxl": 1024}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", choices=tuple(USUAL), nargs="*", default=list(USUAL))
    parser.add_argument("--resolution", type=int, default=0, help="default: the architecture's own")
    parser.add_argument("--batch", type=int, nargs="*", default=[1, 4])
    parser.add_argument("--layers", action="store_true", help="also which layers keep it when sparing")
    arguments = parser.parse_args()
    import torch
    from diffusers.utils import logging

    from benchmarks.random_models import UNETS
    from tiregistry.bases.frozen_layers import streamline
    from tiregistry.training.estimate import values_kept

    logging.set_verbosity_error()
    torch.nn.functional.scaled_dot_product_attention = _attention
    columns = ("weights", "kept", "estimated", "sparing", "estimated")
    print(f"{'base':>5} {'pixels':>6} {'batch':>5} " + " ".join(f"{column:>9}" for column in columns))
    for name in arguments.base:
        side = (arguments.resolution or USUAL[name]) // 8
        for batch in arguments.batch:
            sizes = []
            for sparing in (False, True):
                denoiser = _denoiser(UNETS[name])
                streamline(denoiser, spare_memory=sparing)
                layers: Counter[str] = Counter()
                sizes.append(_count(denoiser, batch, side, layers))
                config = json.loads(denoiser.to_json_string())
                sizes.append(int(2 * batch * values_kept(config, side, sparing=sparing)))
            sizes.insert(0, sum(parameter.nbytes for parameter in denoiser.parameters()))
            print(f"{name:>5} {8 * side:>6} {batch:>5} " + " ".join(f"{size / MIB:>9,.0f}" for size in sizes))
            for layer, size in layers.most_common(12) if arguments.layers else []:
                print(f"{size / MIB:>40,.1f}  {layer}")


def _denoiser(config: dict[str, Any]) -> Any:
    import torch
    from diffusers import UNet2DConditionModel

    with torch.device("meta"):
        return UNet2DConditionModel(**config).to(torch.bfloat16).requires_grad_(False).eval()


def _count(denoiser: Any, batch: int, side: int, layers: Counter[str]) -> int:
    """Bytes that a forward pass keeps, weights left out; `layers` takes up which layers keep them."""
    import torch

    config = denoiser.config
    made = {"device": "meta", "dtype": torch.bfloat16}
    added = None
    if config.addition_embed_type:
        added = {"text_embeds": torch.empty(batch, 1280, **made), "time_ids": torch.empty(batch, 6, **made)}
    # Meta tensors have no addresses: what tells storages apart is which object they are, so all of them are held.
    weights = {parameter.untyped_storage()._cdata for parameter in denoiser.parameters()}
    held: dict[int, torch.Tensor] = {}
    inside: list[str] = []
    for module in denoiser.modules():
        name = type(module).__name__
        module.register_forward_pre_hook(lambda *_, name=name: inside.append(name))
        module.register_forward_hook(lambda *_: inside.pop() and None)

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in weights and storage._cdata not in held:
            held[storage._cdata] = tensor
            layers["/".join(inside[-2:])] += storage.nbytes()
        return tensor

    states = torch.empty(batch, 77, config.cross_attention_dim, **made).requires_grad_(True)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        times = torch.empty(batch, device="meta")
        denoiser(torch.empty(batch, 4, side, side, **made), times, states, added_cond_kwargs=added)
    return layers.total()


def _attention(query: Any, key: Any, value: Any, **_: Any) -> Any:
    """In place of torch's, which has no fused kernel without a device: keeps what the fused kernels keep."""
    import torch

    class Fused(torch.autograd.Function):
        @staticmethod
        def forward(context: Any, query: Any, key: Any, value: Any) -> Any:
            out = torch.empty_like(query)
            sums = torch.empty(query.shape[:3], device=query.device)
            context.save_for_backward(query, key, value, out, sums)
            return out

    return Fused.apply(query, key, value)


if __name__ == "__main__":
    main()
