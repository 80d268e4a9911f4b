CREATE TABLE "_sqlite_migrations" (
   "id" INTEGER PRIMARY KEY,
   "migration_set" TEXT,
   "name" TEXT,
   "applied_at" TEXT
);
INSERT INTO _sqlite_migrations (id, migration_set, name, applied_at) VALUES (1, 'tiregistry', 'm001_first_schema', '2026-11-26 22:16:37.544915+00:00');
INSERT INTO _sqlite_migrations (id, migration_set, name, applied_at) VALUES (2, 'tiregistry', 'm002_measurements', '2026-11-26 22:16:37.545727+00:00');
INSERT INTO _sqlite_migrations (id, migration_set, name, applied_at) VALUES (3, 'tiregistry', 'm003_queue_order', '2026-11-26 22:16:37.563174+00:00');
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
INSERT INTO blobs (digest, size, added_at, verified_at, lost_at) VALUES ('sha256:0934c05e55e5e8146d8634cc3883d5d8ffed96c38d690f330121ff68f775cfd2', 104, 1795731397.72318, NULL, NULL);
INSERT INTO blobs (digest, size, added_at, verified_at, lost_at) VALUES ('sha256:fde885232b4d59afb910cc192a6ce253f4718774bd2b6d06ed6c32abaadc4fae', 500, 1.79573139772325229639e+09, NULL, NULL);
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
INSERT INTO concepts (id, name, name_key, placeholder_token, token_key, concept_type, description, notes, licence, last_number, created_at, updated_at, deleted_at) VALUES (1, 'gnome', 'gnome', '<gnome>', '<gnome>', 'object', '', '', '', 1, 1.79573139772302031516e+09, 1.79573139777033019062e+09, NULL);
CREATE TABLE redirects (
    name_key TEXT PRIMARY KEY,      -- a name the concept had before
    concept_id INTEGER NOT NULL REFERENCES concepts (id) ON DELETE CASCADE,
    renamed_at REAL NOT NULL
) STRICT;
CREATE TABLE tags (
    concept_id INTEGER NOT NULL REFERENCES concepts (id) ON DELETE CASCADE,
    tag TEXT NOT NULL,
    PRIMARY KEY (concept_id, tag)
) STRICT;
INSERT INTO tags (concept_id, tag) VALUES (1, 'garden');
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
INSERT INTO versions (id, concept_id, number, digest, embedding_digest, embedding_blob, encoders, origin, base_name, base_family, base_token_embedding, base_text_encoder, base_denoiser, notes, run_id, created_at, deleted_at, manifest) VALUES (1, 1, 1, 'sha256:7060648d5b3a93958ab2d8ea3e6c2aafc305cfdbd55ed1a870bcea98cb64f97f', 'sha256:a05abd38b76546c95c16805b5fbbff2cb64b351a07421b0a3e0c957d4248145f', 'sha256:0934c05e55e5e8146d8634cc3883d5d8ffed96c38d690f330121ff68f775cfd2', '[["clip_l",1,8]]', 'trained', 'sd15', 'sd1', 'sha256:1111111111111111111111111111111111111111111111111111111111111111', 'sha256:2222222222222222222222222222222222222222222222222222222222222222', 'sha256:3333333333333333333333333333333333333333333333333333333333333333', '', NULL, 1.79573139772326064106e+09, NULL, '{"base":{"denoiser":"sha256:3333333333333333333333333333333333333333333333333333333333333333","family":"sd1","text_encoder":"sha256:2222222222222222222222222222222222222222222222222222222222222222","token_embedding":"sha256:1111111111111111111111111111111111111111111111111111111111111111","vae":"sha256:4444444444444444444444444444444444444444444444444444444444444444"},"concept_type":"object","embedding":{"clip_l":{"dtype":"F32","sha256":"20035739d65b6cbf02d074098da90112aa618c0437398af630259ff7d1f0fada","shape":[1,8]}},"format":"tireg-manifest/1","images":[{"caption":"a photo of <gnome>","sha256":"fde885232b4d59afb910cc192a6ce253f4718774bd2b6d06ed6c32abaadc4fae"}],"parents":[],"placeholder_token":"<gnome>","training":{"lr":0.005,"seed":0}}');
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
INSERT INTO images (version_id, position, digest, filename, width, height, caption) VALUES (1, 0, 'sha256:fde885232b4d59afb910cc192a6ce253f4718774bd2b6d06ed6c32abaadc4fae', 'picture-0.png', 64, 48, 'a photo of <gnome>');
CREATE TABLE attachments (
    version_id INTEGER NOT NULL REFERENCES versions (id) ON DELETE CASCADE,
    role TEXT NOT NULL,             -- e.g. original, preview/0004.png
    digest TEXT NOT NULL REFERENCES blobs (digest),
    PRIMARY KEY (version_id, role)
) STRICT;
CREATE TABLE parents (
    version_id INTEGER NOT NULL REFERENCES versions (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    digest TEXT NOT NULL,           -- of a version that may live elsewhere
    relation TEXT NOT NULL CHECK (relation IN ('continued', 'blended', 'imported', 'pulled')),
    PRIMARY KEY (version_id, position)
) STRICT;
CREATE TABLE aliases (
    concept_id INTEGER NOT NULL REFERENCES concepts (id) ON DELETE CASCADE,
    alias TEXT NOT NULL,
    version_id INTEGER NOT NULL REFERENCES versions (id) ON DELETE CASCADE,
    PRIMARY KEY (concept_id, alias)
) STRICT;
INSERT INTO aliases (concept_id, alias, version_id) VALUES (1, 'best', 1);
CREATE TABLE alias_log (
    id INTEGER PRIMARY KEY,
    concept_id INTEGER NOT NULL REFERENCES concepts (id) ON DELETE CASCADE,
    alias TEXT NOT NULL,
    old_number INTEGER,             -- null: the alias was new
    new_number INTEGER,             -- null: the alias was taken away
    changed_at REAL NOT NULL,
    undoes INTEGER REFERENCES alias_log (id) ON DELETE CASCADE
) STRICT;
INSERT INTO alias_log (id, concept_id, alias, old_number, new_number, changed_at, undoes) VALUES (1, 1, 'best', NULL, 1, 1.79573139773195219037e+09, NULL);
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
, queue_place REAL, held INTEGER NOT NULL DEFAULT 0) STRICT;
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
CREATE TABLE pictures (
    id INTEGER PRIMARY KEY,
    digest TEXT NOT NULL DEFAULT '', -- sha256 of the picture file's bytes when it was written
    path TEXT NOT NULL,
    prompt TEXT NOT NULL,
    recipe TEXT NOT NULL,           -- JSON: everything needed to make the picture again
    base_name TEXT NOT NULL DEFAULT '',
    created_at REAL NOT NULL
) STRICT;
CREATE TABLE picture_words (
    picture_id INTEGER NOT NULL REFERENCES pictures (id) ON DELETE CASCADE,
    version_digest TEXT NOT NULL,
    PRIMARY KEY (picture_id, version_digest)
) STRICT;
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
);
INSERT INTO search (name, token, tags, notes, captions, bases, rowid) VALUES ('gnome', '<gnome>', 'garden', '
', 'a photo of <gnome>', 'sd15', 1);
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
CREATE UNIQUE INDEX "idx__sqlite_migrations_migration_set_name"
    ON "_sqlite_migrations" ("migration_set", "name");
CREATE UNIQUE INDEX concepts_living_name ON concepts (name_key) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX concepts_living_token ON concepts (token_key) WHERE deleted_at IS NULL;
CREATE INDEX concepts_updated ON concepts (updated_at);
CREATE INDEX redirects_concept ON redirects (concept_id);
CREATE INDEX tags_tag ON tags (tag);
CREATE INDEX versions_digest ON versions (digest);
CREATE INDEX versions_embedding_digest ON versions (embedding_digest);
CREATE INDEX versions_embedding_blob ON versions (embedding_blob);
CREATE INDEX versions_living ON versions (concept_id, number DESC) WHERE deleted_at IS NULL;
CREATE INDEX versions_table ON versions (base_token_embedding, concept_id);
CREATE INDEX images_digest ON images (digest);
CREATE INDEX attachments_digest ON attachments (digest);
CREATE INDEX parents_digest ON parents (digest);
CREATE INDEX aliases_version ON aliases (version_id);
CREATE INDEX alias_log_alias ON alias_log (concept_id, alias, id);
CREATE INDEX runs_status ON runs (status, created_at);
CREATE INDEX runs_concept ON runs (concept, created_at);
CREATE INDEX runs_version ON runs (version_id);
CREATE INDEX remotes_version ON remotes (version_id);
CREATE INDEX remotes_repo ON remotes (repo_id, at);
CREATE INDEX pictures_created ON pictures (created_at);
CREATE INDEX picture_words_version ON picture_words (version_digest);
CREATE INDEX measurements_version ON measurements (version_id, measure, measured_at)
;
PRAGMA application_id = 1953067623;
PRAGMA user_version = 3;
