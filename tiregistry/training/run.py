"""A training run from pictures to a registered version: the whole story, in order, with nothing lost on the way."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tiregistry.captions import templates_for
from tiregistry.concepts import NewVersion, Run, RunStatus, SourceImage, Version
from tiregistry.errors import Conflict, Damaged, Interrupted, InvalidInput, TiregError, TrainingDiverged, WrongBaseModel
from tiregistry.images import SourcePicture, decode_picture
from tiregistry.opening import identify_base, open_base
from tiregistry.placeholders import check_free, check_placeholder, placeholder_for
from tiregistry.references import check_name
from tiregistry.training.config import TrainingConfig
from tiregistry.training.device_lock import device_lock
from tiregistry.training.events import (
    CheckpointSaved,
    Event,
    Finished,
    Notice,
    Preparing,
    Started,
    StepDone,
    StopReason,
)

if TYPE_CHECKING:
    from tiregistry.bases.loaded import LoadedBase
    from tiregistry.registry.registry import Registry
    from tiregistry.training.loop import Word


@dataclass(frozen=True)
class TrainingRequest:
    """What to learn, from what, on what.

    Attributes:
        concept: the concept's name; a new version is added when it exists.
        pictures: source images as `read_pictures` gives them, one or more.
        placeholder_token: empty means the concept's own, or `<name>` for a new one.
        base: a registered base model, `embedded`, a folder or a Hub id; empty means the default.
    """

    concept: str
    pictures: Sequence[SourcePicture]
    config: TrainingConfig = field(default_factory=TrainingConfig)
    placeholder_token: str = ""
    base: str = ""
    revision: str = ""
    device: str = "auto"
    precision: str = "auto"


def train(registry: Registry, request: TrainingRequest, *, stop: Callable[[], bool] = lambda: False) -> Iterator[Event]:
    """Learn a word and register it, yielding events; the run takes place as they are consumed.

    Args:
        stop: asked between steps; when it answers True, what was learned so far is registered and the run ends.

    Raises:
        InvalidInput and its kin: anything wrong with the request, before the base model is loaded.
        TrainingDiverged, DeviceError, DiskFull: during the run, which is then marked failed; its checkpoint stays.
    """
    checked = check_request(registry, request)
    name, _, _ = identify_base(registry, checked.base, checked.revision)
    yield Preparing(f"loading the base model {name}")
    base = _open(registry, checked)
    check_free(checked.placeholder_token, checked.concept, registry.placeholders(), base.vocabulary())
    yield Preparing(f"encoding {len(checked.pictures)} picture{'s' if len(checked.pictures) > 1 else ''}")
    word = _make_word(base, checked)
    images = [SourceImage(registry.blobs.add(p.data), p.filename, *p.size) for p in checked.pictures]
    config = _run_config(checked, base, images)
    run = registry.create_run(checked.concept, config, word.config.max_steps or 0, str(base.device))
    yield from _carry_out(registry, run, base, word, checked, images, stop)


def resume(registry: Registry, run: Run, *, stop: Callable[[], bool] = lambda: False) -> Iterator[Event]:
    """Take a run up at its checkpoint (or from its beginning, when it has none) and bring it to its end.

    Raises:
        Conflict: the run is finished, or its process is still alive.
        As `train` for everything else.
    """
    if run.status == "finished":
        raise Conflict(f"run {run.id} is finished", "tireg train starts a new one")
    if run.status == "running" and run.pid and _alive(run.pid):
        raise Conflict(f"run {run.id} is running in process {run.pid}", "wait for it, or stop that process")
    request, images = _request_of(registry, run)
    yield Preparing(f"loading the base model {request.base}")
    base = _open(registry, request)
    expected = run.config["base"]["fingerprint"]
    if base.identity.fingerprint.as_dict() != expected:
        raise WrongBaseModel(
            f"the base model {request.base} has changed since run {run.id} began", "start the training again"
        )
    word = _make_word(base, request)
    yield from _carry_out(registry, run, base, word, request, images, stop)


def check_request(registry: Registry, request: TrainingRequest) -> TrainingRequest:
    """The request with its placeholder token and recipe filled in, or an error before anything heavy is loaded.

    Raises:
        InvalidReference, InvalidPlaceholder, InvalidConfig, InvalidInput: a part of the request cannot be used.
        PlaceholderTaken, Conflict: the token or the concept's type clashes with what is registered.
    """
    concept = check_name(request.concept)
    request.config.check()
    if not request.pictures:
        raise InvalidInput("no pictures to learn from", "give picture files or a folder")
    owners = registry.placeholders()
    existing = next((token for token, owner in owners.items() if owner == concept), None)
    token = check_placeholder(request.placeholder_token or existing or placeholder_for(concept))
    check_free(token, concept, owners, frozenset())
    if existing is not None:
        if token != existing:
            raise Conflict(
                f"{concept} has the placeholder token {existing}, not {token}", "leave --token out, or use another name"
            )
        known_type = registry.concept(concept).concept_type
        if known_type != request.config.concept_type:
            raise Conflict(f"{concept} is of type {known_type}", f"add --type {known_type}, or use another name")
    return replace(request, concept=concept, placeholder_token=token, config=request.config.resolved())


def _open(registry: Registry, request: TrainingRequest) -> LoadedBase:
    return open_base(
        registry, request.base, revision=request.revision, device=request.device, precision=request.precision
    )


def _make_word(base: LoadedBase, request: TrainingRequest) -> Word:
    """The word with its vectors at their start and its pictures encoded.

    Raises:
        InvalidConfig: the initializer is unknown, or a caption has no room for that many vectors.
    """
    from tiregistry.training.dataset import encode_pictures
    from tiregistry.training.loop import Word
    from tiregistry.training.vectors import initial_rows, make_vectors

    config = request.config
    start = initial_rows(base, config)
    captions = templates_for(config.concept_type, config.caption_templates)
    for tower in base.towers:
        vectors = tuple([0] * len(start[tower.role]))
        for caption in captions:
            tower.ids([*caption.split("{}")[:1], vectors, *caption.split("{}")[1:]])
    resolution = config.resolution or base.resolution
    latents = encode_pictures(base, [p.image for p in request.pictures], resolution, flip=config.flip)
    return Word(request.concept, make_vectors(base, start, config), latents, captions, config)


def _carry_out(
    registry: Registry,
    run: Run,
    base: LoadedBase,
    word: Word,
    request: TrainingRequest,
    images: Sequence[SourceImage],
    stop: Callable[[], bool],
) -> Iterator[Event]:
    """Train from the run's checkpoint to the end under the device's lock, then register the version."""
    progress = _Progress(registry, run, word)
    finished = False
    try:
        with device_lock(registry.home, str(base.device)) as lock:
            if not lock.acquired:
                yield Preparing(f"waiting for another training on {base.device} to end")
                lock.wait(stop)
            yield from _steps(progress, base, request, stop)
            version = _register(registry, progress, base, request, images)
            progress.end("finished" if progress.reason == "finished" else "interrupted", version_id=version.id)
            finished = True
            yield Finished(version.reference, progress.step, progress.reason, progress.seconds)
    except TiregError as error:
        progress.end("interrupted" if isinstance(error, Interrupted) else "failed", message=str(error))
        finished = True
        raise
    finally:
        # Also when the consumer stops listening (a second Ctrl-C, a closed window): the run can be taken up again.
        if not finished:
            progress.end("interrupted", message="stopped before the end")


def _steps(
    progress: _Progress, base: LoadedBase, request: TrainingRequest, stop: Callable[[], bool]
) -> Iterator[Event]:
    from tiregistry.training.loop import learn

    word, config = progress.word, request.config
    last = config.max_steps or 0
    progress.begin()
    yield Started(
        progress.run.id,
        progress.step,
        last,
        str(base.device),
        len(request.pictures),
        len(next(iter(word.vectors.rows().values()))),
    )
    before = time.perf_counter()
    try:
        for result in learn(base, [word], progress.step, last):
            now = time.perf_counter()
            progress.add(result.step, result.losses[0])
            yield StepDone(result.step, result.losses[0], result.learning_rates[0], now - before)
            before = now
            stopping = stop()
            due = config.checkpoint_every and result.step % config.checkpoint_every == 0
            if stopping or due or result.step == last:
                yield progress.save()
            if stopping and result.step < last:
                progress.reason = "interrupted"
                return
    except TrainingDiverged:
        if progress.step:
            progress.save()
        raise


class _Progress:
    """Where a run stands: its steps and losses, in memory, in the checkpoint and in the registry."""

    def __init__(self, registry: Registry, run: Run, word: Word) -> None:
        from tiregistry.training.checkpoint import load_checkpoint

        self.registry, self.run, self.word = registry, run, word
        self.path = registry.home / "runs" / run.id / "checkpoint.safetensors"
        self.step, self.losses = 0, list[float]()
        self.reason: StopReason = "finished"
        self._began = time.perf_counter()
        self._saved = True
        self._reported = 0.0
        checkpoint = load_checkpoint(self.path)
        if checkpoint is not None:
            word.vectors.load_state(checkpoint.state)
            self.step, self.losses = checkpoint.step, checkpoint.losses

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._began

    def begin(self) -> None:
        now = time.time()
        self._began = time.perf_counter()
        self.registry.update_run(
            self.run.id, status="running", pid=os.getpid(), started_at=now, heartbeat_at=now, message=""
        )

    def add(self, step: int, loss: float) -> None:
        self.step = step
        self.losses.append(loss)
        if time.monotonic() - self._reported > _HEARTBEAT_SECONDS:
            self._reported = time.monotonic()
            self.registry.update_run(self.run.id, step=step, loss=loss, heartbeat_at=time.time())

    def save(self) -> CheckpointSaved | Notice:
        """Write the checkpoint; a full disk does not end a training that may still find room at its end."""
        from tiregistry.training.checkpoint import Checkpoint, save_checkpoint

        try:
            save_checkpoint(self.path, Checkpoint(self.step, self.word.vectors.state(), self.losses))
        except OSError as error:
            return Notice(f"no checkpoint at step {self.step}: {error.strerror}; the training goes on")
        return CheckpointSaved(self.step, self.path)

    def end(self, status: RunStatus, *, message: str = "", version_id: int | None = None) -> None:
        """Record how the run ended; when even that fails, the next reader finds a dead process and says so."""
        changes: dict[str, Any] = {"status": status, "step": self.step, "finished_at": time.time(), "message": message}
        if self.losses:
            changes["loss"] = self.losses[-1]
        if version_id is not None:
            changes["version_id"] = version_id
        with contextlib.suppress(TiregError):
            self.registry.update_run(self.run.id, **changes)


_HEARTBEAT_SECONDS = 2.0


def _register(
    registry: Registry, progress: _Progress, base: LoadedBase, request: TrainingRequest, images: Sequence[SourceImage]
) -> Version:
    """Add the learned vectors to the registry as a version."""
    import diffusers
    import torch
    import transformers

    from tiregistry.embeddings.embedding import Embedding

    rows = progress.word.vectors.rows()
    embedding = Embedding({role: tensor.detach().float().cpu().numpy() for role, tensor in rows.items()})
    record = {
        "loss": progress.losses,
        "steps": progress.step,
        "stop_reason": progress.reason,
        "seconds": round(progress.seconds, 3),
        "device": str(base.device),
        "precision": str(base.dtype).removeprefix("torch."),
        "software": {
            "torch": torch.__version__,
            "diffusers": diffusers.__version__,
            "transformers": transformers.__version__,
        },
    }
    new = NewVersion(
        concept=request.concept,
        placeholder_token=request.placeholder_token,
        concept_type=request.config.concept_type,
        origin="trained",
        fingerprint=base.identity.fingerprint,
        base_name=base.identity.name,
        images=tuple(images),
        training=request.config.as_dict(),
        run_id=progress.run.id,
        record=record,
    )
    return registry.add_version(new, embedding)


def _run_config(request: TrainingRequest, base: LoadedBase, images: Sequence[SourceImage]) -> dict[str, Any]:
    """A run's configuration as JSON data: no paths, pictures by digest, the base model by name and fingerprint."""
    return {
        "format": "tireg-run/1",
        "concept": request.concept,
        "placeholder_token": request.placeholder_token,
        "training": request.config.as_dict(),
        "base": {"name": base.identity.name, "fingerprint": base.identity.fingerprint.as_dict()},
        "images": [{"digest": image.digest, "filename": image.filename} for image in images],
        "device": request.device,
        "precision": request.precision,
    }


def _request_of(registry: Registry, run: Run) -> tuple[TrainingRequest, list[SourceImage]]:
    """The request that `_run_config` recorded, with its pictures read back from the blob store.

    Raises:
        Damaged: the record or a picture is not what it was.
    """
    config: Mapping[str, Any] = run.config
    try:
        pictures = [decode_picture(registry.blobs.read(i["digest"]), i["filename"]) for i in config["images"]]
        request = TrainingRequest(
            concept=config["concept"],
            pictures=pictures,
            config=TrainingConfig.from_mapping(config["training"]),
            placeholder_token=config["placeholder_token"],
            base=config["base"]["name"],
            device=config["device"],
            precision=config["precision"],
        )
    except KeyError as error:
        raise Damaged(f"run {run.id} has no {error} in its record", "start the training again") from None
    return request, [SourceImage(p.digest, p.filename, *p.size) for p in pictures]


def _alive(pid: int) -> bool:
    """Whether a process of this machine with this id exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
