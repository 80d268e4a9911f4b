"""`TrainingConfig`: everything that decides what a run learns, with what each setting means under its name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from tiregistry.concepts import ConceptType
from tiregistry.errors import InvalidConfig
from tiregistry.training.config_check import check
from tiregistry.training.recipes import (
    LrScheduler,
    Recipe,
    Stopping,
    recipe_values,
)

# What other trainers and the command line call a setting whose name is not written alike.
_MEANT: dict[str, str] = {
    "accumulation": "gradient_accumulation",
    "batch": "batch_size",
    "class_word": "initializer",
    "clip_grad_norm": "max_grad_norm",
    "decay": "weight_decay",
    "dtype": "precision",
    "epochs": "max_steps",
    "init": "initializer",
    "init_word": "initializer",
    "initializer_token": "initializer",
    "kappa": "prior_strength",
    "lr": "learning_rate",
    "mirror": "flip",
    "mixed_precision": "precision",
    "optimizer": "recipe",
    "rank": "num_vectors",
    "save_steps": "checkpoint_every",
    "scheduler": "lr_scheduler",
    "size": "resolution",
    "snr_gamma": "min_snr_gamma",
    "steps": "max_steps",
    "stop": "stopping",
    "templates": "caption_templates",
    "train_batch_size": "batch_size",
    "type": "concept_type",
    "vectors": "num_vectors",
    "warmup": "warmup_steps",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingConfig:
    """How one word is learned. `None` means: what the recipe says (see `resolved`)."""

    concept_type: ConceptType = "object"
    """`object` or `style`: chooses the caption templates."""
    initializer: str = ""
    """What the vectors start from: vocabulary words such as `cat` or `old teapot`, or a version to continue, such as
    `gnome@2` (kept as its digest). Empty: `object` or `style` itself is tried, then the mean of the vocabulary."""
    num_vectors: int | None = None
    """How many vectors the word has, 1 to 64. None: as many as the initializer has (1 without initializer); where it
    has more, its last ones are taken. One is the most editable (Gal et al. 2022, section 5)."""
    encoders: tuple[str, ...] = ()
    """Text encoders whose vectors are learned, e.g. `clip_l` and `clip_g`; empty: all that the base model has. Another
    encoder reads the initializer in the word's place, encodes each caption once, and then leaves the device: with FLUX
    and SD3 that spares T5's memory and time."""
    recipe: Recipe = "direction"
    """`direction`: fixed magnitude, only the direction is learned (Directional Textual Inversion, ICLR 2026).
    `thorough`: the same in four times the steps, preconditioned. `classic`: AdamW on the free
    vector (Gal et al. 2022). `quick`: the vectors are first fitted to the pictures in CLIP
    space, without the denoiser, then a few `direction` steps follow; needs a base model with a vision tower."""
    max_steps: int | None = None
    """Most optimiser steps. Usual range 50 to 500 for `direction`, 1000 to 5000 for `classic`."""
    batch_size: int | None = None
    """Samples per batch and word."""
    gradient_accumulation: int = 1
    """Batches per optimiser step: their gradients are averaged, at the memory of one."""
    micro_batch: int = 0
    """Samples that go through the model at once; 0 means a whole batch. Smaller needs less memory, same result up to
    rounding. When memory runs out it is halved by itself, and a notice says so."""
    learning_rate: float | None = None
    """All but `classic`: radians per step on the unit sphere, usual range 0.02 to 0.5.
    `classic`: AdamW's rate before it is multiplied by the samples per step, as in the paper's code."""
    lr_scheduler: LrScheduler | None = None
    """Course of the learning rate over `max_steps`: `constant`, `cosine` or `linear` down to zero."""
    warmup_steps: int = 0
    """Steps over which the learning rate rises linearly from zero."""
    prior_strength: float = 1e-4
    """All but `classic`: constant pull towards the initializer's direction (kappa in the paper); 0 switches it
    off."""
    magnitude: float | None = None
    """All but `classic`: length of the vectors, in mean lengths of the vocabulary's. None: 1, and 52 for a thing on
    the embedded base model. T5's are always 1. A word that goes on from a version keeps its own."""
    preconditioning: bool | None = None
    """All but `classic`: bend each step by what the last 48 gradients say of the loss (GGT, Agarwal et al. 2019):
    longer where they were small, shorter where they were large. None: `thorough` does, and the others for a thing on
    the embedded base model. A checkpoint has 40 kilobytes more."""
    weight_decay: float = 0.0
    """`classic` only: AdamW's decay, which also pulls the word towards zero."""
    regularization: float = 0.0
    """`classic` only: weight of the squared distance to the initializer, added to the loss (Gal et al. 2022, section
    5.2; Cross Initialization uses 1e-5)."""
    max_grad_norm: float = 0.0
    """`classic` only: longest gradient over all vectors of the word; 0 does not clip."""
    cross_initialization: bool = False
    """`classic` only: start from what the text encoder makes of the initializer instead of its token embeddings (Cross
    Initialization, CVPR 2024)."""
    progressive_steps: int = 0
    """Steps after which the next vector joins, beginning with one (the paper's progressive extension used 2000);
    0 trains all vectors from the start."""
    per_image_tokens: bool = False
    """Give each picture a vector of its own that takes up what is peculiar to it and is thrown away at the end (Gal et
    al. 2022, section 5.2). It stands in a quarter of the captions."""
    warm_start_steps: int = 30
    """`quick` only: steps in CLIP space before the denoiser is used."""
    stopping: Stopping | None = None
    """`dvar`: when the loss on a fixed batch no longer changes (Voronov et al. 2023), stop, or bring a learning rate
    that falls along a schedule down to zero early; keep the vectors that were best on that batch. `max_steps` is the
    cap. `none`: all steps, keep the last vectors."""
    stop_every: int = 20
    """`dvar`: steps between two looks at the fixed batch."""
    stop_window: int = 60
    """`dvar`: the last steps whose variance is compared with that of the whole course; also the steps over which the
    learning rate is brought down."""
    stop_threshold: float = 0.15
    """`dvar`: the word no longer changes when variance of the window / variance of the whole course is below this (0.15
    is what the authors use for Textual Inversion)."""
    resolution: int | None = None
    """Side of the training pictures in pixels, a multiple of 8. None: the base model's own."""
    flip: bool | None = None
    """Also learn from mirrored pictures. Switch it off for anything with writing on it. None: yes, but not with
    `direction`, `thorough` and `quick` for a thing on the embedded base model."""
    caption_templates: tuple[str, ...] = ()
    """Own caption templates with `{}` for the word; empty: the paper's templates for the concept type. A picture with
    a caption of its own uses that instead."""
    use_alpha: bool = False
    """Weigh the loss by each picture's transparency: what is transparent is not learned."""
    masks: tuple[str, ...] = ()
    """Digest of each picture's mask (white is learned, black is not), in the order of the pictures, empty for a picture
    without one. Filled in from `--mask FOLDER`."""
    min_snr_gamma: float = 0.0
    """Loss weight min(SNR, gamma) / SNR (Hang et al. 2023), usual value 5; 0 weighs all timesteps alike."""
    noise_offset: float = 0.0
    """Strength of a constant added to each channel of the noise, usual value 0.05; helps dark or bright pictures."""
    min_timestep: int = 0
    """First timestep that is trained; higher leaves out fine detail."""
    max_timestep: int | None = None
    """First timestep that is no longer trained; lower leaves out overall layout. None: the schedule's end."""
    stratified_timesteps: bool = True
    """Draw one timestep from each of as many equal slices as there are samples: less variance, same expectation."""
    precision: str = "auto"
    """Type of the frozen parts: `auto`, `fp32`, `bf16` or `fp16`. Vectors and their optimiser are always fp32."""
    spare_memory: bool = False
    """Stable Diffusion 1, 2 and XL: have the frozen denoiser keep only what the way back to the text needs, and compute
    again what costs little: half of the memory that a sample takes, a few percent of the time (more where a fast GPU
    waits for Python, as with one sample at a time). The result is the same. Also switched on when memory runs out."""
    gradient_checkpointing: bool = False
    """Recompute the activations of denoiser and text encoders in the backward pass: about a third slower, a fraction of
    the memory."""
    compile: bool = False
    """Compile the denoiser with torch.compile: minutes of waiting first, then faster steps on a GPU (a CPU gains
    nothing). Where that does not work, for want of a C++ compiler for instance, training says so and does without."""
    seed: int = 0
    """Seed of all noise, timesteps, captions and picture order: step `n` always draws the same."""
    checkpoint_every: int = 50
    """Steps between checkpoints; 0 writes one only at the end."""
    preview_prompts: tuple[str, ...] = ()
    """Prompts with `{}` for the word, pictured while training; the pictures are kept with the version."""
    preview_every: int = 100
    """Steps between previews; there is always one at the end. 0: only at the end."""
    preview_seed: int = 0
    """Seed of the first preview picture: the same noise every time, so that only the word differs."""

    def resolved(self, *, embedded: bool = True) -> TrainingConfig:
        """The configuration with the recipe's values in place of every None that a recipe decides.

        Args:
            embedded: whether the word is learned on the embedded base model; others take longer courses.
        """
        defaults = recipe_values(self.recipe, self.concept_type, embedded=embedded)
        if self.continues_version:
            del defaults["magnitude"]
        return replace(self, **{key: value for key, value in defaults.items() if getattr(self, key) is None})

    def check(self) -> None:
        """Refuse values that cannot work, alone or together.

        Raises:
            InvalidConfig: names the field, its value and what is allowed.
        """
        check(self)

    @property
    def continues_version(self) -> bool:
        """Whether the initializer names a version (`gnome@2`, `<gnome>`, a digest), whose magnitude the word keeps."""
        text = self.initializer.strip()
        return "@" in text or text.startswith("sha256:") or (text.startswith("<") and text.endswith(">"))

    @property
    def samples_per_step(self) -> int:
        """Samples behind one optimiser step of a resolved configuration."""
        assert self.batch_size is not None
        return self.batch_size * self.gradient_accumulation

    def as_dict(self) -> dict[str, Any]:
        """JSON data; `from_mapping` is its inverse."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    @classmethod
    def from_mapping(cls, raw: Mapping[str, Any]) -> TrainingConfig:
        """Build and check a configuration from JSON or TOML data.

        Raises:
            InvalidConfig: an unknown field, a wrong type or a value out of range.
        """
        known = {f.name for f in fields(cls)}
        unknown = sorted(set(raw) - known)
        if unknown:
            from difflib import get_close_matches

            meant = _MEANT.get(unknown[0].lower()) or next(
                iter(get_close_matches(unknown[0].lower(), known, 1, 0.65)), ""
            )
            advice = f"did you mean {meant}?" if meant else "docs/training.md lists them"
            raise InvalidConfig(f"unknown training setting {unknown[0]!r}", advice)
        values: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in raw.items()}
        config = cls(**values)
        config.check()
        return config
