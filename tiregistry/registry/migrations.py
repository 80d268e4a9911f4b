"""The schema's history: numbered steps, append-only. Imported only when a database is behind (it costs 105 ms)."""

from __future__ import annotations

from typing import Any

from sqlite_utils import Migrations


def m001_first_schema(db: Any) -> None:
    """Concepts, versions, aliases, tags, search, trash, base models, runs, remotes, pictures."""
    for statement in _FIRST_SCHEMA.split(";\n\n"):
        if statement.strip():
            db.conn.execute(statement)


_FIRST_SCHEMA = """
CREATE TABLE settings (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

CREATE TABLE blobs (
    digest TEXT PRIMARY KEY,
    size INTEGER NOT NULL,
    added_at REAL NOT NULL,
    verified_at REAL,               -- when its bytes last matched its digest
    lost_at REAL                    -- not null: verify gave it up; registering the same bytes again heals it
) STRICT;

CREATE TABLE concepts (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    name_key TEXT NOT NULL,         -- casefolded: two names that differ in case are one name
    placeholder_token TEXT NOT NULL,
    token_key TEXT NOT NULL,
    concept_type TEXT NOT NULL CHECK (concept_type IN ('object', 'style')),
    description TEXT NOT NULL DEFAULT '',
    notes TEXT NOT NULL DEFAULT '',
    licence TEXT NOT NULL DEFAULT '',
    last_number INTEGER NOT NULL DEFAULT 0,   -- highest number ever given: numbers are not reused
    created_at REAL NOT NULL,
    updated_at REAL NOT NULL,
    deleted_at REAL                 -- not null: in the trash
) STRICT;

CREATE UNIQUE INDEX concepts_living_name ON concepts (name_key) WHERE deleted_at IS NULL;

CREATE UNIQUE INDEX concepts_living_token ON concepts (token_key) WHERE deleted_at IS NULL;

CREATE INDEX concepts_updated ON concepts (updated_at);

CREATE TABLE redirects (
    name_key TEXT PRIMARY KEY,      -- a name the concept had before
    concept_id INTEGER NOT NULL REFERENCES concepts (id) ON DELETE CASCADE,
    renamed_at REAL NOT NULL
) STRICT;

CREATE INDEX redirects_concept ON redirects (concept_id);

CREATE TABLE tags (
    concept_id INTEGER NOT NULL REFERENCES concepts (id) ON DELETE CASCADE,
    tag TEXT NOT NULL,
    PRIMARY KEY (concept_id, tag)
) STRICT;

CREATE INDEX tags_tag ON tags (tag);

CREATE TABLE versions (
    id INTEGER PRIMARY KEY,
    concept_id INTEGER NOT NULL REFERENCES concepts (id) ON DELETE CASCADE,
    number INTEGER NOT NULL CHECK (number > 0),
    digest TEXT NOT NULL,           -- sha256 of the manifest
    embedding_digest TEXT NOT NULL, -- tensor identity
    embedding_blob TEXT NOT NULL REFERENCES blobs (digest),
    encoders TEXT NOT NULL,         -- JSON: [[role, num_vectors, dim], ...]
    origin TEXT NOT NULL CHECK (origin IN ('trained', 'imported', 'pulled', 'blended')),
    base_name TEXT NOT NULL DEFAULT '',
    base_family TEXT NOT NULL DEFAULT '',
    base_token_embedding TEXT NOT NULL DEFAULT '',
    base_text_encoder TEXT NOT NULL DEFAULT '',
    base_denoiser TEXT NOT NULL DEFAULT '',
    notes TEXT NOT NULL DEFAULT '',
    run_id TEXT,
    created_at REAL NOT NULL,
    deleted_at REAL,
    manifest TEXT NOT NULL,         -- canonical JSON
    UNIQUE (concept_id, number),
    UNIQUE (concept_id, digest)
) STRICT;

CREATE INDEX versions_digest ON versions (digest);

CREATE INDEX versions_embedding_digest ON versions (embedding_digest);

CREATE INDEX versions_embedding_blob ON versions (embedding_blob);

CREATE INDEX versions_living ON versions (concept_id, number DESC) WHERE deleted_at IS NULL;

CREATE INDEX versions_table ON versions (base_token_embedding, concept_id);

CREATE TABLE records (
    version_id INTEGER PRIMARY KEY REFERENCES versions (id) ON DELETE CASCADE,
    record TEXT NOT NULL            -- JSON: what was observed, e.g. the loss curve; not in the digest
) STRICT;

CREATE TABLE images (
    version_id INTEGER NOT NULL REFERENCES versions (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    digest TEXT NOT NULL REFERENCES blobs (digest),
    filename TEXT NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    caption TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (version_id, position)
) STRICT;

CREATE INDEX images_digest ON images (digest);

CREATE TABLE attachments (
    version_id INTEGER NOT NULL REFERENCES versions (id) ON DELETE CASCADE,
    role TEXT NOT NULL,             -- e.g. original, preview/0004.png
    digest TEXT NOT NULL REFERENCES blobs (digest),
    PRIMARY KEY (version_id, role)
) STRICT;

CREATE INDEX attachments_digest ON attachments (digest);

CREATE TABLE parents (
    version_id INTEGER NOT NULL REFERENCES versions (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    digest TEXT NOT NULL,           -- of a version that may live elsewhere
    relation TEXT NOT NULL CHECK (relation IN ('continued', 'blended', 'imported', 'pulled')),
    PRIMARY KEY (version_id, position)
) STRICT;

CREATE INDEX parents_digest ON parents (digest);

CREATE TABLE scores (
    version_id INTEGER NOT NULL REFERENCES versions (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    value REAL NOT NULL,
    scored_at REAL NOT NULL,
    PRIMARY KEY (version_id, name)
) STRICT;

CREATE TABLE aliases (
    concept_id INTEGER NOT NULL REFERENCES concepts (id) ON DELETE CASCADE,
    alias TEXT NOT NULL,
    version_id INTEGER NOT NULL REFERENCES versions (id) ON DELETE CASCADE,
    PRIMARY KEY (concept_id, alias)
) STRICT;

CREATE INDEX aliases_version ON aliases (version_id);

CREATE TABLE alias_log (
    id INTEGER PRIMARY KEY,
    concept_id INTEGER NOT NULL REFERENCES concepts (id) ON DELETE CASCADE,
    alias TEXT NOT NULL,
    old_number INTEGER,             -- null: the alias was new
    new_number INTEGER,             -- null: the alias was taken away
    changed_at REAL NOT NULL,
    undoes INTEGER REFERENCES alias_log (id) ON DELETE CASCADE
) STRICT;

CREATE INDEX alias_log_alias ON alias_log (concept_id, alias, id);

CREATE TABLE bases (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    name_key TEXT NOT NULL UNIQUE,
    source TEXT NOT NULL,
    revision TEXT NOT NULL DEFAULT '',
    resolution INTEGER NOT NULL,
    family TEXT NOT NULL,
    token_embedding TEXT NOT NULL,
    text_encoder TEXT NOT NULL,
    denoiser TEXT NOT NULL,
    vae TEXT NOT NULL DEFAULT '',
    added_at REAL NOT NULL
) STRICT;

CREATE TABLE runs (
    id TEXT PRIMARY KEY,
    concept TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('queued', 'running', 'finished', 'interrupted', 'failed', 'cancelled')),
    config TEXT NOT NULL,           -- JSON
    device TEXT NOT NULL DEFAULT '',
    pid INTEGER,
    step INTEGER NOT NULL DEFAULT 0,
    max_steps INTEGER NOT NULL DEFAULT 0,
    loss REAL,
    message TEXT NOT NULL DEFAULT '',
    version_id INTEGER REFERENCES versions (id) ON DELETE SET NULL,
    created_at REAL NOT NULL,
    started_at REAL,
    heartbeat_at REAL,
    finished_at REAL
) STRICT;

CREATE INDEX runs_status ON runs (status, created_at);

CREATE INDEX runs_concept ON runs (concept, created_at);

CREATE INDEX runs_version ON runs (version_id);

CREATE TABLE remotes (
    id INTEGER PRIMARY KEY,
    version_id INTEGER NOT NULL REFERENCES versions (id) ON DELETE CASCADE,
    direction TEXT NOT NULL CHECK (direction IN ('push', 'pull')),
    endpoint TEXT NOT NULL,
    repo_id TEXT NOT NULL,
    revision TEXT NOT NULL DEFAULT '',
    commit_sha TEXT NOT NULL,
    at REAL NOT NULL
) STRICT;

CREATE INDEX remotes_version ON remotes (version_id);

CREATE INDEX remotes_repo ON remotes (repo_id, at);

CREATE TABLE pictures (
    id INTEGER PRIMARY KEY,
    digest TEXT NOT NULL DEFAULT '', -- sha256 of the picture file's bytes when it was written
    path TEXT NOT NULL,
    prompt TEXT NOT NULL,
    recipe TEXT NOT NULL,           -- JSON: everything needed to make the picture again
    base_name TEXT NOT NULL DEFAULT '',
    created_at REAL NOT NULL
) STRICT;

CREATE INDEX pictures_created ON pictures (created_at);

CREATE TABLE picture_words (
    picture_id INTEGER NOT NULL REFERENCES pictures (id) ON DELETE CASCADE,
    version_digest TEXT NOT NULL,
    PRIMARY KEY (picture_id, version_digest)
) STRICT;

CREATE INDEX picture_words_version ON picture_words (version_digest);

CREATE TABLE file_hashes (
    path TEXT NOT NULL,
    role TEXT NOT NULL,             -- which of the file's hashes this is
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    inode INTEGER NOT NULL,
    digest TEXT NOT NULL,
    PRIMARY KEY (path, role)
) STRICT;

CREATE VIRTUAL TABLE search USING fts5 (
    name, token, tags, notes, captions, bases,
    tokenize = "unicode61 remove_diacritics 2", prefix = '2 3'
)
"""


def m002_measurements(db: Any) -> None:
    """Scores become an append-only record of measurements: what was measured how, with what certainty."""
    for statement in _MEASUREMENTS.split(";\n\n"):
        db.conn.execute(statement)


_MEASUREMENTS = """
CREATE TABLE measurements (
    id INTEGER PRIMARY KEY,
    version_id INTEGER NOT NULL REFERENCES versions (id) ON DELETE CASCADE,
    measure TEXT NOT NULL,          -- e.g. image_alignment, text_alignment, score
    protocol TEXT NOT NULL DEFAULT '',
    judge TEXT NOT NULL DEFAULT '', -- the model that judged, e.g. embedded or a Hub id
    value REAL NOT NULL,
    low REAL,                       -- the 95 % interval of the value; null: not known
    high REAL,
    details TEXT NOT NULL DEFAULT '{}', -- JSON: pictures, seeds, settings
    measured_at REAL NOT NULL
) STRICT;

INSERT INTO measurements (version_id, measure, value, measured_at)
SELECT version_id, name, value, scored_at FROM scores;

DROP TABLE scores;

CREATE INDEX measurements_version ON measurements (version_id, measure, measured_at)
"""


def m003_queue_order(db: Any) -> None:
    """Queued runs can be moved in the queue and held back."""
    # Place among the queued, in the unit of created_at, which counts where there is none.
    db.conn.execute("ALTER TABLE runs ADD COLUMN queue_place REAL")
    db.conn.execute("ALTER TABLE runs ADD COLUMN held INTEGER NOT NULL DEFAULT 0")


STEPS = (m001_first_schema, m002_measurements, m003_queue_order)
"""All migrations in order: only ever add to the end, and raise `SCHEMA_VERSION` with it."""

migrations = Migrations("tiregistry")
for _step in STEPS:
    migrations()(_step)
