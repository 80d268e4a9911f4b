"""What the denoiser is told of a batch's captions: each distinct one encoded once, idle encoders only once a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from tiregistry.bases.denoisers import Conditioning
from tiregistry.bases.towers import Encoded, TextTower
from tiregistry.training.frozen_encoder import FrozenEncoder

if TYPE_CHECKING:
    from tiregistry.bases.loaded import LoadedBase
    from tiregistry.training.vectors import Rows
    from tiregistry.training.word import Word

_AT_ONCE = 8
"""Captions that go through an idle encoder together."""


class CaptionStates:
    """Encodes captions of several words on one base model.

    An encoder whose vectors no word learns says the same of a caption all through the run: it encodes every caption
    once, and then leaves the device.

    Attributes:
        idle: those encoders.
    """

    def __init__(self, base: LoadedBase, words: Sequence[Word]) -> None:
        self._base = base
        self.idle = [
            t for t in base.towers if all(w.config.encoders and t.role not in w.config.encoders for w in words)
        ]
        self._known: dict[tuple[int, int, str], Encoded] = {}
        working = [tower for tower in base.towers if tower not in self.idle]
        found = [(tower, FrozenEncoder.of(tower, pooled=base.reads_pooled(tower))) for tower in working]
        self._frozen = {tower.role: encoder for tower, encoder in found if encoder is not None}
        for encoder in self._frozen.values():
            encoder.tower.words.table.to("cpu")
        if any(word.config.gradient_checkpointing for word in words):
            self.recompute()

    def recompute(self) -> None:
        """Have CLIP's encoders compute their activations again on the way back from now on; others are asked to by
        `checkpoint_activations`."""
        for encoder in self._frozen.values():
            encoder.recomputes = True

    def encode(
        self, words: Sequence[Word], owner: torch.Tensor, captions: torch.Tensor
    ) -> tuple[Conditioning, torch.Tensor | None]:
        """Conditions `[distinct, …]` of some samples, and for each sample its index in them.

        Args:
            words: whose rows lie behind each other in this order.
            owner, captions: long `[b]` on the CPU, index of each sample's word, and of its caption within the word's
                captions.

        Returns:
            The conditions in the order in which their captions first appear, and long `[b]` on the device, or None
            where no caption comes twice.
        """
        places: dict[tuple[int, int], int] = {}
        index = [places.setdefault(key, len(places)) for key in zip(owner.tolist(), captions.tolist(), strict=True)]
        keys = list(places)
        device = self._base.device
        # What goes to the device goes before the encoders' work is queued: a copy waits for all that is queued.
        inverse = torch.tensor(index).to(device) if len(keys) < len(index) else None
        ids = {}
        for tower in self._base.towers:
            if tower in self.idle:
                continue
            every = [word.caption_ids[tower.role] for word in words]
            own = torch.stack([every[o][c] for o, c in keys])
            frozen = self._frozen.get(tower.role)
            ids[tower.role] = own.to(device) if frozen is None else frozen.places(own, every)
        rows = joined_rows(self._base, words)
        encoded = {}
        for tower in self._base.towers:
            if tower in self.idle:
                encoded[tower.role] = self._remembered(tower, words, keys, rows)
            else:
                encoder = self._frozen.get(tower.role, tower)
                with self._base.using_rows(rows):
                    encoded[tower.role] = encoder.encode(ids[tower.role])
        return self._base.join(encoded), inverse

    def _remembered(
        self, tower: TextTower, words: Sequence[Word], keys: Sequence[tuple[int, int]], rows: Rows
    ) -> Encoded:
        device = self._base.device
        for owner in sorted({owner for owner, _ in keys}):
            if (id(words[owner]), words[owner].active, tower.role) not in self._known:
                self._known[id(words[owner]), words[owner].active, tower.role] = self._all(tower, words[owner], rows)
        states, pooled = [], []
        for owner, caption in keys:
            known = self._known[id(words[owner]), words[owner].active, tower.role]
            states.append(known.states[caption])
            if known.pooled is not None:
                pooled.append(known.pooled[caption])
        return Encoded(torch.stack(states).to(device), torch.stack(pooled).to(device) if pooled else None)

    @torch.no_grad()
    def _all(self, tower: TextTower, word: Word, rows: Rows) -> Encoded:
        """Every caption of a word, encoded, on the CPU."""
        tower.model.to(self._base.device)
        with self._base.using_rows(rows):
            ids = word.caption_ids[tower.role].split(_AT_ONCE)
            parts = [tower.encode(some.to(self._base.device)) for some in ids]
        tower.model.to("cpu")
        if self._base.device.type == "cuda":
            torch.cuda.empty_cache()
        pooled = [part.pooled.cpu() for part in parts if part.pooled is not None]
        return Encoded(torch.cat([part.states.cpu() for part in parts]), torch.cat(pooled) if pooled else None)


def joined_rows(base: LoadedBase, words: Sequence[Word]) -> Rows:
    """The rows of several words behind each other, per encoder role, connected to their gradients."""
    every = [word.vectors.rows() for word in words]
    return {tower.role: torch.cat([rows[tower.role] for rows in every]) for tower in base.towers}
