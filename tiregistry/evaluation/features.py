"""Features of generated pictures, kept on disk as soon as they exist, so that stopped work goes on where it was."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tiregistry.evaluation.measures import Features


class FeatureStore:
    """Features by picture, in one append-only file of JSON lines per way of making and judging pictures.

    A line is whole or it does not count: a process that is killed while writing loses that picture, not the file.
    Two processes may write at once; a picture that both made is there twice.

    Args:
        folder: where the files are; None keeps everything in memory only.
        way: what decides a picture and its feature besides prompt and seed, as JSON data; part of the file's name.
    """

    def __init__(self, folder: Path | None, way: Mapping[str, Any]) -> None:
        text = json.dumps(way, sort_keys=True, separators=(",", ":"))
        self._path = None if folder is None else folder / f"{hashlib.sha256(text.encode()).hexdigest()[:40]}.jsonl"
        self._way = text
        self._known: dict[tuple[str, int], Features] = {}
        if self._path is not None:
            self._read(self._path)

    def get(self, prompt: str, seed: int) -> Features | None:
        """The feature `[dim]` of a picture, or None."""
        return self._known.get((prompt, seed))

    def add(self, found: Iterable[tuple[str, int, Features]]) -> None:
        """Keep features of pictures.

        Raises:
            OSError: they cannot be written; they are kept in memory all the same.
        """
        lines = []
        for prompt, seed, feature in found:
            row = np.ascontiguousarray(feature, dtype="<f4")
            self._known[prompt, seed] = row
            data = base64.b64encode(row.tobytes()).decode("ascii")
            lines.append(json.dumps({"prompt": prompt, "seed": seed, "feature": data}))
        if self._path is None or not lines:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        is_new = not self._path.exists()
        text = "".join(f"{line}\n" for line in ([f'{{"way": {self._way}}}'] if is_new else []) + lines)
        with open(self._path, "ab") as file:
            # The line of a process that was killed while writing has no end; ours must not be glued to it.
            file.write((text if is_new or self._ends_whole() else f"\n{text}").encode("ascii"))
            file.flush()
            os.fsync(file.fileno())

    def _ends_whole(self) -> bool:
        assert self._path is not None
        with open(self._path, "rb") as file:
            file.seek(0, os.SEEK_END)
            if not file.tell():
                return True
            file.seek(-1, os.SEEK_END)
            return file.read(1) == b"\n"

    def _read(self, path: Path) -> None:
        try:
            lines = path.read_bytes().splitlines()
        except OSError:
            return
        found: list[tuple[tuple[str, int], Features]] = []
        for line in lines:
            try:
                entry = json.loads(line)
                data = base64.b64decode(entry["feature"], validate=True)
                feature = np.frombuffer(data, dtype="<f4")
                key = str(entry["prompt"]), int(entry["seed"])
            except (ValueError, KeyError, TypeError, OverflowError):
                continue
            # Features are unit vectors, all of one length: a line that says otherwise is damaged.
            if len(feature) and abs(float(np.linalg.norm(feature)) - 1) < 1e-3:
                found.append((key, feature))
        lengths = Counter(len(feature) for _, feature in found)
        for key, feature in found:
            if len(feature) == lengths.most_common(1)[0][0]:
                self._known[key] = feature
