"""Where one run stands: in memory, in its folder (checkpoint, journal, lock), and in the registry."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tiregistry.concepts import Run, RunStatus, SourceImage, Version
from tiregistry.errors import Damaged, TiregError, UnreadableEmbedding
from tiregistry.text import safe
from tiregistry.training.events import CheckpointSaved, Event, Notice, PreviewMade
from tiregistry.training.journal import Journal
from tiregistry.training.registering import register_learned
from tiregistry.training.request import TrainingRequest
from tiregistry.training.run_lock import RunLock
from tiregistry.training.trail import keep_point

if TYPE_CHECKING:
    from tiregistry.bases.loaded import LoadedBase
    from tiregistry.embeddings.embedding import Embedding
    from tiregistry.registry.registry import Registry
    from tiregistry.training.word import Word

STOP_FILE = "stop"
"""Name of a file in a run's folder that asks its process to stop: `keep` registers what was learned, `cancel` not."""
HEARTBEAT_SECONDS = 5.0
_REPORT_SECONDS = 1.0


def run_folder(registry: Registry, run_id: str) -> Path:
    """Where a run keeps its checkpoint, events and log."""
    return registry.home / "runs" / run_id


class RunState:
    """One run being carried out.

    Attributes:
        run: the run as it was when it was taken up.
        word: what is learned; its checkpoint has been loaded.
        images: its source images, whose blobs are in the store.
        losses: loss of every step so far.
        threads: CPU threads of this run, 0 when they are not decided yet.
        precision: that of the frozen model, once it has begun.
        saved_step: step of the checkpoint on the disk, 0 when there is none.

    The run's lock, which is held, is given back when the run ends.
    """

    def __init__(
        self,
        registry: Registry,
        run: Run,
        word: Word,
        request: TrainingRequest,
        images: Sequence[SourceImage],
        lock: RunLock,
    ) -> None:
        from tiregistry.training.checkpoint import FILE, load_checkpoint

        self.registry, self.run, self.word, self.request, self.images = registry, run, word, request, images
        self.folder = run_folder(registry, run.id)
        self.path = self.folder / FILE
        self.losses: list[float] = []
        self.threads = 0
        self.precision = ""
        self.saved_step = 0
        self.ended = False
        self._unsaved = False
        self._journal = Journal(self.folder)
        self._lock = lock
        self._began, self._seconds_before = time.perf_counter(), 0.0
        self._reported = 0.0
        checkpoint = load_checkpoint(self.path)
        if checkpoint is not None:
            try:
                word.vectors.load_state(checkpoint.state)
                if word.rule is not None:
                    word.rule.load_state(checkpoint.state)
            except KeyError as error:
                raise Damaged(
                    f"the checkpoint of run {run.id} lacks {error}: another tiregistry wrote it",
                    f"remove {safe(self.path)} to start the run from its beginning",
                ) from None
            word.step, self.losses, self.threads = checkpoint.step, checkpoint.losses, checkpoint.threads
            self.saved_step = checkpoint.step
            self._seconds_before = checkpoint.seconds

    @property
    def seconds(self) -> float:
        """Wall time at work: since `begin`, and before the checkpoint from which the run goes on."""
        return self._seconds_before + time.perf_counter() - self._began

    def begin(self, base: LoadedBase, threads: int) -> Iterator[CheckpointSaved | Notice]:
        """Mark the run running, and keep what it begins with: a warm start, and the number of CPU threads."""
        now = time.time()
        self._began = time.perf_counter()
        self.threads, self.precision = threads, str(base.dtype).removeprefix("torch.")
        self.registry.update_run(
            self.run.id,
            status="running",
            step=self.word.step,
            pid=os.getpid(),
            started_at=self.run.started_at or now,
            heartbeat_at=now,
            finished_at=None,
            message="",
        )
        if not self.path.exists():
            yield from self.save()

    def note(self, event: Event) -> None:
        """Write an event into the run's journal."""
        self._journal.add(event)

    def wish(self) -> str:
        """What another process asked of this run: `keep`, `cancel` or nothing."""
        return wish_of(self.folder)

    def add(self, loss: float) -> None:
        """Note a step's loss; the registry hears of it about once a second."""
        self.losses.append(loss)
        if time.monotonic() - self._reported > _REPORT_SECONDS:
            self._reported = time.monotonic()
            self._update(step=self.word.step, loss=loss, heartbeat_at=time.time())

    def save(self) -> list[CheckpointSaved | Notice]:
        """Write the checkpoint; a full disk does not end a training that may still find room at its end.

        Returns:
            What there is to be told: not every checkpoint that fails after another, nor the one before the first step.
        """
        from tiregistry.training.checkpoint import Checkpoint, save_checkpoint

        state = self.word.vectors.state() | (self.word.rule.state() if self.word.rule is not None else {})
        step = self.word.step
        try:
            if step:  # what it begins with is no point of the trail
                with contextlib.suppress(UnreadableEmbedding):  # nor are vectors that have become infinite
                    keep_point(self.folder, step, self._vectors_now())
            now = Checkpoint(step, state, self.losses, self.threads, self.seconds, self.precision)
            save_checkpoint(self.path, now)
        except OSError as error:
            told, self._unsaved = self._unsaved, True
            text = f"no checkpoint at step {step}: {error.strerror}; the training goes on"
            return [] if told else [Notice(text, self.run.id)]
        self.saved_step, self._unsaved = step, False
        return [CheckpointSaved(step, self.path, self.run.id)] if step else []

    def _vectors_now(self) -> Embedding:
        """The word's own vectors that are in use, whatever the stopping rule holds for the best."""
        from tiregistry.embeddings.embedding import Embedding

        rows = self.word.vectors.rows()
        return Embedding({role: r.detach().float().cpu()[: self.word.active].numpy() for role, r in rows.items()})

    def make_previews(self, base: LoadedBase) -> list[PreviewMade | Notice]:
        """Picture the word as it is now, once per preview prompt, and keep the pictures as blobs.

        A picture that does not fit the memory is left out: it must not cost the training.
        """
        import torch

        from tiregistry.training.previews import preview

        made: list[PreviewMade | Notice] = []
        rows = self.word.learned()
        side = self.request.config.resolution or 0
        for index, prompt in enumerate(self.request.config.preview_prompts):
            try:
                data = preview(base, rows, prompt, self.request.config.preview_seed + index, side)
            except torch.OutOfMemoryError:
                return [*made, Notice(f"no preview at step {self.word.step}: {base.device} is full", self.run.id)]
            suffix = f"-{index + 1}" if index else ""
            role = f"preview/{self.word.step:04d}{suffix}.png"
            seed = self.request.config.preview_seed + index
            digest = self.registry.blobs.add(data)
            made.append(PreviewMade(self.word.step, prompt, seed, digest, role, self.run.id))
        return made

    def register(self, base: LoadedBase) -> Version:
        """Add what was learned to the registry as a version, with its previews and masks."""
        from tiregistry.embeddings.embedding import Embedding

        word, rule = self.word, self.word.rule
        record = {
            "loss": self.losses,
            "steps": word.step,
            "stop_reason": word.ended,
            "kept_step": word.kept_step,
            "evaluation_loss": rule.losses if rule is not None else [],
            "seconds": round(self.seconds, 3),
            "device": str(base.device),
            "threads": self.threads,
            "precision": self.precision,
        }
        embedding = Embedding({role: rows.numpy() for role, rows in word.learned().items()})
        model = base.identity.name, base.identity.fingerprint
        run = self.run.id, self.folder
        return register_learned(self.registry, self.request, self.images, embedding, model, run, record)

    def end(self, status: RunStatus, *, message: str = "", version_id: int | None = None) -> None:
        """Record how the run ended; when even that fails, the next reader finds that nobody carries it out."""
        changes: dict[str, Any] = {"status": status, "step": self.word.step, "message": message, "pid": None}
        changes["finished_at"] = time.time()
        if self.losses:
            changes["loss"] = self.losses[-1]
        if version_id is not None:
            changes["version_id"] = version_id
        self._update(**changes)
        self.ended = True
        (self.folder / STOP_FILE).unlink(missing_ok=True)
        self._lock.release()

    def _update(self, **changes: Any) -> None:
        # A registry that is busy or full for a moment must not cost a training.
        with contextlib.suppress(TiregError):
            self.registry.update_run(self.run.id, **changes)


def wish_of(folder: Path) -> str:
    """What was asked of the run with this folder: `keep`, `cancel` or nothing.

    Asked while its base model is still being loaded, it waits for the first step that would follow.
    """
    try:
        text = (folder / STOP_FILE).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
    return text if text in ("keep", "cancel") else ""


def forget_wish(folder: Path) -> None:
    """Whoever takes a run up again wants it to go on, whatever was asked of it before."""
    (folder / STOP_FILE).unlink(missing_ok=True)


class Heartbeat:
    """Tells the registry every few seconds that this process lives, also during a step that takes minutes."""

    def __init__(self, registry: Registry, run_ids: Sequence[str]) -> None:
        self._registry, self._run_ids = registry, list(run_ids)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._over.wait(HEARTBEAT_SECONDS):
            for run_id in self._run_ids:
                with contextlib.suppress(TiregError):
                    if self._registry.run(run_id).status == "running":
                        self._registry.update_run(run_id, heartbeat_at=time.time())
