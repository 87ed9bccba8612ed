-- SQLite keeps no checksums: a bit that flips in a path, a title, a page number or a text would be read as if it had been
-- written. Each row that answers are made of has one of its columns, null in rows of older versions.

ALTER TABLE documents ADD COLUMN checksum INTEGER;
ALTER TABLE texts     ADD COLUMN checksum INTEGER;
ALTER TABLE pages     ADD COLUMN checksum INTEGER;
ALTER TABLE chunks    ADD COLUMN checksum INTEGER; -- of where it stands; what it says has a hash (embeddings)

PRAGMA user_version = 4;
