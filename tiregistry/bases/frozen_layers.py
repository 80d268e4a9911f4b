"""The layers of a frozen UNet as we run them: with few calls, and in training where asked keeping little for the way
back.

A small batch on a fast GPU waits for Python. diffusers' layers serve many models and modes, and look at each call
which of them they are in (an attention layer reads its processor's signature every time); of a frozen Stable Diffusion
that is known beforehand. What remains are the same operations in the same order, without divisions by one and dropout
that drops nothing: predictions and gradients are the same to the bit.

Sparing memory is not what training begins with: a layer then takes a detour through Python (see `sparing`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch.nn import functional

from tiregistry.bases.sparing import frozen_convolution, made_again

CHEAP_WIDTH = 640
"""Widest blocks whose whole feed-forward layer is made again. A byte saved costs operations in proportion to the width:
in Stable Diffusion 1.5 those of 320 and 640 channels hold a third of what is kept, for 4 % of the operations of a step;
SDXL's of 1280 would cost 13 %."""

Layer = Callable[[torch.Tensor], torch.Tensor]
Attention = Callable[[torch.Tensor, torch.Tensor | None], torch.Tensor]


def streamline(denoiser: Any, *, spare_memory: bool = False) -> None:
    """Give transformer and residual blocks of a frozen denoiser forward functions of few calls.

    Args:
        denoiser: a diffusers model in evaluation mode whose weights need no gradients. Blocks of other kinds than
            those of Stable Diffusion's UNets stay as they are.
        spare_memory: convolutions keep no input; activations after a group normalisation, the gates of feed-forward
            layers, and narrow feed-forward layers as a whole are computed again on the way back.

    Calling it again counts anew: what was asked before is undone.
    """
    from diffusers.models.attention import BasicTransformerBlock
    from diffusers.models.resnet import ResnetBlock2D

    for module in denoiser.modules():
        forward: Callable[..., torch.Tensor] | None = None
        if isinstance(module, BasicTransformerBlock):
            forward = _transformer_block(module, spare_memory)
        elif isinstance(module, ResnetBlock2D):
            forward = _residual_block(module, spare_memory)
        elif spare_memory and _is_plain_convolution(module):
            forward = partial(frozen_convolution, layer=module)
        # On the module itself, so that its weights keep their names and its class stays what others look for.
        if forward is not None:
            module.forward = forward
        elif getattr(vars(module).get("forward"), "func", None) is frozen_convolution:
            del module.forward


def _transformer_block(block: Any, spare_memory: bool) -> Callable[..., torch.Tensor] | None:
    """Self-attention, attention to the text and a gated feed-forward layer, each on a normalised input and added to it;
    None for a block of another kind."""
    norms = (block.norm1, block.norm2, block.norm3)
    if block.norm_type != "layer_norm" or any(type(norm) is not torch.nn.LayerNorm for norm in norms):
        return None
    if block.attn2 is None or not block.attn2.is_cross_attention or block.only_cross_attention:
        return None
    to_itself, to_text = _attention(block.attn1), _attention(block.attn2)
    feed_forward = _feed_forward(block, spare_memory)
    if to_itself is None or to_text is None or feed_forward is None or block.pos_embed is not None:
        return None
    norm1, norm2 = _normalise(block.norm1), _normalise(block.norm2)
    whole = type(block).forward

    def forward(
        inputs: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        encoder_hidden_states: torch.Tensor | None = None,
        encoder_attention_mask: torch.Tensor | None = None,
        *rest: Any,
        **named: Any,
    ) -> torch.Tensor:
        if attention_mask is not None or encoder_attention_mask is not None:
            masks = attention_mask, encoder_hidden_states, encoder_attention_mask
            return whole(block, inputs, *masks, *rest, **named)
        inputs = to_itself(norm1(inputs), None) + inputs
        inputs = to_text(norm2(inputs), encoder_hidden_states) + inputs
        return feed_forward(inputs) + inputs

    return forward


def _attention(layer: Any) -> Attention | None:
    """Scaled dot-product attention over `[b, n, c]` to other states or to itself; None for a layer that does more."""
    from diffusers.models.attention_processor import AttnProcessor2_0

    more = ("group_norm", "spatial_norm", "norm_q", "norm_k", "norm_cross", "residual_connection", "added_kv_proj_dim")
    if type(layer.processor) is not AttnProcessor2_0 or any(getattr(layer, name, None) for name in more):
        return None
    projections = (layer.to_q, layer.to_k, layer.to_v, layer.to_out[0])
    if layer.rescale_output_factor != 1 or any(type(projection) is not torch.nn.Linear for projection in projections):
        return None
    heads, linear, attend = layer.heads, functional.linear, functional.scaled_dot_product_attention
    to_query, to_key, to_value, to_out = projections

    def attention(inputs: torch.Tensor, states: torch.Tensor | None) -> torch.Tensor:
        states = inputs if states is None else states
        batch, count = inputs.shape[:2]
        query = linear(inputs, to_query.weight, to_query.bias)
        shape = batch, -1, heads, query.shape[-1] // heads
        key = linear(states, to_key.weight, to_key.bias).view(shape).transpose(1, 2)
        value = linear(states, to_value.weight, to_value.bias).view(shape).transpose(1, 2)
        told = attend(query.view(shape).transpose(1, 2), key, value)
        return linear(told.transpose(1, 2).reshape(batch, count, -1), to_out.weight, to_out.bias)

    return attention


def _feed_forward(block: Any, spare_memory: bool) -> Layer | None:
    """Normalisation, projection to values and gates, and projection back; None for a layer of another kind."""
    from diffusers.models.activations import GEGLU

    gate, back = block.ff.net[0], block.ff.net[-1]
    if type(gate) is not GEGLU or type(gate.proj) is not torch.nn.Linear or type(back) is not torch.nn.Linear:
        return None
    norm, linear, proj = _normalise(block.norm3), functional.linear, gate.proj

    def gated(projected: torch.Tensor) -> torch.Tensor:
        values, gates = projected.chunk(2, dim=-1)
        return values * functional.gelu(gates)

    def feed_forward(inputs: torch.Tensor) -> torch.Tensor:
        return linear(gated(linear(norm(inputs), proj.weight, proj.bias)), back.weight, back.bias)

    def with_gates_made_again(inputs: torch.Tensor) -> torch.Tensor:
        return linear(made_again(linear(norm(inputs), proj.weight, proj.bias), gated), back.weight, back.bias)

    if not spare_memory:
        return feed_forward
    narrow = block.norm3.weight.shape[0] <= CHEAP_WIDTH
    return partial(made_again, function=feed_forward) if narrow else with_gates_made_again


def _residual_block(block: Any, spare_memory: bool) -> Callable[..., torch.Tensor] | None:
    """Two convolutions of normalised, activated inputs, with the timestep added in between; None for another kind."""
    norms, convolutions = (block.norm1, block.norm2), (block.conv1, block.conv2)
    if block.time_embedding_norm != "default" or any(type(norm) is not torch.nn.GroupNorm for norm in norms):
        return None
    if type(block.nonlinearity) is not torch.nn.SiLU or block.upsample is not None or block.downsample is not None:
        return None
    if type(block.time_emb_proj) is not torch.nn.Linear:
        return None
    shortcut = block.conv_shortcut
    if not all(_is_plain_convolution(c) for c in (*convolutions, *([] if shortcut is None else [shortcut]))):
        return None
    norm1, norm2 = (_activate(norm, spare_memory) for norm in norms)
    convolve1, convolve2 = (_convolve(convolution, spare_memory) for convolution in convolutions)
    convolve = None if shortcut is None else _convolve(shortcut, spare_memory)
    project, activates, scale = block.time_emb_proj, not block.skip_time_act, block.output_scale_factor

    def forward(inputs: torch.Tensor, time: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
        time = functional.silu(time) if activates else time
        shift = functional.linear(time, project.weight, project.bias)[:, :, None, None]
        hidden = convolve2(norm2(convolve1(norm1(inputs)) + shift))
        out = (inputs if convolve is None else convolve(inputs)) + hidden
        return out if scale == 1 else out / scale

    return forward


def _normalise(norm: torch.nn.LayerNorm) -> Layer:
    shape, epsilon = norm.normalized_shape, norm.eps
    return lambda inputs: torch.layer_norm(inputs, shape, norm.weight, norm.bias, epsilon)


def _activate(norm: torch.nn.GroupNorm, spare_memory: bool) -> Layer:
    groups, epsilon = norm.num_groups, norm.eps

    def activated(inputs: torch.Tensor) -> torch.Tensor:
        return functional.silu(torch.group_norm(inputs, groups, norm.weight, norm.bias, epsilon))

    return partial(made_again, function=activated) if spare_memory else activated


def _convolve(layer: torch.nn.Conv2d, spare_memory: bool) -> Layer:
    if spare_memory:
        return partial(frozen_convolution, layer=layer)
    settings = layer.stride, layer.padding, layer.dilation, layer.groups
    return lambda inputs: torch.conv2d(inputs, layer.weight, layer.bias, *settings)


def _is_plain_convolution(module: Any) -> bool:
    plain = type(module) is torch.nn.Conv2d
    return plain and module.padding_mode == "zeros" and not isinstance(module.padding, str)
