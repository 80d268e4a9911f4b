"""From a checked request and a loaded base model to a `Word`: vectors at their start, pictures encoded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiregistry.errors import DeviceError, InvalidConfig, InvalidPrompt
from tiregistry.training.base_check import vision_folder
from tiregistry.training.request import TrainingRequest, check_continued, continued_version
from tiregistry.training.wording import Wording

if TYPE_CHECKING:
    from tiregistry.bases.loaded import LoadedBase
    from tiregistry.registry.registry import Registry
    from tiregistry.training.word import Word


def make_word(registry: Registry, base: LoadedBase, request: TrainingRequest, *, fresh: bool = True) -> Word:
    """The word at its start.

    Args:
        request: a checked request.
        fresh: False when a checkpoint will replace the vectors, so that a warm start would be wasted.

    Raises:
        InvalidConfig: the initializer is unknown, or a caption has no room for that many vectors.
        WrongBaseModel: the version to continue belongs to another base model.
        DeviceError: the device's memory is too small to encode a picture.
    """
    import torch

    from tiregistry.training.dataset import encode_pictures
    from tiregistry.training.loop import place_captions
    from tiregistry.training.starting import start_vectors
    from tiregistry.training.stopping import StopRule
    from tiregistry.training.word import Word

    config = request.config
    version = continued_version(registry, config)
    check_continued(version, base.identity.fingerprint, base.identity.name)
    continued = None if version is None else registry.embedding(version)
    own = len(request.pictures) if config.per_image_tokens else 0
    vectors, count = start_vectors(base, config, continued, own)
    wording = Wording.build(config, request.all_captions, request.placeholder_token, request.filenames)
    try:
        for tower in base.towers:
            wording.ids(tower, tower.words.first_id, count, count)
            for prompt in config.preview_prompts:
                before, after = prompt.split("{}")
                tower.ids([before, tuple(range(tower.words.first_id, tower.words.first_id + count)), after])
    except InvalidPrompt as error:
        many = f"{count} vectors" if count > 1 else "1 vector"
        raise InvalidConfig(
            f"{error.message} ({many} among them)",
            "use fewer vectors, or shorter captions" if count > 1 else "use shorter captions",
        ) from None
    pictures = [picture.image for picture in request.pictures]
    side = config.resolution or base.resolution
    try:
        latents = encode_pictures(base, pictures, side, flip=bool(config.flip), masks=request.mask_images())
    except torch.OutOfMemoryError:
        raise DeviceError(
            f"a picture of {side} pixels does not fit the memory of {base.device}", "use a smaller --resolution"
        ) from None
    rule = StopRule(config) if config.stopping == "dvar" else None
    word = Word(request.concept, vectors, latents, wording, config, count, rule=rule)
    if config.recipe == "quick" and fresh:
        from tiregistry.training.vision_start import warm_start

        place_captions(base, [word])
        warm_start(base, vision_folder(registry, request.base), word, pictures)
    return word
