"""`Generator`: a base model held in memory that turns prompts naming words into pictures with their recipes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tiregistry.concepts import Version
from tiregistry.errors import DeviceError, InvalidConfig
from tiregistry.generation.prompts import PromptPart, parse_prompt, words_in
from tiregistry.generation.settings import SCHEDULERS, GenerationSettings
from tiregistry.generation.words import check_fit, resolve_words

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

    from tiregistry.bases.loaded import Conditioning, LoadedBase, Segment
    from tiregistry.registry.registry import Registry


@dataclass(frozen=True, slots=True)
class Picture:
    """A generated picture and everything needed to make it again.

    Attributes:
        image: RGB.
        recipe: JSON data (see `tiregistry.generation.metadata`).
    """

    image: Image
    recipe: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A prompt that was parsed and whose words were found and fit the base model."""

    prompt: str
    parts: tuple[PromptPart, ...]
    negative_parts: tuple[PromptPart, ...]
    versions: dict[str, Version]
    settings: GenerationSettings


@dataclass
class Generator:
    """Generates pictures; the model stays loaded between calls, words are switched by changing rows only.

    Args:
        registry: where words come from.
        base: the loaded base model.
        allow_compatible: take words of another denoiser with the same token-embedding table.
    """

    registry: Registry
    base: LoadedBase
    allow_compatible: bool = False
    warnings: list[str] = field(default_factory=list)
    _pipeline: Any = None
    _loaded_words: dict[str, Any] = field(default_factory=dict)

    def prepare(self, prompt: str, settings: GenerationSettings) -> Prepared:
        """Check a prompt without generating anything.

        Raises:
            InvalidPrompt, ConceptNotFound, VersionNotFound, WrongBaseModel, InvalidConfig: what is wrong with it.
        """
        settings.check()
        parts, negative = parse_prompt(prompt), parse_prompt(settings.negative_prompt)
        versions = resolve_words(self.registry, [*words_in(parts), *words_in(negative)])
        for warning in check_fit(
            self.registry, list(versions.values()), self.base.identity, allow_compatible=self.allow_compatible
        ):
            if warning not in self.warnings:
                self.warnings.append(warning)
        size = self.base.resolution
        sized = replace(settings, width=settings.width or size, height=settings.height or size)
        prepared = Prepared(prompt, parts, negative, versions, sized)
        self._ids(prepared)
        return prepared

    def generate(
        self, prompts: Sequence[str], settings: GenerationSettings, *, seeds: Sequence[int] = (0,)
    ) -> Iterator[Picture]:
        """Yield one picture per prompt and seed, each as soon as it is done.

        Every picture is made on its own from its own seed, so neither the order nor the number of pictures changes
        a single one of them.

        Raises:
            As `prepare`, for every prompt before the first picture is made; DeviceError when memory runs out.
        """
        prepared = [self.prepare(prompt, settings) for prompt in prompts]
        for item in prepared:
            yield from self.render(item, seeds)

    def render(self, item: Prepared, seeds: Sequence[int]) -> Iterator[Picture]:
        """Yield the pictures of one prepared prompt, one per seed."""
        import torch

        with torch.no_grad():
            positive, negative = self._encode(item)
            for seed in seeds:
                try:
                    image = self._denoise(item, positive, negative, seed)
                except torch.OutOfMemoryError:
                    raise DeviceError(
                        f"{item.settings.width}x{item.settings.height} pixels do not fit the memory of "
                        f"{self.base.device}",
                        "use a smaller --size",
                    ) from None
                yield Picture(image, self._recipe(item, seed))

    def _ids(self, item: Prepared) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
        """Token ids of the prompt and the negative prompt: encoder role to long `[2, window]`, and the words' rows."""
        import torch

        uses = list(item.versions)
        rows, places = self.base.place_words([self._embedding(item.versions[use]) for use in uses])
        where = dict(zip(uses, places, strict=True))
        ids: dict[str, torch.Tensor] = {}
        for tower in self.base.towers:

            def segments(parts: tuple[PromptPart, ...], role: str = tower.role) -> list[Segment]:
                return [p if isinstance(p, str) else tuple(where[p.text][role]) for p in parts]

            ids[tower.role] = torch.tensor([tower.ids(segments(item.parts)), tower.ids(segments(item.negative_parts))])
        return ids, rows

    def _embedding(self, version: Version) -> Any:
        if version.digest not in self._loaded_words:
            self._loaded_words[version.digest] = self.registry.embedding(version)
        return self._loaded_words[version.digest]

    def _encode(self, item: Prepared) -> tuple[Conditioning, Conditioning]:
        from tiregistry.bases.loaded import Conditioning

        ids, rows = self._ids(item)
        if rows:
            with self.base.using_rows(rows):
                both = self.base.encode(ids)
        else:
            both = self.base.encode(ids)
        pooled = both.pooled
        return (
            Conditioning(both.states[:1], None if pooled is None else pooled[:1]),
            Conditioning(both.states[1:], None if pooled is None else pooled[1:]),
        )

    def _denoise(self, item: Prepared, positive: Conditioning, negative: Conditioning, seed: int) -> Image:
        import torch

        settings, base = item.settings, self.base
        pipeline = self._pipeline_for(settings.scheduler)
        # Noise is drawn on the CPU, so a seed means the same on every device.
        noise = torch.Generator().manual_seed(seed)
        shape = (
            1,
            int(base.denoiser.config.in_channels),
            settings.height // base.vae_factor,
            settings.width // base.vae_factor,
        )
        latents = torch.randn(shape, generator=noise).to(base.device, base.dtype)
        extra = {}
        if positive.pooled is not None:
            extra = {"pooled_prompt_embeds": positive.pooled, "negative_pooled_prompt_embeds": negative.pooled}
        result = pipeline(
            prompt_embeds=positive.states,
            negative_prompt_embeds=negative.states,
            latents=latents,
            generator=noise,
            width=settings.width,
            height=settings.height,
            num_inference_steps=settings.num_inference_steps,
            guidance_scale=settings.guidance_scale,
            output_type="pil",
            **extra,
        )
        image: Image = result.images[0]
        return image.convert("RGB")

    def _pipeline_for(self, scheduler: str) -> Any:
        """diffusers' own pipeline around the loaded parts, with a fresh scheduler of the asked kind."""
        from tiregistry.bases.loading import quiet_libraries

        base = self.base
        with quiet_libraries():
            import diffusers

            if self._pipeline is None:
                first, second = base.towers[0], base.towers[-1]
                parts = {
                    "vae": base.vae,
                    "text_encoder": first.model,
                    "tokenizer": first.tokenizer,
                    "unet": base.denoiser,
                    "scheduler": base.scheduler,
                }
                if base.family == "sdxl":
                    self._pipeline = diffusers.StableDiffusionXLPipeline(
                        **parts, text_encoder_2=second.model, tokenizer_2=second.tokenizer, add_watermarker=False
                    )
                else:
                    self._pipeline = diffusers.StableDiffusionPipeline(
                        **parts, safety_checker=None, feature_extractor=None, requires_safety_checker=False
                    )
                self._pipeline.set_progress_bar_config(disable=True)
            class_name, options = SCHEDULERS[scheduler]
            try:
                self._pipeline.scheduler = getattr(diffusers, class_name).from_config(base.scheduler.config, **options)
            except (ValueError, NotImplementedError) as error:
                raise InvalidConfig(
                    f"scheduler {scheduler} does not work with {base.identity.name}: {error}", "try --scheduler ddim"
                ) from None
        return self._pipeline

    def _recipe(self, item: Prepared, seed: int) -> dict[str, Any]:
        import diffusers
        import torch
        import transformers

        from tiregistry import __version__
        from tiregistry.bases.locating import is_shareable

        identity = self.base.identity
        return {
            "format": "tireg-picture/1",
            "prompt": item.prompt,
            **item.settings.as_dict(),
            "seed": seed,
            "base": {
                "name": identity.name,
                # A path of this machine is nobody else's business; the fingerprint says which model it was.
                "source": identity.source if is_shareable(identity.source) else "",
                "revision": identity.revision,
                "fingerprint": identity.fingerprint.as_dict(),
            },
            "words": [
                {"text": text, "reference": v.reference, "digest": v.digest, "placeholder_token": v.placeholder_token}
                for text, v in item.versions.items()
            ],
            "device": str(self.base.device),
            "dtype": str(self.base.dtype).removeprefix("torch."),
            "software": {
                "tiregistry": __version__,
                "torch": torch.__version__,
                "diffusers": diffusers.__version__,
                "transformers": transformers.__version__,
            },
        }
