"""What a training run tells its listeners: a progress bar, a chart, the registry and tests hear the same events."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tiregistry.quantities import count

StopReason = Literal["finished", "converged", "interrupted", "diverged"]
"""All steps done; the stopping rule was satisfied; the user stopped it; the loss became NaN."""


@dataclass(frozen=True, slots=True)
class Preparing:
    """Before the first step: what is being done, for the user to read."""

    what: str


@dataclass(frozen=True, slots=True)
class Notice:
    """Something the user should know that does not end the run."""

    what: str
    run_id: str = ""
    """Empty where it concerns all words of a pass."""


@dataclass(frozen=True, slots=True)
class Started:
    """The model is loaded, the pictures are encoded, the first step is next."""

    run_id: str
    first_step: int
    max_steps: int
    device: str
    num_images: int
    num_vectors: int
    concept: str = ""


@dataclass(frozen=True, slots=True)
class Shortened:
    """The stopping rule has brought the end of a run forward."""

    last: int
    """The step after which it ends now."""
    run_id: str
    concept: str = ""

    @property
    def what(self) -> str:
        """For the user to read."""
        return f"{self.concept}: no longer changes at this learning rate, which falls to zero until step {self.last}"


@dataclass(frozen=True, slots=True)
class StepDone:
    """One optimiser step.

    Attributes:
        step: steps done so far, from 1.
        loss: mean loss of this step's batch.
        learning_rate: what this step used.
        seconds: wall time of this step, shared with the other words of the pass.
    """

    step: int
    loss: float
    learning_rate: float
    seconds: float
    run_id: str = ""


@dataclass(frozen=True, slots=True)
class CheckpointSaved:
    """The run can be taken up from `path` at `step`."""

    step: int
    path: Path
    run_id: str = ""


@dataclass(frozen=True, slots=True)
class PreviewMade:
    """A picture of the word so far.

    Attributes:
        step: steps done.
        prompt: with `{}` for the word.
        digest: the PNG in the blob store.
        role: its name among the version's attachments, e.g. `preview/0100.png`.
    """

    step: int
    prompt: str
    seed: int
    digest: str
    role: str
    run_id: str = ""


@dataclass(frozen=True, slots=True)
class Finished:
    """The loop has ended and the word is registered.

    Attributes:
        reference: `name@number` of the registered version.
        step: steps done.
        reason: why it ended.
        seconds: wall time of the loop.
        message: the reason in words, where there is more to say.
    """

    reference: str
    step: int
    reason: StopReason
    seconds: float
    run_id: str = ""
    message: str = ""


Event = Preparing | Notice | Started | Shortened | StepDone | CheckpointSaved | PreviewMade | Finished


def in_words(event: Event) -> str:
    """An event as one line for people, as logs have it."""
    if isinstance(event, Preparing | Notice | Shortened):
        return event.what
    if isinstance(event, Started):
        pictures, vectors = count(event.num_images, "picture"), count(event.num_vectors, "vector")
        again = f", from step {event.first_step} on" if event.first_step else ""
        return f"{pictures}, {vectors}, on {event.device}{again}"
    if isinstance(event, StepDone):
        return f"step {event.step} · loss {event.loss:.4f}"
    if isinstance(event, CheckpointSaved):
        return f"checkpoint at step {event.step}"
    if isinstance(event, PreviewMade):
        return f"preview at step {event.step} · {event.prompt.replace('{}', '…')} · seed {event.seed}"
    parts = (f"{event.reason} after {event.step} steps", event.reference, event.message)
    return " · ".join(part for part in parts if part)
