"""`WordRows`: a token-embedding layer with extra rows for learned words, beside an untouched vocabulary table."""

from __future__ import annotations

import torch


class WordRows(torch.nn.Module):
    """Looks token ids up in a frozen table, and ids past its end in `rows`.

    Unlike `resize_token_embeddings`, nothing of the table is copied, trained or restored: learning a word costs a few
    kilobytes of parameters instead of the whole table with its gradient and optimiser state.

    Attributes:
        table: the frozen `nn.Embedding [vocab, dim]`.
        rows: float tensor `[n, dim]` with gradient when training, or None when no word is in use.
    """

    def __init__(self, table: torch.nn.Embedding) -> None:
        super().__init__()
        self.table = table
        self.rows: torch.Tensor | None = None

    @property
    def first_id(self) -> int:
        """The token id of `rows[0]`."""
        return int(self.table.num_embeddings)

    @property
    def weight(self) -> torch.Tensor:
        """The frozen table; transformers asks the input embeddings for it."""
        return self.table.weight

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Embeddings `[..., dim]` of integer `ids [...]` on their device, in the table's dtype."""
        # A training sends the table to the CPU; its previews look words up there.
        known: torch.Tensor = self.table(ids.clamp(max=self.first_id - 1).to(self.weight.device)).to(ids.device)
        if self.rows is None:
            return known
        rows = self.rows.to(known.device)
        # Not by indexing: where threads share its way back, they add up in another order every time.
        extra = torch.nn.functional.embedding((ids - self.first_id).clamp(min=0, max=len(rows) - 1), rows)
        return torch.where((ids >= self.first_id).unsqueeze(-1), extra.to(known.dtype), known)
