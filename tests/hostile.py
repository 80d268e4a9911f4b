"""Text that tries to act on a terminal, and a registry that holds it wherever foreign text can come from."""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tests.core.registry.making import SD15, make_embedding
from tiregistry.concepts import BaseModel, Measurement, NewVersion, Parent, Remote, SourceImage
from tiregistry.registry.registry import Registry
from tiregistry.training.events import Notice, Preparing, PreviewMade, Started, StepDone
from tiregistry.training.journal import Journal
from tiregistry.training.run_state import run_folder

HOSTILE = (
    "\x1b]0;owned\x07",
    "\x1b[2J\x1b[H",
    "\x9b31m",
    "\x1b]8;;http://evil\x1b\\click\x1b]8;;\x1b\\",
    "abc\u202egnp.exe",
    "\u2066x\u2069",
    "a\x00b",
    "a\rb",
    "\x08\x08\x08",
    "\udc9b31m",
    "\u200b\u200e\ufeff\u00ad",
    "\U000e0041",
    "[@click=app.quit]x[/]",
    "[/nope]",
)

# Everything at once, without what SQLite or the system cannot hold (lone surrogates in the database, NUL in names).
EVIL = "".join(HOSTILE).replace("\udc9b", "").replace("\x00", "")
EVIL_ARGUMENT = EVIL.replace("\n", "")
EVIL_SHORT = "\x1b[2J\u202e\x9b"
"""For prompts, where a base model's window is short."""
EVIL_NAME = EVIL_ARGUMENT.replace("/", "")[:60]


def acts_on_a_terminal(character: str) -> bool:
    """Whether a character is a control, a format mark (bidi, invisible), a surrogate or a line separator."""
    visible_signs = "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2"
    return unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") and character not in visible_signs


def check(*texts: str, allowed: str = "\n\t") -> None:
    """Fail when a text holds a character that a terminal would act on."""
    for text in texts:
        raw = [(ascii(c), ascii(text[max(0, n - 60) : n + 60])) for n, c in enumerate(text) if _is_raw(c, allowed)]
        assert not raw, raw[:3]


def _is_raw(character: str, allowed: str) -> bool:
    return acts_on_a_terminal(character) and character not in allowed


def evil_picture(kind: str = "PNG", texts: Iterable[str] = ("parameters", "Description", "tireg")) -> bytes:
    """A picture with hostile text in its EXIF data and, in a PNG, in its text chunks."""
    image = Image.linear_gradient("L").resize((64, 64)).convert("RGB")
    exif = Image.Exif()
    for tag in (0x010E, 0x010F, 0x0131, 0x013B, 0x9286):  # description, maker, software, artist, comment
        exif[tag] = EVIL
    info = PngInfo()
    for key in texts:
        info.add_itxt(key, EVIL)
    file = io.BytesIO()
    image.save(file, kind, exif=exif, **({"pnginfo": info} if kind == "PNG" else {}))
    return file.getvalue()


def fill(registry: Registry, pictures: Path) -> None:
    """Put hostile text into every field that takes any text.

    Args:
        pictures: a folder for the files of generated pictures, whose names are hostile too.
    """
    image = SourceImage(registry.blobs.add(evil_picture("JPEG")), f"{EVIL}.png", 64, 64, f"a photo {EVIL}")
    preview = registry.blobs.add(evil_picture())
    made = pictures / f"{EVIL_NAME}.png"
    made.write_bytes(evil_picture())
    for seed in range(2):
        new = NewVersion(
            concept="gnome",
            placeholder_token="<gnome>",
            concept_type="object",
            origin="trained",
            fingerprint=SD15,
            base_name=EVIL,
            images=(image,),
            training={EVIL: EVIL, "note": EVIL, "initializer": EVIL, "recipe": EVIL, "seed": seed},
            parents=(Parent(EVIL, "continued"),),
            record={"loss": [1.0, 0.5], "device": EVIL, "hub": {"author": EVIL}, EVIL: EVIL},
            attachments={EVIL: preview, "preview/0001.png": preview, f"preview/{EVIL}.png": preview},
            description=EVIL,
            licence=EVIL,
        )
        version = registry.add_version(new, make_embedding(seed))
        measured = Measurement(EVIL, 0.5 + seed, 0.4, 0.6, EVIL, EVIL, {EVIL: EVIL})
        registry.add_measurements(version, [measured, Measurement("score", 0.5)])
        registry.set_version_notes(version, EVIL)
        registry.add_remote(version, Remote("", "", "push", EVIL, EVIL, EVIL, EVIL))
    registry.describe("gnome", notes=EVIL)
    registry.set_alias("gnome@1", "best")
    registry.add_base(BaseModel("mine", f"/models/{EVIL}", SD15, EVIL))
    for status in ("failed", "queued"):
        run = registry.create_run("gnome", {"base": {"name": EVIL}, EVIL: EVIL, "training": {EVIL: EVIL}}, 10, EVIL)
        registry.update_run(run.id, status=status, message=EVIL, loss=0.5)
        folder = run_folder(registry, run.id)
        folder.mkdir(parents=True)
        journal = Journal(folder)
        for event in (
            Preparing(EVIL),
            Started(run.id, 0, 10, EVIL, 1, 1, EVIL),
            Notice(EVIL, run.id),
            StepDone(1, 0.5, 0.1, 0.1, run.id),
            PreviewMade(1, EVIL, 0, preview, f"preview/{EVIL}.png", run.id),
        ):
            journal.add(event)
    recipe = {"prompt": EVIL, "negative_prompt": EVIL, "seed": 1, "scheduler": EVIL, EVIL: EVIL, "base": {"name": EVIL}}
    registry.add_picture(str(made), EVIL, recipe, words=[version.digest], base_name=EVIL)
    registry.add_picture(f"/{EVIL}.png", EVIL, recipe, base_name=EVIL)
