"""From a prompt's pieces to what the denoiser is told: token ids, windows, hidden states, weights, with a cache.

**Long prompts.** A prompt with more tokens than one window holds is cut into chunks of `window - 2` tokens; each is
encoded on its own between begin and end tokens, and the hidden states are joined along the tokens, as
AUTOMATIC1111's web UI does it. A word of several vectors is never torn apart. The pooled vector of SDXL, SD3 and FLUX
is the first chunk's; FLUX reads nothing else of CLIP. The window is the tokenizer's, whatever its length; T5's has an
end token only.

**Weights.** A token's hidden states `h` become `e + weight * (h - e)`, where `e` is what the encoder says at the same
place of the empty prompt: weight 1 changes nothing (not a bit of it), 0 leaves the token as silent as an empty
prompt, 1.3 says it louder. This is ComfyUI's rule (`comfy/sd1_clip.py`, `encode_token_weights`). The older rule
(multiply `h`, then restore the mean of the whole tensor) divides by a mean that is close to zero in small encoders.

**Exactness.** Every chunk is encoded alone, so that what it becomes depends on its own tokens and on nothing that
happens to be beside it; that also makes it worth remembering.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from tiregistry.bases.denoisers import Conditioning
from tiregistry.bases.loaded import LoadedBase
from tiregistry.bases.towers import Encoded, TextTower
from tiregistry.embeddings.embedding import Embedding
from tiregistry.embeddings.mixing import mix
from tiregistry.errors import InvalidPrompt
from tiregistry.generation.prompts import PromptPart, words_in

if TYPE_CHECKING:
    from tiregistry.generation.grammar import WordName

CACHE_BYTES = 128 << 20
"""Of encoded chunks that are remembered; in half precision one of CLIP takes 0.1 MB, one of T5 2 to 4 MB."""

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
        chunks: encoder role to its chunks, each of as many tokens as its window has room for; encoders whose hidden
            states stand side by side have equally many.
        rows: encoder role to float32 `[n, dim]` on the device, the vectors of the words; empty without words.
        key: what distinguishes `rows`: the digests of the words in their order.
        length: number of tokens, special ones not counted.
    """

    chunks: Mapping[str, tuple[tuple[Token, ...], ...]]
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
        self._cache: OrderedDict[object, Encoded] = OrderedDict()
        self._cached = 0  # bytes

    @property
    def room(self) -> int:
        """Tokens that fit one window beside its special tokens."""
        return min(tower.room for tower in self.base.towers if not self._is_pooled_only(tower))

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
        rows, places = self.base.place_words(embeddings, list(index))
        chunks: dict[str, tuple[tuple[Token, ...], ...]] = {}
        length = 0
        for tower in self.base.towers:
            pieces: list[tuple[Token, ...]] = []
            for part in parts:
                if isinstance(part.content, str):
                    pieces.extend((Token(i, part.weight),) for i in tower.text_ids(part.content))
                else:
                    place = places[index[part.content.text]][tower.role]
                    pieces.append(tuple(Token(i, part.weight) for i in place))
            chunks[tower.role] = _chunks(pieces, tower.room)
            if self._is_pooled_only(tower):
                chunks[tower.role] = chunks[tower.role][:1]
            length = max(length, sum(map(len, pieces)))
        return TokenisedPrompt(_side_by_side(chunks), rows, tuple(digests), length)

    def encode(self, prompt: TokenisedPrompt, num_chunks: Mapping[str, int] | None = None) -> Conditioning:
        """What the denoiser is told: `states [1, tokens, dim]`, and `pooled [1, dim]` where the family has it.

        Args:
            num_chunks: encoder role to the least number of chunks; empty ones are added (positive and negative must
                be equally long).
        """
        encoded = {}
        for tower in self.base.towers:
            chunks = prompt.chunks[tower.role]
            chunks += ((),) * ((num_chunks or {}).get(tower.role, 0) - len(chunks))
            parts = [self._chunk(tower, chunk, prompt) for chunk in chunks]
            states = parts[0].states if len(parts) == 1 else torch.cat([part.states for part in parts], dim=1)
            encoded[tower.role] = Encoded(states, parts[0].pooled)
        return self.base.join(encoded)

    def _is_pooled_only(self, tower: TextTower) -> bool:
        """Whether the denoiser reads nothing but the pooled vector of an encoder."""
        return self.base.family == "flux" and tower.role != "t5"

    def _chunk(self, tower: TextTower, chunk: tuple[Token, ...], prompt: TokenisedPrompt) -> Encoded:
        has_words = any(token.id >= tower.words.first_id for token in chunk)
        key = (tower.role, chunk, prompt.key if has_words else ())
        known = self._cache.get(key)
        if known is not None:
            self._cache.move_to_end(key)
            return known
        ids = torch.tensor([tower.framed([token.id for token in chunk])]).to(tower.device)
        if has_words:
            with self.base.using_rows(prompt.rows):
                encoded = tower.encode(ids)
        else:
            encoded = tower.encode(ids)
        if any(token.weight != 1 for token in chunk):
            silent = self._chunk(tower, (), prompt).states
            encoded = Encoded(_weigh(encoded.states, silent, chunk, tower.first_place), encoded.pooled)
        self._cache[key] = encoded
        self._cached += encoded.states.nbytes
        while self._cached > CACHE_BYTES and len(self._cache) > 1:
            self._cached -= self._cache.popitem(last=False)[1].states.nbytes
        return encoded


def longest(prompts: Sequence[TokenisedPrompt]) -> dict[str, int]:
    """The largest number of chunks among prompts, by encoder role."""
    return {role: max(len(prompt.chunks[role]) for prompt in prompts) for role in prompts[0].chunks}


def _weigh(said: torch.Tensor, silent: torch.Tensor, chunk: Sequence[Token], first_place: int) -> torch.Tensor:
    """Hidden states `[1, window, dim]` with the tokens' weights applied; `silent` are those of an empty chunk."""
    weights = torch.ones(said.shape[1])
    for place, token in enumerate(chunk, first_place):
        weights[place] = token.weight
    factor = weights.to(said.device, said.dtype)[None, :, None]
    return torch.where(factor == 1, said, silent + factor * (said - silent))


def _chunks(pieces: list[tuple[Token, ...]], room: int) -> tuple[tuple[Token, ...], ...]:
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
    return tuple(chunks)


def _side_by_side(chunks: Mapping[str, tuple[tuple[Token, ...], ...]]) -> dict[str, tuple[tuple[Token, ...], ...]]:
    """The same with CLIP encoders filled up to equally many chunks: their hidden states are joined along the width."""
    most = max(len(of_one) for role, of_one in chunks.items() if role != "t5")
    return {role: c if role == "t5" else c + ((),) * (most - len(c)) for role, c in chunks.items()}
