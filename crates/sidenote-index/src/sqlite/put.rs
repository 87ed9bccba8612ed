//! A document goes in: checked first, then stored with its text, pages, chunks and vectors in one transaction.

use std::collections::{HashMap, VecDeque};

use sidenote_text::Chunk;
use sqlx::SqliteConnection;

use super::checksum::{Checksum, is_damage};
use super::documents::note_checksums;
use super::rows::{
    chunk_checksum, chunks_of, format_name, hex, json_ids, model, page_checksum, piece_checksum, written_marks,
};
use super::write::{collection_id, next_sequence, remove_rows};
use super::{PIECE_BYTES, Writer, signed, vector_bytes};
use crate::crash;
use crate::error::IndexError;
use crate::files::path_bytes;
use crate::types::{DocumentId, Fingerprint, NewChunk, NewDocument, PutReport};

/// A document and its chunks in the form of rows, checked.
#[derive(Debug)]
pub(crate) struct PutRows {
    collection: String,
    path_bytes: Vec<u8>,
    part: String,
    title: Option<String>,
    author: Option<String>,
    created_unix_ms: Option<i64>,
    format: String,
    language: Option<String>,
    fingerprint: Fingerprint,
    modified_unix_ms: Option<i64>,
    text: Vec<u8>,
    pages: Vec<(i64, i64, i64)>,
    page_count: i64,
    warnings: String,
    waits_for_ocr: bool,
    chunks: Vec<PutChunk>,
    dimensions: Option<usize>,
}

/// A chunk in the form of a row.
#[derive(Debug)]
pub(crate) struct PutChunk {
    pub(super) hash: [u8; 32],
    vector: Option<Vec<u8>>,
    start: i64,
    end: i64,
    page: Option<i64>,
    place: Option<String>,
    row_marks: Option<String>,
    heading: String,
    header: Option<(i64, i64)>,
    prefix: String,
    tokens: i64,
}

impl PutRows {
    /// Checks that everything fits together, before anything is written.
    pub(crate) fn check(document: &NewDocument, chunks: &[NewChunk]) -> Result<Self, IndexError> {
        let refuse = |reason: String| IndexError::BadDocument { path: document.path.clone(), reason };
        if document.collection.is_empty() {
            return Err(refuse("the collection has no name".to_owned()));
        }
        if document.path.as_os_str().is_empty() {
            return Err(refuse("the path is empty".to_owned()));
        }
        let mut pages = Vec::with_capacity(document.pages.len());
        for page in &document.pages {
            if page.span.start > page.span.end || page.span.slice(&document.text).is_none() {
                let (start, end, length) = (page.span.start, page.span.end, document.text.len());
                return Err(refuse(format!(
                    "page {} has the span {start}..{end}, which does not fit the text of {length} bytes",
                    page.number
                )));
            }
            pages.push((i64::from(page.number), signed(page.span.start), signed(page.span.end)));
        }
        let page_count = pages.iter().map(|page| page.0).max().unwrap_or(0);
        let mut dimensions = None;
        let mut rows = Vec::with_capacity(chunks.len());
        for (ordinal, NewChunk { chunk, hash, vector }) in chunks.iter().enumerate() {
            let (start, end) = (chunk.span.start, chunk.span.end);
            if start > end || chunk.span.slice(&document.text) != Some(chunk.text.as_str()) {
                return Err(refuse(format!(
                    "the text of chunk {ordinal} is not the document's text at {start}..{end}"
                )));
            }
            if let Some(header) = chunk.table_header
                && (header.start > header.end || header.slice(&document.text).is_none())
            {
                return Err(refuse(format!("the table header of chunk {ordinal} does not fit the text")));
            }
            let vector = match vector {
                None => None,
                Some(vector) => {
                    let vector = unit_vector(vector)?;
                    if *dimensions.get_or_insert(vector.len()) != vector.len() {
                        return Err(IndexError::BadVector {
                            reason: format!(
                                "chunk {ordinal} has {} numbers, the chunks before it have another count",
                                vector.len()
                            ),
                        });
                    }
                    Some(vector_bytes(&vector))
                }
            };
            rows.push(PutChunk::new(chunk, *hash, vector));
        }
        Ok(Self {
            collection: document.collection.clone(),
            path_bytes: path_bytes(&document.path),
            part: document.part.clone().unwrap_or_default(),
            title: document.title.clone(),
            author: document.author.clone(),
            created_unix_ms: document.created_unix_ms,
            format: format_name(document.format),
            language: document.language.clone(),
            fingerprint: document.fingerprint,
            modified_unix_ms: document.modified_unix_ms,
            text: document.text.clone().into_bytes(),
            pages,
            page_count,
            warnings: serde_json::to_string(&document.warnings).unwrap_or_else(|_| "[]".to_owned()),
            waits_for_ocr: document.waits_for_ocr,
            chunks: rows,
            dimensions,
        })
    }
}

impl PutChunk {
    pub(super) fn new(chunk: &Chunk, hash: [u8; 32], vector: Option<Vec<u8>>) -> Self {
        Self {
            hash,
            vector,
            start: signed(chunk.span.start),
            end: signed(chunk.span.end),
            page: chunk.page.map(i64::from),
            place: chunk.place.clone(),
            row_marks: written_marks(&chunk.rows),
            heading: serde_json::to_string(&chunk.heading).unwrap_or_else(|_| "[]".to_owned()),
            header: chunk.table_header.map(|span| (signed(span.start), signed(span.end))),
            prefix: chunk.prefix.clone(),
            tokens: signed(chunk.tokens),
        }
    }

    fn checksum(&self, document: i64) -> Checksum {
        let (span, header) = ((self.start, self.end), self.header.unzip());
        let place = (self.page, self.place.as_deref(), self.row_marks.as_deref());
        chunk_checksum(document, span, place, &self.heading, header, &self.prefix)
    }
}

/// The vector brought to length 1.
pub(crate) fn unit_vector(vector: &[f32]) -> Result<Vec<f32>, IndexError> {
    if let Some(place) = vector.iter().position(|number| !number.is_finite()) {
        return Err(IndexError::BadVector { reason: format!("number {place} is {}", vector[place]) });
    }
    let squares: f64 = vector.iter().map(|&number| f64::from(number) * f64::from(number)).sum();
    let length = squares.sqrt();
    if length < 1e-20 {
        return Err(IndexError::BadVector { reason: format!("all of its {} numbers are zero", vector.len()) });
    }
    if (length - 1.0).abs() <= 1e-5 {
        return Ok(vector.to_vec());
    }
    #[expect(clippy::cast_possible_truncation, reason = "the quotient of an f32 and the length is at most 1")]
    Ok(vector.iter().map(|&number| (f64::from(number) / length) as f32).collect())
}

impl Writer {
    /// Stores the documents of files, each in place of the one with the same name. With `whole_files` the other parts of the
    /// files go.
    pub(crate) async fn put(
        &self,
        files: Vec<Vec<PutRows>>,
        whole_files: bool,
    ) -> Result<Vec<(DocumentId, PutReport)>, IndexError> {
        let mut transaction = self.begin().await?;
        let mut stored = Vec::new();
        for documents in &files {
            let first = stored.len();
            for rows in documents {
                stored.push(self.put_rows(&mut transaction, rows).await?);
            }
            let Some(file) = documents.first().filter(|_| whole_files) else { continue };
            let kept = json_ids(stored.iter().skip(first).map(|(id, _)| id.0));
            let gone: Vec<i64> = sqlx::query_scalar(
                "SELECT d.id FROM documents d JOIN collections c ON c.id = d.collection_id \
                 WHERE c.name = ? AND d.path = ? AND d.id NOT IN (SELECT value FROM json_each(?))",
            )
            .bind(&file.collection)
            .bind(&file.path_bytes)
            .bind(kept)
            .fetch_all(&mut *transaction)
            .await
            .map_err(|error| self.error(error))?;
            if !gone.is_empty() {
                remove_rows(&mut transaction, &json_ids(gone.into_iter())).await.map_err(|error| self.error(error))?;
            }
        }
        crash::point("put-before-commit");
        transaction.commit().await.map_err(|error| self.error(error))?;
        crash::point("put-after-commit");
        Ok(stored)
    }

    async fn put_rows(
        &self,
        connection: &mut SqliteConnection,
        rows: &PutRows,
    ) -> Result<(DocumentId, PutReport), IndexError> {
        let sql = |error| self.error(error);
        let model = model(&mut *connection).await.map_err(sql)?;
        if let (Some(model), Some(given)) = (&model, rows.dimensions)
            && model.dimensions != given
        {
            let reason = format!("it has {given} numbers, `{}` makes {}", model.name, model.dimensions);
            return Err(IndexError::BadVector { reason });
        }
        let embeddings = match &model {
            Some(model) => self.embedding_ids(&mut *connection, model.id, rows).await?,
            None if rows.chunks.is_empty() => Vec::new(),
            None => return Err(IndexError::NoModel),
        };
        let collection = collection_id(&mut *connection, &rows.collection).await.map_err(sql)?;
        let sequence = next_sequence(&mut *connection).await.map_err(sql)?;
        let (document, described_anew) = put_document(&mut *connection, collection, rows).await.map_err(sql)?;
        let report =
            put_chunks(&mut *connection, document, sequence, described_anew, rows, &embeddings).await.map_err(sql)?;
        sqlx::query("DELETE FROM failures WHERE collection_id = ? AND path = ?")
            .bind(collection)
            .bind(&rows.path_bytes)
            .execute(&mut *connection)
            .await
            .map_err(sql)?;
        Ok((DocumentId(document), report))
    }

    /// The embedding of each chunk, stored where it is new.
    async fn embedding_ids(
        &self,
        connection: &mut SqliteConnection,
        model: i64,
        rows: &PutRows,
    ) -> Result<Vec<i64>, IndexError> {
        let mut ids = Vec::with_capacity(rows.chunks.len());
        for (ordinal, chunk) in rows.chunks.iter().enumerate() {
            let known: Option<i64> = sqlx::query_scalar("SELECT id FROM embeddings WHERE model_id = ? AND hash = ?")
                .bind(model)
                .bind(chunk.hash.as_slice())
                .fetch_optional(&mut *connection)
                .await
                .map_err(|error| self.error(error))?;
            let id = match (known, &chunk.vector) {
                (Some(id), _) => id,
                (None, Some(vector)) => {
                    sqlx::query_scalar("INSERT INTO embeddings (model_id, hash, vector) VALUES (?, ?, ?) RETURNING id")
                        .bind(model)
                        .bind(chunk.hash.as_slice())
                        .bind(vector.as_slice())
                        .fetch_one(&mut *connection)
                        .await
                        .map_err(|error| self.error(error))?
                }
                (None, None) => return Err(IndexError::MissingVector { ordinal, hash: hex(&chunk.hash) }),
            };
            ids.push(id);
        }
        Ok(ids)
    }
}

/// Stores the document's own rows; returns its id and whether the full-text index has to read all of its chunks anew: a document
/// was there under another title or in another language, or a damaged one, which it may have been made without.
async fn put_document(
    connection: &mut SqliteConnection,
    collection: i64,
    rows: &PutRows,
) -> Result<(i64, bool), sqlx::Error> {
    let known: Option<(i64, Option<String>, Option<String>)> =
        sqlx::query_as("SELECT id, title, language FROM documents WHERE collection_id = ? AND path = ? AND part = ?")
            .bind(collection)
            .bind(&rows.path_bytes)
            .bind(&rows.part)
            .fetch_optional(&mut *connection)
            .await?;
    let described_anew = match &known {
        Some((id, title, language)) => {
            let is_damaged = match chunks_of(&mut *connection, DocumentId(*id)).await {
                Err(error) if is_damage(&error) => true,
                read => read.map(|_| false)?,
            };
            is_damaged || *title != rows.title || *language != rows.language
        }
        None => false,
    };
    let document: i64 = sqlx::query_scalar(
        "INSERT INTO documents (collection_id, path, part, title, format, language, size, mtime_ns, inode, sha256, \
         modified_unix_ms, text_bytes, page_count, warnings, author, created_unix_ms, waits_for_ocr) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) \
         ON CONFLICT (collection_id, path, part) DO UPDATE SET title = excluded.title, format = excluded.format, \
         language = excluded.language, size = excluded.size, mtime_ns = excluded.mtime_ns, inode = excluded.inode, \
         sha256 = excluded.sha256, modified_unix_ms = excluded.modified_unix_ms, text_bytes = excluded.text_bytes, \
         page_count = excluded.page_count, warnings = excluded.warnings, author = excluded.author, \
         created_unix_ms = excluded.created_unix_ms, waits_for_ocr = excluded.waits_for_ocr RETURNING id",
    )
    .bind(collection)
    .bind(&rows.path_bytes)
    .bind(&rows.part)
    .bind(&rows.title)
    .bind(&rows.format)
    .bind(&rows.language)
    .bind(rows.fingerprint.size.cast_signed())
    .bind(rows.fingerprint.mtime_ns)
    .bind(rows.fingerprint.inode.cast_signed())
    .bind(rows.fingerprint.sha256.as_slice())
    .bind(rows.modified_unix_ms)
    .bind(signed(rows.text.len()))
    .bind(rows.page_count)
    .bind(&rows.warnings)
    .bind(&rows.author)
    .bind(rows.created_unix_ms)
    .bind(i64::from(rows.waits_for_ocr))
    .fetch_one(&mut *connection)
    .await?;
    if known.is_some() {
        for statement in ["DELETE FROM texts WHERE document_id = ?", "DELETE FROM pages WHERE document_id = ?"] {
            sqlx::query(statement).bind(document).execute(&mut *connection).await?;
        }
    }
    // An empty text has one empty piece, so that a chunk always finds its piece.
    let pieces = rows.text.chunks(PIECE_BYTES).chain(rows.text.is_empty().then_some(&[] as &[u8]));
    for (piece, bytes) in pieces.enumerate() {
        let piece = signed(piece);
        sqlx::query("INSERT INTO texts (document_id, piece, bytes, checksum) VALUES (?, ?, ?, ?)")
            .bind(document)
            .bind(piece)
            .bind(bytes)
            .bind(piece_checksum(document, piece, bytes).value())
            .execute(&mut *connection)
            .await?;
    }
    for &(number, start, end) in &rows.pages {
        sqlx::query(
            "INSERT OR REPLACE INTO pages (document_id, number, span_start, span_end, checksum) VALUES (?, ?, ?, ?, ?)",
        )
        .bind(document)
        .bind(number)
        .bind(start)
        .bind(end)
        .bind(page_checksum(document, number, start, end).value())
        .execute(&mut *connection)
        .await?;
    }
    note_checksums(connection, &json_ids(std::iter::once(document))).await?;
    Ok((document, described_anew))
}

/// Brings a document's chunks in line: equal text keeps its id.
async fn put_chunks(
    connection: &mut SqliteConnection,
    document: i64,
    sequence: i64,
    described_anew: bool,
    rows: &PutRows,
    embeddings: &[i64],
) -> Result<PutReport, sqlx::Error> {
    // Equal hash and equal length of the text: the hash is of prefix and text, so both are equal.
    let mut old: HashMap<(i64, i64), VecDeque<(i64, String)>> = HashMap::new();
    let stored: Vec<(i64, i64, i64, String)> = sqlx::query_as(
        "SELECT id, embedding_id, span_end - span_start, heading FROM chunks WHERE document_id = ? ORDER BY ordinal",
    )
    .bind(document)
    .fetch_all(&mut *connection)
    .await?;
    for (id, embedding, length, heading) in stored {
        old.entry((embedding, length)).or_default().push_back((id, heading));
    }
    let mut report = PutReport::default();
    for (ordinal, (chunk, &embedding)) in rows.chunks.iter().zip(embeddings).enumerate() {
        let same = old.get_mut(&(embedding, chunk.end - chunk.start)).and_then(VecDeque::pop_front);
        let id = match &same {
            Some((id, _)) => update_chunk(&mut *connection, *id, document, embedding, signed(ordinal), chunk).await?,
            None => insert_chunk(&mut *connection, document, embedding, signed(ordinal), chunk).await?,
        };
        let reads_anew = match &same {
            Some((_, heading)) => described_anew || *heading != chunk.heading,
            None => true,
        };
        if reads_anew {
            note_change(&mut *connection, sequence, id, document, 1).await?;
        }
        match same {
            Some(_) => report.chunks_reused += 1,
            None => report.chunks_added += 1,
        }
    }
    for (id, _) in old.into_values().flatten() {
        note_change(&mut *connection, sequence, id, document, 0).await?;
        sqlx::query("DELETE FROM chunks WHERE id = ?").bind(id).execute(&mut *connection).await?;
        report.chunks_removed += 1;
    }
    Ok(report)
}

/// Stores a new chunk; returns its id.
pub(super) async fn insert_chunk(
    connection: &mut SqliteConnection,
    document: i64,
    embedding: i64,
    ordinal: i64,
    chunk: &PutChunk,
) -> Result<i64, sqlx::Error> {
    let statement = "INSERT INTO chunks (document_id, embedding_id, ordinal, span_start, span_end, page, heading, \
         header_start, header_end, prefix, tokens, place, checksum, row_marks) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14) RETURNING id";
    write_chunk(connection, statement, document, document, embedding, ordinal, chunk).await
}

/// Describes a known chunk anew; returns its id.
async fn update_chunk(
    connection: &mut SqliteConnection,
    id: i64,
    document: i64,
    embedding: i64,
    ordinal: i64,
    chunk: &PutChunk,
) -> Result<i64, sqlx::Error> {
    let statement = "UPDATE chunks SET embedding_id = ?2, ordinal = ?3, span_start = ?4, span_end = ?5, page = ?6, heading = ?7, \
         header_start = ?8, header_end = ?9, prefix = ?10, tokens = ?11, place = ?12, checksum = ?13, row_marks = ?14 \
         WHERE id = ?1 RETURNING id";
    write_chunk(connection, statement, id, document, embedding, ordinal, chunk).await
}

/// Runs a statement with `owner` and the columns of a chunk of `document` for its parameters.
async fn write_chunk(
    connection: &mut SqliteConnection,
    statement: &'static str,
    owner: i64,
    document: i64,
    embedding: i64,
    ordinal: i64,
    chunk: &PutChunk,
) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(statement)
        .bind(owner)
        .bind(embedding)
        .bind(ordinal)
        .bind(chunk.start)
        .bind(chunk.end)
        .bind(chunk.page)
        .bind(&chunk.heading)
        .bind(chunk.header.map(|header| header.0))
        .bind(chunk.header.map(|header| header.1))
        .bind(&chunk.prefix)
        .bind(chunk.tokens)
        .bind(&chunk.place)
        .bind(chunk.checksum(document).value())
        .bind(&chunk.row_marks)
        .fetch_one(connection)
        .await
}

pub(super) async fn note_change(
    connection: &mut SqliteConnection,
    sequence: i64,
    chunk: i64,
    document: i64,
    kind: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO changes (sequence, chunk_id, document_id, kind) VALUES (?, ?, ?, ?)")
        .bind(sequence)
        .bind(chunk)
        .bind(document)
        .bind(kind)
        .execute(connection)
        .await?;
    Ok(())
}
