"""From what a user calls a base model (`embedded`, a registered name, a folder, a Hub id) to a folder on this disk."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tiregistry.bases.hub_tokens import saved_token
from tiregistry.errors import BaseModelNotFound, HubError, InvalidInput
from tiregistry.text import safe

EMBEDDED = "embedded"
VISION_PARTS = ("image_encoder/config.json", "alignment/text_projection.safetensors")
"""What a base model needs beside the usual parts: a CLIP vision tower, and the projection of the text encoder's pooled
state (`weight`, `[projection, hidden]`) into the space they share."""
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.\-]*/[\w.\-]+")
# Only what diffusers loads: model weights in safetensors, configurations, tokenizer files.
_HUB_FILES = ["*.json", "*.txt", "*.model", "*/*.json", "*/*.txt", "*/*.model", "*/*.safetensors"]


def embedded_folder() -> Path:
    """The folder of the base model that ships with tiregistry."""
    return Path(__file__).parent / "embedded" / "model"


def has_vision(folder: Path) -> bool:
    """Whether a base model's folder has the parts of `VISION_PARTS`."""
    return all((folder / part).is_file() for part in VISION_PARTS)


def looks_like_hub_id(source: str) -> bool:
    """Whether `source` has the form `owner/name` and names nothing on this disk."""
    return bool(_HUB_ID.fullmatch(source)) and not Path(source).exists()


def is_shareable(source: str) -> bool:
    """Whether `source` means the same on another machine: `embedded` or a Hub id, not a path."""
    return source == EMBEDDED or looks_like_hub_id(source)


def locate_base(source: str, revision: str = "") -> Path:
    """The diffusers folder of a base model.

    Args:
        source: `embedded`, a path to a diffusers folder, or a Hub id `owner/name`.
        revision: Hub revision; empty means the default branch.

    Raises:
        BaseModelNotFound: nothing is there.
        InvalidInput: it is there but is no diffusers model.
        HubError: the Hub could not be reached, and the model is not in the local cache.
    """
    if source == EMBEDDED:
        folder = embedded_folder()
    elif looks_like_hub_id(source):
        folder = download(source, revision, check=_check_index)
    else:
        folder = Path(source).expanduser()
        if not folder.exists():
            raise BaseModelNotFound(
                f"no base model {safe(source)!r}: not a registered name, a folder or a Hub id owner/name",
                "tireg base list shows the registered ones",
            )
    read_model_index(folder)
    return folder


def read_model_index(folder: Path) -> dict[str, object]:
    """The parsed `model_index.json` of a diffusers folder.

    Raises:
        InvalidInput: the folder is no diffusers model, or its index is damaged.
    """
    name = safe(folder)
    if not folder.is_dir():
        raise InvalidInput(f"{name} is not a diffusers model folder", "give a folder with a model_index.json")
    try:
        index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InvalidInput(
            f"{name} is not a base model: it has no model_index.json", "give a diffusers folder or a Hub id"
        ) from None
    except (ValueError, OSError) as error:
        raise InvalidInput(f"{name}/model_index.json cannot be read: {safe(error)}", "copy the model again") from None
    if not isinstance(index, dict) or "_class_name" not in index:
        raise InvalidInput(f"{name}/model_index.json describes no pipeline", "copy the model again")
    return index


def download(
    repo_id: str,
    revision: str = "",
    *,
    files: Sequence[str] = _HUB_FILES,
    instead: str = "give a folder that holds the model, or use the base model embedded",
    check: Callable[[str, str], None] | None = None,
) -> Path:
    """The folder of a Hub repository's files on this disk, downloaded where they are not there yet.

    Args:
        files: patterns of the files that are needed.
        instead: what a user may do where the Hub cannot be reached.
        check: called with both before anything is downloaded.

    Raises:
        BaseModelNotFound: there is no such repository or revision that this user may read.
        HubError: the Hub could not be reached, and the files are not in the local cache.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.utils.tqdm import disable_progress_bars

    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        disable_progress_bars()  # huggingface_hub draws them into logs and pipes, too
    with _hub_trouble(repo_id, revision, instead):
        if check:
            check(repo_id, revision)
        wanted: dict[str, Any] = {"revision": revision or None, "allow_patterns": list(files)}
        try:
            return Path(snapshot_download(repo_id, **wanted))
        except HubError:
            # Where this process has pushed, pulled or searched before, huggingface_hub's client is the bounded one,
            # whose errors it does not know for a reason to look on the disk.
            return Path(snapshot_download(repo_id, **wanted, local_files_only=True))


def _check_index(repo_id: str, revision: str) -> None:
    """Ask for the one small file that tells a base model, before gigabytes of something else come down.

    Raises:
        InvalidInput: the repository has no such file.
    """
    from huggingface_hub import HfApi, try_to_load_from_cache
    from huggingface_hub.errors import HfHubHTTPError

    if isinstance(try_to_load_from_cache(repo_id, "model_index.json", revision=revision or None), str):
        return
    try:
        files = HfApi().model_info(repo_id, revision=revision or None).siblings
    except HfHubHTTPError:
        raise
    except Exception:  # noqa: BLE001 (no network, or switched off: the download says so, unless it needs none)
        return
    if not any(file.rfilename == "model_index.json" for file in files or ()):
        raise InvalidInput(
            f"{safe(repo_id)} on the Hub is not a base model: it has no model_index.json",
            "give a repository in the diffusers layout",
        )


@contextmanager
def _hub_trouble(repo_id: str, revision: str, instead: str) -> Iterator[None]:
    """Turn what huggingface_hub raises into errors that name the next step."""
    from huggingface_hub import constants
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    name = safe(repo_id)
    try:
        yield
    except GatedRepoError:
        raise BaseModelNotFound(
            f"the Hub gives {name} only to those who accepted its terms",
            f"accept them at {constants.ENDPOINT}/{name}, then: hf auth login",
        ) from None
    except RepositoryNotFoundError:
        raise BaseModelNotFound(
            f"the Hub has no model {name} that you may read", "check the spelling, or run: hf auth login"
        ) from None
    except RevisionNotFoundError:
        raise BaseModelNotFound(
            f"{name} has no revision {safe(revision)}", f"{constants.ENDPOINT}/{name}/tree/main shows what it has"
        ) from None
    except LocalEntryNotFoundError:
        offline = os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes", "on")
        if not offline:
            saved_token()  # raises: one that cannot travel looks like a Hub that cannot be reached
        why = "HF_HUB_OFFLINE is set" if offline else "the Hub cannot be reached"
        raise HubError(f"{name} is not on this disk and {why}", instead) from None
    except (HfHubHTTPError, OSError, ValueError) as error:
        saved_token()
        raise HubError(f"downloading {name} failed: {safe(error, limit=300)}", "try again") from None
