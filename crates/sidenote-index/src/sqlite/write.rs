//! Changes to the database. Each call is one transaction; what it changed is listed in `changes` for the derived stores.

use std::path::{Path, PathBuf};

use sqlx::SqliteConnection;

use super::documents::note_checksums;
use super::next_model::forget_others;
use super::rows::{at_or_below, json_ids, model};
use super::{SegmentRow, Writer, signed};
use crate::crash;
use crate::error::IndexError;
use crate::files::path_bytes;
use crate::types::{DocumentId, EmbeddingModelInfo, Failure, Fingerprint, Forgotten};

/// Changes that stay listed for readers that follow from behind.
const CHANGES_KEPT: i64 = 20_000;

impl Writer {
    /// Registers the embedding model, or compares it with the registered one.
    pub(crate) async fn set_model(&self, asked: &EmbeddingModelInfo) -> Result<(), IndexError> {
        let mut transaction = self.begin().await?;
        let known = model(&mut transaction).await.map_err(|error| self.error(error))?;
        if let Some(known) = known {
            if known.name == asked.name && known.sha256_hex == asked.sha256_hex && known.dimensions == asked.dimensions
            {
                // Another one that was to take over, and has not, is given up.
                let kept = [known.id, known.id];
                forget_others(&mut transaction, kept).await.map_err(|error| self.error(error))?;
                return transaction.commit().await.map_err(|error| self.error(error));
            }
            let used: i64 = sqlx::query_scalar("SELECT count(*) FROM embeddings WHERE model_id = ?")
                .bind(known.id)
                .fetch_one(&mut *transaction)
                .await
                .map_err(|error| self.error(error))?;
            if used > 0 {
                let version = |name: &str, sha256: &str| format!("{name} ({})", sha256.get(..12).unwrap_or(sha256));
                return Err(IndexError::ModelMismatch {
                    indexed_with: version(&known.name, &known.sha256_hex),
                    asked: version(&asked.name, &asked.sha256_hex),
                });
            }
            sqlx::query("UPDATE store SET model_id = NULL WHERE id = 1")
                .execute(&mut *transaction)
                .await
                .map_err(|error| self.error(error))?;
            // None has the number 0.
            forget_others(&mut transaction, [0, 0]).await.map_err(|error| self.error(error))?;
        }
        let work = async {
            let id: i64 =
                sqlx::query_scalar("INSERT INTO models (name, sha256_hex, dimensions) VALUES (?, ?, ?) RETURNING id")
                    .bind(&asked.name)
                    .bind(&asked.sha256_hex)
                    .bind(signed(asked.dimensions))
                    .fetch_one(&mut *transaction)
                    .await?;
            sqlx::query("UPDATE store SET model_id = ? WHERE id = 1").bind(id).execute(&mut *transaction).await?;
            Ok(())
        };
        work.await.map_err(|error| self.error(error))?;
        transaction.commit().await.map_err(|error| self.error(error))
    }

    pub(crate) async fn touch(
        &self,
        ids: &[DocumentId],
        fingerprint: Fingerprint,
        modified_unix_ms: Option<i64>,
    ) -> Result<(), IndexError> {
        let list = json_ids(ids.iter().map(|id| id.0));
        let mut transaction = self.begin().await?;
        let work = async {
            let dated_anew: bool = sqlx::query_scalar(
                "SELECT EXISTS (SELECT 1 FROM documents WHERE modified_unix_ms IS NOT ? AND id IN (SELECT value FROM json_each(?)))",
            )
            .bind(modified_unix_ms)
            .bind(&list)
            .fetch_one(&mut *transaction)
            .await?;
            if dated_anew {
                // Filters go by the date and are remembered by the sequence.
                next_sequence(&mut transaction).await?;
            }
            sqlx::query(
                "UPDATE documents SET size = ?, mtime_ns = ?, inode = ?, sha256 = ?, modified_unix_ms = ? \
                 WHERE id IN (SELECT value FROM json_each(?))",
            )
            .bind(fingerprint.size.cast_signed())
            .bind(fingerprint.mtime_ns)
            .bind(fingerprint.inode.cast_signed())
            .bind(fingerprint.sha256.as_slice())
            .bind(modified_unix_ms)
            .bind(&list)
            .execute(&mut *transaction)
            .await?;
            note_checksums(&mut transaction, &list).await
        };
        work.await.map_err(|error| self.error(error))?;
        transaction.commit().await.map_err(|error| self.error(error))
    }

    /// Removes documents with all that belongs to them; returns how many there were.
    pub(crate) async fn remove(&self, ids: &[DocumentId]) -> Result<usize, IndexError> {
        let list = json_ids(ids.iter().map(|id| id.0));
        let mut transaction = self.begin().await?;
        let removed = remove_rows(&mut transaction, &list).await.map_err(|error| self.error(error))?;
        crash::point("remove-before-commit");
        transaction.commit().await.map_err(|error| self.error(error))?;
        crash::point("remove-after-commit");
        Ok(usize::try_from(removed).unwrap_or(usize::MAX))
    }

    /// Removes all that is known of paths and of what lies below them: documents, failures, and that they were ingested by name.
    pub(crate) async fn forget(&self, collection: &str, paths: &[PathBuf]) -> Result<Forgotten, IndexError> {
        let mut transaction = self.begin().await?;
        let work = async {
            let mut forgotten = Forgotten::default();
            for [path, from, to] in paths.iter().map(|path| at_or_below(path)) {
                let documents: Vec<i64> = sqlx::query_scalar(
                    "SELECT d.id FROM documents d JOIN collections c ON c.id = d.collection_id \
                     WHERE c.name = ? AND (d.path = ? OR (d.path >= ? AND d.path < ?))",
                )
                .bind(collection)
                .bind(&path)
                .bind(&from)
                .bind(&to)
                .fetch_all(&mut *transaction)
                .await?;
                for (statement, count) in [
                    (
                        "DELETE FROM failures WHERE collection_id = (SELECT id FROM collections WHERE name = ?) \
                         AND (path = ? OR (path >= ? AND path < ?))",
                        &mut forgotten.failures,
                    ),
                    (
                        "DELETE FROM roots WHERE collection_id = (SELECT id FROM collections WHERE name = ?) \
                         AND (path = ? OR (path >= ? AND path < ?))",
                        &mut forgotten.roots,
                    ),
                ] {
                    let deleted = sqlx::query(statement).bind(collection).bind(&path).bind(&from).bind(&to);
                    *count += deleted.execute(&mut *transaction).await?.rows_affected();
                }
                // Last: it drops the collection where nothing of it is left.
                forgotten.documents += remove_rows(&mut transaction, &json_ids(documents.into_iter())).await?;
            }
            Ok(forgotten)
        };
        let forgotten = work.await.map_err(|error| self.error(error))?;
        crash::point("forget-before-commit");
        transaction.commit().await.map_err(|error| self.error(error))?;
        crash::point("forget-after-commit");
        Ok(forgotten)
    }

    /// Gives documents another path; returns whether there was one under the old path and none under the new.
    pub(crate) async fn rename(
        &self,
        collection: &str,
        from: &Path,
        to: &Path,
        fingerprint: Fingerprint,
        modified_unix_ms: Option<i64>,
    ) -> Result<bool, IndexError> {
        let mut transaction = self.begin().await?;
        let work = async {
            let collection = collection_id(&mut transaction, collection).await?;
            // Filters go by the path and are remembered by the sequence.
            next_sequence(&mut transaction).await?;
            let renamed: Vec<i64> = sqlx::query_scalar(
                "UPDATE documents SET path = ?1, size = ?2, mtime_ns = ?3, inode = ?4, sha256 = ?5, \
                 modified_unix_ms = ?8 WHERE collection_id = ?6 AND path = ?7 \
                 AND NOT EXISTS (SELECT 1 FROM documents WHERE collection_id = ?6 AND path = ?1) RETURNING id",
            )
            .bind(path_bytes(to))
            .bind(fingerprint.size.cast_signed())
            .bind(fingerprint.mtime_ns)
            .bind(fingerprint.inode.cast_signed())
            .bind(fingerprint.sha256.as_slice())
            .bind(collection)
            .bind(path_bytes(from))
            .bind(modified_unix_ms)
            .fetch_all(&mut *transaction)
            .await?;
            note_checksums(&mut transaction, &json_ids(renamed.iter().copied())).await?;
            sqlx::query("DELETE FROM failures WHERE collection_id = ? AND path = ?")
                .bind(collection)
                .bind(path_bytes(to))
                .execute(&mut *transaction)
                .await?;
            Ok(!renamed.is_empty())
        };
        let renamed = work.await.map_err(|error| self.error(error))?;
        crash::point("rename-before-commit");
        transaction.commit().await.map_err(|error| self.error(error))?;
        Ok(renamed)
    }

    pub(crate) async fn record_failure(&self, failure: &Failure) -> Result<(), IndexError> {
        let print = failure.fingerprint;
        let mut transaction = self.begin().await?;
        let work = async {
            let collection = collection_id(&mut transaction, &failure.collection).await?;
            sqlx::query(
                "INSERT INTO failures (collection_id, path, reason, size, mtime_ns, inode, sha256, tried_with) \
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?) \
                 ON CONFLICT (collection_id, path) DO UPDATE SET reason = excluded.reason, size = excluded.size, \
                 mtime_ns = excluded.mtime_ns, inode = excluded.inode, sha256 = excluded.sha256, \
                 tried_with = excluded.tried_with",
            )
            .bind(collection)
            .bind(path_bytes(&failure.path))
            .bind(&failure.reason)
            .bind(print.map(|print| print.size.cast_signed()))
            .bind(print.map(|print| print.mtime_ns))
            .bind(print.map(|print| print.inode.cast_signed()))
            .bind(print.map(|print| print.sha256.to_vec()))
            .bind(&failure.tried_with)
            .execute(&mut *transaction)
            .await?;
            Ok(())
        };
        work.await.map_err(|error| self.error(error))?;
        transaction.commit().await.map_err(|error| self.error(error))
    }

    pub(crate) async fn clear_failure(&self, collection: &str, path: &Path) -> Result<(), IndexError> {
        sqlx::query(
            "DELETE FROM failures WHERE path = ? AND collection_id = (SELECT id FROM collections WHERE name = ?)",
        )
        .bind(path_bytes(path))
        .bind(collection)
        .execute(&self.pool)
        .await
        .map_err(|error| self.error(error))?;
        Ok(())
    }

    pub(crate) async fn record_root(&self, collection: &str, path: &Path) -> Result<(), IndexError> {
        let mut transaction = self.begin().await?;
        let collection = collection_id(&mut transaction, collection).await.map_err(|error| self.error(error))?;
        sqlx::query("INSERT INTO roots (collection_id, path) VALUES (?, ?) ON CONFLICT DO NOTHING")
            .bind(collection)
            .bind(path_bytes(path))
            .execute(&mut *transaction)
            .await
            .map_err(|error| self.error(error))?;
        transaction.commit().await.map_err(|error| self.error(error))
    }

    pub(crate) async fn forget_root(&self, collection: &str, path: &Path) -> Result<(), IndexError> {
        sqlx::query("DELETE FROM roots WHERE path = ? AND collection_id = (SELECT id FROM collections WHERE name = ?)")
            .bind(path_bytes(path))
            .bind(collection)
            .execute(&self.pool)
            .await
            .map_err(|error| self.error(error))?;
        Ok(())
    }

    /// Notes that the full-text index of `generation` holds everything up to `sequence`, and forgets old changes.
    pub(crate) async fn note_lexical(&self, generation: i64, sequence: i64) -> Result<(), IndexError> {
        let mut transaction = self.begin().await?;
        let work = async {
            sqlx::query(
                "UPDATE store SET lexical_generation = ?1, lexical_sequence = ?2, \
                 trimmed_to = max(trimmed_to, min(?2, sequence - ?3)) WHERE id = 1",
            )
            .bind(generation)
            .bind(sequence)
            .bind(CHANGES_KEPT)
            .execute(&mut *transaction)
            .await?;
            sqlx::query("DELETE FROM changes WHERE sequence <= (SELECT trimmed_to FROM store)")
                .execute(&mut *transaction)
                .await?;
            Ok(())
        };
        work.await.map_err(|error| self.error(error))?;
        transaction.commit().await.map_err(|error| self.error(error))
    }

    /// A number for a segment to be written: no segment had it before.
    pub(crate) async fn next_segment_generation(&self) -> Result<i64, IndexError> {
        // AUTOINCREMENT's own counter, so that a number given out and not used is not given out for other content.
        let work = async {
            let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
            let model: i64 = sqlx::query_scalar("SELECT model_id FROM store").fetch_one(&mut *transaction).await?;
            let generation: i64 =
                sqlx::query_scalar("INSERT INTO segments (model_id, vectors) VALUES (?, 0) RETURNING generation")
                    .bind(model)
                    .fetch_one(&mut *transaction)
                    .await?;
            sqlx::query("DELETE FROM segments WHERE generation = ?")
                .bind(generation)
                .execute(&mut *transaction)
                .await?;
            transaction.commit().await?;
            Ok(generation)
        };
        work.await.map_err(|error| self.error(error))
    }

    /// Replaces the segments `old` by `new`.
    pub(crate) async fn replace_segments(&self, old: &[i64], new: &[SegmentRow]) -> Result<(), IndexError> {
        let mut transaction = self.begin().await?;
        let work = async {
            sqlx::query("DELETE FROM segments WHERE generation IN (SELECT value FROM json_each(?))")
                .bind(json_ids(old.iter().copied()))
                .execute(&mut *transaction)
                .await?;
            for new in new {
                sqlx::query(
                    "INSERT INTO segments (generation, model_id, vectors) \
                     VALUES (?, (SELECT model_id FROM store), ?)",
                )
                .bind(new.generation)
                .bind(new.vectors.cast_signed())
                .execute(&mut *transaction)
                .await?;
            }
            sqlx::query("UPDATE store SET segments_generation = segments_generation + 1 WHERE id = 1")
                .execute(&mut *transaction)
                .await?;
            Ok(())
        };
        work.await.map_err(|error| self.error(error))?;
        transaction.commit().await.map_err(|error| self.error(error))
    }

    /// Marks that a purge has begun, or has ended.
    pub(crate) async fn set_purge_pending(&self, pending: bool) -> Result<(), IndexError> {
        sqlx::query("UPDATE store SET purge_pending = ? WHERE id = 1")
            .bind(i64::from(pending))
            .execute(&self.pool)
            .await
            .map_err(|error| self.error(error))?;
        Ok(())
    }

    /// Marks that an ingest has begun, or has come to its end.
    pub(crate) async fn set_ingest_unfinished(&self, unfinished: bool) -> Result<(), IndexError> {
        sqlx::query("UPDATE store SET ingest_unfinished = ?1 WHERE ingest_unfinished <> ?1")
            .bind(i64::from(unfinished))
            .execute(&self.pool)
            .await
            .map_err(|error| self.error(error))?;
        Ok(())
    }

    /// Removes vectors of texts that no chunk has any more; returns how many. Those of a model that is to take over stay where
    /// a chunk has the text.
    pub(crate) async fn drop_unused_vectors(&self) -> Result<u64, IndexError> {
        let done = sqlx::query(
            "DELETE FROM embeddings WHERE NOT EXISTS (SELECT 1 FROM chunks k WHERE k.embedding_id = embeddings.id) \
             AND NOT EXISTS (SELECT 1 FROM store s CROSS JOIN embeddings used ON used.model_id = s.model_id AND used.hash = embeddings.hash \
             CROSS JOIN chunks k ON k.embedding_id = used.id WHERE embeddings.model_id <> s.model_id)",
        )
        .execute(&self.pool)
        .await
        .map_err(|error| self.error(error))?;
        Ok(done.rows_affected())
    }

    /// Removes damaged documents, and damaged vectors that no other chunk has: they would be taken for those of the next chunk
    /// with their text.
    pub(crate) async fn remove_damaged(&self, documents: &[DocumentId], vectors: &[i64]) -> Result<(), IndexError> {
        let mut transaction = self.begin().await?;
        let work = async {
            if !documents.is_empty() {
                remove_rows(&mut transaction, &json_ids(documents.iter().map(|id| id.0))).await?;
            }
            sqlx::query(
                "DELETE FROM embeddings WHERE id IN (SELECT value FROM json_each(?)) \
                 AND NOT EXISTS (SELECT 1 FROM chunks k WHERE k.embedding_id = embeddings.id)",
            )
            .bind(json_ids(vectors.iter().copied()))
            .execute(&mut *transaction)
            .await?;
            Ok(())
        };
        work.await.map_err(|error| self.error(error))?;
        transaction.commit().await.map_err(|error| self.error(error))
    }

    /// Rewrites the database without the free space, and empties the write-ahead log.
    pub(crate) async fn vacuum(&self) -> Result<(), IndexError> {
        let work = async {
            let mut connection = self.pool.acquire().await?;
            let pages: i64 = sqlx::query_scalar("PRAGMA page_count").fetch_one(&mut *connection).await?;
            // The copy that VACUUM makes stays in memory where it is small, so that it does not reach another folder.
            let store = if pages < 8192 { "PRAGMA temp_store = MEMORY" } else { "PRAGMA temp_store = DEFAULT" };
            sqlx::query(store).execute(&mut *connection).await?;
            sqlx::query("VACUUM").execute(&mut *connection).await?;
            Ok(())
        };
        work.await.map_err(|error| self.error(error))?;
        self.truncate_log().await
    }
}

/// Removes the documents of a list with all that belongs to them; returns how many there were.
pub(super) async fn remove_rows(connection: &mut SqliteConnection, list: &str) -> Result<u64, sqlx::Error> {
    let sequence = next_sequence(&mut *connection).await?;
    sqlx::query(
        "INSERT INTO changes (sequence, chunk_id, document_id, kind) SELECT ?, id, document_id, 0 FROM chunks \
         WHERE document_id IN (SELECT value FROM json_each(?))",
    )
    .bind(sequence)
    .bind(list)
    .execute(&mut *connection)
    .await?;
    // Chunks, text and pages go with it (ON DELETE CASCADE).
    let removed = sqlx::query("DELETE FROM documents WHERE id IN (SELECT value FROM json_each(?))")
        .bind(list)
        .execute(&mut *connection)
        .await?;
    sqlx::query(
        "DELETE FROM collections WHERE NOT EXISTS (SELECT 1 FROM documents d WHERE d.collection_id = collections.id) \
         AND NOT EXISTS (SELECT 1 FROM roots r WHERE r.collection_id = collections.id) \
         AND NOT EXISTS (SELECT 1 FROM failures f WHERE f.collection_id = collections.id)",
    )
    .execute(&mut *connection)
    .await?;
    Ok(removed.rows_affected())
}

pub(super) async fn next_sequence(connection: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("UPDATE store SET sequence = sequence + 1 WHERE id = 1 RETURNING sequence")
        .fetch_one(connection)
        .await
}

pub(super) async fn collection_id(connection: &mut SqliteConnection, name: &str) -> Result<i64, sqlx::Error> {
    sqlx::query("INSERT INTO collections (name) VALUES (?) ON CONFLICT DO NOTHING")
        .bind(name)
        .execute(&mut *connection)
        .await?;
    sqlx::query_scalar("SELECT id FROM collections WHERE name = ?").bind(name).fetch_one(connection).await
}
