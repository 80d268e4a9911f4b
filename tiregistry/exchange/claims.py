"""Which names the words of one import were given, so that two words never become versions of one."""

from __future__ import annotations

import re
from collections.abc import Container, Hashable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tiregistry.concepts import NewVersion
from tiregistry.embeddings.found import FoundEmbedding
from tiregistry.embeddings.reading import without_step
from tiregistry.references import MAX_NAME, name_key

MOST_CANDIDATES = 1000
_STEP_FOLDER = re.compile(r"(?:checkpoint|steps?|epoch)[-_]?\d{1,9}", re.IGNORECASE)


class Claims:
    """The names given so far in one import, each with the word that got it.

    Two files that ask for one name hold two words, unless they are snapshots of one training: files of one folder whose
    names differ in nothing but the step (or the format), or versions of one word exported by tireg.
    """

    def __init__(self) -> None:
        self._owners: dict[str, Hashable] = {}
        self._trainings: set[Hashable] = set()
        self._first_free: dict[str, int] = {}

    def claimant(
        self, path: Path, found: FoundEmbedding, told: NewVersion | None, siblings: Container[str] = ()
    ) -> Claimant:
        """The word `found` of this import.

        Args:
            path: the file that it is in.
            found: the word.
            told: the version that the file was exported from, if it says.
            siblings: keys of the names of the file's other words, which are no versions of this one.
        """
        return Claimant(self, _training_of(path, found, told), told is not None, siblings)

    def add(self, name: str, training: Hashable) -> None:
        """Note that the concept `name` was given to a word of `training`; the first one keeps it."""
        self._owners.setdefault(name_key(name), training)
        self._trainings.add(training)

    def has(self, training: Hashable) -> bool:
        """Whether a word of `training` was given any name."""
        return training in self._trainings

    def is_anothers(self, name: str, training: Hashable) -> bool:
        """Whether `name` was given to a word of another training."""
        return self._owners.get(name_key(name), training) != training

    def first_free(self, name: str) -> int:
        """The least number from 2 on with which `name` was given to nobody; remembered, as nothing is given back."""
        number = self._first_free.get(name, 2)
        while number < MOST_CANDIDATES and name_key(numbered(name, number)) in self._owners:
            number += 1
        self._first_free[name] = number
        return number


@dataclass(frozen=True, slots=True)
class Claimant:
    """A word that is to get a name beside the others of its import."""

    claims: Claims = field(default_factory=Claims)
    training: Hashable = ""
    may_join_anothers: bool = False
    """Its own history says which concepts it joins, whoever else of this import came to them."""
    siblings: Container[str] = ()

    def claim(self, name: str) -> None:
        """Note that the word was given the concept `name`."""
        self.claims.add(name, self.training)

    def is_anothers(self, name: str) -> bool:
        """Whether `name` was given to another word of the import, of which this one is no version."""
        return name_key(name) in self.siblings or self.claims.is_anothers(name, self.training)

    def candidates(self, name: str) -> Iterator[str]:
        """`name`, then `name` with the numbers from 2 on; without those that other words were given for certain.

        Hundreds of words of one name are counted through once, not each from the beginning.
        """
        yield name
        may_be_given = self.may_join_anothers or self.claims.has(self.training)
        for number in range(2 if may_be_given else self.claims.first_free(name), MOST_CANDIDATES):
            candidate = numbered(name, number)
            if self.may_join_anothers or not self.is_anothers(candidate):
                yield candidate


def numbered(name: str, number: int) -> str:
    """`name` for another word of that name, `number` below `MOST_CANDIDATES`: `gnome-2`."""
    return f"{name[: MAX_NAME - 4]}-{number}"


def _training_of(path: Path, found: FoundEmbedding, told: NewVersion | None) -> Hashable:
    """What the snapshots of one training have in common."""
    if told is not None and found.provenance is not None:
        return name_key(found.provenance.reference.partition("@")[0])
    folder = path.parent.parent if _STEP_FOLDER.fullmatch(path.parent.name) else path.parent
    return folder, without_step(path.stem, found.step)
