"""The token embeddings that captions need, on the device; the vocabulary's table stays behind."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from tiregistry.bases.word_rows import WordRows


class CaptionWords:
    """Looks the token ids of captions up in the few rows of a vocabulary that they use.

    Captions have a hundred words between them, a table has 49,408: of SD1.5 72 MiB in half precision, of SDXL 193 MiB,
    which a training would keep on the device for nothing. Learned words keep their places behind the vocabulary's.
    """

    def __init__(self, words: WordRows) -> None:
        self._words = words
        self._few: WordRows | None = None
        # By token id; behind the vocabulary's the learned words', where they are known to be needed.
        self._row_of = torch.full((words.first_id,), -1)

    def places(self, ids: torch.Tensor, device: torch.device, later: Sequence[torch.Tensor] = ()) -> torch.Tensor:
        """Token ids (long, on the CPU) as this lookup's own, on the device.

        Args:
            later: ids that will come up, brought along when rows are brought.
        """
        beyond = int(ids.max()) + 1 - len(self._row_of)
        if beyond > 0:
            self._row_of = torch.cat([self._row_of, torch.full((beyond,), -1)])
        rows = self._row_of[ids]
        if int(rows.min()) < 0:
            self._few = self._brought([ids, *later], device)
            rows = self._row_of[ids]
        return rows.to(device)

    def place_of(self, token_id: int) -> int:
        """The place of an id of the vocabulary, -1 for one that has not come up."""
        return int(self._row_of[token_id])

    def __call__(self, places: torch.Tensor) -> torch.Tensor:
        """Embeddings `[..., dim]` of what the last call of `places` returned, in the table's dtype."""
        assert self._few is not None
        self._few.rows = self._words.rows
        return self._few(places)

    def _brought(self, ids: Sequence[torch.Tensor], device: torch.device) -> WordRows:
        """The rows that there were, and those of some more ids."""
        first = self._words.first_id
        there = (self._row_of[:first] >= 0).nonzero().flatten()
        used = torch.cat([there, *(some[some < first] for some in ids)]).unique()
        self._row_of[used] = torch.arange(len(used))
        self._row_of[first:] = len(used) + torch.arange(len(self._row_of) - first)
        table = self._words.table.weight.detach()
        return WordRows(torch.nn.Embedding.from_pretrained(table[used.to(table.device)].to(device)))
