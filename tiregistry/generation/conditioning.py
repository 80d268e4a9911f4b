"""From a prompt's pieces to what the denoiser is told: token ids, windows, hidden states, weights, with a cache.

**Long prompts.** A prompt with more tokens than one window holds is cut into chunks of `window - 2` tokens; each is
encoded on its own between begin and end tokens, and the hidden states are joined along the tokens, as
AUTOMATIC1111's web UI does it. A word of several vectors is never torn apart. SDXL's pooled vector is the first
chunk's. The window is the tokenizer's, whatever its length.

**Weights.** A token's hidden states `h` become `e + weight * (h - e)`, where `e` is what the encoder says at the same
place of the empty prompt: weight 1 changes nothing (not a bit of it), 0 leaves the token as silent as an empty
prompt, 1.3 says it louder. This is ComfyUI's rule (`comfy/sd1_clip.py`, `encode_token_weights`). The older rule
(multiply `h`, then restore the mean of the whole tensor) divides by a mean that is close to zero in small encoders.

**Exactness.** Every chunk is encoded alone, so that what it becomes depends on its own tokens and on nothing that
happens to be beside it; that also makes it worth remembering.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from tiregistry.bases.denoisers import Conditioning
from tiregistry.bases.loaded import LoadedBase
from tiregistry.embeddings.embedding import Embedding
from tiregistry.embeddings.mixing import mix
from tiregistry.errors import InvalidPrompt
from tiregistry.generation.prompts import PromptPart, words_in

if TYPE_CHECKING:
    from tiregistry.generation.grammar import WordName

CACHED_CHUNKS = 256
"""Encoded chunks that are remembered; one of SDXL's is 0.3 MB in half precision, one of SD1's 0.1 MB."""

EmbeddingOf = Callable[["WordName"], tuple[str, Embedding]]
"""Gives the digest of a word's version, and its vectors."""


@dataclass(frozen=True, slots=True)
class Token:
    """One place in a prompt: a token id (words' vectors lie past the vocabulary) with its weight."""

    id: int
    weight: float


@dataclass(frozen=True)
class TokenisedPrompt:
    """A prompt as token ids.

    Attributes:
        chunks: per chunk, encoder role to at most `window - 2` tokens.
        rows: encoder role to float32 `[n, dim]` on the device, the vectors of the words; empty without words.
        key: what distinguishes `rows`: the digests of the words in their order.
        length: number of tokens, begin and end not counted.
    """

    chunks: tuple[Mapping[str, tuple[Token, ...]], ...]
    rows: Mapping[str, torch.Tensor]
    key: tuple[str, ...]
    length: int


class PromptEncoder:
    """Encodes prompts on one base model and remembers what it encoded.

    Args:
        base: the loaded base model.
    """

    def __init__(self, base: LoadedBase) -> None:
        self.base = base
        self._cache: OrderedDict[object, Conditioning] = OrderedDict()

    @property
    def room(self) -> int:
        """Tokens that fit one window beside its begin and end tokens."""
        return min(tower.room for tower in self.base.towers)

    def tokenise(self, parts: tuple[PromptPart, ...], embedding_of: EmbeddingOf) -> TokenisedPrompt:
        """Token ids of a prompt, in chunks that fit the window.

        Args:
            embedding_of: where the words come from.

        Raises:
            WrongBaseModel: a word has no vectors of this model's width, or two that are mixed differ in number.
            InvalidPrompt: one word has more vectors than the window has places.
        """
        embeddings: list[Embedding] = []
        index: dict[str, int] = {}
        digests: list[str] = []
        for use in words_in(parts):
            if use.text not in index:
                digest, embedding = embedding_of(use.first)
                if use.second is not None:
                    other_digest, other = embedding_of(use.second)
                    embedding = mix(embedding, other, use.at)
                    digest = f"{digest}~{other_digest}~{use.at!r}"
                index[use.text] = len(embeddings)
                embeddings.append(embedding)
                digests.append(digest)
        rows, places = self.base.place_words(embeddings)
        by_tower: dict[str, list[tuple[Token, ...]]] = {}
        length = 0
        for tower in self.base.towers:
            pieces: list[tuple[Token, ...]] = []
            for part in parts:
                if isinstance(part.content, str):
                    pieces.extend((Token(i, part.weight),) for i in tower.text_ids(part.content))
                else:
                    place = places[index[part.content.text]][tower.role]
                    pieces.append(tuple(Token(i, part.weight) for i in place))
            by_tower[tower.role] = _chunks(pieces, tower.room)
            length = max(length, sum(map(len, pieces)))
        count = max(map(len, by_tower.values()))
        chunks = tuple(
            {role: chunks[i] if i < len(chunks) else () for role, chunks in by_tower.items()} for i in range(count)
        )
        return TokenisedPrompt(chunks, rows, tuple(digests), length)

    def encode(self, prompt: TokenisedPrompt, num_chunks: int = 1) -> Conditioning:
        """What the denoiser is told: `states [1, chunks * window, dim]`, and SDXL's `pooled [1, dim]`.

        Args:
            num_chunks: at least so many chunks; empty ones are added (positive and negative must be equally long).
        """
        empty: Mapping[str, tuple[Token, ...]] = {tower.role: () for tower in self.base.towers}
        chunks = [*prompt.chunks, *[empty] * (num_chunks - len(prompt.chunks))]
        encoded = [self._chunk(chunk, prompt) for chunk in chunks]
        if len(encoded) == 1:
            return encoded[0]
        return Conditioning(torch.cat([chunk.states for chunk in encoded], dim=1), encoded[0].pooled)

    def _chunk(self, chunk: Mapping[str, tuple[Token, ...]], prompt: TokenisedPrompt) -> Conditioning:
        has_words = any(t.id >= tower.words.first_id for tower in self.base.towers for t in chunk[tower.role])
        key = (tuple(chunk[tower.role] for tower in self.base.towers), prompt.key if has_words else ())
        known = self._cache.get(key)
        if known is not None:
            self._cache.move_to_end(key)
            return known
        ids = {t.role: torch.tensor([t.framed([token.id for token in chunk[t.role]])]) for t in self.base.towers}
        if has_words:
            with self.base.using_rows(prompt.rows):
                encoded = self.base.encode(ids)
        else:
            encoded = self.base.encode(ids)
        if any(token.weight != 1 for tokens in chunk.values() for token in tokens):
            encoded = Conditioning(self._weigh(encoded.states, chunk, prompt), encoded.pooled)
        self._cache[key] = encoded
        if len(self._cache) > CACHED_CHUNKS:
            self._cache.popitem(last=False)
        return encoded

    def _weigh(
        self, states: torch.Tensor, chunk: Mapping[str, tuple[Token, ...]], prompt: TokenisedPrompt
    ) -> torch.Tensor:
        """`states [1, window, dim]` with the tokens' weights applied; each encoder has its slice of the width."""
        nothing = self._chunk({tower.role: () for tower in self.base.towers}, prompt).states
        out, start = [], 0
        for tower in self.base.towers:
            end = start + int(tower.model.config.hidden_size)
            weights = torch.ones(states.shape[1])
            for place, token in enumerate(chunk[tower.role], 1):
                weights[place] = token.weight
            factor = weights.to(states.device, states.dtype)[None, :, None]
            said, silent = states[..., start:end], nothing[..., start:end]
            out.append(torch.where(factor == 1, said, silent + factor * (said - silent)))
            start = end
        return torch.cat(out, dim=-1)


def _chunks(pieces: list[tuple[Token, ...]], room: int) -> list[tuple[Token, ...]]:
    """Pieces laid into chunks of at most `room` tokens, none torn apart; at least one chunk."""
    chunks: list[tuple[Token, ...]] = [()]
    for piece in pieces:
        if len(piece) > room:
            raise InvalidPrompt(
                f"a word of {len(piece)} vectors does not fit the base model, which reads {room} tokens at a time",
                "use a version with fewer vectors",
            )
        if len(chunks[-1]) + len(piece) > room:
            chunks.append(())
        chunks[-1] += piece
    return chunks
