"""How fast a big registry is: builds 10,000 concepts with 100,000 versions and measures what people wait for.

    python benchmarks/registry.py [--concepts N] [--versions N] [--home FOLDER]

The registry is built by writing rows and files directly (adding 100,000 versions one by one would only measure the
disk's fsync), with real manifests and real embeddings, so that everything measured afterwards is the real thing.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tiregistry.concepts import Fingerprint, NewVersion, Parent, SourceImage
from tiregistry.embeddings.embedding import Embedding
from tiregistry.references import name_key
from tiregistry.registry.manifest import build, canonical, digest_of
from tiregistry.registry.registry import Registry
from tiregistry.registry.search import reindex

THINGS = ("gnome", "teapot", "dwarf", "lantern", "cat", "dog", "mug", "robot", "griffin", "castle", "snail", "kite")
MOODS = ("garden", "rusty", "tiny", "golden", "winter", "stormy", "quiet", "paper", "velvet", "mossy", "blue")
BASES = [
    ("sd15", Fingerprint("sd1", "sha256:" + "1" * 64, "sha256:" + "2" * 64, "sha256:" + "3" * 64)),
    ("sdxl", Fingerprint("sdxl", "sha256:" + "4" * 64, "sha256:" + "5" * 64, "sha256:" + "6" * 64)),
]


def build_registry(registry: Registry, concepts: int, versions: int) -> None:
    """Fill an empty registry with `versions` versions of one 768-dimensional vector each, spread over `concepts`."""
    choose, numbers = random.Random(0), np.random.default_rng(0)
    now = time.time()
    photos = [_blob(registry, f"photo {n}".encode() * 100) for n in range(500)]
    for shard in range(256):
        (registry.blobs.folder / f"{shard:02x}").mkdir(parents=True, exist_ok=True)
    with registry.database.write() as connection:
        connection.executemany(
            "INSERT INTO blobs (digest, size, added_at) VALUES (?, ?, ?)", [(*p, now) for p in photos]
        )
        parents: dict[int, str] = {}
        for number in range(versions):
            concept = number % concepts + 1
            name = f"{MOODS[concept % len(MOODS)]}-{THINGS[concept % len(THINGS)]}-{concept}"
            base_name, fingerprint = BASES[concept % 2]
            if number < concepts:
                connection.execute(
                    "INSERT INTO concepts (id, name, name_key, placeholder_token, token_key, concept_type, notes, "
                    "created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (concept, name, name_key(name), f"<{name}>", f"<{name}>", choose.choice(["object", "style"]),
                     f"seen near the {choose.choice(THINGS)}", now - 1e7 * choose.random(), now - choose.random()),
                )  # fmt: skip
                connection.execute("INSERT INTO tags VALUES (?, ?)", (concept, choose.choice(MOODS)))
            images = [choose.choice(photos) for _ in range(3)]
            new = NewVersion(
                concept=name,
                placeholder_token=f"<{name}>",
                concept_type="object",
                origin="trained",
                fingerprint=fingerprint,
                base_name=base_name,
                images=tuple(
                    SourceImage(digest, f"{n}.png", 512, 512, f"a photo of <{name}>")
                    for n, (digest, _) in enumerate(images)
                ),
                training={"lr": 0.005, "steps": 500, "seed": number},
                parents=(Parent(parents[concept], "continued"),) if concept in parents else (),
            )
            parents[concept] = _insert(
                registry, connection, concept, number // concepts + 1, new, numbers, now - (versions - number)
            )
        connection.execute(
            "INSERT INTO measurements (version_id, measure, protocol, judge, value, measured_at) "
            "SELECT id, 'score', 'quick', 'embedded', (id * 7919 % 1000) / 1000.0, created_at FROM versions"
        )
        for concept in range(1, concepts + 1):
            reindex(connection, concept)
    registry.database.connection.execute("ANALYZE")


def _blob(registry: Registry, data: bytes) -> tuple[str, int]:
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    path = registry.blobs.path(digest)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return digest, len(data)


def _insert(
    registry: Registry, connection: Any, concept: int, number: int, new: NewVersion, numbers: Any, created_at: float
) -> str:
    embedding = Embedding({"clip_l": numbers.normal(size=(1, 768)).astype(np.float32)})
    blob, size = _blob(registry, embedding.to_bytes())
    manifest = canonical(build(new, embedding))
    base = new.fingerprint
    assert base is not None
    connection.execute("INSERT INTO blobs (digest, size, added_at) VALUES (?, ?, ?)", (blob, size, created_at))
    cursor = connection.execute(
        "INSERT INTO versions (concept_id, number, digest, embedding_digest, embedding_blob, encoders, origin, "
        "base_name, base_family, base_token_embedding, base_text_encoder, base_denoiser, created_at, manifest) "
        "VALUES (?, ?, ?, ?, ?, '[[\"clip_l\",1,768]]', 'trained', ?, ?, ?, ?, ?, ?, ?)",
        (concept, number, digest_of(manifest), embedding.digest, blob, new.base_name, base.family, base.token_embedding,
         base.text_encoder, base.denoiser, created_at, manifest),
    )  # fmt: skip
    version = cursor.lastrowid
    connection.execute("UPDATE concepts SET last_number = ? WHERE id = ?", (number, concept))
    connection.execute("INSERT INTO records VALUES (?, ?)", (version, json.dumps({"loss": [1.0, 0.5, 0.25] * 20})))
    connection.executemany(
        "INSERT INTO images VALUES (?, ?, ?, ?, ?, ?, ?)",
        [(version, n, i.digest, i.filename, i.width, i.height, i.caption) for n, i in enumerate(new.images)],
    )
    connection.executemany(
        "INSERT INTO parents VALUES (?, 0, ?, ?)", [(version, p.digest, p.relation) for p in new.parents]
    )
    return digest_of(manifest)


def median_ms(work: Callable[[int], object], times: int) -> tuple[float, float, float]:
    """Median and slowest wall-clock time and median CPU time of several runs, in milliseconds."""
    wall, cpu = [], []
    for turn in range(times):
        began, began_cpu = time.perf_counter(), time.process_time()
        work(turn)
        wall.append((time.perf_counter() - began) * 1000)
        cpu.append((time.process_time() - began_cpu) * 1000)
    return statistics.median(wall), max(wall), statistics.median(cpu)


def fsync_ms(folder: Path) -> float:
    """What one small durable write costs on this disk."""

    def write(turn: int) -> None:
        with open(folder / "fsync-probe", "ab", buffering=0) as file:
            file.write(b"x" * 4096)
            os.fsync(file.fileno())

    taken, _, _ = median_ms(write, 30)
    (folder / "fsync-probe").unlink()
    return taken


def main() -> None:
    """Build, measure, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--concepts", type=int, default=10_000)
    parser.add_argument("--versions", type=int, default=100_000)
    parser.add_argument("--home", type=Path, help="an empty folder, kept afterwards; default: a temporary one")
    options = parser.parse_args()
    home = options.home or Path(tempfile.mkdtemp(prefix="tireg-benchmark-"))
    try:
        measure(home, options.concepts, options.versions)
    finally:
        if options.home is None:
            shutil.rmtree(home)


def measure(home: Path, concepts: int, versions: int) -> None:
    """Print one line for each thing measured."""
    with Registry.open(home) as registry:
        if not registry.concepts(limit=1):
            began = time.perf_counter()
            build_registry(registry, concepts, versions)
            print(f"built {concepts:,} concepts, {versions:,} versions in {time.perf_counter() - began:.0f} s\n")
    with Registry.open(home) as registry:
        names = [concept.name for concept in registry.concepts()]
        choose = random.Random(1)
        drawn = [np.random.default_rng(10**6 + n).normal(size=(1, 768)) for n in range(50)]
        embeddings = [Embedding({"clip_l": vectors.astype(np.float32)}) for vectors in drawn]

        def add(turn: int) -> None:
            unique = {"at": time.time_ns()}
            new = NewVersion("bench", "<bench>", "object", "trained", BASES[0][1], "sd15", training=unique)
            registry.add_version(new, embeddings[turn])

        def name() -> str:
            return choose.choice(names)

        rows: list[tuple[str, Callable[[int], object], int]] = [
            ("list, first page of 50", lambda _: registry.concepts(limit=50), 20),
            ("list, first page by date", lambda _: registry.concepts(limit=50, sort="updated"), 20),
            ("list, first page by score", lambda _: registry.concepts(limit=50, sort="score"), 20),
            ("list, page at 5,000", lambda _: registry.concepts(limit=50, offset=5000), 20),
            ("list, everything", lambda _: registry.concepts(), 3),
            ("search one name", lambda _: registry.concepts(name(), limit=50), 20),
            ("search a common word", lambda _: registry.concepts("gnome", limit=50), 20),
            ("search two words and a tag", lambda _: registry.concepts("gnome near tag:garden", limit=50), 20),
            ("list --fits a base model", lambda _: registry.concepts(fits=BASES[0][1], limit=50), 20),
            ("open and show a version", lambda _: registry.version(name()).record(), 20),
            ("history of a word", lambda _: registry.history(name()), 20),
            ("read an embedding", lambda _: registry.version(name()).embedding(), 20),
            ("add a version", add, 50),
            ("set an alias", lambda _: registry.set_alias(name(), "best"), 20),
            ("tag a word", lambda turn: registry.tag(name(), add=[f"t{turn}"]), 20),
        ]
        print(f"{'what':<28} {'median ms':>10} {'slowest ms':>10} {'CPU ms':>8}")
        for what, work, times in rows:
            middle, slowest, cpu = median_ms(work, times)
            print(f"{what:<28} {middle:>10.2f} {slowest:>10.2f} {cpu:>8.2f}")
        print(f"{'one fsync on this disk':<28} {fsync_ms(home):>10.2f}   (adding a version takes four, the others one)")
        began_cpu = time.process_time()
        report = registry.verify()
        cpu = time.process_time() - began_cpu
        assert not report.damages, report.damages[:3]
        print(
            f"\nverify: {report.files:,} files and {report.versions:,} versions in {report.seconds:.1f} s "
            f"({report.files / report.seconds:,.0f} files/s; {cpu:.1f} s of CPU)"
        )
    size = (home / "registry.db").stat().st_size
    print(f"database: {size / 1e6:.0f} MB ({size / versions:,.0f} bytes per version)")


if __name__ == "__main__":
    main()
