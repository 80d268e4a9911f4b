"""Notes that were typed and not kept: they come back, beside whatever was written to the note meanwhile."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from tireg_tui.settings.remembered import Remembered
from tiregistry.concepts import Concept

ELSEWHERE = "--- written elsewhere meanwhile: ---"


@dataclass(frozen=True)
class NoteDraft:
    """A note that is being written.

    Attributes:
        text: as it stands now.
        seen: the note it was begun from.
    """

    text: str
    seen: str

    def over(self, now: str) -> NoteDraft:
        """The same, begun from the note as it is now: what the note has got since stands below, to be mended."""
        if now in (self.seen, self.text):
            return NoteDraft(self.text, now)
        theirs = (now.removeprefix(self.seen) if self.seen else now).strip("\n")
        return NoteDraft(f"{self.text}\n\n{ELSEWHERE}\n{theirs}" if theirs else self.text, now)


def draft_of(remembered: Remembered, concept: Concept) -> NoteDraft | None:
    """What was typed and not kept of the note on a word."""
    try:
        draft = NoteDraft(**json.loads(remembered.text(_key(concept))))
    except (TypeError, ValueError):
        return None
    return draft if isinstance(draft.text, str) and isinstance(draft.seen, str) else None


def remember(remembered: Remembered, concept: Concept, draft: NoteDraft | None) -> None:
    """Let a note that is left, or a window that is closed, lose nothing; None: there is nothing to lose."""
    remembered.set(_key(concept), json.dumps(asdict(draft)) if draft is not None else "")


def _key(concept: Concept) -> str:
    # Not by its name, which may be another's tomorrow.
    return f"note on {concept.id} of {concept.created_at:.6f}"
