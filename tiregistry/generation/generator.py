"""`Generator`: a base model held in memory that turns prompts naming words into pictures with their recipes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from tiregistry.concepts import Version
from tiregistry.errors import DeviceError, InvalidInput
from tiregistry.generation.grammar import WordName
from tiregistry.generation.late_selectors import late_selectors
from tiregistry.generation.prepared import Prepared
from tiregistry.generation.processor import computing_as
from tiregistry.generation.prompts import names_in, parse_prompt
from tiregistry.generation.recipe import Repeat, make_recipe
from tiregistry.generation.settings import GenerationSettings
from tiregistry.generation.sizes import check_size, size_multiple
from tiregistry.generation.start import StartPicture
from tiregistry.generation.templates import Wildcards, expand
from tiregistry.generation.words import check_fit, resolve_words

if TYPE_CHECKING:
    from PIL.Image import Image

    from tiregistry.bases.loaded import LoadedBase
    from tiregistry.embeddings.embedding import Embedding
    from tiregistry.generation.as_alone import Known
    from tiregistry.generation.conditioning import PromptEncoder
    from tiregistry.generation.pipelines import Pipelines, Task
    from tiregistry.generation.steps import Step
    from tiregistry.generation.tiny_decoder import TinyDecoder
    from tiregistry.registry.registry import Registry

_REMEMBERED_WORDS = 256


@dataclass(frozen=True, slots=True)
class Picture:
    """A generated picture and everything needed to make it again.

    Attributes:
        image: RGB.
        recipe: JSON data (see `tiregistry.generation.recipe`).
    """

    image: Image
    recipe: dict[str, Any]


class Generator:
    """Generates pictures; the model stays loaded between calls, words are switched by changing rows only.

    Args:
        base: a registered name, folder or Hub id (empty: the registry's default), or a model that is loaded already.
        registry: where words come from; None opens the user's own, which `close` closes again.
        device, precision: where and how a named model is loaded, see `tiregistry.bases.loading.load_base`.
        taesd: decodes the previews of steps (see `TinyDecoder`); empty: the base model's own VAE does.
        allow_compatible: take words of another denoiser with the same token-embedding table.

    Raises:
        BaseModelNotFound, InvalidInput, HubError, DeviceError, InvalidConfig: the base model cannot be loaded.
        FileMissing, InvalidInput, HubError: TAESD cannot be loaded, or is for other latents.

    Example:
        >>> from tiregistry import Generator
        >>> with Generator("embedded") as generator:
        ...     for picture in generator.generate("a {red|blue} <gnome>", seeds=range(4)):
        ...         picture.image.save(f"{picture.recipe['prompt']}-{picture.recipe['seed']}.png")
    """

    def __init__(
        self,
        base: str | LoadedBase = "",
        registry: Registry | None = None,
        *,
        device: str = "auto",
        precision: str = "auto",
        taesd: str = "",
        allow_compatible: bool = False,
    ) -> None:
        from tiregistry.registry.registry import Registry

        self._owns_registry = registry is None
        self.registry = Registry.open() if registry is None else registry
        try:
            self.base = self._load(base, device, precision) if isinstance(base, str) else base
            self.tiny_decoder = self._open_taesd(taesd) if taesd else None
        except BaseException:
            self.close()
            raise
        self.allow_compatible = allow_compatible
        self.warnings: list[str] = []
        """What is to be said of the words of all prompts that `prepare` accepted, each line once."""
        self._encoder: PromptEncoder | None = None
        self._pipelines: Pipelines | None = None
        self._embeddings: OrderedDict[str, Embedding] = OrderedDict()
        self._lent: dict[str, Embedding] = {}
        self._rounds_as_alone: Known = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the registry, where the generator opened it itself."""
        if self._owns_registry:
            self.registry.close()

    def _load(self, wanted: str, device: str, precision: str) -> LoadedBase:
        from tiregistry.opening import open_base

        return open_base(self.registry, wanted, device=device, precision=precision)

    def _open_taesd(self, source: str) -> TinyDecoder:
        from tiregistry.generation.tiny_decoder import TinyDecoder

        return TinyDecoder(source, self.base)

    def generate(
        self,
        prompts: str | Sequence[str],
        settings: GenerationSettings | None = None,
        *,
        seeds: Sequence[int] = (0,),
        start: StartPicture | None = None,
        wildcards: Wildcards | None = None,
        batch_size: int = 1,
        on_step: Callable[[Step], None] | None = None,
    ) -> Iterator[Picture]:
        """Yield one picture per prompt and seed, each as soon as it is done.

        Every picture is made from its own seed, so neither the order nor the number of pictures changes a single bit
        of them. With `batch_size` above 1 they are made faster; on a CPU still to the same bits, on a GPU equal up to
        rounding only, which the recipe records.

        Args:
            prompts: in the prompt grammar; alternatives and wildcards are expanded to all combinations.
            seeds: of the pictures of each prompt, 0 to 2**63 - 1.
            start: a picture to begin with.
            wildcards: where `__name__` is looked up.
            batch_size: pictures that are denoised together.
            on_step: called after each denoising step, for progress and previews; it changes nothing.

        Raises:
            As `prepare`, for every prompt before the first picture is made; DeviceError when memory runs out.
        """
        given = [prompts] if isinstance(prompts, str) else prompts
        prepared = [
            self.prepare(one, settings or GenerationSettings(), start=start)
            for prompt in given
            for one in expand(prompt, wildcards)
        ]
        jobs = ((item, seed) for item in prepared for seed in seeds)
        yield from self.render_all(jobs, batch_size=batch_size, on_step=on_step)

    def prepare(
        self,
        prompt: str,
        settings: GenerationSettings,
        *,
        start: StartPicture | None = None,
        pinned: Mapping[str, Version] | None = None,
    ) -> Prepared:
        """Check a prompt without generating anything.

        Args:
            prompt: without alternatives and wildcards.
            pinned: versions that some words (as typed, `<gnome>`) must mean, whatever the registry says today.

        Raises:
            InvalidPrompt, ConceptNotFound, VersionNotFound, WrongBaseModel, InvalidConfig: what is wrong with it.
        """
        settings.check()
        settings = settings.resolved(self.base)
        parts = parse_prompt(prompt)
        negative = parse_prompt(settings.negative_prompt, "the negative prompt")
        versions = {
            **resolve_words(self.registry, names_in(parts), pinned),
            **resolve_words(self.registry, names_in(negative), pinned, "the negative prompt"),
        }
        warnings = check_fit(
            self.registry, list(versions.values()), self.base.identity, allow_compatible=self.allow_compatible
        )
        native = self.base.resolution
        width, height = native, native
        assert settings.num_inference_steps is not None
        if start is not None:
            start.check(settings.num_inference_steps)
            if not (settings.width and settings.height):
                width, height = start.size_for(native, size_multiple(self.base))
        sized = replace(settings, width=settings.width or width, height=settings.height or height)
        check_size(self.base, sized.width, sized.height)
        self._all_pipelines().check(settings.scheduler, settings.num_inference_steps)
        encoder = self._prompt_encoder()

        def embedding_of(name: WordName) -> tuple[str, Embedding]:
            return versions[name].digest, self._embedding(versions[name])

        tokens = encoder.tokenise(parts, embedding_of)
        negative_tokens = encoder.tokenise(negative, embedding_of)
        notes = [
            f"{what} has {one.length} tokens, the base model reads {encoder.room} at a time: "
            f"it is encoded in {pieces} pieces"
            for what, one in (("the prompt", tokens), ("the negative prompt", negative_tokens))
            if (pieces := max(len(chunks) for chunks in one.chunks.values())) > 1
        ]
        if not pinned:  # of a picture that is made again the prompt is what it is
            for text in (prompt, settings.negative_prompt):
                notes += late_selectors(self.registry, text)
        self.warnings.extend(warning for warning in warnings if warning not in self.warnings)
        return Prepared(
            prompt, parts, negative, versions, sized, tokens, negative_tokens, start, tuple(notes), tuple(warnings)
        )

    def repeat(self, repeat: Repeat, *, start: StartPicture | None = None) -> Picture:
        """The picture of a recipe again, computed as it was: by as many threads, as one of as many at a time.

        Args:
            repeat: from `tiregistry.generation.recipe.read_repeat`.
            start: what it started from, where it did (`tiregistry.generation.start_search.find_start`).

        Raises:
            InvalidInput: the recipe has a start picture and none is given, or the other way round.
            WrongBaseModel, InvalidConfig, DeviceError: as `prepare` and `render_all`.
        """
        if repeat.start is not None and start is None:
            raise InvalidInput("the picture began with another picture", "give it as start")
        if repeat.start is None and start is not None:
            raise InvalidInput("the picture began with noise alone", "leave start out")
        with computing_as(repeat.threads):
            item = self.prepare(repeat.prompt, repeat.settings, start=start, pinned=repeat.pinned)
            (picture,) = self.render_all([(item, repeat.seed)], batch_size=repeat.batch_size, fill=True)
        return picture

    def lend(self, version: Version, embedding: Embedding) -> None:
        """Use `embedding` for a version that is not in the registry, such as a run's word at a checkpoint.

        Args:
            version: what `prepare` will find in `pinned`; its digest names the vectors.
        """
        self._lent[version.digest] = embedding

    def render(self, item: Prepared, seeds: Iterable[int], *, batch_size: int = 1) -> Iterator[Picture]:
        """Yield the pictures of one prepared prompt, one per seed.

        Raises:
            DeviceError: the memory of the device does not suffice.
        """
        yield from self.render_all(((item, seed) for seed in seeds), batch_size=batch_size)

    def render_all(
        self,
        jobs: Iterable[tuple[Prepared, int]],
        *,
        batch_size: int = 1,
        fill: bool = False,
        on_step: Callable[[Step], None] | None = None,
    ) -> Iterator[Picture]:
        """Yield a picture for each prepared prompt and seed, in order.

        Neighbours of the same settings, size and length share a batch of up to `batch_size`, also when their words
        differ: words are in the prompts' hidden states by then.

        Args:
            fill: on a GPU, fill up short batches with copies of their last picture. Rounding depends there on how many
                are made at a time, hardly ever on which: alone in a filled batch, a picture is what it was among
                others.
            on_step: as in `generate`.

        Raises:
            DeviceError: the memory of the device does not suffice.
        """
        batch: list[tuple[Prepared, int]] = []
        done = 0
        least = batch_size if fill and not self.is_exact_in_batches else 1
        for job in jobs:
            if batch and (len(batch) >= self._most(batch[0][0], batch_size) or _kind(batch[0][0]) != _kind(job[0])):
                yield from self._make(batch, max(least, len(batch)), done, on_step)
                done += len(batch)
                batch = []
            batch.append(job)
        if batch:
            yield from self._make(batch, max(least, len(batch)), done, on_step)

    @property
    def is_exact_in_batches(self) -> bool:
        """Whether a picture is the same to the last bit however many are made at a time."""
        from tiregistry.generation.as_alone import is_exact_in_batches

        return is_exact_in_batches(self.base.device)

    def _most(self, item: Prepared, batch_size: int) -> int:
        """Pictures to make at a time: only as many as leave every bit as it is, where that can be had."""
        from tiregistry.generation.as_alone import is_laid_in_halves

        guidance = item.settings.guidance_scale
        assert guidance is not None
        return 1 if self.is_exact_in_batches and not is_laid_in_halves(self.base, guidance) else batch_size

    def _make(
        self, batch: list[tuple[Prepared, int]], size: int, done: int, on_step: Callable[[Step], None] | None
    ) -> Iterator[Picture]:
        import torch

        from tiregistry.bases.memory import is_out_of_memory
        from tiregistry.generation.as_alone import computing_as_alone
        from tiregistry.generation.denoising import OnStep, denoise
        from tiregistry.generation.steps import Step

        first = batch[0][0]
        filled = batch + [batch[-1]] * (size - len(batch))
        pipeline = self._pipeline(first.settings, first.start)
        report: OnStep | None = None
        if on_step is not None:

            def report(number: int, total: int, previews: Callable[[], list[Image]]) -> None:
                on_step(Step(done, len(batch), number, total, previews))

        try:
            with torch.inference_mode(), computing_as_alone(size, self.base, self._rounds_as_alone):
                images = denoise(
                    self.base, pipeline, self._prompt_encoder(), filled, on_step=report, tiny=self.tiny_decoder
                )
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise DeviceError(
                f"{size} pictures of {first.settings.width}x{first.settings.height} pixels do not fit the "
                f"memory of {self.base.device}",
                "use a smaller --size" if size == 1 else "use a smaller --batch-size or --size",
            ) from None
        for (item, seed), image in zip(batch, images, strict=False):
            yield Picture(image, make_recipe(item, self.base, seed, 1 if self.is_exact_in_batches else size))

    def _pipeline(self, settings: GenerationSettings, start: StartPicture | None) -> Any:
        task: Task = "text" if start is None else "image" if start.mask is None else "inpaint"
        assert settings.num_inference_steps is not None
        return self._all_pipelines().get(task, settings.scheduler, settings.num_inference_steps)

    def _all_pipelines(self) -> Pipelines:
        from tiregistry.generation.pipelines import Pipelines

        if self._pipelines is None:
            self._pipelines = Pipelines(self.base)
        return self._pipelines

    def _prompt_encoder(self) -> PromptEncoder:
        from tiregistry.generation.conditioning import PromptEncoder

        if self._encoder is None:
            self._encoder = PromptEncoder(self.base)
        return self._encoder

    def _embedding(self, version: Version) -> Embedding:
        known = self._lent.get(version.digest) or self._embeddings.get(version.digest)
        if known is None:
            known = self._embeddings[version.digest] = self.registry.embedding(version)
            if len(self._embeddings) > _REMEMBERED_WORDS:
                self._embeddings.popitem(last=False)
        return known


def _kind(item: Prepared) -> tuple[object, ...]:
    """What two pictures must have in common to be denoised together."""
    from tiregistry.generation.conditioning import longest

    settings = replace(item.settings, negative_prompt="")
    lengths = tuple(longest([item.tokens, item.negative_tokens]).values())
    return settings, id(item.start), lengths, bool(item.negative_parts)
