-- The truth: documents, their text, their chunks, their vectors. Everything outside this file is derived from it.
-- Rows that a user deletes are overwritten with zeros (the writer runs with secure_delete), so that nothing stays behind.

PRAGMA application_id = 1936289390; -- "sidn": a database of another program is refused, not overwritten
PRAGMA user_version = 1;            -- equal to the number of the last migration

-- One row. `sequence` counts changes; derived stores carry the sequence they hold.
CREATE TABLE store (
    id                  INTEGER PRIMARY KEY CHECK (id = 1),
    uuid                TEXT    NOT NULL,           -- a derived store of another database is not trusted
    sequence            INTEGER NOT NULL DEFAULT 0, -- last change
    trimmed_to          INTEGER NOT NULL DEFAULT 0, -- changes up to here are no longer listed in `changes`
    lexical_generation  INTEGER NOT NULL DEFAULT 0, -- the folder that holds the full-text index; 0 before the first
    lexical_sequence    INTEGER NOT NULL DEFAULT 0, -- last change that the full-text index holds
    segments_generation INTEGER NOT NULL DEFAULT 0, -- changes with every change of `segments`
    purge_pending       INTEGER NOT NULL DEFAULT 0  -- 1 from the start of a purge to its end, so that a crash is made up for
) STRICT;
INSERT INTO store (id, uuid) VALUES (1, lower(hex(randomblob(16))));

CREATE TABLE collections (
    id   INTEGER PRIMARY KEY,
    name TEXT    NOT NULL UNIQUE
) STRICT;

-- Folders and files that were ingested by name.
CREATE TABLE roots (
    collection_id INTEGER NOT NULL REFERENCES collections (id) ON DELETE CASCADE,
    path          BLOB    NOT NULL, -- exact bytes
    PRIMARY KEY (collection_id, path)
) STRICT, WITHOUT ROWID;

CREATE TABLE documents (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    collection_id    INTEGER NOT NULL REFERENCES collections (id),
    path             BLOB    NOT NULL,            -- exact bytes
    part             TEXT    NOT NULL DEFAULT '', -- attachment or archive member; '' is the file itself
    title            TEXT,
    format           TEXT    NOT NULL,
    language         TEXT,
    size             INTEGER NOT NULL, -- of the file, in bytes
    mtime_ns         INTEGER NOT NULL,
    inode            INTEGER NOT NULL, -- the 64 bits, signed
    sha256           BLOB    NOT NULL, -- of the file
    modified_unix_ms INTEGER,
    text_bytes       INTEGER NOT NULL,
    page_count       INTEGER NOT NULL DEFAULT 0, -- 0 where the format has no pages
    warnings         TEXT    NOT NULL DEFAULT '[]',
    UNIQUE (collection_id, path, part)
) STRICT;

-- A document's text in pieces of 16384 bytes (the last is shorter), so that a chunk of a large document is read without
-- the rest. A piece may begin or end inside a character.
CREATE TABLE texts (
    document_id INTEGER NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
    piece       INTEGER NOT NULL, -- 0, 1, ..: the piece begins at byte 16384 * piece
    bytes       BLOB    NOT NULL,
    PRIMARY KEY (document_id, piece)
) STRICT;

CREATE TABLE pages (
    document_id INTEGER NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
    number      INTEGER NOT NULL, -- 1-based
    span_start  INTEGER NOT NULL,
    span_end    INTEGER NOT NULL,
    PRIMARY KEY (document_id, number, span_start)
) STRICT, WITHOUT ROWID;

CREATE TABLE models (
    id         INTEGER PRIMARY KEY,
    name       TEXT    NOT NULL,
    sha256_hex TEXT    NOT NULL, -- of the model file
    dimensions INTEGER NOT NULL,
    UNIQUE (name, sha256_hex)
) STRICT;

-- One vector for each distinct text that was embedded, by the sha256 of what was embedded.
CREATE TABLE embeddings (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    model_id INTEGER NOT NULL REFERENCES models (id),
    hash     BLOB    NOT NULL,
    vector   BLOB    NOT NULL, -- f32, little-endian, of length 1
    UNIQUE (model_id, hash)
) STRICT;

-- A chunk's text is not stored: it is the document's text under its span.
CREATE TABLE chunks (
    id           INTEGER PRIMARY KEY AUTOINCREMENT, -- never reused
    document_id  INTEGER NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
    embedding_id INTEGER NOT NULL REFERENCES embeddings (id),
    ordinal      INTEGER NOT NULL,
    span_start   INTEGER NOT NULL,
    span_end     INTEGER NOT NULL,
    page         INTEGER,
    heading      TEXT    NOT NULL, -- JSON array, outermost first
    header_start INTEGER,          -- table header row, where it is not inside the span
    header_end   INTEGER,
    prefix       TEXT    NOT NULL, -- embedded before the text
    tokens       INTEGER NOT NULL
) STRICT;
CREATE INDEX chunks_by_document ON chunks (document_id, ordinal);
CREATE INDEX chunks_by_embedding ON chunks (embedding_id);

-- What derived stores have yet to follow. Kept for a while after that, for readers that follow from further behind.
CREATE TABLE changes (
    sequence    INTEGER NOT NULL,
    chunk_id    INTEGER NOT NULL,
    document_id INTEGER NOT NULL,
    kind        INTEGER NOT NULL CHECK (kind IN (0, 1)), -- 0 removed, 1 added or described anew
    PRIMARY KEY (sequence, chunk_id)
) STRICT, WITHOUT ROWID;

-- Sealed vector segments; folder `vectors/segment-GENERATION`.
CREATE TABLE segments (
    generation INTEGER PRIMARY KEY AUTOINCREMENT,
    model_id   INTEGER NOT NULL REFERENCES models (id),
    vectors    INTEGER NOT NULL
) STRICT;

-- Files that could not be read, so that they are listed, and not tried again until they change.
CREATE TABLE failures (
    collection_id INTEGER NOT NULL REFERENCES collections (id) ON DELETE CASCADE,
    path          BLOB    NOT NULL,
    reason        TEXT    NOT NULL,
    size          INTEGER, -- these four are null where the file could not be looked at
    mtime_ns      INTEGER,
    inode         INTEGER,
    sha256        BLOB,
    PRIMARY KEY (collection_id, path)
) STRICT, WITHOUT ROWID;
