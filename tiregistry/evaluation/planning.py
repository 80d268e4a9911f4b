"""From what a user asks to measure to subjects, protocol, base model and judge; all that can be wrong is found here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tiregistry.bases.locating import locate_base
from tiregistry.concepts import ConceptType, Run, Version
from tiregistry.errors import InvalidInput, WrongBaseModel
from tiregistry.evaluation.evaluating import Evaluation, Evaluator, Seen
from tiregistry.evaluation.judges import JudgeSource, PictureJudgeSource, find_dino, find_judge
from tiregistry.evaluation.keeping import keep_measurements, measurements
from tiregistry.evaluation.kinds import read_kinds
from tiregistry.evaluation.protocols import Protocol, protocol
from tiregistry.evaluation.run_points import subjects_of_run
from tiregistry.evaluation.subjects import Subject, initializer_of, source_pictures
from tiregistry.generation.words import base_of_versions, check_fit
from tiregistry.opening import identify_base
from tiregistry.progress import Progress

if TYPE_CHECKING:
    from PIL.Image import Image

    from tiregistry.registry.registry import Registry

INITIALIZER = "initializer"
"""What `against` says for the words that a version was trained from."""


@dataclass(frozen=True, kw_only=True)
class EvaluationRequest:
    """What to measure, and how.

    Attributes:
        references: versions to measure.
        run: a run whose checkpoints are measured, instead of references.
        most: at most so many checkpoints of it; 0 takes all.
        against: a version to compare each with, or `initializer`.
        protocol: `quick` or `paper`; `prompt`, `edits`, `pictures`, `edit_pictures` and `seed` change it.
        base: empty takes the base model of the first version.
        clip: who judges, see `find_judge`.
        dino: a second judge for pictures; empty for none.
        images: pictures to compare with instead of the source pictures.
        text_only: leave image alignment out.
        kinds: texts of which the judge chooses one for each picture of the plain prompt, as `a {red|blue} flower`.
    """

    references: Sequence[str] = ()
    run: Run | None = None
    most: int = 0
    against: str = ""
    protocol: str = "quick"
    prompt: str | None = None
    edits: tuple[str, ...] = ()
    pictures: int | None = None
    edit_pictures: int | None = None
    seed: int | None = None
    base: str = ""
    clip: str = "auto"
    dino: str = ""
    images: Sequence[Path] = ()
    text_only: bool = False
    kinds: str = ""
    device: str = "auto"
    precision: str = "auto"
    batch_size: int = 8
    allow_compatible: bool = False


@dataclass(frozen=True)
class Measured:
    """One subject's result, and that of what it was compared with on the same source pictures."""

    evaluation: Evaluation
    against: Evaluation | None = None


@dataclass(frozen=True)
class EvaluationPlan:
    """Work that was checked and can begin.

    Attributes:
        sources: per subject, the pictures its image alignment is measured with.
    """

    request: EvaluationRequest
    subjects: tuple[Subject, ...]
    against: tuple[Subject | None, ...]
    sources: tuple[Sequence[Image], ...]
    protocol: Protocol
    base_name: str
    judge: JudgeSource
    dino: PictureJudgeSource | None
    kinds: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)
    """What the user should know; grows while the work is done."""

    @property
    def pictures(self) -> int:
        """Pictures to make when none is known yet."""
        different = {s.identity for s in (*self.subjects, *self.against) if s is not None}
        return len(different) * self.protocol.total

    def carry_out(
        self, registry: Registry, *, progress: Progress | None = None, seen: Seen | None = None, keep: bool = True
    ) -> list[Measured]:
        """Generate, judge and sum up; results of registered versions are added to their measurements.

        What was generated is kept beside the registry as soon as it exists, so that the same call goes on where an
        interrupted one stopped.

        Args:
            progress: called with pictures done, pictures in all and what is measured.
            seen: called with every picture; all are then made anew.
            keep: add the results to the versions' measurements.

        Raises:
            HubError, InvalidInput: the judge cannot be loaded.
            BaseModelNotFound, WrongBaseModel, DeviceError, InvalidPrompt: the pictures cannot be made.
        """
        from tiregistry.bases.devices import choose_device
        from tiregistry.generation.generator import Generator

        request = self.request
        device = str(choose_device(request.device))
        judge = self.judge.open(device)
        dino = self.dino.open(device) if self.dino is not None else None
        generator = Generator(
            self.base_name,
            registry,
            device=request.device,
            precision=request.precision,
            allow_compatible=request.allow_compatible,
        )
        folder = None if registry.readonly else registry.home / "evaluation"
        evaluator = Evaluator(generator, judge, self.protocol, dino, folder, request.batch_size, seen, self.kinds)
        results = []
        for subject, other, sources in zip(self.subjects, self.against, self.sources, strict=True):
            evaluation = evaluator.measure(subject, sources, progress)
            compared = evaluator.measure(other, sources, progress) if other is not None else None
            results.append(Measured(evaluation, compared))
            if keep and subject.embedding is None and subject.version is not None and not registry.readonly:
                keep_measurements(registry, subject.version, measurements(evaluation, self.base_name))
        self.notes.extend([*evaluator.trouble, *generator.warnings])
        return results


def plan(registry: Registry, request: EvaluationRequest) -> EvaluationPlan:
    """Check a request; nothing heavy is loaded.

    Raises:
        InvalidReference, ConceptNotFound, VersionNotFound, NotFound: what should be measured does not exist.
        InvalidConfig, InvalidInput: a number or prompt is wrong, or there are no source pictures.
        BaseModelNotFound, WrongBaseModel, HubError: the base model is not here, or is not the word's.
        FileMissing: no such judge.
    """
    subjects = _subjects(registry, request)
    versions = [subject.version for subject in subjects if subject.version is not None]
    first = versions[0]
    against = tuple(_against(registry, request.against, version) for version in versions)
    sources = _sources(registry, request, versions)
    name, source, revision = identify_base(registry, request.base or _base_of(registry, first))
    folder = locate_base(source, revision)
    chosen = _protocol(request, first.concept_type, source)
    words = [s.version for s in (*subjects, *against) if s is not None and s.version is not None]
    known = next((base for base in registry.bases() if base.name == name), None)
    notes = []
    if known is not None:
        notes += check_fit(registry, words, known, allow_compatible=request.allow_compatible)
    kinds = sorted({version.concept_type for version in versions})
    if len(kinds) > 1:
        raise InvalidInput("objects and styles are measured with different prompts", "measure them one after the other")
    judge = find_judge(request.clip, name, source, folder)
    return EvaluationPlan(
        request,
        tuple(subjects),
        against,
        tuple(sources),
        chosen,
        name,
        judge,
        find_dino(request.dino) if request.dino else None,
        read_kinds(request.kinds) if request.kinds else (),
        notes,
    )


def _subjects(registry: Registry, request: EvaluationRequest) -> list[Subject]:
    if request.run is None and not request.references:
        raise InvalidInput(
            "nothing is named to measure", "name a word: tireg eval gnome, or a run: tireg eval --run last"
        )
    if request.run is not None and request.references:
        raise InvalidInput("versions and a run are not measured together", "name the one or the other")
    if request.run is not None:
        return subjects_of_run(registry, request.run, request.most)
    subjects: list[Subject] = []
    for text in request.references:
        version = registry.version(text)
        if all(version.digest != s.version.digest for s in subjects if s.version is not None):
            subjects.append(Subject(version.reference, version))
    return subjects


def _against(registry: Registry, wanted: str, version: Version) -> Subject | None:
    if not wanted:
        return None
    if wanted == INITIALIZER:
        return initializer_of(registry, version)
    other = registry.version(wanted)
    return Subject(other.reference, other)


def _sources(registry: Registry, request: EvaluationRequest, versions: Sequence[Version]) -> list[Sequence[Image]]:
    if request.text_only:
        return [[] for _ in versions]
    if request.images:
        from tiregistry.images import read_pictures

        given = [picture.image for picture in read_pictures(request.images)[0]]
        return [given for _ in versions]
    if request.run is not None:
        from tiregistry.training.request import request_of

        of_run = [picture.image for picture in request_of(registry, request.run)[0].pictures]
        return [of_run for _ in versions]
    found: list[Sequence[Image]] = []
    for version in versions:
        pictures = source_pictures(registry, version)
        if not pictures:
            why = "no source pictures here" if version.images else f"no source pictures (it was {version.origin})"
            raise InvalidInput(
                f"{version.reference} has {why}, so image alignment has nothing to compare with",
                "--images FOLDER compares with pictures of yours, --text-only leaves it out",
            )
        found.append(pictures)
    return found


def _base_of(registry: Registry, version: Version) -> str:
    """The base model to measure a version on.

    Raises:
        WrongBaseModel: it was learned on one that is not registered here.
    """
    found = base_of_versions(registry, [version])
    if not found and version.fingerprint is not None and registry.bases():
        default = registry.default_base
        known = next((base for base in registry.bases() if base.name == default), None)
        if known is None or version.fingerprint.fit(known.fingerprint) == "other":
            raise WrongBaseModel(
                f"{version.reference} was learned on {version.base_name or 'a base model'}, which is not known here",
                "name it with --base (a folder or a Hub id), or add it: tireg base add",
            )
    return found


def _protocol(request: EvaluationRequest, concept_type: ConceptType, source: str) -> Protocol:
    chosen = protocol(request.protocol, concept_type, source).changed(
        prompt=request.prompt,
        edits=request.edits,
        pictures=request.pictures,
        edit_pictures=request.edit_pictures,
        seed=request.seed,
    )
    if not request.images:
        return chosen
    # Other pictures to compare with make another measure of it.
    from tiregistry.images import read_pictures

    return chosen.custom(*(picture.digest for picture in read_pictures(request.images)[0]))
