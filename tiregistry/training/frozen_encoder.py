"""A frozen CLIP text encoder as training runs it: the layers of Radford et al. 2021, in few operations.

At one sample a step the text encoder is a quarter of what Python has to start, and its caption changes with the word at
every step. transformers' layers project queries, keys and values one by one, copy shapes about and ask which attention
to use; here each layer is twenty operations instead of forty-four, on weights that are known not to change. What comes
out is the same up to rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from tiregistry.bases.towers import Encoded, TextTower
from tiregistry.training.caption_words import CaptionWords

QUICK_GELU = 1.702
"""Factor of the activation x sigmoid(1.702 x) (Hendrycks and Gimpel 2016), which is silu(1.702 x) / 1.702."""


@dataclass(frozen=True, slots=True)
class _Layer:
    """One layer's weights, those of products ready to be multiplied from the right: `[in, out]`."""

    norm1: torch.nn.LayerNorm
    to_query_key_value: torch.Tensor
    bias: torch.Tensor
    out: torch.nn.Linear
    norm2: torch.nn.LayerNorm
    widen: torch.nn.Linear
    narrow: torch.nn.Linear


class FrozenEncoder:
    """A CLIP text encoder whose weights stay as they are and where they are; of its vocabulary only captions' words go
    to the device, so that its table can leave.

    Attributes:
        tower: the encoder itself.
        recomputes: whether a layer's activations are computed again on the way back (gradient checkpointing).
    """

    def __init__(self, tower: TextTower, *, pooled: bool) -> None:
        """As `of`, for an encoder that is known to be one of the plain kind."""
        from transformers.models.clip.modeling_clip import CLIPEncoderLayer, CLIPTextEmbeddings

        parts = dict(tower.model.named_modules())
        layers = [part for part in parts.values() if isinstance(part, CLIPEncoderLayer)]
        self.tower = tower
        self._words = CaptionWords(tower.words)
        self.recomputes = False
        self._pools = pooled
        self._heads = int(layers[0].self_attn.num_heads)
        self._positions = next(p for p in parts.values() if isinstance(p, CLIPTextEmbeddings)).position_embedding.weight
        self._norm = next(part for name, part in parts.items() if name.endswith("final_layer_norm"))
        self._activated = {"quick_gelu": _with_quick_gelu, "gelu": _with_gelu}[tower.model.config.hidden_act]
        # Up to which layer anything is read.
        self._told = len(layers) + 1 + tower.layer
        self._layers = [_layer(layer) for layer in (layers if pooled else layers[: self._told])]

    @classmethod
    def of(cls, tower: TextTower, *, pooled: bool) -> FrozenEncoder | None:
        """The encoder of a tower in evaluation mode, or None for another architecture than CLIP's.

        Args:
            pooled: whether the pooled state is read, too; it needs layers that the states may not.
        """
        from transformers.models.clip.modeling_clip import CLIPEncoderLayer

        layers = [part for part in tower.model.modules() if isinstance(part, CLIPEncoderLayer)]
        plain = all(type(part) is torch.nn.Linear for layer in layers for part in _products(layer))
        known = getattr(tower.model.config, "hidden_act", "") in ("quick_gelu", "gelu")
        return cls(tower, pooled=pooled) if layers and plain and known else None

    def places(self, ids: torch.Tensor, later: Sequence[torch.Tensor] = ()) -> torch.Tensor:
        """What `encode` takes for token ids `[b, window]` (long, on the CPU), on the encoder's device.

        Args:
            later: ids that will be asked for, as far as they are known.
        """
        return self._words.places(ids, self._norm.weight.device, later)

    def encode(self, places: torch.Tensor) -> Encoded:
        """As `TextTower.encode`, up to rounding; `pooled` is None unless it was asked for.

        Args:
            places: what the last call of `places` returned.
        """
        batch, window = places.shape
        hidden = (self._words(places) + self._positions[:window]).flatten(0, 1)
        states = hidden
        for number, layer in enumerate(self._layers, 1):
            if self.recomputes and torch.is_grad_enabled():
                hidden = checkpoint(self._through, layer, hidden, batch, use_reentrant=False)
            else:
                hidden = self._through(layer, hidden, batch)
            if number == self._told:
                states = hidden
        normal = _normalised(self._norm, hidden) if self._pools or self.tower.layer == -1 else hidden
        told = normal if self.tower.layer == -1 else states
        pooled = self._pooled(normal.unflatten(0, (batch, window)), places) if self._pools else None
        return Encoded(told.unflatten(0, (batch, window)), pooled)

    def _through(self, layer: _Layer, hidden: torch.Tensor, batch: int) -> torch.Tensor:
        """`[b n, c]` after one more layer."""
        count, width = hidden.shape
        together = torch.addmm(layer.bias, _normalised(layer.norm1, hidden), layer.to_query_key_value)
        shape = batch, count // batch, 3, self._heads, width // self._heads
        query, key, value = together.view(shape).permute(2, 0, 3, 1, 4)
        told = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        told = told.transpose(1, 2).reshape(count, width)
        hidden = hidden + torch.addmm(layer.out.bias, told, layer.out.weight.t())
        return hidden + self._activated(layer, _normalised(layer.norm2, hidden))

    def _pooled(self, states: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        """The state at the end of the text `[b, c]`, projected where the model has a projection."""
        ends = (places == self._words.place_of(self.tower.tokenizer.eos_token_id)).int().argmax(dim=-1)
        pooled = states[torch.arange(len(places), device=places.device), ends]
        project = getattr(self.tower.model, "text_projection", None)
        return pooled if project is None else functional.linear(pooled, project.weight, project.bias)


def _products(layer: Any) -> tuple[Any, ...]:
    attention, wide = layer.self_attn, layer.mlp
    return (attention.q_proj, attention.k_proj, attention.v_proj, attention.out_proj, wide.fc1, wide.fc2)


def _layer(layer: Any) -> _Layer:
    """A layer's weights; those of queries, keys and values become views of one table, so that none is held twice."""
    *projections, out, widen, narrow = _products(layer)
    tables = []
    for name in ("weight", "bias"):
        table = torch.cat([getattr(projection, name).detach() for projection in projections])
        for projection, part in zip(projections, table.chunk(3), strict=True):
            getattr(projection, name).data = part
        tables.append(table)
    return _Layer(layer.layer_norm1, tables[0].t(), tables[1], out, layer.layer_norm2, widen, narrow)


def _normalised(norm: torch.nn.LayerNorm, hidden: torch.Tensor) -> torch.Tensor:
    return torch.layer_norm(hidden, norm.normalized_shape, norm.weight, norm.bias, norm.eps)


def _with_quick_gelu(layer: _Layer, hidden: torch.Tensor) -> torch.Tensor:
    # The factors belong to the products, which take them along for nothing.
    wide = torch.addmm(layer.widen.bias, hidden, layer.widen.weight.t(), beta=QUICK_GELU, alpha=QUICK_GELU)
    return torch.addmm(layer.narrow.bias, functional.silu(wide), layer.narrow.weight.t(), alpha=1 / QUICK_GELU)


def _with_gelu(layer: _Layer, hidden: torch.Tensor) -> torch.Tensor:
    wide = torch.addmm(layer.widen.bias, hidden, layer.widen.weight.t())
    return torch.addmm(layer.narrow.bias, functional.gelu(wide), layer.narrow.weight.t())
