"""A training as it is typed into the form: its check, and the command that does the same."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from tireg_tui.input.path_line import paths_in
from tiregistry.concepts import CONCEPT_TYPES
from tiregistry.errors import InvalidConfig, NotFound, TiregError
from tiregistry.quantities import count
from tiregistry.settings import Settings
from tiregistry.training.recipes import RECIPES

if TYPE_CHECKING:
    from tiregistry.concepts import ConceptType
    from tiregistry.images import SourcePicture
    from tiregistry.registry.registry import Registry
    from tiregistry.training.again import Material
    from tiregistry.training.request import TrainingRequest

_SAID = 5
"""Pictures that cannot be used of which it is said what is wrong; the others stand among the pictures."""
# Field of the form, option of `tireg train`, and how its text is read.
NUMBERS: dict[str, tuple[str, type]] = {
    "num_vectors": ("--num-vectors", int),
    "max_steps": ("--max-steps", int),
    "batch_size": ("--batch-size", int),
    "learning_rate": ("--lr", float),
    "resolution": ("--resolution", int),
    "seed": ("--seed", int),
}


@dataclass(frozen=True)
class Draft:
    """What stands in the form; every value as text, empty for the default."""

    name: str = ""
    pictures: str = ""
    """Paths of pictures and folders, as `path_line` reads them."""
    concept_type: str = "object"
    initializer: str = ""
    token: str = ""
    base: str = ""
    recipe: str = "direction"
    flip: bool | None = None
    """Mirrored pictures; None: as the recipe has it."""
    previews: str = ""
    """Prompts to picture while training, `{}` for the word, separated by `|`."""
    numbers: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> str:
        """The form's text, for `from_json`."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Draft | None:
        """What `to_json` wrote; None for anything else."""
        try:
            draft = cls(**json.loads(text))
        except (TypeError, ValueError):
            return None
        texts = [draft.name, draft.pictures, draft.initializer, draft.token, draft.base, draft.previews]
        is_sound = (
            draft.concept_type in CONCEPT_TYPES
            and draft.recipe in RECIPES
            and isinstance(draft.flip, bool | None)
            and isinstance(draft.numbers, dict)
            and all(isinstance(text, str) for text in [*texts, *draft.numbers.values()])
        )
        return draft if is_sound else None

    def paths(self) -> list[Path]:
        """The paths.

        Raises:
            ValueError: a quote is not closed.
        """
        return paths_in(self.pictures)

    def arguments(self, *, again: bool = False) -> list[str]:
        """Arguments of `tireg`, defaults left out.

        Args:
            again: the word has pictures in the registry, so none need be named.
        """
        out = ["train", "--detach", self.name or "NAME"]
        try:
            out += [str(path) for path in self.paths()] or ([] if again else ["PICTURES"])
        except ValueError:
            out.append(self.pictures)
        for option, value, default in (
            ("--type", self.concept_type, "object"),
            ("--init", self.initializer, ""),
            ("--token", self.token, ""),
            ("--base", self.base, ""),
            ("--recipe", self.recipe, "direction"),
        ):
            if value.strip() and value != default:
                out += [option, value.strip()]
        for key, (option, _) in NUMBERS.items():
            value = self.numbers.get(key, "").strip()
            if value and not (key == "seed" and value == "0"):
                out += [option, value]
        for prompt in self.preview_prompts():
            out += ["--preview", prompt]
        if self.flip is not None:
            out.append("--flip" if self.flip else "--no-flip")
        return out

    def preview_prompts(self) -> list[str]:
        """The prompts of `previews`."""
        return [part.strip() for part in self.previews.split("|") if part.strip()]

    def command(self, *, again: bool = False) -> str:
        """The line to type in a shell for the same training; `again` as in `arguments`."""
        return shlex.join(["tireg", *self.arguments(again=again)])


@dataclass(frozen=True)
class Checked:
    """What the check found.

    Attributes:
        problems: what keeps the training from starting.
        notes: what the user should know.
        good: what is in order.
        pictures: those that were read.
        refused: those that cannot be used, and paths that lead to none, with what is wrong.
        request: what can be put into the queue; None when there are problems.
        complete: the same with everything filled in that was left to defaults, for an estimate.
        resolution: side of the pictures in training; 0 while the base model is not known.
        again: the pictures are those of the registry.
    """

    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    good: tuple[str, ...] = ()
    pictures: tuple[SourcePicture, ...] = ()
    refused: tuple[tuple[Path, TiregError], ...] = ()
    request: TrainingRequest | None = None
    complete: TrainingRequest | None = None
    resolution: int = 0
    again: bool = False


def check(registry: Registry, draft: Draft) -> Checked:
    """Everything that can be known before the model is loaded."""
    from tiregistry.images import read_what_can_be_read

    problems: list[str] = []
    notes: list[str] = []
    good: list[str] = []
    pictures: list[SourcePicture] = []
    refused: Sequence[tuple[Path, TiregError]] = ()
    material = _material(registry, draft)
    if material is not None:
        pictures = material.pictures
        good.append(f"the {count(len(pictures), 'picture')} of {material.version.reference}")
    elif draft.pictures.strip():
        try:
            reading = read_what_can_be_read(draft.paths())
            pictures, refused = reading.pictures, reading.refused
            notes += reading.notes
            problems += _lines([error for _, error in refused])
            if pictures:
                good.append(count(len(pictures), "picture"))
            if pictures and len(pictures) < 3:
                notes.append("3 to 5 pictures with different surroundings teach the thing better")
        except ValueError as error:
            problems.append(f"pictures: {error}")
    else:
        problems.append("pictures: give files or a folder")
    if not draft.name.strip():
        problems.insert(0, "name: what shall the word be called?")
    request = complete = None
    if problems:
        problems += _wrong_so_far(registry, draft)
    else:
        try:
            request, complete = _check_request(registry, draft, pictures, material, good, notes)
        except (TiregError, ValueError) as error:
            problems.append(_line(error))
    return Checked(
        tuple(problems),
        tuple(notes),
        tuple(good),
        pictures=tuple(pictures),
        refused=tuple(refused),
        request=request,
        complete=complete,
        resolution=_resolution(registry, complete),
        again=material is not None,
    )


def field_to_mend(registry: Registry, draft: Draft, checked: Checked) -> str:
    """The field of the form that the first problem is about; empty where none is to blame."""
    if not draft.name.strip():
        return "name"
    if checked.refused or not checked.pictures:
        return "pictures"
    material = _material(registry, draft)

    def problem(changed: Draft) -> str:
        try:
            _check_request(registry, changed, list(checked.pictures), material, [], [])
        except (TiregError, ValueError) as error:
            return _line(error)
        return ""

    said = problem(draft)
    others = (field for field, changed in _without_one(registry, draft) if problem(changed) != said)
    return next(others, "name" if said in _wrong_so_far(registry, replace(draft, numbers={}, previews="")) else "")


def _without_one(registry: Registry, draft: Draft) -> Iterator[tuple[str, Draft]]:
    """Each field that is filled in, but the name and the pictures, and the draft with the usual value in its place."""
    changes: dict[str, Draft] = {
        "token": replace(draft, token=""),
        **{key: replace(draft, numbers={**draft.numbers, key: ""}) for key in NUMBERS if draft.numbers.get(key)},
        "recipe": replace(draft, recipe=RECIPES[0]),
        "previews-of": replace(draft, previews=""),
        "init": replace(draft, initializer=""),
        "base": replace(draft, base=""),
    }
    with suppress(NotFound):
        changes["type"] = replace(draft, concept_type=registry.concept(draft.name.strip()).concept_type)
    yield from ((field, changed) for field, changed in changes.items() if changed != draft)


def _material(registry: Registry, draft: Draft) -> Material | None:
    """What a word that is to be learned again was learned from, where no other pictures are given."""
    from tiregistry.training.again import material_of

    if draft.pictures.strip() or not draft.name.strip() or "@" in draft.name:
        return None
    try:
        return material_of(registry, draft.name.strip())
    except TiregError:
        return None


def _wrong_so_far(registry: Registry, draft: Draft) -> list[str]:
    """What is wrong with the names and numbers of a form that is not filled in yet."""
    from tiregistry.training.request import check_names

    problems = []
    try:
        if draft.name.strip():
            check_names(registry, draft.name.strip(), draft.token.strip(), cast("ConceptType", draft.concept_type))
        _config(draft).check()
    except (TiregError, ValueError) as error:
        problems.append(_line(error))
    return problems


def _resolution(registry: Registry, request: TrainingRequest | None) -> int:
    """The side that pictures have in a training."""
    from tiregistry.bases.families import family_of_folder, resolution_of_folder
    from tiregistry.bases.locating import locate_base
    from tiregistry.opening import identify_base

    if request is None:
        return 0
    if request.config.resolution:
        return request.config.resolution
    try:
        _, source, revision = identify_base(registry, request.base, request.revision)
        folder = locate_base(source, revision)
        return resolution_of_folder(folder, family_of_folder(folder))
    except TiregError:
        return 0


def _check_request(
    registry: Registry,
    draft: Draft,
    pictures: list[SourcePicture],
    material: Material | None,
    good: list[str],
    notes: list[str],
) -> tuple[TrainingRequest, TrainingRequest]:
    from tiregistry.bases.locating import looks_like_hub_id
    from tiregistry.training.base_check import check_base
    from tiregistry.training.request import TrainingRequest, check_request

    device = Settings.load(registry.home).device
    base = draft.base.strip() or (material.base if material else "")
    request = TrainingRequest(
        draft.name.strip(),
        pictures,
        _config(draft, material),
        draft.token.strip(),
        base,
        device=device,
        captions=material.captions if material else (),
        masks=material.masks if material else (),
    )
    checked = check_request(registry, request)
    exists = checked.concept in registry.placeholders().values()
    good.append(f"{checked.placeholder_token} · {'another version' if exists else 'a new word'}")
    known = {each.name for each in registry.bases()} | {"embedded", ""}
    if base not in known and looks_like_hub_id(base):
        notes.append(f"{base} is fetched from the Hub when it is not here yet")
    else:
        good.append(f"base model {check_base(registry, checked)}")
    if not draft.initializer.strip():
        notes.append("no initializer: naming what it is, such as teapot, makes learning faster")
    config = checked.config
    good.append(f"{config.recipe} · at most {config.max_steps} steps of {config.batch_size}")
    return request, checked


def _config(draft: Draft, material: Material | None = None) -> Any:
    """The training configuration.

    Args:
        material: what describes the word where the form does not.

    Raises:
        InvalidConfig: a number is none.
    """
    from tiregistry.training.again import over
    from tiregistry.training.config import TrainingConfig

    values: dict[str, Any] = {}
    for key, (option, kind) in NUMBERS.items():
        text = draft.numbers.get(key, "").strip()
        if text:
            try:
                values[key] = kind(text)
            except ValueError:
                called = option.removeprefix("--").removeprefix("num-").replace("-", " ")  # as the form has it
                raise InvalidConfig(f"{called}: {text!r} is no number", "leave it empty for the default") from None
    values |= {
        "concept_type": draft.concept_type,
        "initializer": draft.initializer.strip(),
        "recipe": draft.recipe,
        "flip": draft.flip,
        "preview_prompts": tuple(draft.preview_prompts()),
    }
    return TrainingConfig.from_mapping(over(material.settings if material else {}, values))


def _lines(errors: Sequence[TiregError]) -> list[str]:
    """A line for each of the first few errors, and how many there are beside them."""
    more = len(errors) - _SAID
    return [_line(error) for error in errors[:_SAID]] + ([f"and {more:,} more that cannot be used"] if more > 0 else [])


def _line(error: TiregError | ValueError) -> str:
    if not isinstance(error, TiregError):
        return str(error)
    return f"{error.message} · {error.hint}" if error.hint else error.message
