"""`Word`: one word being learned, with its vectors, its pictures, its captions and how far it is."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from tiregistry.training.config import TrainingConfig
from tiregistry.training.dataset import Latents
from tiregistry.training.events import StopReason
from tiregistry.training.stopping import StopRule
from tiregistry.training.vectors import Rows, Vectors, learning_rate_at
from tiregistry.training.wording import Wording


@dataclass(eq=False)
class Word:
    """One word being learned.

    Attributes:
        name: for messages.
        vectors: the trainable vectors with their optimiser.
        latents: cached posteriors of its pictures.
        wording: its captions.
        config: a resolved configuration; its seed decides every draw.
        num_vectors: how many of the vectors are the word's own; the rest are its pictures' and are thrown away.
        step: steps done.
        ended: why no more steps are taken, or None; a caller may set it to end a word early.
        rule: the stopping rule, or None.
        why: the rule's reason in words, and which step it keeps.
        caption_ids: encoder role to long `[captions, window]`, kept by the loop.
    """

    name: str
    vectors: Vectors
    latents: Latents
    wording: Wording
    config: TrainingConfig
    num_vectors: int
    step: int = 0
    ended: StopReason | None = None
    rule: StopRule | None = None
    why: str = ""
    caption_ids: dict[str, torch.Tensor] = field(default_factory=dict)

    @property
    def last(self) -> int:
        """The cap on steps, or the early end that the stopping rule has set."""
        return self.rule.last if self.rule is not None else self.config.max_steps or 0

    @property
    def learning_rate(self) -> float:
        """Of the next step."""
        return learning_rate_at(self.step, self.config) if self.rule is None else self.rule.learning_rate(self.step)

    @property
    def active(self) -> int:
        """Vectors in use at this step; fewer than all while a progressive word grows."""
        every = self.config.progressive_steps
        return min(self.num_vectors, 1 + self.step // every) if every else self.num_vectors

    def conclude(self) -> None:
        """Note that all steps are done, and why there are no more."""
        settled = self.rule is not None and self.rule.settled_at is not None
        self.ended = "converged" if settled else "finished"
        self.why = self.rule.why(self.step) if self.rule is not None else ""

    def learned(self) -> Rows:
        """The result so far, per encoder float32 `[vectors, dim]` on the CPU: the best on the fixed batch, or the last.

        A progressive word gives the vectors that were in use.
        """
        best = self.rule.best_rows if self.rule is not None and self.kept_step == self.rule.best_step else {}
        return {role: rows.clone() for role, rows in (best or self.rows_in_use()).items()}

    @property
    def kept_step(self) -> int:
        """The step whose vectors are the result so far."""
        if self.rule is None or not self.rule.best_rows:
            return self.step
        # Stopped before it was looked at again: the start is nothing that was learned.
        unseen = self.rule.best_step == 0 and self.ended in (None, "interrupted")
        return self.step if unseen else self.rule.best_step

    def rows_in_use(self) -> Rows:
        """The word's own vectors as they are now, without those yet to join: per encoder float32 on the CPU."""
        return {role: r.detach()[: self.active].float().cpu().clone() for role, r in self.vectors.rows().items()}
