//! Questions to the database. Each call sees one snapshot.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use sidenote_text::{Format, Page, Span};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};

use super::{PIECE_BYTES, Reader, signed, size, unsigned, vector_of_bytes};
use crate::error::IndexError;
use crate::files::{file_uri, path_bytes, path_of_bytes};
use crate::types::{
    ChunkId, CollectionStatus, DocumentId, Failure, Filter, Fingerprint, IndexStatus, StoredChunk, StoredDocument,
};

/// The one row that says how far everything is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) uuid: String,
    pub(crate) sequence: i64,
    pub(crate) trimmed_to: i64,
    pub(crate) lexical_generation: i64,
    pub(crate) lexical_sequence: i64,
    pub(crate) segments_generation: i64,
    pub(crate) purge_pending: bool,
}

/// The registered embedding model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ModelRow {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) sha256_hex: String,
    pub(crate) dimensions: usize,
}

/// A sealed segment as the database knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentRow {
    pub(crate) generation: i64,
    pub(crate) vectors: u64,
}

/// Which vector a chunk has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChunkRow {
    pub(crate) chunk: i64,
    pub(crate) document: i64,
    pub(crate) embedding: i64,
}

/// What the full-text index holds of a document.
#[derive(Clone, Debug, Default)]
pub(crate) struct LexicalSource {
    pub(crate) title: String,
    pub(crate) chunks: Vec<StoredChunk>,
}

const DOCUMENT_COLUMNS: &str = "SELECT d.id, c.name, d.path, d.part, d.title, d.format, d.language, d.size, d.mtime_ns, \
     d.inode, d.sha256, d.modified_unix_ms, d.text_bytes, d.page_count, d.warnings, \
     (SELECT count(*) FROM chunks k WHERE k.document_id = d.id) \
     FROM documents d JOIN collections c ON c.id = d.collection_id";

fn document_query(rest: &str) -> sqlx::AssertSqlSafe<String> {
    // `rest` is written in this file; values travel as parameters.
    sqlx::AssertSqlSafe(format!("{DOCUMENT_COLUMNS} {rest}"))
}

impl Reader {
    pub(crate) async fn state(&self) -> Result<State, IndexError> {
        let mut connection = self.pool.acquire().await.map_err(|error| self.error(error))?;
        state(&mut connection).await.map_err(|error| self.error(error))
    }

    pub(crate) async fn model(&self) -> Result<Option<ModelRow>, IndexError> {
        let mut connection = self.pool.acquire().await.map_err(|error| self.error(error))?;
        model(&mut connection).await.map_err(|error| self.error(error))
    }

    /// Chunks in the order of `ids`, missing ones left out.
    pub(crate) async fn chunks(&self, ids: &[ChunkId]) -> Result<Vec<StoredChunk>, IndexError> {
        let mut chunks = Vec::with_capacity(ids.len());
        let mut snapshot = self.snapshot().await?;
        for some in ids.chunks(256) {
            let rows = sqlx::query(
                "SELECT k.id, k.document_id, k.ordinal, k.span_start, k.span_end, k.page, k.heading, k.header_start, \
                 k.header_end, k.prefix, k.tokens, t.piece, t.bytes \
                 FROM json_each(?1) j JOIN chunks k ON k.id = j.value \
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
        let row = sqlx::query(document_query("WHERE d.id = ?"))
            .bind(id.0)
            .fetch_optional(&self.pool)
            .await
            .map_err(|error| self.error(error))?;
        row.map(|row| stored_document(&row)).transpose().map_err(|error| self.error(error))
    }

    pub(crate) async fn documents(&self, collection: Option<&str>) -> Result<Vec<StoredDocument>, IndexError> {
        let rows = sqlx::query(document_query("WHERE ?1 IS NULL OR c.name = ?1 ORDER BY d.id"))
            .bind(collection)
            .fetch_all(&self.pool)
            .await
            .map_err(|error| self.error(error))?;
        rows.iter().map(stored_document).collect::<Result<_, _>>().map_err(|error| self.error(error))
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
            .await
            .map_err(|error| self.error(error))?;
        rows.iter().map(stored_document).collect::<Result<_, _>>().map_err(|error| self.error(error))
    }

    pub(crate) async fn text(&self, document: DocumentId, span: Span) -> Result<Option<String>, IndexError> {
        let mut snapshot = self.snapshot().await?;
        text(&mut snapshot, document, span).await.map_err(|error| self.error(error))
    }

    pub(crate) async fn pages(&self, document: DocumentId) -> Result<Vec<Page>, IndexError> {
        let rows = sqlx::query(
            "SELECT number, span_start, span_end FROM pages WHERE document_id = ? ORDER BY span_start, number",
        )
        .bind(document.0)
        .fetch_all(&self.pool)
        .await
        .map_err(|error| self.error(error))?;
        let page = |row: &SqliteRow| -> Result<Page, sqlx::Error> {
            let span = span(row.try_get(1)?, row.try_get(2)?);
            Ok(Page { number: u32::try_from(row.try_get::<i64, _>(0)?).unwrap_or(0), span })
        };
        rows.iter().map(page).collect::<Result<_, _>>().map_err(|error| self.error(error))
    }

    pub(crate) async fn vectors_of(&self, ids: &[ChunkId]) -> Result<Vec<(ChunkId, Vec<f32>)>, IndexError> {
        let rows = sqlx::query(
            "SELECT k.id, e.vector FROM json_each(?) j JOIN chunks k ON k.id = j.value \
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
            "SELECT c.name, f.path, f.reason, f.size, f.mtime_ns, f.inode, f.sha256 FROM failures f \
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

    pub(crate) async fn known_vectors(
        &self,
        model_id: i64,
        hashes: &[[u8; 32]],
    ) -> Result<HashSet<[u8; 32]>, IndexError> {
        let mut known = HashSet::new();
        let mut snapshot = self.snapshot().await?;
        for some in hashes.chunks(512) {
            let list: Vec<String> = some.iter().map(|hash| hex(hash)).collect();
            let rows: Vec<Vec<u8>> = sqlx::query_scalar(
                "SELECT e.hash FROM json_each(?) j JOIN embeddings e ON e.model_id = ? AND e.hash = unhex(j.value)",
            )
            .bind(serde_json::to_string(&list).unwrap_or_default())
            .bind(model_id)
            .fetch_all(&mut *snapshot)
            .await
            .map_err(|error| self.error(error))?;
            known.extend(rows.iter().filter_map(|hash| <[u8; 32]>::try_from(hash.as_slice()).ok()));
        }
        Ok(known)
    }

    /// The documents that a filter lets through; `None` where it lets all through.
    pub(crate) async fn allowed_documents(&self, filter: &Filter) -> Result<Option<Vec<i64>>, IndexError> {
        if filter.is_everything() {
            return Ok(None);
        }
        let prefix = filter.path_prefix.as_deref().map(path_bytes).map(|mut bytes| {
            while bytes.last() == Some(&b'/') {
                bytes.pop();
            }
            bytes
        });
        // Below a folder: from `folder/` up to, not including, `folder0`, the byte after the slash.
        let with = |last: u8| {
            prefix.clone().map(|mut bytes| {
                bytes.push(last);
                bytes
            })
        };
        let documents = filter.documents.as_ref().map(|ids| json_ids(ids.iter().map(|id| id.0)));
        let rows: Vec<i64> = sqlx::query_scalar(
            "SELECT d.id FROM documents d \
             WHERE (?1 IS NULL OR d.collection_id = (SELECT id FROM collections WHERE name = ?1)) \
             AND (?2 IS NULL OR d.path = ?2 OR (d.path >= ?3 AND d.path < ?4)) \
             AND (?5 IS NULL OR d.id IN (SELECT value FROM json_each(?5))) ORDER BY d.id",
        )
        .bind(filter.collection.as_deref())
        .bind(prefix.clone())
        .bind(with(b'/'))
        .bind(with(b'/' + 1))
        .bind(documents)
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

pub(crate) async fn state(connection: &mut SqliteConnection) -> Result<State, sqlx::Error> {
    let row = sqlx::query(
        "SELECT uuid, sequence, trimmed_to, lexical_generation, lexical_sequence, segments_generation, purge_pending FROM store",
    )
    .fetch_one(connection)
    .await?;
    Ok(State {
        uuid: row.try_get(0)?,
        sequence: row.try_get(1)?,
        trimmed_to: row.try_get(2)?,
        lexical_generation: row.try_get(3)?,
        lexical_sequence: row.try_get(4)?,
        segments_generation: row.try_get(5)?,
        purge_pending: row.try_get::<i64, _>(6)? != 0,
    })
}

pub(crate) async fn model(connection: &mut SqliteConnection) -> Result<Option<ModelRow>, sqlx::Error> {
    let row = sqlx::query("SELECT id, name, sha256_hex, dimensions FROM models ORDER BY id DESC LIMIT 1")
        .fetch_optional(connection)
        .await?;
    row.map(|row| {
        Ok(ModelRow {
            id: row.try_get(0)?,
            name: row.try_get(1)?,
            sha256_hex: row.try_get(2)?,
            dimensions: size(row.try_get(3)?),
        })
    })
    .transpose()
}

pub(crate) async fn segments(connection: &mut SqliteConnection) -> Result<Vec<SegmentRow>, sqlx::Error> {
    let rows: Vec<(i64, i64)> =
        sqlx::query_as("SELECT generation, vectors FROM segments ORDER BY generation").fetch_all(connection).await?;
    Ok(rows.into_iter().map(|(generation, vectors)| SegmentRow { generation, vectors: unsigned(vectors) }).collect())
}

/// Chunks above `after`, at most `limit`, in order of id.
pub(crate) async fn chunk_rows(
    connection: &mut SqliteConnection,
    after: i64,
    limit: i64,
) -> Result<Vec<ChunkRow>, sqlx::Error> {
    let rows: Vec<(i64, i64, i64)> =
        sqlx::query_as("SELECT id, document_id, embedding_id FROM chunks WHERE id > ? ORDER BY id LIMIT ?")
            .bind(after)
            .bind(limit)
            .fetch_all(connection)
            .await?;
    Ok(rows.into_iter().map(|(chunk, document, embedding)| ChunkRow { chunk, document, embedding }).collect())
}

/// Chunks that were added or described anew after `sequence` and are still there.
pub(crate) async fn chunk_rows_changed(
    connection: &mut SqliteConnection,
    sequence: i64,
) -> Result<Vec<ChunkRow>, sqlx::Error> {
    let rows: Vec<(i64, i64, i64)> = sqlx::query_as(
        "SELECT DISTINCT k.id, k.document_id, k.embedding_id FROM changes c JOIN chunks k ON k.id = c.chunk_id \
         WHERE c.sequence > ? ORDER BY k.id",
    )
    .bind(sequence)
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|(chunk, document, embedding)| ChunkRow { chunk, document, embedding }).collect())
}

/// Chunks that were removed after `sequence`.
pub(crate) async fn removed_after(connection: &mut SqliteConnection, sequence: i64) -> Result<Vec<i64>, sqlx::Error> {
    sqlx::query_scalar("SELECT chunk_id FROM changes WHERE sequence > ? AND kind = 0 ORDER BY chunk_id")
        .bind(sequence)
        .fetch_all(connection)
        .await
}

/// Vectors by embedding id; missing ones left out.
pub(crate) async fn vectors(
    connection: &mut SqliteConnection,
    ids: &[i64],
) -> Result<Vec<(i64, Vec<f32>)>, sqlx::Error> {
    let mut vectors = Vec::with_capacity(ids.len());
    for some in ids.chunks(4096) {
        let rows =
            sqlx::query("SELECT id, vector FROM embeddings WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id")
                .bind(json_ids(some.iter().copied()))
                .fetch_all(&mut *connection)
                .await?;
        for row in rows {
            vectors.push((row.try_get(0)?, vector_of_bytes(row.try_get::<&[u8], _>(1)?)));
        }
    }
    Ok(vectors)
}

async fn chunks_of(
    connection: &mut SqliteConnection,
    document: DocumentId,
) -> Result<Option<LexicalSource>, sqlx::Error> {
    let Some(row) = sqlx::query("SELECT title, text_bytes FROM documents WHERE id = ?")
        .bind(document.0)
        .fetch_optional(&mut *connection)
        .await?
    else {
        return Ok(None);
    };
    let title: Option<String> = row.try_get(0)?;
    let whole = Span { start: 0, end: size(row.try_get(1)?) };
    let text = text(connection, document, whole).await?.unwrap_or_default();
    let rows = sqlx::query(
        "SELECT id, document_id, ordinal, span_start, span_end, page, heading, header_start, header_end, prefix, tokens \
         FROM chunks WHERE document_id = ? ORDER BY span_start, ordinal",
    )
    .bind(document.0)
    .fetch_all(&mut *connection)
    .await?;
    let mut chunks = Vec::with_capacity(rows.len());
    for row in rows {
        let mut chunk = chunk_without_text(&row)?;
        chunk.text = chunk.span.slice(&text).unwrap_or_default().to_owned();
        chunks.push(chunk);
    }
    Ok(Some(LexicalSource { title: title.unwrap_or_default(), chunks }))
}

async fn text(
    connection: &mut SqliteConnection,
    document: DocumentId,
    span: Span,
) -> Result<Option<String>, sqlx::Error> {
    let length: Option<i64> = sqlx::query_scalar("SELECT text_bytes FROM documents WHERE id = ?")
        .bind(document.0)
        .fetch_optional(&mut *connection)
        .await?;
    let Some(length) = length.map(size) else { return Ok(None) };
    if span.start > span.end || span.end > length {
        return Ok(None);
    }
    if span.is_empty() && length == 0 {
        return Ok(Some(String::new()));
    }
    let first = span.start / PIECE_BYTES;
    let last = span.end.saturating_sub(1).max(span.start) / PIECE_BYTES;
    let pieces: Vec<Vec<u8>> =
        sqlx::query_scalar("SELECT bytes FROM texts WHERE document_id = ? AND piece BETWEEN ? AND ? ORDER BY piece")
            .bind(document.0)
            .bind(signed(first))
            .bind(signed(last))
            .fetch_all(connection)
            .await?;
    Ok(cut(pieces.concat(), first * PIECE_BYTES, span))
}

/// The text under `span` of bytes that begin at offset `begin`; `None` where it does not fit or cuts a character.
fn cut(mut bytes: Vec<u8>, begin: usize, span: Span) -> Option<String> {
    let (start, end) = (span.start.checked_sub(begin)?, span.end.checked_sub(begin)?);
    if end > bytes.len() {
        return None;
    }
    bytes.truncate(end);
    bytes.drain(..start);
    String::from_utf8(bytes).ok()
}

fn join_pieces(rows: &[SqliteRow], chunks: &mut Vec<StoredChunk>) -> Result<(), sqlx::Error> {
    let mut index = 0;
    while let Some(row) = rows.get(index) {
        let mut chunk = chunk_without_text(row)?;
        let begin = size(row.try_get(11)?) * PIECE_BYTES;
        let pieces =
            (chunk.span.end.saturating_sub(1).max(chunk.span.start)) / PIECE_BYTES - chunk.span.start / PIECE_BYTES + 1;
        let mut bytes = Vec::with_capacity(pieces * PIECE_BYTES);
        for row in rows.iter().skip(index).take(pieces) {
            bytes.extend_from_slice(row.try_get::<&[u8], _>(12)?);
        }
        chunk.text = cut(bytes, begin, chunk.span).unwrap_or_default();
        chunks.push(chunk);
        index += pieces;
    }
    Ok(())
}

fn chunk_without_text(row: &SqliteRow) -> Result<StoredChunk, sqlx::Error> {
    let header: (Option<i64>, Option<i64>) = (row.try_get(7)?, row.try_get(8)?);
    Ok(StoredChunk {
        id: ChunkId(row.try_get(0)?),
        document: DocumentId(row.try_get(1)?),
        ordinal: size(row.try_get(2)?),
        span: span(row.try_get(3)?, row.try_get(4)?),
        page: row.try_get::<Option<i64>, _>(5)?.and_then(|page| u32::try_from(page).ok()),
        heading: serde_json::from_str(row.try_get(6)?).unwrap_or_default(),
        table_header: header.0.zip(header.1).map(|(start, end)| span(start, end)),
        prefix: row.try_get(9)?,
        text: String::new(),
        tokens: size(row.try_get(10)?),
    })
}

fn stored_document(row: &SqliteRow) -> Result<StoredDocument, sqlx::Error> {
    let path: Vec<u8> = row.try_get(2)?;
    let part: String = row.try_get(3)?;
    let pages: i64 = row.try_get(13)?;
    Ok(StoredDocument {
        id: DocumentId(row.try_get(0)?),
        collection: row.try_get(1)?,
        uri: file_uri(&path),
        path: path_of_bytes(path),
        part: (!part.is_empty()).then_some(part),
        title: row.try_get(4)?,
        format: format_of_name(row.try_get(5)?),
        language: row.try_get(6)?,
        fingerprint: fingerprint(row, 7)?,
        modified_unix_ms: row.try_get(11)?,
        text_bytes: unsigned(row.try_get(12)?),
        page_count: u32::try_from(pages).ok().filter(|&pages| pages > 0),
        warnings: serde_json::from_str(row.try_get(14)?).unwrap_or_default(),
        chunk_count: unsigned(row.try_get(15)?),
    })
}

fn fingerprint(row: &SqliteRow, first: usize) -> Result<Fingerprint, sqlx::Error> {
    let sha256: &[u8] = row.try_get(first + 3)?;
    Ok(Fingerprint {
        size: unsigned(row.try_get(first)?),
        mtime_ns: row.try_get(first + 1)?,
        inode: row.try_get::<i64, _>(first + 2)?.cast_unsigned(),
        sha256: <[u8; 32]>::try_from(sha256).unwrap_or([0; 32]),
    })
}

fn span(start: i64, end: i64) -> Span {
    Span { start: size(start), end: size(end).max(size(start)) }
}

/// The name under which a format is stored: that of its JSON form.
pub(super) fn format_name(format: Format) -> String {
    match serde_json::to_value(format) {
        Ok(serde_json::Value::String(name)) => name,
        Ok(_) | Err(_) => "text".to_owned(),
    }
}

fn format_of_name(name: &str) -> Format {
    serde_json::from_value(serde_json::Value::String(name.to_owned())).unwrap_or(Format::Text)
}

pub(super) fn json_ids(ids: impl Iterator<Item = i64>) -> String {
    let list: Vec<String> = ids.map(|id| id.to_string()).collect();
    format!("[{}]", list.join(","))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
