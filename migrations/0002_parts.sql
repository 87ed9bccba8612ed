-- What documents of more formats say of themselves, where in them a chunk stands, and what a failed file was tried with.

ALTER TABLE documents ADD COLUMN author TEXT;
ALTER TABLE documents ADD COLUMN created_unix_ms INTEGER; -- by the format's own metadata, not the file's
ALTER TABLE chunks ADD COLUMN place TEXT;                 -- slide or sheet, where there are no pages

-- Version and limits: under others the file may be read, and is tried again.
ALTER TABLE failures ADD COLUMN tried_with TEXT NOT NULL DEFAULT '';

PRAGMA user_version = 2;
