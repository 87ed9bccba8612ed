-- Which embedding model answers. Vectors of the next one are stored beside its own until all are there.

ALTER TABLE store ADD COLUMN model_id INTEGER REFERENCES models (id); -- null before the first chunk
UPDATE store SET model_id = (SELECT max(id) FROM models);

-- 1 from the first file that an ingest has to read to its end: the next one says that it goes on.
ALTER TABLE store ADD COLUMN ingest_unfinished INTEGER NOT NULL DEFAULT 0;

PRAGMA user_version = 3;
