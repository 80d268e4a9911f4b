"""Text encoders with their tokenizers and the rows for learned words: CLIP's text model and T5's encoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from tiregistry.bases.vocabulary import check_initializer
from tiregistry.bases.word_rows import WordRows
from tiregistry.errors import InvalidPrompt

Segment = str | tuple[int, ...]
"""A piece of a prompt: plain text, or the token ids of a learned word."""


@dataclass(frozen=True)
class Encoded:
    """What one text encoder says: `states [b, window, dim]`, and of a CLIP encoder also `pooled [b, dim]`."""

    states: torch.Tensor
    pooled: torch.Tensor | None = None

    def to(self, device: torch.device) -> Encoded:
        """The same on a device."""
        return Encoded(self.states.to(device), None if self.pooled is None else self.pooled.to(device))


@dataclass
class TextTower:
    """One CLIP text encoder with its tokenizer and the rows for learned words.

    Attributes:
        role: `clip_l`, `clip_g`, `clip_h`, or `t5` (then it is a `T5Tower`).
        tokenizer: a transformers tokenizer.
        model: `CLIPTextModel`, `CLIPTextModelWithProjection` or `T5EncoderModel`, frozen, in eval mode.
        words: the installed `WordRows`.
        layer: which hidden states the denoiser is told: -1 the final ones, -2 those one layer before (SDXL, SD3).
        longest: a limit of the token window beside the model's and the tokenizer's own; 0 for none.
    """

    role: str
    tokenizer: Any
    model: Any
    words: WordRows
    layer: int = -1
    longest: int = 0

    @property
    def dim(self) -> int:
        """Width of one token embedding."""
        return int(self.words.table.embedding_dim)

    @property
    def width(self) -> int:
        """Width of the hidden states."""
        return int(self.model.config.hidden_size)

    @property
    def window(self) -> int:
        """Length of the token window, special tokens included."""
        limits = [int(self.model.config.max_position_embeddings), int(self.tokenizer.model_max_length)]
        return min([*limits, self.longest] if self.longest else limits)

    @property
    def room(self) -> int:
        """Tokens that fit the window beside its special tokens."""
        return self.window - 2

    @property
    def first_place(self) -> int:
        """Place in the window of a prompt's first token."""
        return 1

    def text_ids(self, text: str) -> list[int]:
        """Token ids of plain text, without special tokens."""
        if not text.strip():
            return []
        ids: list[int] = self.tokenizer(text, add_special_tokens=False, truncation=False, verbose=False)["input_ids"]
        return ids

    def is_word(self, text: str) -> bool:
        """Whether `text` is one token of the vocabulary."""
        return len(self.text_ids(text)) == 1

    def framed(self, inner: Sequence[int]) -> list[int]:
        """A full window around at most `room` token ids: begin, tokens, end, padding."""
        tokenizer = self.tokenizer
        filled = [tokenizer.bos_token_id, *inner, tokenizer.eos_token_id]
        return filled + [tokenizer.pad_token_id] * (self.window - len(filled))

    def ids(self, segments: Sequence[Segment]) -> list[int]:
        """The full window of token ids for a prompt in segments.

        Raises:
            InvalidPrompt: the prompt does not fit the window.
        """
        inner: list[int] = []
        for segment in segments:
            inner.extend(self.text_ids(segment) if isinstance(segment, str) else segment)
        if len(inner) > self.room:
            raise InvalidPrompt(
                f"the prompt has {len(inner)} tokens, {self.room} fit the base model", "shorten the prompt"
            )
        return self.framed(inner)

    @property
    def device(self) -> torch.device:
        """Where the encoder is; training sends one without work back to the CPU, and of one at work the vocabulary."""
        *_, last = self.model.parameters()
        device: torch.device = last.device
        return device

    def encode(self, ids: torch.Tensor) -> Encoded:
        """What the encoder says of token ids `[b, window]` on its device."""
        if self.layer == -1:
            out = self.model(ids)
            return Encoded(out.last_hidden_state, _pooled(out))
        out = self.model(ids, output_hidden_states=True)
        return Encoded(out.hidden_states[self.layer], _pooled(out))

    def vectors_of(self, phrase: str) -> torch.Tensor:
        """Token embeddings float32 `[words, dim]` of a phrase of vocabulary words, on the CPU.

        Raises:
            InvalidConfig: see `vocabulary.check_initializer`.
        """
        check_initializer(phrase, self.tokenizer.get_vocab())
        return self.words.table.weight[torch.tensor(self.text_ids(phrase))].detach().float().cpu()

    def places_of(self, phrase: str) -> list[range]:
        """Where in the window the words of a phrase stand that is a prompt by itself."""
        places, start = [], self.first_place
        for word in phrase.split() or [phrase]:
            places.append(range(start, start + len(self.text_ids(word))))
            start = places[-1].stop
        return places

    def mean_norm(self) -> float:
        """Mean L2 norm of the vocabulary's token embeddings."""
        norms = torch.linalg.vector_norm(self.words.table.weight.detach(), dim=-1, dtype=torch.float32)
        return float(norms.mean())


class T5Tower(TextTower):
    """T5's encoder, as Stable Diffusion 3 and FLUX use it: no begin token, padding is read like any token."""

    @property
    def width(self) -> int:
        return int(self.model.config.d_model)

    @property
    def window(self) -> int:
        # Positions are relative: the model itself has no limit.
        return min(int(self.tokenizer.model_max_length), self.longest or 512)

    @property
    def room(self) -> int:
        return self.window - 1

    @property
    def first_place(self) -> int:
        return 0

    def framed(self, inner: Sequence[int]) -> list[int]:
        tokenizer = self.tokenizer
        filled = [*inner, tokenizer.eos_token_id]
        return filled + [tokenizer.pad_token_id] * (self.window - len(filled))

    def encode(self, ids: torch.Tensor) -> Encoded:
        return Encoded(self.model(ids).last_hidden_state)

    def vectors_of(self, phrase: str) -> torch.Tensor:
        """Token embeddings float32 `[words, dim]` of a phrase, on the CPU.

        The vocabulary is one of word pieces: an ordinary word may be several, whose mean stands for it, so that a word
        has as many vectors here as in the CLIP encoders beside.
        """
        rows = []
        for word in phrase.split() or [phrase]:
            pieces = self.words.table.weight[torch.tensor(self.text_ids(word))].detach().float().cpu()
            rows.append(pieces.mean(dim=0))
        return torch.stack(rows)


def _pooled(out: Any) -> torch.Tensor | None:
    """The projected end-of-text state where the model has a projection, else the plain one."""
    pooled = getattr(out, "text_embeds", None)
    return pooled if pooled is not None else getattr(out, "pooler_output", None)
