"""What is measured: a version, a run's word at one of its checkpoints, or plain words for comparison."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tiregistry.concepts import Version
from tiregistry.errors import Damaged, InvalidInput
from tiregistry.evaluation.protocols import without_word
from tiregistry.generation.grammar import escape
from tiregistry.text import safe

if TYPE_CHECKING:
    from PIL.Image import Image

    from tiregistry.embeddings.embedding import Embedding
    from tiregistry.registry.registry import Registry


@dataclass(frozen=True)
class Subject:
    """Something that stands in a prompt.

    Attributes:
        label: how results call it.
        version: the word; None for plain words.
        embedding: the vectors of a version that is not in the registry; None takes them from there.
        phrase: the plain words; when there are neither words nor version, prompts are said without it.
        step: training steps behind it, where it is a checkpoint of a run.
    """

    label: str
    version: Version | None = None
    embedding: Embedding | None = None
    phrase: str = ""
    step: int | None = None

    @property
    def identity(self) -> str:
        """What decides the pictures made of it."""
        if self.version is not None:
            return self.embedding.digest if self.embedding is not None else self.version.embedding_digest
        return f"text:{self.phrase}"

    def prompt(self, template: str) -> str:
        """`template`, which is plain text, with it at the place of `{}`, in the prompt grammar."""
        if self.version is None and not self.phrase:
            return escape(without_word(template))
        before, after = template.split("{}")
        return escape(before) + (self._word or escape(self.phrase)) + escape(after)

    @property
    def pinned(self) -> dict[str, Version]:
        """What the word in `prompt` means."""
        return {} if self.version is None else {self._word: self.version}

    @property
    def _word(self) -> str:
        return "" if self.version is None else f"<{self.version.concept}@{self.version.number}>"


def initializer_of(registry: Registry, version: Version) -> Subject:
    """What a version was trained from, as a subject: plain words, or the version it continued.

    Raises:
        InvalidInput: it was not trained here, or from no words.
        VersionNotFound: the version it continued is gone.
    """
    training = version.training
    text = str(training.get("initializer") or "")
    if text.startswith("sha256:"):
        found = registry.versions_with(digest=text)
        if not found:
            raise InvalidInput(
                f"the version that {version.reference} continued is not in the registry",
                "name what to compare with: --against gnome@1",
            )
        return Subject(found[0].reference, found[0])
    if not text and not training:
        raise InvalidInput(
            f"{version.reference} was {version.origin}, so it has no initializer",
            "name what to compare with: --against gnome@1",
        )
    # Without an initializer a word starts from the name of its type.
    phrase = text or version.concept_type
    return Subject(f"“{safe(phrase, limit=40)}”", phrase=phrase)


def source_pictures(registry: Registry, version: Version) -> list[Image]:
    """The pictures a version was learned from, upright; those whose files did not come along are left out."""
    from tiregistry.images import decode_picture

    found: list[Image] = []
    for image in version.images:
        try:
            found.append(decode_picture(registry.blobs.read(image.digest), image.filename).image)
        except Damaged:
            continue
    return found
