-- Which chunks of which documents have a vector is read as a whole when the vector index is opened: from this index alone,
-- without a look at the chunks.
DROP INDEX chunks_by_embedding;
CREATE INDEX chunks_by_embedding ON chunks (embedding_id, document_id);

PRAGMA user_version = 8;
