"""Operations of a frozen model that keep less on the way to the loss: only what their input's gradient needs.

Autograd keeps for every layer what gradients of its weights would need, too, and both sides of every product. With
frozen weights much of it is never read (Bhatia and Dangel 2024, "Lowering PyTorch's Memory Consumption for Selective
Differentiation"), and some is cheaper to make again than to keep. Results are the same to the bit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch


def frozen_convolution(inputs: torch.Tensor, layer: torch.nn.Conv2d) -> torch.Tensor:
    """The layer's output for `inputs [b, c, h, w]`, of which only the shape is kept."""
    out: torch.Tensor = _FrozenConvolution.apply(inputs, layer)
    return out


def made_again(inputs: torch.Tensor, function: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    """`function(inputs)`, of which only `inputs` is kept: the rest is computed again on the way back.

    `torch.utils.checkpoint` does the same for any function, at a hundred microseconds for each call.
    """
    out: torch.Tensor = _MadeAgain.apply(inputs, function)
    return out


class _FrozenConvolution(torch.autograd.Function):
    """Torch keeps the input of a convolution for a gradient of the weights that nobody asks for."""

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
