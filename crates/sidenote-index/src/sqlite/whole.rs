//! What is asked and done about the database as a whole: whether it is sound, a copy of it, a new name for it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sqlx::{Row as _, SqliteConnection};

use super::rows::{chunks_of, json_ids, vectors_page};
use super::{Reader, Writer, signed, unsigned};
use crate::error::IndexError;
use crate::files::path_of_bytes;
use crate::types::{DocumentId, StoredChunk};

impl Reader {
    /// What SQLite finds wrong with its own structures and with references between rows; `None` where all is well.
    pub(crate) async fn integrity(&self) -> Result<Option<String>, IndexError> {
        let mut snapshot = self.snapshot().await?;
        match integrity(&mut snapshot).await {
            Ok(problem) => Ok(problem),
            // What SQLite meets while it looks is what was looked for.
            Err(error) => {
                let error = self.error(error);
                if let IndexError::Damaged { reason, .. } = error { Ok(Some(reason)) } else { Err(error) }
            }
        }
    }

    /// Documents whose text is not all there, ascending.
    pub(crate) async fn incomplete_documents(&self) -> Result<Vec<DocumentId>, IndexError> {
        let ids: Vec<i64> = sqlx::query_scalar(
            "SELECT d.id FROM documents d LEFT JOIN texts t ON t.document_id = d.id \
             GROUP BY d.id HAVING d.text_bytes <> coalesce(sum(length(t.bytes)), -1) \
             OR max(t.piece) + 1 <> count(t.piece) ORDER BY d.id",
        )
        .fetch_all(&self.pool)
        .await
        .map_err(|error| self.error(error))?;
        Ok(ids.into_iter().map(DocumentId).collect())
    }

    /// Documents with chunks that have one of these vectors, by whichever model.
    pub(crate) async fn documents_with_vectors(&self, vectors: &[i64]) -> Result<Vec<DocumentId>, IndexError> {
        let ids: Vec<i64> = sqlx::query_scalar(
            "SELECT DISTINCT k.document_id FROM json_each(?) j CROSS JOIN chunks k ON k.embedding_id = j.value",
        )
        .bind(json_ids(vectors.iter().copied()))
        .fetch_all(&self.pool)
        .await
        .map_err(|error| self.error(error))?;
        Ok(ids.into_iter().map(DocumentId).collect())
    }

    /// The files of documents, as their paths stand there, sound or not; each with all of its documents.
    pub(crate) async fn files_of(
        &self,
        documents: &[DocumentId],
    ) -> Result<BTreeMap<PathBuf, Vec<DocumentId>>, IndexError> {
        let rows: Vec<(Vec<u8>, i64)> = sqlx::query_as(
            "SELECT DISTINCT other.path, other.id FROM json_each(?) j CROSS JOIN documents d ON d.id = j.value \
             CROSS JOIN documents other ON other.collection_id = d.collection_id AND other.path = d.path",
        )
        .bind(json_ids(documents.iter().map(|id| id.0)))
        .fetch_all(&self.pool)
        .await
        .map_err(|error| self.error(error))?;
        let mut files: BTreeMap<PathBuf, Vec<DocumentId>> = BTreeMap::new();
        for (path, id) in rows {
            files.entry(path_of_bytes(path)).or_default().push(DocumentId(id));
        }
        Ok(files)
    }

    /// The ids of all chunks, ascending.
    pub(crate) async fn chunk_ids(&self) -> Result<Vec<u64>, IndexError> {
        let ids: Vec<i64> = sqlx::query_scalar("SELECT id FROM chunks ORDER BY id")
            .fetch_all(&self.pool)
            .await
            .map_err(|error| self.error(error))?;
        Ok(ids.into_iter().map(i64::cast_unsigned).collect())
    }

    /// A document's chunks, each with the hash that its vector is stored under.
    pub(crate) async fn chunks_with_hashes(
        &self,
        document: DocumentId,
    ) -> Result<Vec<(StoredChunk, Vec<u8>)>, IndexError> {
        let mut snapshot = self.snapshot().await?;
        let work = async {
            let Some(source) = chunks_of(&mut snapshot, document).await? else { return Ok(Vec::new()) };
            let mut chunks = Vec::with_capacity(source.chunks.len());
            for chunk in source.chunks {
                let hash: Vec<u8> = sqlx::query_scalar(
                    "SELECT e.hash FROM embeddings e JOIN chunks k ON k.embedding_id = e.id WHERE k.id = ?",
                )
                .bind(chunk.id.0)
                .fetch_one(&mut *snapshot)
                .await?;
                chunks.push((chunk, hash));
            }
            Ok(chunks)
        };
        work.await.map_err(|error| self.error(error))
    }

    /// Vectors with an id above `after`, at most `limit`, ascending by id, each with the length that its model makes.
    pub(crate) async fn vectors_after(
        &self,
        after: i64,
        limit: usize,
    ) -> Result<Vec<(i64, Vec<f32>, usize)>, IndexError> {
        let mut connection = self.pool.acquire().await.map_err(|error| self.error(error))?;
        vectors_page(&mut connection, after, signed(limit)).await.map_err(|error| self.error(error))
    }

    /// Number of vectors of a model that is to take over.
    pub(crate) async fn next_vectors(&self) -> Result<u64, IndexError> {
        let count: i64 =
            sqlx::query_scalar("SELECT count(*) FROM embeddings WHERE model_id <> (SELECT model_id FROM store)")
                .fetch_one(&self.pool)
                .await
                .map_err(|error| self.error(error))?;
        Ok(unsigned(count))
    }

    /// Bytes of the database without its free pages: what a copy of it takes.
    pub(crate) async fn bytes_in_use(&self) -> Result<u64, IndexError> {
        let bytes: i64 = sqlx::query_scalar(
            "SELECT (page_count - freelist_count) * page_size \
             FROM pragma_page_count, pragma_freelist_count, pragma_page_size",
        )
        .fetch_one(&self.pool)
        .await
        .map_err(|error| self.error(error))?;
        Ok(unsigned(bytes))
    }

    /// Writes a copy of one moment to a file that does not exist.
    pub(crate) async fn copy_into(&self, file: &Path) -> Result<(), IndexError> {
        // VACUUM runs outside of a transaction and takes its own snapshot.
        let mut connection = self.pool.acquire().await.map_err(|error| self.error(error))?;
        sqlx::query("VACUUM INTO ?")
            .bind(file.to_string_lossy().into_owned())
            .execute(&mut *connection)
            .await
            .map_err(|error| IndexError::from_sqlite(file, error))?;
        Ok(())
    }
}

async fn integrity(connection: &mut SqliteConnection) -> Result<Option<String>, sqlx::Error> {
    let said: Vec<String> = sqlx::query_scalar("PRAGMA integrity_check(3)").fetch_all(&mut *connection).await?;
    if said != ["ok"] {
        return Ok(Some(said.join("; ")));
    }
    let orphans = sqlx::query("PRAGMA foreign_key_check").fetch_all(connection).await?.len();
    Ok((orphans > 0).then(|| format!("{orphans} rows belong to rows that are gone")))
}

impl Writer {
    /// Gives the database a new name and no derived stores: those of the database it was copied from are not its own.
    pub(crate) async fn become_another_store(&self) -> Result<(), IndexError> {
        let mut transaction = self.begin().await?;
        let work = async {
            sqlx::query("DELETE FROM segments").execute(&mut *transaction).await?;
            sqlx::query(
                "UPDATE store SET uuid = lower(hex(randomblob(16))), lexical_generation = lexical_generation + 1, \
                 lexical_sequence = 0, segments_generation = segments_generation + 1 WHERE id = 1",
            )
            .execute(&mut *transaction)
            .await?;
            Ok(())
        };
        work.await.map_err(|error| self.error(error))?;
        transaction.commit().await.map_err(|error| self.error(error))
    }

    /// Moves the write-ahead log into the database and empties it. Waits a while for readers.
    pub(crate) async fn truncate_log(&self) -> Result<(), IndexError> {
        for _ in 0..50 {
            let row = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)")
                .fetch_one(&self.pool)
                .await
                .map_err(|error| self.error(error))?;
            let busy: i64 = row.try_get(0).map_err(|error| self.error(error))?;
            if busy == 0 {
                return Ok(());
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        Err(IndexError::Busy { path: self.path.to_path_buf() })
    }
}
