"""What the options of `tireg gen` mean, with the user's settings behind them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from tiregistry.errors import FileMissing, InvalidConfig
from tiregistry.generation.requests import PictureRequest, parse_size
from tiregistry.generation.settings import GenerationSettings
from tiregistry.generation.templates import usual_folders
from tiregistry.settings import Settings, home


@dataclass(frozen=True, kw_only=True)
class Options:
    """The command's options; None where the user said nothing."""

    base: str
    count: int | None
    seed: int | None
    steps: int | None
    guidance: float | None
    negative: str | None
    size: str | None
    scheduler: str | None
    sample: int | None
    wildcards: tuple[Path, ...]
    init: Path | None
    mask: Path | None
    strength: float | None
    words: str
    blend: tuple[str, str] | None
    frames: int | None
    out: Path | None
    file_format: str | None
    keep: bool | None
    grid: Path | None
    show: bool
    previews: int | None
    taesd: str
    batch_size: int | None
    device: str
    precision: str
    allow_compatible: bool
    as_json: bool

    def request(self, base: PictureRequest | None = None, *, has_start: bool = False) -> PictureRequest:
        """A request without a prompt: `base` (default: the ordinary values) with what the options say.

        Args:
            has_start: a start picture may come from elsewhere, a line or a recipe.

        Raises:
            InvalidInput, InvalidConfig: a value cannot be used.
        """
        base = base or PictureRequest(settings=GenerationSettings())
        changes = {
            "num_inference_steps": self.steps,
            "guidance_scale": self.guidance,
            "negative_prompt": self.negative,
            "scheduler": self.scheduler,
        }
        settings = replace(base.settings, **{k: v for k, v in changes.items() if v is not None})  # type: ignore[arg-type]
        if self.size is not None:
            width, height = parse_size(self.size)
            settings = replace(settings, width=width, height=height)
        request = replace(
            base,
            settings=settings,
            seed=base.seed if self.seed is None else self.seed,
            count=base.count if self.count is None else self.count,
            sample=base.sample if self.sample is None else self.sample,
            init=self.init or base.init,
            mask=self.mask or base.mask,
            strength=base.strength if self.strength is None else self.strength,
        )
        request.check()
        if not has_start:
            request.check_start()
        return request

    @property
    def suffix(self) -> str:
        """Format of pictures in a folder."""
        return f".{self.file_format}" if self.file_format else ".png"


def with_settings(options: Options) -> tuple[Options, bool]:
    """The options with the user's settings where they said nothing, and whether pictures are kept in the registry.

    Raises:
        InvalidConfig: the settings file is broken.
        FileMissing: a folder named with --wildcards does not exist.
    """
    for folder in options.wildcards:
        if not folder.is_dir():
            raise FileMissing(f"--wildcards {folder} does not exist", "name a folder that holds name.txt for __name__")
    settings = Settings.load()
    if settings.pictures not in ("paths", "files"):
        raise InvalidConfig(f"settings.toml: pictures is {settings.pictures!r}", 'write "paths" or "files"')
    out = options.out or Path(settings.output or ".").expanduser()
    folders = usual_folders(settings, home(), options.wildcards)
    device = settings.device if options.device == "auto" else options.device
    keep = settings.pictures == "files" if options.keep is None else options.keep
    return replace(options, out=out, wildcards=folders, device=device), keep
