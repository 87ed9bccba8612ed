//! Questions to the database. Each call sees one snapshot.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use roaring::RoaringTreemap;
use sidenote_text::{Page, Span};
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::documents::{document_query, stored_document};
use super::rows::{
    LexicalSource, ModelRow, SegmentRow, State, at_or_below, chunks_of, fingerprint, format_name, join_pieces,
    json_ids, known_vectors, model, page_checksum, removed_after, segments, span, state, text, vectors,
};
use super::{PIECE_BYTES, Reader, signed, unsigned, vector_of_bytes};
use crate::error::IndexError;
use crate::files::{path_bytes, path_of_bytes};
use crate::types::{ChunkId, CollectionStatus, DocumentId, Failure, Filter, IndexStatus, StoredChunk, StoredDocument};

impl Reader {
    pub(crate) async fn state(&self) -> Result<State, IndexError> {
        let mut connection = self.pool.acquire().await.map_err(|error| self.error(error))?;
        state(&mut connection).await.map_err(|error| self.error(error))
    }

    /// The model whose vectors answer.
    pub(crate) async fn model(&self) -> Result<Option<ModelRow>, IndexError> {
        let mut connection = self.pool.acquire().await.map_err(|error| self.error(error))?;
        model(&mut connection).await.map_err(|error| self.error(error))
    }

    /// How far everything is, and the model whose vectors answer.
    pub(crate) async fn state_and_model(&self) -> Result<(State, Option<ModelRow>), IndexError> {
        let mut connection = self.pool.acquire().await.map_err(|error| self.error(error))?;
        let state = state(&mut connection).await.map_err(|error| self.error(error))?;
        let model = model(&mut connection).await.map_err(|error| self.error(error))?;
        Ok((state, model))
    }

    /// Chunks in the order of `ids`, missing ones left out. Their text is compared with its hash: a flipped bit must not
    /// become a quote.
    pub(crate) async fn chunks(&self, ids: &[ChunkId]) -> Result<Vec<StoredChunk>, IndexError> {
        let mut chunks = Vec::with_capacity(ids.len());
        let mut snapshot = self.snapshot().await?;
        for some in ids.chunks(256) {
            let rows = sqlx::query(
                "SELECT k.id, k.document_id, k.ordinal, k.span_start, k.span_end, k.page, k.heading, k.header_start, \
                 k.header_end, k.prefix, k.tokens, k.place, k.checksum, k.row_marks, t.piece, t.bytes, e.hash \
                 FROM json_each(?1) j CROSS JOIN chunks k ON k.id = j.value \
                 JOIN embeddings e ON e.id = k.embedding_id \
                 JOIN texts t ON t.document_id = k.document_id \
                 AND t.piece BETWEEN k.span_start / ?2 AND max(k.span_start, k.span_end - 1) / ?2 \
                 ORDER BY j.key, t.piece",
            )
            .bind(json_ids(some.iter().map(|id| id.0)))
            .bind(signed(PIECE_BYTES))
            .fetch_all(&mut *snapshot)
            .await
            .map_err(|error| self.error(error))?;
            join_pieces(&rows, &mut chunks).map_err(|error| self.error(error))?;
        }
        Ok(chunks)
    }

    /// A document's chunks in order, cut from one read of its text; `None` where there is no such document.
    pub(crate) async fn chunks_of(&self, document: DocumentId) -> Result<Option<LexicalSource>, IndexError> {
        let mut snapshot = self.snapshot().await?;
        chunks_of(&mut snapshot, document).await.map_err(|error| self.error(error))
    }

    pub(crate) async fn document(&self, id: DocumentId) -> Result<Option<StoredDocument>, IndexError> {
        Ok(self.documents_of_ids(&[id]).await?.pop())
    }

    /// Those of `ids` that are there, in order of id.
    pub(crate) async fn documents_of_ids(&self, ids: &[DocumentId]) -> Result<Vec<StoredDocument>, IndexError> {
        let rows = sqlx::query(document_query("WHERE d.id IN (SELECT value FROM json_each(?)) ORDER BY d.id"))
            .bind(json_ids(ids.iter().map(|id| id.0)))
            .fetch_all(&self.pool)
            .await;
        self.stored_documents(rows)
    }

    pub(crate) async fn documents(&self, collection: Option<&str>) -> Result<Vec<StoredDocument>, IndexError> {
        let rows = sqlx::query(document_query("WHERE ?1 IS NULL OR c.name = ?1 ORDER BY d.id"))
            .bind(collection)
            .fetch_all(&self.pool)
            .await;
        self.stored_documents(rows)
    }

    pub(crate) async fn find_documents(
        &self,
        collection: &str,
        path: &Path,
    ) -> Result<Vec<StoredDocument>, IndexError> {
        let rows = sqlx::query(document_query("WHERE c.name = ? AND d.path = ? ORDER BY d.part"))
            .bind(collection)
            .bind(path_bytes(path))
            .fetch_all(&self.pool)
            .await;
        self.stored_documents(rows)
    }

    fn stored_documents(&self, rows: Result<Vec<SqliteRow>, sqlx::Error>) -> Result<Vec<StoredDocument>, IndexError> {
        let documents = rows.and_then(|rows| rows.iter().map(stored_document).collect());
        documents.map_err(|error| self.error(error))
    }

    pub(crate) async fn text(&self, document: DocumentId, span: Span) -> Result<Option<String>, IndexError> {
        let mut snapshot = self.snapshot().await?;
        text(&mut snapshot, document, span).await.map_err(|error| self.error(error))
    }

    pub(crate) async fn pages(&self, document: DocumentId) -> Result<Vec<Page>, IndexError> {
        let rows = sqlx::query(
            "SELECT number, span_start, span_end, checksum FROM pages WHERE document_id = ? ORDER BY span_start, number",
        )
        .bind(document.0)
        .fetch_all(&self.pool)
        .await
        .map_err(|error| self.error(error))?;
        let page = |row: &SqliteRow| -> Result<Page, sqlx::Error> {
            let (number, start, end): (i64, i64, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            page_checksum(document.0, number, start, end)
                .compare(row.try_get(3)?, || format!("page {number} of document {}", document.0))?;
            Ok(Page { number: u32::try_from(number).unwrap_or(0), span: span(start, end) })
        };
        rows.iter().map(page).collect::<Result<_, _>>().map_err(|error| self.error(error))
    }

    /// The embeddings that chunks have.
    pub(crate) async fn used_nodes(&self) -> Result<RoaringTreemap, IndexError> {
        let (mut used, mut after) = (RoaringTreemap::new(), 0_i64);
        loop {
            let some: Vec<i64> = sqlx::query_scalar(
                "SELECT DISTINCT embedding_id FROM chunks WHERE embedding_id > ? ORDER BY embedding_id LIMIT 65536",
            )
            .bind(after)
            .fetch_all(&self.pool)
            .await
            .map_err(|error| self.error(error))?;
            let Some(last) = some.last() else { return Ok(used) };
            after = *last;
            used.extend(some.into_iter().map(i64::cast_unsigned));
        }
    }

    pub(crate) async fn vectors_of(&self, ids: &[ChunkId]) -> Result<Vec<(ChunkId, Vec<f32>)>, IndexError> {
        let rows = sqlx::query(
            "SELECT k.id, e.vector FROM json_each(?) j CROSS JOIN chunks k ON k.id = j.value \
             JOIN embeddings e ON e.id = k.embedding_id ORDER BY j.key",
        )
        .bind(json_ids(ids.iter().map(|id| id.0)))
        .fetch_all(&self.pool)
        .await
        .map_err(|error| self.error(error))?;
        let vector = |row: &SqliteRow| -> Result<(ChunkId, Vec<f32>), sqlx::Error> {
            Ok((ChunkId(row.try_get(0)?), vector_of_bytes(row.try_get::<&[u8], _>(1)?)))
        };
        rows.iter().map(vector).collect::<Result<_, _>>().map_err(|error| self.error(error))
    }

    pub(crate) async fn failures(&self, collection: Option<&str>) -> Result<Vec<Failure>, IndexError> {
        let rows = sqlx::query(
            "SELECT c.name, f.path, f.reason, f.size, f.mtime_ns, f.inode, f.sha256, f.tried_with FROM failures f \
             JOIN collections c ON c.id = f.collection_id WHERE ?1 IS NULL OR c.name = ?1 ORDER BY c.name, f.path",
        )
        .bind(collection)
        .fetch_all(&self.pool)
        .await
        .map_err(|error| self.error(error))?;
        let failure = |row: &SqliteRow| -> Result<Failure, sqlx::Error> {
            let fingerprint = match row.try_get::<Option<i64>, _>(3)? {
                Some(_) => Some(fingerprint(row, 3)?),
                None => None,
            };
            Ok(Failure {
                collection: row.try_get(0)?,
                path: path_of_bytes(row.try_get(1)?),
                reason: row.try_get(2)?,
                fingerprint,
                tried_with: row.try_get(7)?,
            })
        };
        rows.iter().map(failure).collect::<Result<_, _>>().map_err(|error| self.error(error))
    }

    pub(crate) async fn roots(&self, collection: Option<&str>) -> Result<Vec<PathBuf>, IndexError> {
        let rows: Vec<Vec<u8>> = sqlx::query_scalar(
            "SELECT r.path FROM roots r JOIN collections c ON c.id = r.collection_id \
             WHERE ?1 IS NULL OR c.name = ?1 ORDER BY c.name, r.path",
        )
        .bind(collection)
        .fetch_all(&self.pool)
        .await
        .map_err(|error| self.error(error))?;
        Ok(rows.into_iter().map(path_of_bytes).collect())
    }

    pub(crate) async fn languages(&self) -> Result<Vec<String>, IndexError> {
        sqlx::query_scalar(
            "SELECT language FROM documents WHERE language IS NOT NULL GROUP BY language ORDER BY COUNT(*) DESC, language",
        )
        .fetch_all(&self.pool)
        .await
        .map_err(|error| self.error(error))
    }

    pub(crate) async fn known_vectors(
        &self,
        model_id: i64,
        hashes: &[[u8; 32]],
    ) -> Result<HashSet<[u8; 32]>, IndexError> {
        let mut snapshot = self.snapshot().await?;
        known_vectors(&mut snapshot, model_id, hashes).await.map_err(|error| self.error(error))
    }

    /// The documents that a filter lets through; `None` where it lets all through.
    pub(crate) async fn allowed_documents(&self, filter: &Filter) -> Result<Option<Vec<i64>>, IndexError> {
        if filter.is_everything() {
            return Ok(None);
        }
        let [path, from, to] =
            filter.path_prefix.as_deref().map(at_or_below).map_or([None, None, None], |it| it.map(Some));
        let documents = filter.documents.as_ref().map(|ids| json_ids(ids.iter().map(|id| id.0)));
        let rows: Vec<i64> = sqlx::query_scalar(
            "SELECT d.id FROM documents d \
             WHERE (?1 IS NULL OR d.collection_id = (SELECT id FROM collections WHERE name = ?1)) \
             AND (?2 IS NULL OR d.path = ?2 OR (d.path >= ?3 AND d.path < ?4)) \
             AND (?5 IS NULL OR d.id IN (SELECT value FROM json_each(?5))) \
             AND (?6 IS NULL OR d.language IN (SELECT value FROM json_each(?6))) \
             AND (?7 IS NULL OR d.format IN (SELECT value FROM json_each(?7))) \
             AND (?8 IS NULL OR coalesce(d.created_unix_ms, d.modified_unix_ms) >= ?8) \
             AND (?9 IS NULL OR coalesce(d.created_unix_ms, d.modified_unix_ms) < ?9) ORDER BY d.id",
        )
        .bind(filter.collection.as_deref())
        .bind(path)
        .bind(from)
        .bind(to)
        .bind(documents)
        .bind(json_names(filter.languages.iter().cloned()))
        .bind(json_names(filter.formats.iter().map(|format| format_name(*format))))
        .bind(filter.dated_from_unix_ms)
        .bind(filter.dated_before_unix_ms)
        .fetch_all(&self.pool)
        .await
        .map_err(|error| self.error(error))?;
        Ok(Some(rows))
    }

    pub(crate) async fn status(&self) -> Result<IndexStatus, IndexError> {
        let mut snapshot = self.snapshot().await?;
        let work = async {
            let state = state(&mut snapshot).await?;
            let row = sqlx::query(
                "SELECT (SELECT count(*) FROM documents), (SELECT count(*) FROM chunks), \
                 (SELECT count(DISTINCT embedding_id) FROM chunks), (SELECT count(*) FROM failures), \
                 (SELECT coalesce(sum(vectors), 0) FROM segments)",
            )
            .fetch_one(&mut *snapshot)
            .await?;
            let rows = sqlx::query(
                "SELECT c.name, count(d.id), coalesce(sum((SELECT count(*) FROM chunks k WHERE k.document_id = d.id)), 0) \
                 FROM collections c LEFT JOIN documents d ON d.collection_id = c.id GROUP BY c.id ORDER BY c.name",
            )
            .fetch_all(&mut *snapshot)
            .await?;
            let collection = |row: &SqliteRow| -> Result<CollectionStatus, sqlx::Error> {
                let (documents, chunks) = (unsigned(row.try_get(1)?), unsigned(row.try_get(2)?));
                Ok(CollectionStatus { name: row.try_get(0)?, documents, chunks })
            };
            Ok(IndexStatus {
                documents: unsigned(row.try_get(0)?),
                chunks: unsigned(row.try_get(1)?),
                vectors: unsigned(row.try_get(2)?),
                failures: unsigned(row.try_get(3)?),
                sealed_vectors: unsigned(row.try_get(4)?),
                bytes: 0,
                generation: unsigned(state.sequence),
                collections: rows.iter().map(collection).collect::<Result<_, _>>()?,
                embedding_model: model(&mut snapshot).await?.map(|model| model.name),
            })
        };
        work.await.map_err(|error| self.error(error))
    }

    /// Documents with changes after `sequence`, each with the chunks that changed.
    pub(crate) async fn changes_after(&self, sequence: i64) -> Result<Vec<(DocumentId, Vec<i64>)>, IndexError> {
        let rows: Vec<(i64, i64)> = sqlx::query_as(
            "SELECT DISTINCT document_id, chunk_id FROM changes WHERE sequence > ? ORDER BY document_id, chunk_id",
        )
        .bind(sequence)
        .fetch_all(&self.pool)
        .await
        .map_err(|error| self.error(error))?;
        let mut documents: Vec<(DocumentId, Vec<i64>)> = Vec::new();
        for (document, chunk) in rows {
            match documents.last_mut() {
                Some((last, chunks)) if last.0 == document => chunks.push(chunk),
                Some(_) | None => documents.push((DocumentId(document), vec![chunk])),
            }
        }
        Ok(documents)
    }

    /// Chunks that were removed after `sequence`.
    pub(crate) async fn removed_after(&self, sequence: i64) -> Result<Vec<i64>, IndexError> {
        let mut connection = self.pool.acquire().await.map_err(|error| self.error(error))?;
        removed_after(&mut connection, sequence).await.map_err(|error| self.error(error))
    }

    pub(crate) async fn segments(&self) -> Result<Vec<SegmentRow>, IndexError> {
        let mut connection = self.pool.acquire().await.map_err(|error| self.error(error))?;
        segments(&mut connection).await.map_err(|error| self.error(error))
    }

    /// Vectors by embedding id, ascending by id.
    pub(crate) async fn vectors(&self, ids: &[i64]) -> Result<Vec<(u64, Vec<f32>)>, IndexError> {
        let mut connection = self.pool.acquire().await.map_err(|error| self.error(error))?;
        let rows = vectors(&mut connection, ids).await.map_err(|error| self.error(error))?;
        Ok(rows.into_iter().map(|(id, vector)| (id.cast_unsigned(), vector)).collect())
    }

    /// Ids of documents above `after`, at most `limit`.
    pub(crate) async fn document_ids(&self, after: i64, limit: i64) -> Result<Vec<DocumentId>, IndexError> {
        let rows: Vec<i64> = sqlx::query_scalar("SELECT id FROM documents WHERE id > ? ORDER BY id LIMIT ?")
            .bind(after)
            .bind(limit)
            .fetch_all(&self.pool)
            .await
            .map_err(|error| self.error(error))?;
        Ok(rows.into_iter().map(DocumentId).collect())
    }
}

/// Names as a JSON list; `None` for none, which lets all through.
fn json_names(names: impl Iterator<Item = String>) -> Option<String> {
    let names: Vec<String> = names.collect();
    (!names.is_empty()).then(|| serde_json::Value::from(names).to_string())
}
