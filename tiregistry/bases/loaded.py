"""`LoadedBase`: a base model in memory, with the word rows, encoding and tokenising that every part needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from tiregistry.bases.word_rows import WordRows
from tiregistry.concepts import BaseModel, Family
from tiregistry.embeddings.embedding import Embedding
from tiregistry.errors import InvalidConfig, InvalidPrompt, WrongBaseModel
from tiregistry.text import safe

Segment = str | tuple[int, ...]
"""A piece of a prompt: plain text, or the token ids of a learned word."""


@dataclass
class TextTower:
    """One text encoder with its tokenizer and the rows for learned words.

    Attributes:
        role: `clip_l`, `clip_g`, `clip_h`.
        tokenizer: a transformers CLIP tokenizer.
        model: `CLIPTextModel` or `CLIPTextModelWithProjection`, frozen, in eval mode.
        words: the installed `WordRows`.
    """

    role: str
    tokenizer: Any
    model: Any
    words: WordRows

    @property
    def dim(self) -> int:
        """Width of one token embedding."""
        return int(self.words.table.embedding_dim)

    @property
    def window(self) -> int:
        """Length of the token window, begin and end tokens included."""
        limit = int(self.model.config.max_position_embeddings)
        return min(limit, int(self.tokenizer.model_max_length))

    def text_ids(self, text: str) -> list[int]:
        """Token ids of plain text, without begin and end tokens."""
        if not text.strip():
            return []
        ids: list[int] = self.tokenizer(text, add_special_tokens=False, truncation=False, verbose=False)["input_ids"]
        return ids

    def is_word(self, text: str) -> bool:
        """Whether `text` is one token of the vocabulary."""
        return len(self.text_ids(text)) == 1

    def ids(self, segments: Sequence[Segment]) -> list[int]:
        """The full window of token ids for a prompt in segments: begin, tokens, end, padding.

        Raises:
            InvalidPrompt: the prompt does not fit the window.
        """
        inner: list[int] = []
        for segment in segments:
            inner.extend(self.text_ids(segment) if isinstance(segment, str) else segment)
        room = self.window - 2
        if len(inner) > room:
            raise InvalidPrompt(f"the prompt has {len(inner)} tokens, {room} fit the base model", "shorten the prompt")
        tokenizer = self.tokenizer
        filled = [tokenizer.bos_token_id, *inner, tokenizer.eos_token_id]
        return filled + [tokenizer.pad_token_id] * (self.window - len(filled))

    def vectors_of(self, phrase: str) -> torch.Tensor:
        """Token embeddings float32 `[tokens, dim]` of a phrase of vocabulary words, on the CPU.

        Raises:
            InvalidConfig: the phrase is empty, or a word of it is not one token. A misspelt word would otherwise be
                spelled in pieces, and give a word of several meaningless vectors.
        """
        ids = self.text_ids(phrase)
        for word in phrase.split() or [phrase]:
            if not self.is_word(word):
                raise InvalidConfig(
                    f"the initializer {safe(word)!r} is not a word of the base model's vocabulary", self._closest(word)
                )
        return self.words.table.weight[torch.tensor(ids)].detach().float().cpu()

    def _closest(self, word: str) -> str:
        """What to write instead of a word that is not in the vocabulary."""
        from difflib import get_close_matches

        whole = [token.removesuffix("</w>") for token in self.tokenizer.get_vocab() if token.endswith("</w>")]
        close = get_close_matches(word.lower(), whole, n=3, cutoff=0.7)
        return f"did you mean {' or '.join(close)}?" if close else "use an ordinary word, such as toy or object"

    def mean_norm(self) -> float:
        """Mean L2 norm of the vocabulary's token embeddings."""
        return float(self.words.table.weight.detach().float().norm(dim=-1).mean())


@dataclass(frozen=True)
class Conditioning:
    """What the denoiser is told: `states [b, tokens, dim]`, and for SDXL `pooled [b, dim]`."""

    states: torch.Tensor
    pooled: torch.Tensor | None = None


@dataclass
class LoadedBase:
    """A frozen base model ready for training and generation.

    Attributes:
        identity: name, source and fingerprint.
        towers: text encoders in the pipeline's order.
        denoiser: `UNet2DConditionModel`.
        vae: `AutoencoderKL`.
        scheduler: the scheduler the model ships with.
        device, dtype: where and in which precision the frozen parts live.
    """

    identity: BaseModel
    towers: list[TextTower]
    denoiser: Any
    vae: Any
    scheduler: Any
    device: torch.device
    dtype: torch.dtype

    @property
    def family(self) -> Family:
        return self.identity.family

    @property
    def resolution(self) -> int:
        """Native picture size in pixels."""
        return int(self.denoiser.config.sample_size) * self.vae_factor

    @property
    def vae_factor(self) -> int:
        """Pixels per latent cell along one side."""
        return int(2 ** (len(self.vae.config.block_out_channels) - 1))

    @property
    def prediction_type(self) -> str:
        """`epsilon` or `v_prediction`."""
        return str(self.scheduler.config.prediction_type)

    def vocabulary(self) -> frozenset[str]:
        """Every token string of the first tokenizer."""
        return frozenset(self.towers[0].tokenizer.get_vocab())

    @contextmanager
    def using_rows(self, rows: Mapping[str, torch.Tensor]) -> Iterator[None]:
        """Within the block, ids past each vocabulary mean `rows[role]` (`[n, dim]`)."""
        try:
            for tower in self.towers:
                tower.words.rows = rows[tower.role]
            yield
        finally:
            for tower in self.towers:
                tower.words.rows = None

    def place_words(self, embeddings: Sequence[Embedding]) -> tuple[dict[str, torch.Tensor], list[dict[str, range]]]:
        """Lay words out in one table of extra rows.

        Returns:
            rows per encoder role (float32 `[sum of num_vectors, dim]` on the device), and for each embedding the
            token ids of its vectors per encoder role.

        Raises:
            WrongBaseModel: an embedding lacks an encoder of this base, or has another width.
        """
        rows: dict[str, list[torch.Tensor]] = {tower.role: [] for tower in self.towers}
        places: list[dict[str, range]] = []
        for embedding in embeddings:
            place: dict[str, range] = {}
            for tower in self.towers:
                array = embedding.tensors.get(tower.role)
                if array is None or array.shape[1] != tower.dim:
                    found = "none" if array is None else f"width {array.shape[1]}"
                    raise WrongBaseModel(
                        f"the word has {found} for {tower.role}, this base model needs width {tower.dim}",
                        "use the base model that the word was learned on",
                    )
                start = tower.words.first_id + sum(len(r) for r in rows[tower.role])
                place[tower.role] = range(start, start + len(array))
                rows[tower.role].append(torch.from_numpy(np.array(array)))
            places.append(place)
        device = self.device
        return {role: torch.cat(parts).to(device) for role, parts in rows.items() if parts}, places

    def encode(self, ids: Mapping[str, torch.Tensor]) -> Conditioning:
        """Run the text encoders.

        Args:
            ids: encoder role to token ids `[b, window]` (long, any device).

        Returns:
            SD1 and SD2: the final hidden states. SDXL: the second-to-last hidden states of both encoders joined
            along the width, and the second encoder's pooled projection (Podell et al. 2023, section 2.1).
        """
        if self.family == "sdxl":
            parts, pooled = [], None
            for tower in self.towers:
                out = tower.model(ids[tower.role].to(self.device), output_hidden_states=True)
                parts.append(out.hidden_states[-2])
                pooled = getattr(out, "text_embeds", pooled)
            return Conditioning(torch.cat(parts, dim=-1), pooled)
        tower = self.towers[0]
        return Conditioning(tower.model(ids[tower.role].to(self.device)).last_hidden_state)

    def added_conditions(self, conditioning: Conditioning, width: int, height: int) -> dict[str, torch.Tensor] | None:
        """SDXL's micro-conditioning: original size, crop corner and target size, for uncropped pictures."""
        if conditioning.pooled is None:
            return None
        times = torch.tensor([[height, width, 0, 0, height, width]], dtype=conditioning.pooled.dtype)
        return {
            "text_embeds": conditioning.pooled,
            "time_ids": times.to(self.device).expand(len(conditioning.pooled), -1),
        }
