"""Layers of a frozen denoiser that keep less on the way to the loss: only what their input's gradient needs.

Autograd keeps for every layer what gradients of its weights would need, too, and both sides of every product. With
frozen weights much of it is never read (Bhatia and Dangel 2024, "Lowering PyTorch's Memory Consumption for Selective
Differentiation"), and some is cheaper to make again than to keep. Results are the same to the bit.

It is not what training begins with: each layer then takes a detour through Python, and a fast GPU with a small batch
waits for Python as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch.nn import functional

CHEAP_WIDTH = 640
"""Widest blocks whose whole feed-forward layer is made again. A byte saved costs operations in proportion to the width:
in Stable Diffusion 1.5 those of 320 and 640 channels hold a third of what is kept, for 4 % of the operations of a step;
SDXL's of 1280 would cost 13 %."""


def keep_less(denoiser: Any) -> None:
    """Have the layers of a frozen denoiser keep less for the backward pass.

    Convolutions keep no input; activations after a group normalisation, the gates of feed-forward layers, and narrow
    feed-forward layers as a whole are computed again on the way back. Calling it again changes nothing.

    Args:
        denoiser: a diffusers model in evaluation mode whose weights need no gradients. Layers of other kinds than
            those of Stable Diffusion's UNets stay as they are.
    """
    from diffusers.models.activations import GEGLU
    from diffusers.models.attention import BasicTransformerBlock
    from diffusers.models.resnet import ResnetBlock2D

    for module in list(denoiser.modules()):
        if type(module) is torch.nn.Conv2d and module.padding_mode == "zeros" and not isinstance(module.padding, str):
            _replace(module, _convolution(module))
        elif type(module) is GEGLU:
            _replace(module, _gated(module))
        elif isinstance(module, ResnetBlock2D):
            _activate_with_norm(module)
        elif isinstance(module, BasicTransformerBlock):
            _feed_forward_with_norm(module)


class _FrozenConvolution(torch.autograd.Function):
    """A convolution whose input is not kept; torch keeps it for a gradient of the weights that nobody asks for."""

    @staticmethod
    def forward(context: Any, inputs: torch.Tensor, layer: torch.nn.Conv2d) -> torch.Tensor:
        context.layer, context.shape = layer, inputs.shape
        return torch.nn.Conv2d.forward(layer, inputs)

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        layer = context.layer
        settings = layer.stride, layer.padding, layer.dilation, layer.groups
        return torch.nn.grad.conv2d_input(context.shape, layer.weight, gradient, *settings), None


class _MadeAgain(torch.autograd.Function):
    """A function of one tensor that keeps its input alone.

    `torch.utils.checkpoint` does the same for any function, at a hundred microseconds for each call.
    """

    @staticmethod
    def forward(context: Any, inputs: torch.Tensor, function: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        context.function = function
        context.save_for_backward(inputs)
        return function(inputs)

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        with torch.enable_grad():
            inputs = context.saved_tensors[0].detach().requires_grad_()
            outputs = context.function(inputs)
        return torch.autograd.grad(outputs, inputs, gradient)[0], None


def _made_again(function: Callable[[torch.Tensor], torch.Tensor]) -> Callable[..., torch.Tensor]:
    return lambda inputs, *_, **__: _MadeAgain.apply(inputs, function)


def _replace(module: torch.nn.Module, forward: Callable[..., torch.Tensor]) -> None:
    # On the module itself, so that its weights keep their names and its class stays what others look for.
    if "forward" not in vars(module):
        module.forward = forward


def _convolution(layer: torch.nn.Conv2d) -> Callable[..., torch.Tensor]:
    return lambda inputs: _FrozenConvolution.apply(inputs, layer)


def _gated(layer: Any) -> Callable[..., torch.Tensor]:
    def gate(projected: torch.Tensor) -> torch.Tensor:
        values, gates = projected.chunk(2, dim=-1)
        return values * layer.gelu(gates)

    return lambda inputs, *_, **__: _MadeAgain.apply(layer.proj(inputs), gate)


def _activate_with_norm(block: Any) -> None:
    """Let a residual block's normalisations activate, too, so that nothing between the two is kept."""
    norms = (block.norm1, block.norm2)
    plain = block.time_embedding_norm == "default" and all(type(norm) is torch.nn.GroupNorm for norm in norms)
    if not plain or type(block.nonlinearity) is not torch.nn.SiLU:
        return
    for norm in norms:
        _replace(norm, _made_again(partial(_norm_and_activate, norm)))
    # Its own, instead of another forward: some versions of diffusers share one activation among all blocks.
    block.nonlinearity = torch.nn.Identity()
    project = block.time_emb_proj
    if project is not None and not block.skip_time_act:
        _replace(project, lambda time: torch.nn.Linear.forward(project, functional.silu(time)))


def _norm_and_activate(norm: torch.nn.GroupNorm, inputs: torch.Tensor) -> torch.Tensor:
    return functional.silu(torch.nn.GroupNorm.forward(norm, inputs))


def _feed_forward_with_norm(block: Any) -> None:
    """Let a transformer block's feed-forward layer normalise its input, and keep nothing but that."""
    norm, layer = block.norm3, block.ff
    if type(norm) is not torch.nn.LayerNorm or block.norm_type != "layer_norm" or norm.weight.shape[0] > CHEAP_WIDTH:
        return
    whole = type(layer).forward
    _replace(layer, _made_again(lambda x: whole(layer, torch.nn.LayerNorm.forward(norm, x))))
    _replace(norm, lambda x: x)
