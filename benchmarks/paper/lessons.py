"""Learning many words in one pass of the engine, each kept as a file; what was stopped goes on at its checkpoint."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from tiregistry.concepts import Version
from tiregistry.evaluation.subjects import Subject
from tiregistry.training.config import TrainingConfig

if TYPE_CHECKING:
    from tiregistry.bases.loaded import LoadedBase
    from tiregistry.training.word import Word

EVERY = 25
"""Steps between checkpoints: what an interruption costs at most."""


@dataclass(frozen=True)
class Concept:
    """A thing or style that the base model has never seen."""

    name: str
    kind: str
    folder: Path
    initializer: str
    caption: str

    def pictures(self) -> list[Image.Image]:
        """Its source pictures."""
        from tiregistry.images import read_pictures

        return [picture.image for picture in read_pictures([self.folder])[0]]


@dataclass(frozen=True)
class Lesson:
    """A word to learn: a concept by a resolved configuration, whose seed decides every draw."""

    concept: Concept
    config: TrainingConfig

    def key(self, base: LoadedBase) -> str:
        """What the word is remembered by: base model, settings and pictures."""
        pictures = [hashlib.sha256(picture.tobytes()).hexdigest() for picture in self.concept.pictures()]
        told = [base.identity.fingerprint.as_dict(), self.concept.name, self.config.as_dict(), pictures]
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:24]


def learn_words(base: LoadedBase, folder: Path, lessons: Sequence[Lesson], together: int) -> list[Subject]:
    """The word of each lesson; at most `together` that are not known yet are learned in one pass.

    Raises:
        InvalidConfig: a lesson's initializer is not in the vocabulary.
    """
    unknown = [lesson for lesson in lessons if not _file(folder, lesson.key(base)).exists()]
    for at in range(0, len(unknown), together):
        _pass(base, folder, unknown[at : at + together])
    return [_subject(base, folder, lesson) for lesson in lessons]


def _pass(base: LoadedBase, folder: Path, lessons: Sequence[Lesson]) -> None:
    from safetensors.torch import save

    from tiregistry.training.checkpoint import FILE, Checkpoint, load_checkpoint, save_checkpoint
    from tiregistry.training.loop import learn

    words: dict[Word, Path] = {}
    for lesson in lessons:
        inside = folder / lesson.key(base)
        word = _start(base, lesson)
        checkpoint = load_checkpoint(inside / FILE)
        if checkpoint is not None:
            word.vectors.load_state(checkpoint.state)
            word.step = checkpoint.step
        words[word] = inside
    began = time.perf_counter()
    for results in learn(base, list(words)):
        for word in [result.word for result in results]:
            if word.ended or word.step % EVERY == 0:
                checkpoint = Checkpoint(word.step, word.vectors.state(), [])
                save_checkpoint(words[word] / FILE, checkpoint)
    for word, inside in words.items():
        rows = {role: tensor.contiguous() for role, tensor in word.learned().items()}
        temporary = inside / f".word.{os.getpid()}"
        temporary.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(save(rows))
        os.replace(temporary, inside / "word.safetensors")
    print(f"  learned {len(words)} words in {time.perf_counter() - began:.0f} s", flush=True)


def _start(base: LoadedBase, lesson: Lesson) -> Word:
    from tiregistry.training.dataset import encode_pictures
    from tiregistry.training.starting import start_vectors
    from tiregistry.training.word import Word
    from tiregistry.training.wording import Wording

    config, pictures = lesson.config, lesson.concept.pictures()
    config.check()
    vectors, count = start_vectors(base, config, None, len(pictures) if config.per_image_tokens else 0)
    latents = encode_pictures(base, pictures, base.resolution, flip=config.flip)
    wording = Wording.build(config, [""] * len(pictures), f"<{lesson.concept.name}>")
    return Word(lesson.concept.name, vectors, latents, wording, config, count)


def _subject(base: LoadedBase, folder: Path, lesson: Lesson) -> Subject:
    from safetensors.numpy import load_file

    from tiregistry.embeddings.embedding import Embedding

    key = lesson.key(base)
    tensors: dict[str, Any] = load_file(_file(folder, key))
    version = Version(
        id=0,
        concept=lesson.concept.name,
        number=1,
        digest=f"lesson:{key}",
        placeholder_token=f"<{lesson.concept.name}>",
        concept_type=lesson.config.concept_type,
        embedding_digest="",
        encoders=(),
        origin="trained",
        fingerprint=base.identity.fingerprint,
        base_name=base.identity.name,
        manifest={},
    )
    return Subject(f"{lesson.concept.name}, training {lesson.config.seed}", version, Embedding(tensors))


def _file(folder: Path, key: str) -> Path:
    return folder / key / "word.safetensors"
